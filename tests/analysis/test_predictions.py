"""What the model expected: against softmax of the model's own logits, and the identities of a distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import dashapp
from dashapp.analysis.predictions import next_token, surprisals
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

# float32 log-probabilities of a 50,257-way softmax against float64: 1e-6 of a probability, with room.
CLOSE = 1e-5


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The cat sat on", cache=False)


@pytest.mark.parametrize("pos", range(5))
def test_expected_tokens_are_the_likeliest_of_the_whole_vocabulary(trace: Trace, text_model: GPT2, pos: int) -> None:
    whole = _own_probabilities(trace, text_model)[pos]
    expected = next_token(trace, pos)
    assert expected.probs == pytest.approx(np.sort(whole)[::-1][:20], abs=CLOSE)
    assert whole[expected.ids] == pytest.approx(expected.probs, abs=CLOSE)


@pytest.mark.parametrize("pos", range(5))
def test_probabilities_and_tail_sum_to_one(trace: Trace, pos: int) -> None:
    expected = next_token(trace, pos)
    assert expected.probs.sum() + expected.tail == pytest.approx(1, abs=1e-12)
    assert expected.n_others == trace.config.d_vocab - 20


def test_entropy_is_that_of_the_whole_distribution(trace: Trace, text_model: GPT2) -> None:
    whole = _own_probabilities(trace, text_model)[2]
    assert next_token(trace, 2).entropy_bits == pytest.approx(-(whole * np.log2(whole)).sum(), abs=1e-3)


def test_what_came_is_the_next_token_with_its_probability_and_rank(trace: Trace, text_model: GPT2) -> None:
    whole = _own_probabilities(trace, text_model)[1]
    expected = next_token(trace, 1)
    assert expected.actual == trace.token_ids[2]
    assert expected.actual_prob == pytest.approx(whole[trace.token_ids[2]], rel=1e-3)
    assert expected.actual_rank == (whole > whole[trace.token_ids[2]]).sum()


def test_nothing_came_after_the_last_token(trace: Trace) -> None:
    expected = next_token(trace, trace.n_tokens - 1)
    assert expected.actual is None
    assert np.isnan(expected.actual_prob)


def test_surprisal_is_minus_log2_of_the_probability(trace: Trace, text_model: GPT2) -> None:
    whole = _own_probabilities(trace, text_model)
    measured = surprisals(trace)
    assert np.isnan(measured.bits[0])
    by_hand = [-np.log2(whole[pos, trace.token_ids[pos + 1]]) for pos in range(trace.n_tokens - 1)]
    assert measured.bits[1:] == pytest.approx(np.array(by_hand), abs=1e-3)
    assert measured.mean_bits == pytest.approx(np.mean(by_hand), abs=1e-3)


def _own_probabilities(trace: Trace, model: GPT2) -> np.ndarray:
    """The model run again on the trace's tokens, in its own arithmetic."""
    import torch

    with torch.inference_mode():
        logits = model(torch.from_numpy(np.array(trace.token_ids, dtype=np.int64))[None])[0].double()
    probs: np.ndarray = logits.softmax(dim=-1).numpy()
    return probs


def test_the_mean_over_some_tokens_leaves_out_the_first_of_all(trace: Trace) -> None:
    measured = surprisals(trace)
    assert measured.mean_over(0, trace.n_tokens) == pytest.approx(measured.mean_bits)
    assert measured.mean_over(2, 4) == pytest.approx((measured.bits[2] + measured.bits[3]) / 2)
    assert np.isnan(measured.mean_over(0, 1))
