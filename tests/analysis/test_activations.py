"""Activations, the order of neurons and the stream's lengths: against the model, against float64, and by hand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dashapp
from dashapp.analysis.activations import (
    gelu,
    gelu_exact,
    gelu_exact_slope,
    gelu_slope,
    output_norms,
    pre_activations,
    residual_norms,
    strongest_neurons,
)
from dashapp.errors import WeightsMissing
from dashapp.traces.record import Trace, trace_metadata
from tests.doubles import TINY, random_ids

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

# One float32 way and one float64 way to the same number near 1.
FLOAT32_ATOL = 1e-6


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The cat sat on a", cache=False)


class RowsOfWOut:
    """Weights of which only W_out is asked: rows of the given norms, along the axes by turns."""

    fingerprint = "f" * 64

    def __init__(self, norms: list[float], d_model: int) -> None:
        self.norms, self.d_model = norms, d_model
        self.asked: list[tuple[str, str]] = []

    def float32(self, name: str, *, dtype: str = "float32") -> np.ndarray:
        self.asked.append((name, dtype))
        rows = np.zeros((len(self.norms), self.d_model), dtype=np.float32)
        rows[np.arange(len(self.norms)), np.arange(len(self.norms)) % self.d_model] = self.norms
        return rows


def planted(pre: list[list[float]], norms: list[float], *, dtype: str = "float32") -> Trace:
    """A trace of one layer with the given pre-activations [pos d_mlp], and neurons that write with the given norms."""
    config = dataclasses.replace(TINY, n_layer=1, d_mlp=len(norms))
    tensors: Mapping[str, np.ndarray] = {
        "mlp_pre": np.array([pre], dtype=np.float32),
        "token_ids": np.arange(len(pre), dtype=np.int32),
    }
    metadata = trace_metadata(config, fingerprint=RowsOfWOut.fingerprint, model="planted", dtype=dtype)
    return Trace(tensors, metadata, weights=RowsOfWOut(norms, config.d_model))


# GELU ----------------------------------------------------------------------------------------------------------------


def test_gelu_is_its_formula_in_float64() -> None:
    for x in np.linspace(-12, 12, 241):
        by_formula = 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        assert gelu(np.array([x]))[0] == pytest.approx(by_formula, abs=1e-14)
        assert gelu(np.array([x], dtype=np.float32))[0] == pytest.approx(by_formula, abs=FLOAT32_ATOL * max(1, abs(x)))


def test_gelu_is_torch_s_tanh_form() -> None:
    import torch

    x = np.linspace(-40, 40, 4001, dtype=np.float32)
    by_torch = torch.nn.functional.gelu(torch.from_numpy(x), approximate="tanh").numpy()
    np.testing.assert_allclose(gelu(x), by_torch, atol=FLOAT32_ATOL, rtol=1e-6)


def test_gelu_is_within_half_a_thousandth_of_the_exact_form_and_not_equal_to_it() -> None:
    x = np.linspace(-6, 6, 1201)
    exact = np.array([each * 0.5 * (1 + math.erf(each / math.sqrt(2))) for each in x])
    assert 4e-4 < np.abs(gelu(x) - exact).max() < 5e-4


def test_gelu_keeps_the_dtype() -> None:
    assert gelu(np.ones(2, dtype=np.float32)).dtype == np.float32
    assert gelu(np.ones(2)).dtype == np.float64


def test_beyond_three_gelu_is_flat_or_straight() -> None:
    """What the panel says of the outer pieces."""
    far = np.linspace(3, 50, 200)
    assert np.abs(gelu(-far)).max() < 0.004
    assert np.abs(gelu(far) - far).max() < 0.004


# One token -----------------------------------------------------------------------------------------------------------


def test_activations_are_those_of_the_model(trace: Trace, text_model: GPT2) -> None:
    import torch

    from dashapp.model.tap import Tap

    seen = Tap.reading("mlp_post")
    with torch.no_grad():
        text_model(torch.from_numpy(np.array(trace.token_ids, dtype=np.int64))[None], tap=seen)
    for layer in range(trace.config.n_layer):
        for pos in range(trace.n_tokens):
            model_s = seen.activations["mlp_post", layer][0, pos].numpy()
            # Two float32 passes, a traced one and this: docs/numerics.md measures up to 3e-6.
            np.testing.assert_allclose(pre_activations(trace, layer=layer, pos=pos).post, model_s, atol=1e-5)


def test_neurons_are_counted_on_each_side_of_minus_three_and_three() -> None:
    measured = pre_activations(planted([[0] * 7, [-3.5, -3, -2.9, 0, 3, 3.1, 40]], [1.0] * 7), layer=0, pos=1)
    assert (measured.n_flat, measured.n_bent, measured.n_straight) == (1, 4, 2)  # the borders belong to the middle
    assert measured.pre[0] == -3.5


@pytest.mark.parametrize("spread", [0.01, 0.5, 2.0, 5.0, 20.0])
def test_histogram_counts_every_neuron_once_with_edges_at_minus_three_and_three(spread: float) -> None:
    pre = np.random.default_rng(3).normal(0.3, spread, size=500)
    measured = pre_activations(planted([list(pre)], [1.0] * 500), layer=0, pos=0)
    assert measured.counts.sum() == 500
    assert len(measured.counts) <= 80
    for border in (-3.0, 3.0):
        inside = measured.edges[0] < border < measured.edges[-1]
        assert not inside or np.abs(measured.edges - border).min() < 1e-9
    below = measured.counts[measured.edges[1:] < -3 + 1e-9].sum()
    assert below == measured.n_flat


# The strongest neurons -----------------------------------------------------------------------------------------------


def test_output_norm_is_the_length_of_a_neuron_s_row_in_w_out(trace: Trace, text_model: GPT2) -> None:
    for layer in range(trace.config.n_layer):
        w_out = text_model.state_dict()[f"h.{layer}.mlp.c_proj.weight"].double().numpy()  # [d_mlp d_model]
        by_hand = np.sqrt((w_out**2).sum(axis=1))
        np.testing.assert_allclose(output_norms(trace.weights, layer), by_hand, rtol=1e-6)


def test_a_large_activation_with_a_short_row_comes_after_a_small_one_with_a_long_row() -> None:
    # |GELU| × norm at token 1: 10 × 0.1 = 1; 5 × 3 = 15; 0.1588 (= GELU(−1)) × 50 = 7.9; 4 × 1 = 4
    found = strongest_neurons(planted([[0] * 4, [10, 5, -1, 4]], [0.1, 3, 50, 1]), layer=0, n_shown=3)
    assert list(found.neurons) == [1, 2, 3]
    assert found.strengths == pytest.approx([15, 7.94, 4], rel=1e-3)
    assert found.n_left_out == 1
    assert found.left_out_strength == pytest.approx(1, rel=1e-6)


def test_shown_activations_are_the_whole_prompt_s_with_their_sign() -> None:
    found = strongest_neurons(planted([[1, 2], [-1, 9]], [1, 1]), layer=0, n_shown=2)
    assert list(found.neurons) == [1, 0]
    np.testing.assert_allclose(found.activations, [[1.9546, 9], [0.8412, -0.1588]], atol=1e-4)
    assert found.n_left_out == 0
    assert found.left_out_strength == 0


def test_the_first_token_has_no_say_unless_it_is_alone_or_asked_for() -> None:
    pre: list[list[float]] = [[100, 1], [1, 2]]
    assert list(strongest_neurons(planted(pre, [1, 1]), layer=0, n_shown=2).neurons) == [1, 0]
    assert list(strongest_neurons(planted(pre[:1], [1, 1]), layer=0, n_shown=2).neurons) == [0, 1]
    assert list(strongest_neurons(planted(pre, [1, 1]), layer=0, n_shown=2, at=0).neurons) == [0, 1]


def test_equals_stand_in_the_order_of_their_numbers() -> None:
    found = strongest_neurons(planted([[0] * 5, [3, 4, 3, 4, 3]], [1] * 5), layer=0, n_shown=5)
    assert list(found.neurons) == [1, 3, 0, 2, 4]


def test_a_neuron_that_was_asked_for_comes_last_if_it_is_not_among_the_strongest() -> None:
    trace = planted([[0] * 5, [3, 9, 5, 1, 7]], [1] * 5)
    found = strongest_neurons(trace, layer=0, n_shown=2, pinned=0)
    assert list(found.neurons) == [1, 4, 0]
    assert found.pinned_place == 3
    np.testing.assert_allclose(found.activations[-1], [0, gelu(np.array([3.0]))[0]])
    assert (found.n_left_out, found.left_out_strength) == (2, pytest.approx(5, rel=1e-6))
    second = strongest_neurons(trace, layer=0, n_shown=2, pinned=2)  # the strongest of those left out
    assert (list(second.neurons), second.left_out_strength) == ([1, 4, 2], pytest.approx(3, rel=2e-3))
    for pinned in (None, 1, 4):
        found = strongest_neurons(trace, layer=0, n_shown=2, pinned=pinned)
        assert (list(found.neurons), found.pinned_place, found.n_left_out) == ([1, 4], None, 3)


def test_order_is_that_of_a_search_through_all(trace: Trace, text_model: GPT2) -> None:
    layer = 2
    w_out = text_model.state_dict()[f"h.{layer}.mlp.c_proj.weight"].double().numpy()
    post = gelu(trace.mlp_pre[layer].astype(np.float64))
    strength = {
        neuron: max(abs(post[pos, neuron]) for pos in range(1, trace.n_tokens)) * math.hypot(*w_out[neuron])
        for neuron in range(trace.config.d_mlp)
    }
    found = strongest_neurons(trace, layer=layer, n_shown=trace.config.d_mlp)
    assert list(found.neurons) == sorted(strength, key=lambda neuron: -strength[neuron])


def test_weights_are_read_as_the_model_computed_with_them() -> None:
    trace = planted([[1, 2]], [1, 1], dtype="bfloat16")
    strongest_neurons(trace, layer=0, n_shown=2)
    assert isinstance(trace.weights, RowsOfWOut)
    assert trace.weights.asked == [("h.0.mlp.c_proj.weight", "bfloat16")]


def test_other_weights_are_refused() -> None:
    other = RowsOfWOut([1, 1], 10)
    other.fingerprint = "0" * 64
    with pytest.raises(WeightsMissing):
        strongest_neurons(planted([[1, 2]], [1, 1]).use_weights(other), layer=0, n_shown=2)


# The residual stream -------------------------------------------------------------------------------------------------


def test_norms_are_lengths_of_the_stream_in_float64(trace: Trace) -> None:
    norms = residual_norms(trace).norms
    streams = {0: trace.resid_pre[0], 3: trace.resid_mid[1], 4: trace.resid_pre[2], 6: trace.resid_post[2]}
    assert norms.shape == (7, trace.n_tokens)
    for point, stream in streams.items():
        by_hand = np.sqrt((stream.astype(np.float64) ** 2).sum(axis=-1))
        np.testing.assert_allclose(norms[point], by_hand, rtol=1e-6)


def stream_of(lengths: np.ndarray) -> Trace:
    """A trace whose stream has the given lengths [point pos]."""
    config = dataclasses.replace(TINY, n_layer=(len(lengths) - 1) // 2)
    resid = np.zeros((*lengths.shape, config.d_model), dtype=np.float32)
    resid[..., 3] = -0.6 * lengths
    resid[..., 7] = 0.8 * lengths
    ids = random_ids(config, lengths.shape[1]).numpy().astype(np.int32)
    metadata = trace_metadata(config, fingerprint="f" * 64, model="planted", dtype="float32")
    return Trace({"resid": resid, "token_ids": ids}, metadata)


def test_growth_is_that_of_a_layer_and_leaves_position_zero_out() -> None:
    lengths = np.array([[900, 1, 3], [900, 2, 2], [900, 2, 4], [5, 9, 9], [5, 6, 12]])  # means 2, …, 9 over two layers
    measured = residual_norms(stream_of(lengths))
    np.testing.assert_allclose(measured.norms, lengths, rtol=1e-6)
    assert measured.growth == pytest.approx(math.sqrt(9 / 2), rel=1e-6)


def test_a_single_token_has_norms_and_no_growth() -> None:
    measured = residual_norms(stream_of(np.array([[2.0], [3.0], [4.0]])))
    assert measured.norms.ravel() == pytest.approx([2, 3, 4])
    assert math.isnan(measured.growth)


X = np.linspace(-12, 12, 4801)


def test_both_forms_of_gelu_and_their_derivatives_are_those_of_torch_in_float64() -> None:
    import torch

    for form, ours, slope in (("tanh", gelu, gelu_slope), ("none", gelu_exact, gelu_exact_slope)):
        x = torch.from_numpy(X).requires_grad_()
        y = torch.nn.functional.gelu(x, approximate=form)
        y.sum().backward()
        np.testing.assert_allclose(ours(X), y.detach().numpy(), rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(slope(X), x.grad, rtol=1e-9, atol=1e-14)


def test_the_forms_differ_by_less_than_half_a_thousandth_and_somewhere_by_nearly_that() -> None:
    largest = np.abs(gelu(X) - gelu_exact(X)).max()
    assert 4e-4 < largest < 5e-4


def test_gelu_by_hand() -> None:
    assert gelu_exact(np.array([0.0]))[0] == 0
    assert gelu_exact_slope(np.array([0.0]))[0] == gelu_slope(np.array([0.0]))[0] == 0.5
    assert gelu_exact(np.array([1.0]))[0] == pytest.approx(0.841344746, abs=1e-9)  # Φ(1), from tables


@pytest.mark.parametrize(("of", "n"), [("token", 11), ("neuron", 6), ("layer", 66)])
def test_what_is_counted_is_a_token_a_neuron_or_a_layer(trace: Trace, of: Any, n: int) -> None:
    found = pre_activations(trace, layer=1, pos=2, neuron=4, of=of)
    wanted = {"token": trace.mlp_pre[1, 2], "neuron": trace.mlp_pre[1, :, 4], "layer": trace.mlp_pre[1].ravel()}[of]
    np.testing.assert_array_equal(found.pre, wanted)
    assert len(found.pre) == n
    assert found.n_flat + found.n_bent + found.n_straight == found.counts.sum() == n
