"""Statistics and steps of every LayerNorm: against torch in float64, against the model's own, and by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

import dashapp
from dashapp.analysis.layer_norm import norm_statistics, normed_vector
from dashapp.model.tap import Tap
from dashapp.traces.record import Trace
from tests.analysis.test_attribution import SEEDS, trace_of

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

# The model computes 1/σ in float32 of values that it has rounded a few times: docs/numerics.md measures 3e-6 of them.
RTOL = 1e-5


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The cat sat on a", cache=False)


def test_statistics_are_those_of_the_stream_in_float64(trace: Trace) -> None:
    found = norm_statistics(trace)
    epsilon = trace.config.layer_norm_epsilon
    assert found.means.shape == found.scales.shape == (7, trace.n_tokens)
    for norm in range(7):
        for pos in range(trace.n_tokens):
            vector = [float(value) for value in trace.read("resid")[norm, pos]]
            mean = math.fsum(vector) / len(vector)
            variance = math.fsum((value - mean) ** 2 for value in vector) / len(vector)
            assert found.means[norm, pos] == pytest.approx(mean, rel=1e-6, abs=1e-7)
            assert found.scales[norm, pos] == pytest.approx(1 / math.sqrt(variance + epsilon), rel=RTOL)


def test_a_vector_goes_through_each_norm_as_through_torch_s(trace: Trace, text_model: GPT2) -> None:
    import torch

    state = {name: value.double() for name, value in text_model.state_dict().items()}
    names = [f"h.{layer}.ln_{which}" for layer in range(3) for which in (1, 2)] + ["ln_f"]
    for norm, name in enumerate(names):
        before = torch.from_numpy(trace.read("resid")[norm].astype(np.float64))
        gain, bias, shape = state[f"{name}.weight"], state[f"{name}.bias"], (trace.config.d_model,)
        epsilon = trace.config.layer_norm_epsilon
        normalised = torch.nn.functional.layer_norm(before, shape, eps=epsilon)
        after = torch.nn.functional.layer_norm(before, shape, gain, bias, eps=epsilon)
        for pos in range(trace.n_tokens):
            found = normed_vector(trace, norm, pos)
            np.testing.assert_array_equal(found.before, before[pos])
            np.testing.assert_allclose(found.normed, normalised[pos], rtol=RTOL, atol=RTOL)
            np.testing.assert_allclose(found.after, after[pos], rtol=RTOL, atol=3 * RTOL)
            np.testing.assert_array_equal(found.gain, gain)


def test_what_comes_out_is_what_the_model_read(trace: Trace, text_model: GPT2) -> None:
    import torch

    seen = Tap.reading("ln1", "ln2", "ln_final", "ln1_scale", "ln2_scale", "ln_final_scale")
    with torch.no_grad():
        text_model(torch.from_numpy(np.array(trace.token_ids, dtype=np.int64))[None], tap=seen)
    places = [(f"ln{which}", layer) for layer in range(3) for which in (1, 2)]
    scales = norm_statistics(trace).scales
    for norm, (site, layer) in enumerate([*places, ("ln_final", None)]):
        after = seen.activations[site, layer][0].numpy()
        for pos in range(trace.n_tokens):
            np.testing.assert_allclose(normed_vector(trace, norm, pos).after, after[pos], rtol=RTOL, atol=3 * RTOL)
        np.testing.assert_allclose(scales[norm], seen.activations[f"{site}_scale", layer][0].numpy(), rtol=RTOL)


@pytest.mark.parametrize("seed", SEEDS)
def test_normalised_vectors_have_mean_zero_and_almost_variance_one(seed: int) -> None:
    """Exactly 1 − ε/(σ² + ε): LayerNorm adds ε to the variance."""
    trace = trace_of(seed)
    for norm in range(2 * trace.config.n_layer + 1):
        found = normed_vector(trace, norm, 3)
        assert found.normed.mean() == pytest.approx(0, abs=1e-12)
        wanted = found.before.var() / (found.before.var() + trace.config.layer_norm_epsilon)
        assert found.normed.var() == pytest.approx(wanted, rel=2 * RTOL)
