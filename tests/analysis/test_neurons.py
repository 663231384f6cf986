"""Neurons: by hand, against float64 by another route, and what must add up."""

from __future__ import annotations

import numpy as np
import pytest

from dashapp.analysis.activations import gelu
from dashapp.analysis.attribution import attribution
from dashapp.analysis.neurons import Sparsity, neuron_at_work, neuron_parts, sparsity
from dashapp.traces.record import Trace, trace_metadata
from tests.analysis.test_attribution import FLOAT32_ATOL, PAIRS, REMAINDER, SEEDS, trace_of
from tests.doubles import TINY


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("target", "against"), PAIRS)
def test_the_neurons_of_a_layer_add_up_to_its_mlp(seed: int, target: int, against: int | None) -> None:
    trace = trace_of(seed)
    for pos in (0, trace.n_tokens - 1):
        found = neuron_parts(trace, pos, target=target, against=against)
        assert found.added.shape == (trace.config.n_layer, trace.config.d_mlp)
        assert found.gap < REMAINDER
        by_stream = attribution(trace, pos, target=target, against=against).mlps
        np.testing.assert_allclose(found.mlps, by_stream, atol=1e-9)
        np.testing.assert_allclose(found.added.sum(axis=1), by_stream, atol=REMAINDER)


@pytest.mark.parametrize("seed", [-1, 0, 1])
def test_a_neuron_s_part_is_its_vector_centred_scaled_and_unembedded(seed: int) -> None:
    trace, pos, layer = trace_of(seed), 3, 1
    found = neuron_parts(trace, pos, target=262, against=464)
    wide = {
        name: trace.weights.float32(name, dtype="float32").astype(np.float64)
        for name in (f"h.{layer}.mlp.c_proj.weight", "wte.weight", "ln_f.weight")
    }
    rows, table, gain = wide.values()
    for neuron in (0, trace.config.d_mlp - 1):
        x = float(trace.mlp_pre[layer, pos, neuron])
        activation = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
        vector = activation * rows[neuron]
        logits = ((vector - vector.mean()) * float(trace.ln_scale[-1, pos]) * gain) @ table[[262, 464]].T
        assert found.added[layer, neuron] == pytest.approx(logits[0] - logits[1], abs=FLOAT32_ATOL)
        shown = neuron_at_work(trace, layer, neuron, target=262, against=464, n_shown=3)
        assert shown.added[pos] == pytest.approx(logits[0] - logits[1], abs=FLOAT32_ATOL)
        assert shown.post[pos] == pytest.approx(activation, abs=1e-5)


@pytest.mark.parametrize("seed", [-1, 0, 1])
def test_promoted_and_suppressed_are_the_ends_of_the_whole_vocabulary(seed: int) -> None:
    trace, layer, neuron = trace_of(seed), 2, 5
    shown = neuron_at_work(trace, layer, neuron, target=262, against=None, n_shown=10)
    row = trace.weights.float32(f"h.{layer}.mlp.c_proj.weight", dtype="float32")[neuron].astype(np.float64)
    gain = trace.weights.float32("ln_f.weight", dtype="float32").astype(np.float64)
    table = trace.weights.float32("wte.weight", dtype="float32").astype(np.float64)
    raised = table @ (gain * (row - row.mean()))
    raised -= raised.mean()
    np.testing.assert_allclose(shown.promoted_by, np.sort(raised)[::-1][:10], atol=FLOAT32_ATOL)
    np.testing.assert_allclose(shown.suppressed_by, np.sort(raised)[:10], atol=FLOAT32_ATOL)
    np.testing.assert_allclose(raised[shown.promoted], shown.promoted_by, atol=FLOAT32_ATOL)
    np.testing.assert_allclose(raised[shown.suppressed], shown.suppressed_by, atol=FLOAT32_ATOL)
    assert shown.output_norm == pytest.approx(np.linalg.norm(row))


def test_over_the_mean_a_neuron_adds_what_it_raises_times_activation_and_scale() -> None:
    trace = trace_of(0)
    shown = neuron_at_work(trace, 0, 4, target=262, against=None, n_shown=50_257)
    raised = dict(zip(shown.promoted.tolist(), shown.promoted_by.tolist(), strict=True))[262]
    np.testing.assert_allclose(shown.added, raised * shown.post * trace.ln_scale[-1], atol=FLOAT32_ATOL)


def test_the_strongest_are_those_that_add_most_for_or_against() -> None:
    found = neuron_parts(trace_of(0), 3, target=262, against=464)
    order = sorted(np.ndindex(found.added.shape), key=lambda place: (-abs(found.added[place]), place))
    assert found.strongest(7) == order[:7]


def of_pre(pre: list[list[float]]) -> Sparsity:
    """Of one layer's pre-activations [pos neuron]."""
    config = TINY.__class__(n_layer=1, n_head=1, d_model=2, d_mlp=len(pre[0]), n_ctx=9, d_vocab=3)
    tensors = {
        "mlp_pre": np.array([pre], dtype=np.float32),
        "token_ids": np.zeros(len(pre), dtype=np.int32),
    }
    return sparsity(Trace(tensors, trace_metadata(config, fingerprint="f" * 64, model="x", dtype="float32")))


def test_sparsity_by_hand() -> None:
    # Above 3 GELU is the identity to four digits; −40 gives 0. The first token has no say.
    found = of_pre([[9, 9, 9, 9], [40, -40, -40, -40], [40, 40, -40, -40]])
    assert found.active.tolist() == [3 / 8]
    assert found.few == pytest.approx([(1 / 4 + 2 / 4) / 2])
    assert found.without_first
    alone = of_pre([[40, 40, 40, 40]])
    assert (alone.active.tolist(), alone.few.tolist(), alone.without_first) == ([1], [1], False)
    assert of_pre([[0, 0], [0, 0]]).few.tolist() == [0]  # nothing is at work, and nothing is divided by nothing


@pytest.mark.parametrize("seed", SEEDS)
def test_few_lies_between_one_neuron_and_all(seed: int) -> None:
    trace = trace_of(seed)
    found = sparsity(trace)
    assert ((found.few >= 1 / trace.config.d_mlp - 1e-9) & (found.few <= 1)).all()
    np.testing.assert_allclose(found.active, (trace.mlp_pre[:, 1:] > 0).mean(axis=(1, 2)))
    post = gelu(trace.mlp_pre[0, 1]).astype(np.float64) ** 2
    one = of_pre([[0.0] * len(post), trace.mlp_pre[0, 1].tolist()]).few[0]
    assert one == pytest.approx(post.sum() ** 2 / (post**2).sum() / len(post), rel=1e-5)
