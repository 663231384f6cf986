"""Rollout stays a distribution; flow lies between the best path and every cut; both by hand for two tokens."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dashapp.analysis.rollout import UNITS, attention_flow, flow_through, mixed, rollout
from dashapp.analysis.stages import layer_mean
from dashapp.errors import JobStopped
from dashapp.model.gpt2 import GPT2
from dashapp.traces.record import Trace
from tests.analysis.test_attention import full_pattern
from tests.analysis.test_heads import traced
from tests.doubles import TINY

HALF = np.array([[1.0, 0], [0.5, 0.5]])
FLOW_ATOL = 20 / UNITS  # each of some edges of a cut is rounded to a unit


@pytest.fixture(scope="module")
def trace(model: GPT2) -> Trace:
    return traced(model)


def random_layers(n_layer: int, n: int, seed: int = 0) -> list[np.ndarray]:
    weights = np.random.default_rng(seed).random((n_layer, n, n)) ** 3 * np.tri(n)
    return [mixed(each / each.sum(axis=1, keepdims=True), is_first_out=False) for each in weights]


def test_half_of_a_layer_is_the_token_itself() -> None:
    np.testing.assert_allclose(mixed(HALF, is_first_out=False), [[1, 0], [0.25, 0.75]])
    np.testing.assert_allclose(mixed(HALF, is_first_out=True), np.eye(2))  # nothing but itself is left
    np.testing.assert_allclose(mixed(np.eye(3), is_first_out=False), np.eye(3))
    np.testing.assert_allclose(mixed(np.array([[1.0, 0], [1, 0]]), is_first_out=True), np.eye(2))


def test_two_layers_by_hand() -> None:
    """[[1, 0], [¼, ¾]] twice: ¼ + ¾·¼ of the first token reaches the second."""
    one = mixed(HALF, is_first_out=False)
    np.testing.assert_allclose(one @ one, [[1, 0], [0.4375, 0.5625]])
    # The flow to the first token: ¼ straight across the top edge, and what passes the bottom one, ¼ again.
    np.testing.assert_allclose(flow_through([one, one]), [0.5, 0.75])


@pytest.mark.parametrize("is_first_out", [False, True])
def test_rollout_is_a_distribution_over_earlier_tokens(trace: Trace, is_first_out: bool) -> None:
    found = rollout(trace, is_first_out=is_first_out)
    for rows in found.values():
        assert rows.dtype == np.float32
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
        assert not np.triu(rows, k=1).any()
        assert (rows >= 0).all()
    if is_first_out:
        assert not found["rollout"][1:, 0].any()


def test_rollout_is_the_product_in_float64(trace: Trace) -> None:
    expected, eye = np.eye(trace.n_tokens), np.eye(trace.n_tokens)
    for layer in range(TINY.n_layer):
        expected = (0.5 * full_pattern(trace, layer).mean(axis=0) + 0.5 * eye) @ expected
    found = rollout(trace, is_first_out=False)
    np.testing.assert_allclose(found["rollout"], expected, atol=TINY.n_layer * 1e-5)  # a pattern's 1e-5 a layer
    mean = np.mean([layer_mean(trace, layer) for layer in range(TINY.n_layer)], axis=0)
    np.testing.assert_allclose(found["mean"], mean, atol=1e-6)


def test_flow_through_one_layer_is_its_weights() -> None:
    (layer,) = random_layers(1, 6)
    np.testing.assert_allclose(flow_through([layer]), layer[-1], atol=FLOW_ATOL)


@pytest.mark.parametrize("seed", range(3))
def test_flow_is_at_least_the_best_path_and_as_much_as_the_least_cut(seed: int) -> None:
    """All 1,024 cuts: which tokens of the two levels between are on the side of the one at the top."""
    bottom, middle, top = random_layers(3, 5, seed)
    flows = flow_through([bottom, middle, top])
    sides = np.array(list(itertools.product([0, 1], repeat=5)))  # [subset token]
    for key in range(5):
        paths = itertools.product(range(5), repeat=2)
        best = max(min(top[4, a], middle[a, b], bottom[b, key]) for a, b in paths)
        assert flows[key] >= best - FLOW_ATOL
        leaving = top[4] @ (1 - sides.T)  # [subset]: from the token to those that are not on its side
        crossing = sides @ middle @ (1 - sides.T)  # [upper lower]
        entering = sides @ bottom[:, key]
        cuts = leaving[:, None] + crossing + entering
        assert (flows[key] <= cuts + FLOW_ATOL).all()
        assert flows[key] == pytest.approx(cuts.min(), abs=FLOW_ATOL)


def test_flow_of_a_trace_reads_no_later_token(trace: Trace) -> None:
    whole = attention_flow(trace, trace.n_tokens - 1, is_first_out=False)
    assert len(whole) == trace.n_tokens
    some = attention_flow(trace, 3, is_first_out=False)
    assert (len(some), some.max() <= 1) == (4, True)
    layers = [mixed(layer_mean(trace, layer)[:4, :4], is_first_out=False) for layer in range(TINY.n_layer)]
    np.testing.assert_array_equal(some, flow_through(layers))


def test_who_stops_it_is_heeded(trace: Trace) -> None:
    def stop(share: float) -> None:
        raise JobStopped

    with pytest.raises(JobStopped):
        rollout(trace, is_first_out=False, progress=stop)
    with pytest.raises(JobStopped):
        attention_flow(trace, 3, is_first_out=False, progress=stop)
