"""The panel of the selected token's row in every head."""

from __future__ import annotations

import numpy as np
import pytest

import dashapp
from dashapp.analysis.attention import head_scores
from dashapp.model.gpt2 import GPT2
from dashapp.panels.panel import Drawn, draw
from dashapp.panels.token_heads import TOKEN_HEADS
from dashapp.traces.record import Trace

GAP = 1  # a column between the maps


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "a b a b a b", cache=False)


def shown(trace: Trace, score: str, pos: int, units: str = "nats") -> Drawn:
    looks = {"theme": "light", "text": 1, "units": units, "narrow": False}
    return draw(TOKEN_HEADS, trace, {**looks, "pos": pos, "knobs": {"score": score}})


@pytest.mark.parametrize(("units", "per_nat"), [("nats", 1), ("bits", 1 / np.log(2))])
def test_entropies_of_the_tokens_rows_stand_beside_those_of_the_text(trace: Trace, units: str, per_nat: float) -> None:
    drawn = shown(trace, "entropy", 4, units)
    heat = drawn.figure.data[0]
    n_layer, n_head = trace.config.n_layer, trace.config.n_head
    for layer in range(n_layer):
        q, k = trace.q[layer].astype(float), trace.k[layer].astype(float)
        weights = np.exp(q[:, 4][:, None] @ k[:, :5].swapaxes(1, 2) * trace.config.attn_scale(layer))[:, 0]
        weights /= weights.sum(axis=-1, keepdims=True)
        entropies = -(weights * np.log(weights)).sum(axis=-1) * per_nat
        np.testing.assert_allclose(heat.z[layer, :n_head], entropies, rtol=1e-4)  # stored as float32, from float32 sums
    np.testing.assert_allclose(heat.z[:, n_head + GAP :], head_scores(trace).entropy_nats * per_nat, rtol=1e-12)
    assert f"at most {np.log(5) * per_nat:.3g} {units}, if it looks at all 5 tokens alike." in drawn.foot
    means = ", ".join(f"{mean:.3g}" for mean in heat.z[:, :n_head].mean(axis=1))
    assert f"Means of layers 0 to {n_layer - 1}: {means} {units}." in drawn.foot


def test_distances_reach_back_to_the_first_token_at_most(trace: Trace) -> None:
    drawn = shown(trace, "distance", 4)
    here = drawn.figure.data[0].z[:, : trace.config.n_head]
    assert ((here >= 0) & (here <= 4)).all()
    assert "at most 4 tokens, if all goes to the first." in drawn.foot


def test_the_first_token_has_nothing_to_choose(trace: Trace) -> None:
    drawn = shown(trace, "entropy", 0)
    assert not drawn.figure.data[0].z[:, : trace.config.n_head].any()
    assert "it can look only at itself, so all is 0." in drawn.foot
