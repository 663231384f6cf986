"""Divergence of next-token distributions: hand cases, identities, and the model run again with other formulas."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import rel_entr

import dashapp
from dashapp.analysis.divergence import divergence, likeliest_in_any, next_token_divergence
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

EXACT = 1e-12  # float64 sums of three terms
# float32 logits of about 3 by two ways differ by 3e-6 (docs/numerics.md); a divergence of a bit or so by that times
# the spread of the logits, with room.
TWO_WAYS = 1e-4


def test_hand_case() -> None:
    """a = (1/2, 1/4, 1/4), b = (1/4, 1/2, 1/4): D(a‖b) = 1/2 · 1 − 1/4 · 1 = 1/4, and the same back."""
    found = divergence(np.log([0.5, 0.25, 0.25]), np.log([0.25, 0.5, 0.25]))
    assert found.a_from_b == pytest.approx(0.25, abs=EXACT)
    assert found.b_from_a == pytest.approx(0.25, abs=EXACT)
    # The middle is (3/8, 3/8, 1/4): 1/2 log₂ 4/3 + 1/4 log₂ 2/3 from each.
    assert found.js == pytest.approx(0.5 * np.log2(4 / 3) + 0.25 * np.log2(2 / 3), abs=EXACT)


def test_a_token_is_among_the_likeliest_by_the_run_that_gives_it_most() -> None:
    a, b = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.1, 0.2, 0.1, 0.6])
    ids, probs = likeliest_in_any({"a": np.log(a) + 7, "b": np.log(b)}, 3)  # softmax knows no constant
    assert ids.tolist() == [3, 0, 1]
    np.testing.assert_allclose(probs["a"], a[[3, 0, 1]], rtol=EXACT)
    np.testing.assert_allclose(probs["b"], b[[3, 0, 1]], rtol=EXACT)


def test_directions_are_not_mixed_up() -> None:
    """From a certainty to a coin toss is one bit; the other way, as far as the impossible is unlikely."""
    found = divergence(np.array([0.0, -40.0]), np.array([0.0, 0.0]))
    assert found.a_from_b == pytest.approx(1, abs=1e-9)  # a holds exp(−40) on the other token
    assert found.b_from_a == pytest.approx(0.5 * 40 / np.log(2) - 1, abs=1e-9)


def test_nothing_separates_a_distribution_from_itself() -> None:
    logits = np.random.default_rng(0).normal(0, 5, 1000).astype(np.float32)
    shifted = divergence(logits, logits + np.float32(8))  # a constant changes no probability
    assert divergence(logits, logits) == replace(shifted, js=0.0, a_from_b=0.0, b_from_a=0.0)
    assert max(shifted.js, shifted.a_from_b, shifted.b_from_a) < 1e-9  # adding 8 rounds float32 logits by 5e-7


def test_js_is_one_bit_between_distributions_that_share_nothing() -> None:
    found = divergence(np.array([0.0, -1e4]), np.array([-1e4, 0.0]))
    assert found.js == 1
    assert np.isfinite(found.a_from_b)


def test_swapping_the_distributions_swaps_the_directions() -> None:
    a, b = np.random.default_rng(1).normal(0, 3, (2, 500))
    one, other = divergence(a, b), divergence(b, a)
    assert (one.a_from_b, one.b_from_a, one.js) == (other.b_from_a, other.a_from_b, other.js)


@pytest.fixture(scope="module")
def traces(text_model: GPT2) -> tuple[Trace, Trace]:
    return dashapp.trace(text_model, "The cat sat on", cache=False), dashapp.trace(text_model, "A dog ran", cache=False)


@pytest.mark.parametrize(("pos_a", "pos_b"), [(0, 3), (2, 1), (4, 3)])
def test_it_is_what_scipy_makes_of_the_model_run_again(
    traces: tuple[Trace, Trace], text_model: GPT2, pos_a: int, pos_b: int
) -> None:
    p, q = _own_probabilities(traces[0], text_model)[pos_a], _own_probabilities(traces[1], text_model)[pos_b]
    found = next_token_divergence(traces[0], pos_a, traces[1], pos_b)
    middle = (p + q) / 2
    assert found.a_from_b == pytest.approx(rel_entr(p, q).sum() / np.log(2), abs=TWO_WAYS)
    assert found.b_from_a == pytest.approx(rel_entr(q, p).sum() / np.log(2), abs=TWO_WAYS)
    by_middle = (rel_entr(p, middle).sum() + rel_entr(q, middle).sum()) / 2 / np.log(2)
    assert found.js == pytest.approx(by_middle, abs=TWO_WAYS)
    assert found.js > 0.001


def test_equal_beginnings_expect_the_same(traces: tuple[Trace, Trace]) -> None:
    """Position 0 is <|endoftext|> in both, and what follows cannot reach back."""
    found = next_token_divergence(traces[0], 0, traces[1], 0)
    assert max(found.js, found.a_from_b, found.b_from_a) < 1e-10  # logits rounded by 1e-6


def _own_probabilities(trace: Trace, model: GPT2) -> np.ndarray:
    """The model run again on the trace's tokens, in its own arithmetic: [pos d_vocab]."""
    import torch

    with torch.inference_mode():
        logits = model(torch.from_numpy(np.array(trace.token_ids, dtype=np.int64))[None])[0].double()
    probs: np.ndarray = logits.softmax(dim=-1).numpy()
    return probs
