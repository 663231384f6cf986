"""What differs between two runs: hand cases, identities, and the model run again with other formulas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import softmax

import dashapp
from dashapp.analysis.alignment import NONE, align
from dashapp.analysis.changes import aligned_pairs, next_token_change, surprisal_change
from dashapp.errors import OtherSizes
from dashapp.traces.record import Trace
from tests.doubles import TINY, random_ids, tiny_model

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

A, B = "a b c d e", "a b x y d e"  # with <|endoftext|>; the fourth token is replaced, y has no counterpart
TWO_WAYS = 1e-4  # float32 logits of a few nats by two ways differ by 3e-6 (docs/numerics.md), and exp of them as much


@pytest.fixture(scope="module")
def pair(text_model: GPT2) -> tuple[Trace, Trace]:
    return dashapp.trace(text_model, A, cache=False), dashapp.trace(text_model, B, cache=False)


def own_probabilities(trace: Trace, model: GPT2) -> np.ndarray:
    """The model run again: float64 [pos d_vocab]."""
    import torch

    with torch.inference_mode():
        logits = model(torch.from_numpy(trace.token_ids.astype(np.int64))[None])[0]
    probabilities: np.ndarray = softmax(logits.double().numpy(), axis=-1)
    return probabilities


def test_pairs_are_in_the_order_of_both_prompts(pair: tuple[Trace, Trace]) -> None:
    found = aligned_pairs(align(pair[0].token_ids, pair[1].token_ids))
    assert found.tolist() == [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 5, 6]]
    assert (np.diff(found) > 0).all()


# Next tokens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pos_a", "pos_b"), [(5, 6), (3, 3), (0, 6)])
def test_tokens_that_change_most_are_those_of_the_model_run_again(
    pair: tuple[Trace, Trace], text_model: GPT2, pos_a: int, pos_b: int
) -> None:
    p, q = (own_probabilities(trace, text_model)[pos] for trace, pos in zip(pair, (pos_a, pos_b), strict=True))
    found = next_token_change(pair[0], pos_a, pair[1], pos_b, n=5, choice="change")
    np.testing.assert_allclose(found.in_a, p[found.ids], atol=TWO_WAYS)
    np.testing.assert_allclose(found.in_b, q[found.ids], atol=TWO_WAYS)
    more = found.in_a - found.in_b
    assert (more[:5] > 0).all()
    assert (more[5:] < 0).all()
    assert (np.diff(more) <= 0).all()  # from most of a to most of b
    # By another way: the whole vocabulary sorted.
    np.testing.assert_allclose(more[:5], np.sort(p - q)[::-1][:5], atol=TWO_WAYS)
    np.testing.assert_allclose(more[5:], np.sort(p - q)[:5][::-1], atol=TWO_WAYS)
    for (token, chance), probs in zip(found.favourites, (p, q), strict=True):
        assert chance == pytest.approx(probs.max(), abs=TWO_WAYS)
        assert probs[token] == pytest.approx(probs.max(), abs=TWO_WAYS)


def test_likeliest_tokens_are_those_of_either_prompt(pair: tuple[Trace, Trace], text_model: GPT2) -> None:
    p, q = (own_probabilities(trace, text_model)[-1] for trace in pair)
    found = next_token_change(pair[0], 5, pair[1], 6, n=4, choice="likeliest")
    np.testing.assert_allclose(np.maximum(found.in_a, found.in_b), np.sort(np.maximum(p, q))[::-1][:8], atol=TWO_WAYS)


def test_a_run_against_itself_has_no_next_token_that_changes(pair: tuple[Trace, Trace]) -> None:
    found = next_token_change(pair[0], 4, pair[0], 4, n=3, choice="change")
    assert found.is_equal
    assert (found.apart.js, found.apart.a_from_b, found.apart.b_from_a) == (0, 0, 0)
    np.testing.assert_array_equal(found.in_a, found.in_b)
    assert len(found.ids) == 6  # the likeliest


def test_before_the_first_token_that_differs_the_expectations_are_equal(pair: tuple[Trace, Trace]) -> None:
    found = next_token_change(pair[0], 2, pair[1], 2, n=3, choice="change")
    assert max(found.apart.js, found.apart.a_from_b, found.apart.b_from_a) < 1e-9  # rounding of runs of two lengths
    np.testing.assert_allclose(found.in_a, found.in_b, atol=TWO_WAYS)


def test_swapping_the_prompts_swaps_everything(pair: tuple[Trace, Trace]) -> None:
    one = next_token_change(pair[0], 5, pair[1], 6, n=4, choice="change")
    other = next_token_change(pair[1], 6, pair[0], 5, n=4, choice="change")
    assert one.ids.tolist() == other.ids[::-1].tolist()
    assert one.apart.js == other.apart.js
    assert one.apart.a_from_b == other.apart.b_from_a
    assert one.apart.js <= 1  # bit: ln 2 nats


def test_vocabularies_of_two_sizes_are_refused_with_both(pair: tuple[Trace, Trace]) -> None:
    small = dashapp.trace(tiny_model(TINY), random_ids(TINY, 5).tolist(), cache=False)
    with pytest.raises(OtherSizes, match=r"50,257 and that of b 17"):
        next_token_change(pair[0], 0, small, 0, n=3, choice="change")


# Surprisals -----------------------------------------------------------------------------------------------------------


def test_surprisals_are_those_of_the_model_run_again(pair: tuple[Trace, Trace], text_model: GPT2) -> None:
    found = surprisal_change(*pair, align(pair[0].token_ids, pair[1].token_ids))
    of = []
    for trace in pair:
        p = own_probabilities(trace, text_model)
        of.append([math.nan, *(-math.log2(p[i - 1, trace.token_ids[i]]) for i in range(1, trace.n_tokens))])
    np.testing.assert_allclose(found.of_a, of[0], rtol=TWO_WAYS)
    np.testing.assert_allclose(found.of_b, np.array(of[1])[[0, 1, 2, 3, 5, 6]], rtol=TWO_WAYS)
    np.testing.assert_array_equal(found.differences, found.of_a - found.of_b)
    assert found.is_same.tolist() == [True, True, True, False, True, True]


def test_a_token_without_counterpart_has_no_difference(pair: tuple[Trace, Trace]) -> None:
    a, b = pair[::-1]
    found = surprisal_change(a, b, align(a.token_ids, b.token_ids))
    alone = np.flatnonzero(found.b_of_a == NONE)
    assert alone.tolist() == [4]
    assert np.isnan(found.differences[alone]).all()
    assert not np.isnan(found.of_a[alone]).any()


def test_surprisals_are_equal_up_to_the_first_token_that_differs(pair: tuple[Trace, Trace]) -> None:
    same = surprisal_change(pair[0], pair[0], align(pair[0].token_ids, pair[0].token_ids))
    assert (same.differences[1:] == 0).all()
    found = surprisal_change(*pair, align(pair[0].token_ids, pair[1].token_ids))
    np.testing.assert_allclose(found.differences[1:3], 0, atol=TWO_WAYS)
    assert abs(found.differences[3]) > 0.01
