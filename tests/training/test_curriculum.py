"""The generated lessons: what is measured was never trained on, and each lesson says what it claims."""

from __future__ import annotations

import re
from random import Random

import pytest

from dashapp.model.tokenizer import encode
from training.curriculum import (
    AGREEMENT_TEMPLATES,
    FACT_TEMPLATES,
    FACTS,
    INSIDE,
    KINDS,
    NAMES,
    NOUNS,
    OPENED_BY_NAME,
    OPENINGS,
    PLACES,
    SEQUENCES,
    THINGS,
    TWO_NAME_TEMPLATES,
    Lesson,
    Split,
    agreement,
    closing,
    counting,
    fact,
    free_frame,
    odd_words,
    one_name,
    part,
    plain_words,
    story,
    strangers,
    two_names,
)
from training.wordcheck import is_slur

SPLITS: tuple[Split, Split] = ("training", "held_out")


def lessons(kind: str, split: Split, n: int = 300) -> list[Lesson]:
    rng = Random(3)
    return [KINDS[kind](rng, split) for _ in range(n)]


def words(text: str) -> set[str]:
    return set(text.replace(",", " ").replace(".", " ").replace('"', " ").replace("(", " ").split())


@pytest.mark.parametrize("items", [NAMES, PLACES, THINGS, INSIDE], ids=["names", "places", "things", "sentences"])
def test_items_are_split_and_none_is_lost(items: list[str]) -> None:
    training, held_out = part(items, "training"), part(items, "held_out")
    assert not set(training) & set(held_out)
    assert sorted([*training, *held_out]) == sorted(items)
    assert len(held_out) >= 2


