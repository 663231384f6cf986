from __future__ import annotations

import math

import numpy as np
import pytest

from dashapp.analysis.attention import (
    Head,
    TokenAttention,
    head_scores,
    head_to_begin_with,
    looked_at_by,
    looks_at,
    strongest,
    token_attention,
    token_scores,
)
from dashapp.model.gpt2 import GPT2
from dashapp.traces.capture import capture
from dashapp.traces.record import Trace, trace_metadata
from tests.doubles import TINY, stored_rtol

N_TOKENS = 9

# float64 throughout, so rounding is about 1e-16 a term.
FLOAT64_ATOL = 1e-12


@pytest.fixture(scope="module")
def trace(model: GPT2) -> Trace:
    """A real trace: what it stores of its rows was computed from its q and k."""
    return traced(model, np.array([3, 1, 4, 1, 5, 9, 2, 6, 5], dtype=np.int32))


def traced(model: GPT2, ids: np.ndarray) -> Trace:
    return capture(model, ids, trace_metadata(TINY, fingerprint="f" * 64, model="tiny", dtype="float32"))


def full_pattern(trace: Trace, layer: int) -> np.ndarray:
    """softmax(q kᵀ · scale) as the formula has it, float64 [head query key]."""
    q, k = trace.q[layer].astype(np.float64), trace.k[layer].astype(np.float64)
    weights = np.exp(q @ k.transpose(0, 2, 1) * trace.config.attn_scale(layer)) * np.tri(q.shape[1])
    return weights / weights.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("layer", range(TINY.n_layer))
def test_every_row_and_column_is_that_of_the_whole_pattern(trace: Trace, layer: int) -> None:
    pattern, rtol = full_pattern(trace, layer), stored_rtol(trace)
    for pos in range(N_TOKENS):
        np.testing.assert_allclose(looks_at(trace, layer, pos), pattern[:, pos], rtol=0, atol=FLOAT64_ATOL)
        np.testing.assert_allclose(looked_at_by(trace, layer, pos), pattern[:, :, pos], rtol=rtol, atol=1e-12)


def test_what_a_token_looks_at_sums_to_one_and_leaves_out_the_future(trace: Trace) -> None:
    for of in (None, Head(layer=1, head=0)):
        for pos in range(N_TOKENS):
            weights = token_attention(trace, pos, direction="looks_at", of=of).weights
            assert weights.sum() == pytest.approx(1, abs=FLOAT64_ATOL)
            assert not weights[pos + 1 :].any()


def test_nobody_before_a_token_looks_at_it(trace: Trace) -> None:
    weights = token_attention(trace, 4, direction="looked_at_by", of=None).weights
    assert not weights[:4].any()
    assert (weights[4:] > 0).all()


def test_all_columns_together_are_all_rows_together(trace: Trace) -> None:
    given = sum(token_attention(trace, pos, direction="looked_at_by", of=None).weights for pos in range(N_TOKENS))
    np.testing.assert_allclose(given, np.ones(N_TOKENS), rtol=stored_rtol(trace))


def test_without_a_head_the_mean_over_all_heads_of_all_layers_is_meant(trace: Trace) -> None:
    mean = np.mean([full_pattern(trace, layer) for layer in range(TINY.n_layer)], axis=(0, 1))
    np.testing.assert_allclose(token_attention(trace, 6, direction="looks_at", of=None).weights, mean[6], atol=1e-12)
    found = token_attention(trace, 6, direction="looked_at_by", of=None).weights
    np.testing.assert_allclose(found, mean[:, 6], rtol=stored_rtol(trace), atol=1e-12)


def test_a_selected_head_is_that_head(trace: Trace) -> None:
    found = token_attention(trace, 5, direction="looks_at", of=Head(layer=2, head=1))
    np.testing.assert_allclose(found.weights, full_pattern(trace, 2)[1, 5], atol=FLOAT64_ATOL)


