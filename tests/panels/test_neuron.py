"""What the panels of neurons show, say and weigh."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dashapp
from dashapp.analysis.neurons import neuron_at_work, neuron_parts, sparsity
from dashapp.model.tokenizer import token_text
from dashapp.panels.catalogue import PANELS
from dashapp.panels.panel import Drawn, draw
from dashapp.traces.record import Trace
from tests.panels.test_attribution import GPT2_SMALL, LARGEST_RESPONSE_BYTES, largest

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

NAMES = ["neuron", "neuron-attribution", "mlp-sparsity"]


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The <b> sat on a mat", cache=False)


def drawn(name: str, trace: Trace, **chosen: Any) -> Drawn:
    knobs = {knob.name: knob.default for knob in PANELS[name].knobs}
    nothing = dict.fromkeys(("layer", "neuron", "target", "against"))
    return draw(PANELS[name], trace, {"theme": "light", "text": 1, "pos": 2, "knobs": knobs} | nothing | chosen)


def test_a_neuron_lies_on_the_curve_at_every_token_and_its_words_are_named(trace: Trace) -> None:
    shown = drawn("neuron", trace, layer=1, neuron=4, target=262)
    found = neuron_at_work(trace, 1, 4, target=262, against=None, n_shown=10)
    _curve, points, bars = shown.figure.data
    np.testing.assert_allclose(points.x, trace.mlp_pre[1, :, 4])
    np.testing.assert_allclose(points.y, found.post)
    assert points.customdata == tuple(range(trace.n_tokens))
    assert points.text[2].startswith("token 2 ‘·&lt;’: ")
    np.testing.assert_allclose(bars.x, [*found.promoted_by, *found.suppressed_by[::-1]])
    assert f"adds {found.added[2]:+.3g} nats to ‘·the’ over".replace("-", "−") in shown.foot
    assert shown.foot.startswith("Layer 1, neuron 4. At token 2 ‘·<’ it is ")


def test_without_a_neuron_the_one_that_adds_most_is_shown(trace: Trace) -> None:
    layer, neuron = neuron_parts(trace, 2, target=262, against=464).strongest(1)[0]
    assert drawn("neuron", trace, target=262, against=464).foot.startswith(
        f"No neuron is selected: this is layer {layer}, neuron {neuron},"
    )


def test_the_strongest_neurons_are_bars_that_know_their_place(trace: Trace) -> None:
    shown = drawn("neuron-attribution", trace, target=262, against=464)
    found = neuron_parts(trace, 2, target=262, against=464)
    (bars,) = shown.figure.data
    assert bars.customdata == tuple(list(place) for place in found.strongest(20))
    np.testing.assert_allclose(bars.x, [found.added[place] for place in found.strongest(20)])
    assert shown.figure.layout.yaxis.ticktext[0] == "layer {}, neuron {}".format(*found.strongest(1)[0])
    assert f"the other {found.added.size - 20:,} " in shown.foot


def test_sparsity_is_a_pair_of_bars_a_layer(trace: Trace) -> None:
    shown = drawn("mlp-sparsity", trace)
    found = sparsity(trace)
    np.testing.assert_allclose(shown.figure.data[0].y, found.active)
    np.testing.assert_allclose(shown.figure.data[1].y, found.few)
    assert "Position 0, which behaves differently, is left out" in shown.foot


def test_a_neuron_that_the_model_has_not_is_refused(trace: Trace) -> None:
    with pytest.raises(ValueError, match="neuron is outside the trace"):
        drawn("neuron", trace, layer=0, neuron=trace.config.d_mlp)


@pytest.mark.parametrize("name", NAMES)
def test_no_response_is_over_two_megabytes_at_the_longest_prompt(name: str) -> None:
    config = GPT2_SMALL
    pre = np.random.default_rng(0).normal(0, 2, (config.n_ctx, config.d_mlp)).astype(np.float32)
    tensors = {each: largest().read(each) for each in ("token_ids", "resid", "ln_scale", "top_ids")}
    longest = max(range(50_257), key=lambda token: len(token_text(token).encode()))
    tensors |= {
        "mlp_pre": np.broadcast_to(pre, (config.n_layer, *pre.shape)),
        "token_ids": np.full(config.n_ctx, longest, dtype=np.int32),
    }
    shown = drawn(name, Trace(tensors, largest().metadata, weights=largest().weights), pos=1023)
    assert len(shown.figure.to_json().encode()) + len(json.dumps(shown.foot)) < LARGEST_RESPONSE_BYTES