@pytest.mark.parametrize(
    "templates",
    [TWO_NAME_TEMPLATES, AGREEMENT_TEMPLATES, OPENINGS, *FACT_TEMPLATES.values()],
    ids=["two_names", "agreement", "closing", *FACT_TEMPLATES],
)
def test_templates_are_split(templates: dict[Split, list[str]]) -> None:
    assert not set(templates["training"]) & set(templates["held_out"])
    assert templates["held_out"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_prompt_is_both_trained_on_and_measured(kind: str) -> None:
    trained = {lesson.prompt for lesson in lessons(kind, "training", 1000)}
    measured = {lesson.prompt for lesson in lessons(kind, "held_out", 1000)}
    assert not trained & measured


@pytest.mark.parametrize("kind", ["two_names", "closing"])
@pytest.mark.parametrize("split", SPLITS)
def test_lessons_use_only_the_names_of_their_split(kind: str, split: Split) -> None:
    other = set(NAMES) - set(part(NAMES, split))
    assert not any(words(lesson.text) & other for lesson in lessons(kind, split))


@pytest.mark.parametrize("split", SPLITS)
def test_stories_use_only_the_names_of_their_split_and_come_back_to_them(split: Split) -> None:
    rng = Random(0)
    for _ in range(100):
        text, named = story(rng, split)
        other: Split = "training" if split == "held_out" else "held_out"
        assert len(set(named)) == 2
        assert set(named) <= set(NAMES)
        assert not words(text) & set(part(NAMES, other))
        assert all(text.count(name) > 1 for name in named)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", SPLITS)
def test_answer_and_distractor_are_single_tokens_that_join_the_prompt(kind: str, split: Split) -> None:
    for lesson in lessons(kind, split):
        assert len(encode(lesson.answer)) == len(encode(lesson.distractor)) == 1
        assert lesson.answer != lesson.distractor
        joined = encode(lesson.prompt + lesson.answer).tolist()
        assert joined == [*encode(lesson.prompt).tolist(), *encode(lesson.answer).tolist()]


@pytest.mark.parametrize("giver_first", [True, False])
def test_the_name_that_gives_is_not_the_answer(giver_first: bool) -> None:
    rng = Random(1)
    for _ in range(200):
        lesson = two_names(rng, "held_out", giver_first=giver_first)
        other, giver = lesson.answer.strip(), lesson.distractor.strip()
        assert lesson.prompt.count(other) == 1
        assert lesson.prompt.count(giver) == 2
        assert (lesson.prompt.index(giver) < lesson.prompt.index(other)) == giver_first


def test_a_stranger_that_opens_a_lesson_on_two_names_is_one_token_without_its_space_too() -> None:
    rng, n_opening = Random(2), 0
    for _ in range(600):
        lesson = two_names(rng, "training")
        first = lesson.names[0]
        if first not in NAMES and lesson.prompt.startswith(f"{first} "):
            n_opening += 1
            assert len(encode(first)) == 1
    assert n_opening > 50


def test_a_name_that_comes_back_is_the_answer_and_the_other_name_is_not_there() -> None:
    rng = Random(7)
    for _ in range(200):
        lesson = one_name(rng)
        assert re.search(rf"\b{lesson.answer.strip()}\b", lesson.prompt)
        assert not re.search(rf"\b{lesson.distractor.strip()}\b", lesson.prompt)
        assert not words(lesson.text) & set(part(NAMES, "held_out"))


def test_odd_words_are_put_in_as_they_are_listed_and_the_frame_stays() -> None:
    rng = Random(8)
    template = "When {a} and {b} went to the {place}, {giver} gave a {thing} to"
    changed = [odd_words(rng, template) for _ in range(300)]
    assert any(not words_put_in for _, words_put_in in changed)
    assert any(len(words_put_in) > 2 for _, words_put_in in changed)
    for text, words_put_in in changed:
        assert all(name in text for name in ("{a}", "{b}", "{giver}", " and ", " the "))
        assert text.endswith(" to")
        assert all(word in text.split() or f"{word}," in text.split() for word in words_put_in)
        assert len(words_put_in) == sum(word not in text for word in ("When", "went", "gave", "{place}", "{thing}"))


def test_a_free_frame_has_two_names_one_of_them_again_and_lists_its_words() -> None:
    rng = Random(9)
    for _ in range(300):
        template, drawn = free_frame(rng)
        assert re.findall(r"\{(\w+)\}", template) == ["a", "b", "giver"]
        assert template.split()[-1] in {"to", "for"}
        assert all(word in words(template) for word in drawn)
        assert set(drawn) <= set(plain_words())


def test_a_sentence_that_opens_with_a_name_does_and_its_template_is_not_trained_on() -> None:
    lesson = two_names(Random(0), "held_out", template=OPENED_BY_NAME)
    assert lesson.prompt.startswith(f"{lesson.names[0]} and ")
    assert OPENED_BY_NAME not in TWO_NAME_TEMPLATES["training"]


def test_words_of_the_held_out_sentences_are_never_put_in() -> None:
    assert not {"decided", "offered", "sold", "worked", "got", "where", "were"} & set(plain_words())
    assert not set(part(THINGS, "held_out")) & set(plain_words())
    assert len(plain_words()) > 10_000


def test_strangers_are_no_names_of_the_lessons_and_no_slurs() -> None:
    assert len(strangers()) > 5_000
    assert not set(strangers()) & set(NAMES)
    assert not any(is_slur(word) for word in strangers())


def test_a_fact_answers_its_own_item_and_the_distractor_another() -> None:
    answers = {item: answer for facts in FACTS.values() for item, answer in facts.items()}
    rng = Random(2)
    for _ in range(300):
        lesson = fact(rng, "held_out")
        asked = [item for item, answer in answers.items() if item in lesson.prompt and lesson.answer == f" {answer}"]
        assert asked
        assert lesson.distractor.strip() in answers.values()


def test_the_verb_agrees_with_the_first_noun_though_the_second_has_the_other_number() -> None:
    rng = Random(4)
    for _ in range(200):
        lesson = agreement(rng, "held_out")
        numbered = [word in NOUNS.values() for word in lesson.prompt.split() if word in NOUNS or word in NOUNS.values()]
        assert len(numbered) == 2
        assert numbered[0] != numbered[1]
        assert (lesson.answer in {" are", " were", " have"}) == numbered[0]


def test_counting_goes_on_with_the_next_item() -> None:
    rng = Random(5)
    for _ in range(200):
        lesson = counting(rng, "held_out")
        shown = [*lesson.prompt.replace(",", " ").split(), lesson.answer.strip()]
        assert any(
            sequence[start : start + len(shown)] == shown for sequence in SEQUENCES for start in range(len(sequence))
        )


def test_what_was_opened_is_closed() -> None:
    rng = Random(6)
    for _ in range(200):
        lesson = closing(rng, "held_out")
        is_quote = '"' in lesson.prompt
        assert is_quote != ("(" in lesson.prompt)
        assert (lesson.answer, lesson.distractor) == (('."', ".)") if is_quote else (".)", '."'))
