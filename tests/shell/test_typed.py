"""The tokens of what is typed, as the browser is told them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from flask import Flask

from dashapp.model.tokenizer import END_OF_TEXT_ID, encode, longest_token_bytes, token_bytes
from dashapp.panels.source import Source
from dashapp.shell.typed import MERGES_PATH, TOKENS_PATH, add_routes, making_of, tokens_of
from tests.doubles import TINY


class OneModel:
    """A source that has one model, of 13 positions."""

    config = TINY

    def weights_named(self, name: object) -> OneModel | None:
        return self if name == "tiny" else None


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Source, "here", staticmethod(OneModel))


def asked(text: str, **more: object) -> dict[str, Any]:
    return {"text": text, "bos": True, "model": "tiny", **more}


def test_tokens_are_those_that_the_model_would_read() -> None:
    told = tokens_of(asked("The cat sat"))
    assert told["ids"] == [END_OF_TEXT_ID, *encode("The cat sat")]
    assert told["tokens"] == ["<|endoftext|>", "The", " cat", " sat"]
    assert (told["n"], told["n_ctx"]) == (4, TINY.n_ctx)


def test_without_endoftext_in_front_there_is_one_less() -> None:
    assert tokens_of(asked("The cat sat", bos=False))["tokens"] == ["The", " cat", " sat"]
    assert tokens_of(asked("", bos=False)) == {"tokens": [], "ids": [], "n": 0, "n_ctx": TINY.n_ctx}


def test_what_does_not_fit_is_counted_and_not_told() -> None:
    told = tokens_of(asked("a b c d e f g h i j k l m n o"))
    assert told["n"] == 16
    assert len(told["ids"]) == len(told["tokens"]) == TINY.n_ctx


def test_a_model_that_is_not_here_yet_has_the_room_of_a_gpt2() -> None:
    assert tokens_of(asked("The cat", model="gpt2-xl"))["n_ctx"] == 1024


def test_what_cannot_be_tokens_is_said_in_words() -> None:
    too_large = tokens_of(asked("x" * (TINY.n_ctx * longest_token_bytes() + 1)))["fault"]
    assert "bytes" in too_large
    assert "surrogate" in tokens_of(asked("half of a pair: \ud83d"))["fault"]


@pytest.mark.parametrize(
    "wrong", [None, [], {}, {"text": 1, "bos": True, "model": "tiny"}, {"text": "a", "bos": 1, "model": "tiny"}]
)
def test_what_no_page_asks_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="a text"):
        tokens_of(wrong)


def test_a_token_is_told_with_its_merges() -> None:
    (there,) = encode(" the")
    assert making_of({"token": int(there)}) == {
        "token": int(there),
        "bytes": "20 74 68 65",
        "parts": [" ", "t", "h", "e"],
        "merges": [[" ", "t", " t", 256], ["h", "e", "he", 258], [" t", "he", " the", 262]],
    }


def test_a_piece_of_a_character_is_told_as_its_bytes() -> None:
    token = int(encode("🙂")[0])
    told = making_of({"token": token})
    assert told["bytes"] == token_bytes(token).hex(" ").upper()
    assert told["merges"][-1][2] == f"<{told['bytes']}>"


@pytest.mark.parametrize("wrong", [None, {}, *({"token": value} for value in (-1, 50_257, 10**12, True, "1", 1.0))])
def test_no_token_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="token"):
        making_of(wrong)


def test_the_routes_take_a_body_and_no_query() -> None:
    server = Flask(__name__)
    add_routes(server)
    client = server.test_client()
    answer = client.post(TOKENS_PATH, json=asked("The cat"))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.post(MERGES_PATH, json={"token": 262}).json["merges"][-1] == [" t", "he", " the", 262]  # type: ignore[index]
    assert client.post(TOKENS_PATH, json={"text": 5}).status_code == 400
    assert client.get(TOKENS_PATH, query_string=asked("The cat")).status_code == 405


def test_a_thousand_tokens_feel_immediate(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 ms is what feels immediate (Card et al. 1991); measured 3 ms. The best of several counts."""

    class Large(OneModel):
        config = TINY.__class__(n_layer=1, n_head=1, d_model=1, d_mlp=1, n_ctx=1024)

    monkeypatch.setattr(Source, "here", staticmethod(Large))
    text, took = "word and another " * 340, []
    for _ in range(5):
        began = time.process_time()
        assert tokens_of(asked(text))["n"] > 1000
        took.append(time.process_time() - began)
    assert min(took) < 0.1
