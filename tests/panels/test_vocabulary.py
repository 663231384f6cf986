"""Which token a person means by what is typed."""

from __future__ import annotations

import pytest

from dashapp.errors import DashappError, NotOneToken
from dashapp.model.tokenizer import encode, token_text
from dashapp.panels.vocabulary import N_SUGGESTED, meant, named, suggestions

ALL = 50_257


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("cat", " cat"),
        (" cat", " cat"),
        ("·cat", " cat"),
        ('"cat"', "cat"),
        ('" cat"', " cat"),
        ("'s", "'s"),  # one token as it stands, two after a space
        ("#3797", " cat"),
        ("·anything #3797", " cat"),
        ("#50256", "<|endoftext|>"),
        ("é", " é"),
    ],
)
def test_a_word_is_the_token_that_a_person_means(typed: str, text: str) -> None:
    assert token_text(meant(typed, ALL)) == text


@pytest.mark.parametrize("typed", ["#50257", "#999999", "zebrafish", "\ud800"])
def test_what_is_not_one_token_is_refused(typed: str) -> None:
    with pytest.raises(DashappError):
        meant(typed, ALL)


def test_a_smaller_vocabulary_has_fewer_tokens() -> None:
    with pytest.raises(NotOneToken):
        meant("cat", 1000)
    assert meant("the", 1000) == encode(" the")[0]
    assert all(token < 1000 for token in suggestions("th", 1000))


def test_every_name_is_read_as_its_token() -> None:
    for token in (0, 198, 220, 262, 3797, 50_256, *range(0, ALL, 997)):
        assert meant(named(token), ALL) == token


def test_suggestions_begin_with_what_is_typed_shortest_first() -> None:
    found = [token_text(token) for token in suggestions("cat", ALL)]
    assert len(found) == N_SUGGESTED
    assert sorted(found[:2]) == [" Cat", "Cat"] or {"cat", "Cat", " cat"} & set(found[:3])
    assert all(text.strip().lower().startswith("cat") for text in found)
    assert suggestions("", ALL) == suggestions("#12", ALL) == []
    assert [token_text(token) for token in suggestions("endoftext", ALL)] == ["<|endoftext|>"]
