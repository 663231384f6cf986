"""What the strips are told of each token's prediction: against softmax of the logits, in float64."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING

import numpy as np
import pytest
from flask import Flask

import dashapp
from dashapp.model.tokenizer import token_bytes, token_text
from dashapp.panels.source import Source
from dashapp.shell.strip_measures import GONE, PATH, add_route, measures_of

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2
    from dashapp.traces.record import Trace

# Stored as float32: 6e-8 of a log-probability of about 12, and the float32 logits behind it.
ATOL = 1e-5


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The 🙂 sat on <b>", cache=False)


def decoded(text: str) -> np.ndarray:
    return np.frombuffer(b64decode(text), dtype="<f4")


def logprobs(trace: Trace) -> np.ndarray:
    """float64 [pos d_vocab]: row i is the prediction for token i + 1."""
    logits = trace.logits.astype(np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def test_each_token_is_measured_by_the_prediction_in_its_place(trace: Trace) -> None:
    told, by_hand = measures_of(trace), logprobs(trace)
    got, entropies = decoded(told["logprobs"]), decoded(told["entropies"])
    assert np.isnan([got[0], entropies[0]]).all()
    for pos in range(1, trace.n_tokens):
        row, token = by_hand[pos - 1], trace.token_ids[pos]
        assert got[pos] == pytest.approx(row[token], abs=ATOL)
        assert entropies[pos] == pytest.approx(-(np.exp(row) * row).sum(), abs=ATOL)
        logits = trace.logits[pos - 1]
        assert told["ranks"][pos] == int((logits > logits[token]).sum())


def test_the_likeliest_in_a_tokens_place_come_with_their_probabilities(trace: Trace) -> None:
    told, by_hand = measures_of(trace), logprobs(trace)
    assert len(told["others"]) == trace.n_tokens - 1
    for others, row in zip(told["others"], by_hand, strict=False):
        assert others["ids"] == list(np.argsort(-row, kind="stable")[:5])
        np.testing.assert_allclose(others["probs"], np.exp(row)[others["ids"]], rtol=5.1e-3)  # three digits
        assert [told["words"][str(token)] for token in others["ids"]] == [token_text(token) for token in others["ids"]]


def test_tokens_are_told_with_ids_and_bytes(trace: Trace) -> None:
    told = measures_of(trace)
    assert told["ids"] == trace.token_ids.tolist()
    assert [bytes.fromhex(each) for each in told["bytes"]] == [token_bytes(int(token)) for token in trace.token_ids]
    json.dumps(told, allow_nan=False)


def test_one_token_has_no_prediction(text_model: GPT2) -> None:
    told = measures_of(dashapp.trace(text_model, "", cache=False))
    assert (told["others"], told["words"]) == ([], {})


def test_a_trace_that_is_gone_is_said_and_nonsense_refused(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    class Shelf:
        def trace(self, key: object) -> Trace | None:
            return trace if key == trace.key else None

    monkeypatch.setattr(Source, "here", staticmethod(Shelf))
    server = Flask("test")
    add_route(server)
    client = server.test_client()
    answer = client.post(PATH, json={"key": trace.key})
    assert answer.get_json() == {"key": trace.key, **measures_of(trace)}
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.post(PATH, json={"key": "0" * 64}).get_json()["fault"] == GONE
    for nonsense in ([], {}, {"key": 5}):
        assert client.post(PATH, json=nonsense).status_code == 400
    assert client.get(PATH).status_code == 405
