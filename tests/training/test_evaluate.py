"""The evaluation's sums, and that the card says what the evaluation found."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch

from dashapp.model.checkpoint import load_model
from dashapp.model.gpt2 import GPT2
from dashapp.model.tap import Tap
from dashapp.model.tokenizer import decode
from dashapp.model.weights import Weights
from training.card import with_measured_section
from training.curriculum import Lesson, two_names
from training.evaluate import (
    DEMO_FOLDER,
    best_head,
    book_loss,
    distinct_lessons,
    lesson_score,
    name_heads,
    name_places,
    prompt_ids,
    strongest,
)
from training.probes import head_scores


def test_an_answer_scores_by_its_logit_against_the_distractor_and_against_all(text_model: GPT2) -> None:
    with torch.inference_mode():
        logits = text_model(prompt_ids("One two"))[0, -1]
    order = logits[:50_000].argsort(descending=True).tolist()
    words = [token for token in order if decode([token]).startswith(" ") and decode([token]).strip().isalpha()]
    high, low = decode([words[0]]), decode([words[-1]])
    right = lesson_score(text_model, [Lesson("One two", high, low, ".")])
    wrong = lesson_score(text_model, [Lesson("One two", low, high, ".")])
    both = lesson_score(text_model, [Lesson("One two", high, low, "."), Lesson("One two", low, high, ".")])
    assert (right.accuracy, wrong.accuracy, both.accuracy) == (1, 0, 0.5)
    assert right.logit_difference == pytest.approx(float(logits[words[0]] - logits[words[-1]]))
    assert wrong.logit_difference == -right.logit_difference
    assert both.n == 2
    assert right.top_1 == float(words[0] == int(logits.argmax()))


def test_the_loss_of_a_book_is_the_mean_surprise_of_its_windows_over_the_whole_vocabulary(text_model: GPT2) -> None:
    book = np.random.default_rng(0).integers(0, 50_257, 20).astype(np.uint16)
    means, n_token = book_loss(text_model, [book], n_window=2, d_window=10)
    losses = []
    for start in (0, 10):
        ids = torch.from_numpy(book[start : start + 10].astype(np.int64))[None]
        with torch.inference_mode():
            log_probs = text_model(ids)[0].double().log_softmax(-1)
        losses += [-float(log_probs[pos, ids[0, pos + 1]]) for pos in range(9)]
    assert n_token == 18
    assert means == [pytest.approx(np.mean(losses), abs=1e-4)]  # float32 sums over 50,257 tokens


def test_lessons_are_counted_once() -> None:
    found = distinct_lessons(lambda rng: two_names(rng, "held_out"), 50)
    assert len({lesson.prompt for lesson in found}) == len(found) == 50
    few = distinct_lessons(lambda rng: Lesson(str(rng.randrange(3)), " a", " b", "."), 50)
    assert {lesson.prompt for lesson in few} == {"0", "1", "2"}
    assert few == distinct_lessons(lambda rng: Lesson(str(rng.randrange(3)), " a", " b", "."), 50)


def test_names_are_found_with_and_without_the_space_before() -> None:
    ids = prompt_ids("Mary met John. Mary, John and Maryland")[0]
    tokens = [decode([int(token)]) for token in ids]
    assert [tokens[place] for place in name_places(ids, " Mary")] == ["Mary", " Mary"]
    assert [tokens[place] for place in name_places(ids, " John")] == [" John", " John"]


def test_heads_that_write_names_are_means_over_sentences_strongest_first(text_model: GPT2) -> None:
    lessons = [
        Lesson("Mary saw John. John to", " Mary", " John", "."),
        Lesson("So Tom and Amy, Tom", " Amy", " Tom", ""),
    ]
    heads = name_heads(text_model, lessons)
    config = text_model.config
    assert heads.written.shape == heads.looks_right.shape == (config.n_layer, config.n_head)
    expected = []
    for lesson in lessons:
        seen = Tap.reading("pattern")
        ids = prompt_ids(lesson.prompt)
        with torch.inference_mode():
            text_model(ids, tap=seen)
        tokens = [decode([int(token)]).strip() for token in ids[0]]
        last = seen.activations["pattern", 1][0, 0, -1]
        expected.append(sum(float(last[pos]) for pos, token in enumerate(tokens) if token == lesson.distractor.strip()))
    assert heads.looks_other[1, 0] == pytest.approx(np.mean(expected), abs=1e-6)
    found = strongest(heads, 2)
    assert found[0]["written"] == pytest.approx(float(heads.written.max()), abs=1e-4)
    assert found[0]["written"] >= found[1]["written"]


def test_the_best_head_is_named_by_layer_then_head() -> None:
    scores = np.zeros((3, 4))
    scores[2, 1] = 0.5
    assert best_head(scores) == {"layer": 2, "head": 1, "score": 0.5}


def test_the_card_says_what_the_evaluation_found() -> None:
    card = (DEMO_FOLDER / "README.md").read_text()
    measured = json.loads((DEMO_FOLDER / "measured.json").read_text())
    assert with_measured_section(card, measured) == card, "run: python -m training.card"


def test_what_was_measured_are_the_bundled_weights() -> None:
    weights = (DEMO_FOLDER / "model.safetensors").read_bytes()
    measured = json.loads((DEMO_FOLDER / "measured.json").read_text())
    assert measured["weights"]["sha256"] == hashlib.sha256(weights).hexdigest()
    assert len(weights) == measured["weights"]["size_bytes"] <= 40_000_000


def test_the_heads_that_are_named_still_score_what_is_written() -> None:
    measured = json.loads((DEMO_FOLDER / "measured.json").read_text())["heads"]
    probe = head_scores(load_model(Weights.open(DEMO_FOLDER), device="cpu"), block=100, n_row=1, seed=0)
    for kind, scores in (("previous_token", probe.previous_token), ("induction", probe.induction)):
        best = measured["best"][kind]
        # One row of the four measured: rows differ by some hundredths.
        assert abs(scores[best["layer"], best["head"]] - best["score"]) < 0.1