def test_scores_are_means_over_the_queries_after_the_first(trace: Trace) -> None:
    scores = head_scores(trace)
    back = np.arange(N_TOKENS)[:, None] - np.arange(N_TOKENS)
    for layer in range(TINY.n_layer):
        pattern = full_pattern(trace, layer)
        rows = pattern[:, 1:]
        entropy = -np.where(rows > 0, rows * np.log(np.where(rows > 0, rows, 1)), 0).sum(axis=-1).mean(axis=-1)
        # The stored summaries are float32 of values of a few units.
        np.testing.assert_allclose(scores.entropy_nats[layer], entropy, rtol=1e-5)
        np.testing.assert_allclose(
            scores.distance_tokens[layer], (pattern * back)[:, 1:].sum(axis=-1).mean(axis=-1), rtol=1e-5
        )
        np.testing.assert_allclose(scores.first[layer], rows[..., 0].mean(axis=-1), rtol=1e-5)
        previous = pattern.diagonal(offset=-1, axis1=1, axis2=2).mean(axis=-1)
        np.testing.assert_allclose(scores.previous[layer], previous, rtol=1e-5)


def test_a_prompt_of_one_token_looks_at_itself_alone(model: GPT2) -> None:
    alone = traced(model, np.array([7], dtype=np.int32))
    scores = head_scores(alone)
    assert (scores.first == 1).all()
    assert not scores.entropy_nats.any()
    assert token_attention(alone, 0, direction="looks_at", of=None).weights == [1]
    assert token_attention(alone, 0, direction="looked_at_by", of=None).weights == pytest.approx(
        [1], rel=stored_rtol(alone)
    )


def test_the_head_to_begin_with_looks_more_at_the_token_before_than_any_other(trace: Trace) -> None:
    first = head_to_begin_with(trace)
    previous = head_scores(trace).previous
    assert previous[first.layer, first.head] == previous.max()


def test_the_strongest_and_the_rest_are_all_weights_that_there_can_be() -> None:
    weights = np.array([0.1, 0.4, 0.1, 0.25, 0.15, 0.0, 0.0])
    found = TokenAttention(pos=4, direction="looks_at", of=None, weights=weights)
    top = strongest(found, 2)
    assert top.positions.tolist() == [1, 3]
    assert top.weights.tolist() == [0.4, 0.25]
    assert top.n_rest == 3
    assert math.isclose(top.rest, 0.35)
    looked = TokenAttention(pos=4, direction="looked_at_by", of=None, weights=weights)
    assert strongest(looked, 9).positions.tolist() == [4, 5, 6]
    assert strongest(looked, 9).n_rest == 0


def test_a_score_too_large_for_exp_is_no_overflow(trace: Trace) -> None:
    tensors = {name: np.array(trace.read(name)) for name in ("q", "k")}
    tensors["q"] *= 1e4
    loud = Loud(trace, tensors)
    weights = looks_at(loud, 0, 5)
    assert np.isfinite(weights).all()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=FLOAT64_ATOL)


class Loud(Trace):
    """A trace with other queries and keys."""

    def __init__(self, trace: Trace, tensors: dict[str, np.ndarray]) -> None:
        super().__init__({name: trace.read(name) for name in ("token_ids", "thumbnails")} | tensors, trace.metadata)


@pytest.mark.parametrize("pos", [0, 1, N_TOKENS - 1])
def test_the_scores_of_a_token_are_those_of_its_rows(trace: Trace, pos: int) -> None:
    found = token_scores(trace, pos)
    rtol = stored_rtol(trace)
    for layer in range(TINY.n_layer):
        rows = full_pattern(trace, layer)[:, pos, : pos + 1]
        entropies = -(rows * np.log(rows)).sum(axis=-1)
        np.testing.assert_allclose(found.entropy_nats[layer], entropies, rtol=rtol, atol=1e-6)
        np.testing.assert_allclose(
            found.distance_tokens[layer], rows @ (pos - np.arange(pos + 1)), rtol=rtol, atol=1e-6
        )
        np.testing.assert_allclose(found.first[layer], rows[:, 0], rtol=rtol, atol=1e-6)
    assert (found.entropy_nats <= math.log(pos + 1) + 1e-6).all()
