"""Stages of a head: hand cases, what must be a distribution, and float64."""

from __future__ import annotations

import numpy as np
import pytest

from dashapp.analysis.attention import Head
from dashapp.analysis.stages import head_stage, layer_mean, norm_weighted, value_norms, values_written, without_first
from dashapp.model.checkpoint import weights_of
from dashapp.model.gpt2 import GPT2
from dashapp.traces.record import Trace
from tests.analysis.test_attention import full_pattern
from tests.analysis.test_heads import traced
from tests.doubles import TINY

OF = Head(layer=1, head=1)
PATTERN_ATOL = 1e-5  # docs/numerics.md: a float32 pattern from stored q and k


@pytest.fixture(scope="module")
def trace(model: GPT2) -> Trace:
    return traced(model)


def test_scores_become_the_pattern_by_masking_and_softmax(trace: Trace) -> None:
    raw, masked = head_stage(trace, OF, "scores"), head_stage(trace, OF, "masked")
    seen = np.tri(len(raw), dtype=bool)
    np.testing.assert_array_equal(masked[seen], raw[seen])
    assert np.isnan(masked[~seen]).all()
    assert np.isfinite(raw).all()
    weights = np.exp(np.where(seen, raw.astype(np.float64), -np.inf))
    pattern = weights / weights.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(head_stage(trace, OF, "pattern"), pattern, atol=PATTERN_ATOL)
    np.testing.assert_allclose(pattern, full_pattern(trace, 1)[1], atol=PATTERN_ATOL)


def test_value_norms_are_those_of_what_the_head_writes(trace: Trace, model: GPT2) -> None:
    out = weights_of(model).float32("h.1.attn.c_proj.weight").astype(np.float64)
    written = trace.v[1, 1].astype(np.float64) @ out[TINY.d_head :]
    np.testing.assert_allclose(values_written(trace, OF), written, rtol=1e-12)
    np.testing.assert_allclose(value_norms(trace, OF), np.sqrt((written**2).sum(axis=1)), rtol=1e-12)


def test_equal_norms_leave_the_pattern_as_it_is() -> None:
    pattern = np.array([[1, 0], [0.25, 0.75]])
    np.testing.assert_allclose(norm_weighted(pattern, np.array([3.0, 3.0])), pattern)
    np.testing.assert_allclose(norm_weighted(pattern, np.array([3.0, 1.0])), [[1, 0], [0.5, 0.5]])
    np.testing.assert_array_equal(norm_weighted(pattern, np.zeros(2)), np.zeros((2, 2)))


def test_weighted_rows_are_distributions(trace: Trace) -> None:
    weighted = head_stage(trace, OF, "norms")
    np.testing.assert_allclose(weighted.sum(axis=-1), 1, atol=1e-6)
    norms = value_norms(trace, OF)
    expected = full_pattern(trace, 1)[1] * norms
    np.testing.assert_allclose(weighted, expected / expected.sum(axis=1, keepdims=True), atol=PATTERN_ATOL)


def test_without_the_first_token_rows_sum_to_one_again() -> None:
    pattern = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.5, 0.1, 0.4]])
    kept = without_first(pattern)
    assert np.isnan(kept[0]).all()
    np.testing.assert_allclose(kept[1:], [[0, 1, 0], [0, 0.2, 0.8]], atol=1e-7)
    np.testing.assert_array_equal(pattern[:, 0], [1, 0.5, 0.5])  # as it was
    assert not without_first(np.array([[1.0, 0], [1, 0]]))[1].any()


def test_the_mean_of_a_layer_is_over_its_heads(trace: Trace) -> None:
    for layer in range(TINY.n_layer):
        found = layer_mean(trace, layer)
        np.testing.assert_allclose(found, full_pattern(trace, layer).mean(axis=0), atol=PATTERN_ATOL)
        np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-6)
