"""What the panels of the Activations page say below their figures, and what they weigh at the largest."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dashapp
from dashapp.analysis.activations import gelu_slope
from dashapp.figures.tokens import label
from dashapp.model.config import GPT2Config
from dashapp.model.tokenizer import token_text
from dashapp.panels.catalogue import BY_PAGE, PANELS
from dashapp.panels.panel import draw
from dashapp.traces.record import Trace, trace_metadata

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

GPT2_SMALL = GPT2Config(n_layer=12, n_head=12, d_model=768, d_mlp=3072, n_ctx=1024)
LARGEST_RESPONSE_BYTES = 2_000_000  # uncompressed, as promised


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The <b> sat on a mat", cache=False)


def foot(name: str, trace: Trace, *, pos: int = 2, narrow: bool = False, layer: int | None = None, **knobs: str) -> str:
    defaults = {knob.name: knob.default for knob in PANELS[name].knobs}
    return draw(PANELS[name], trace, view(pos, narrow, layer, **defaults | knobs)).foot


def view(pos: int, narrow: bool = False, layer: int | None = None, **knobs: str) -> dict[str, Any]:
    looks = {"theme": "light", "text": 1, "narrow": narrow}
    return {**looks, "pos": pos, "layer": layer, "head": None, "neuron": None, "knobs": knobs}


@pytest.mark.parametrize("name", ["gelu", "mlp-neurons"])
def test_the_selected_layer_is_shown_and_without_one_the_first(trace: Trace, name: str) -> None:
    assert "ayer 2" in foot(name, trace, layer=2)
    assert "No layer is selected" not in foot(name, trace, layer=0)
    assert foot(name, trace) == "No layer is selected: choose one above the figures. " + foot(name, trace, layer=0)
    with pytest.raises(ValueError, match="layer is outside the trace"):
        foot(name, trace, layer=3)


def test_gelu_says_how_many_neurons_lie_where(trace: Trace) -> None:
    pre = trace.mlp_pre[1, 2]
    said = foot("gelu", trace, layer=1)
    assert said.startswith("Layer 1 at token 2 ‘·<’: of 11 neurons")  # the text itself: a foot line is no markup
    assert f"{(pre < -3).sum()} lie below −3" in said
    assert f"{(pre > 3).sum()} above 3" in said
    assert f"{(pre < 0).sum()} are negative" in said


def test_gelu_counts_a_neuron_or_a_whole_layer_when_asked(trace: Trace) -> None:
    pre = trace.mlp_pre[1]
    said = foot("gelu", trace, layer=1, of="layer")
    assert said.startswith(f"Layer 1 at every token: of {pre.size} values {(pre < -3).sum()} lie below −3")
    assert foot("gelu", trace, layer=1, of="neuron").startswith(
        f"No neuron is selected: this is the first. Layer 1, neuron 0: of {len(pre)} tokens"
    )
    drawn = draw(PANELS["gelu"], trace, view(2, layer=1, of="neuron", curve="slope") | {"neuron": 4})
    np.testing.assert_allclose(drawn.figure.data[2].x, pre[:, 4])
    np.testing.assert_allclose(drawn.figure.data[2].y, gelu_slope(pre[:, 4]))


def test_too_many_points_are_counted_only() -> None:
    drawn = draw(PANELS["gelu"], largest(), view(2, layer=1, of="layer", curve="difference"))
    assert [trace.type for trace in drawn.figure.data] == ["scatter", "bar"]
    assert "as points they would hide each other" in drawn.foot


def test_neurons_left_out_are_counted_and_the_strongest_of_them_is_told() -> None:
    said = foot("mlp-neurons", largest())
    assert "The 48 strongest of 3,072 neurons of layer 0; 3,024 are left out" in said
    assert "Position 0 has no say" in said or "without position 0" in said
    assert "The 32 strongest" in foot("mlp-neurons", largest(), narrow=True)


def test_the_selected_neuron_has_a_row_in_any_case() -> None:
    def drawn(neuron: int | None) -> Any:
        return draw(PANELS["mlp-neurons"], largest(), view(5, layer=0, order="prompt") | {"neuron": neuron})

    without = list(drawn(None).figure.layout.meta["neurons"])
    other = next(neuron for neuron in range(3072) if neuron not in without)
    shown = drawn(other)
    assert list(shown.figure.layout.meta["neurons"]) == [*without, other]
    assert "The 48 strongest of 3,072 neurons of layer 0; 3,023 are left out" in shown.foot
    assert f"Below them is the selected neuron {other}, in place " in shown.foot
    assert drawn(without[3]).foot == drawn(None).foot


def test_all_neurons_of_a_small_layer_are_shown(trace: Trace) -> None:
    assert foot("mlp-neurons", trace, layer=0).startswith("All 11 neurons of layer 0.")


def test_the_order_follows_the_selected_token_when_asked(trace: Trace) -> None:
    def rows(order: str, pos: int) -> list[str]:
        drawn = draw(PANELS["mlp-neurons"], trace, view(pos, layer=1, order=order))
        return list(drawn.figure.layout.yaxis2.ticktext)

    assert rows("prompt", 1) == rows("prompt", 3)
    assert rows("token", 1) != rows("token", 3)


def test_position_zero_is_said_to_be_set_apart(trace: Trace) -> None:
    norms = np.linalg.norm(trace.read("resid").astype(np.float64), axis=-1)
    said = foot("resid-norms", trace)
    assert f"grows to {norms[:, 0].max():.3g}, the others to {norms[:, 1:].max():.3g}" in said
    assert "colours of its own" in said


def test_a_telephone_is_told_which_tokens_it_shows() -> None:
    for name in ("mlp-neurons", "resid-norms"):
        assert "Shown: tokens 480 to 511 of 1,024" in foot(name, largest(), pos=500, narrow=True)
        assert "Shown:" not in foot(name, largest(), pos=500)


class SmallWeights:
    """As much of the weights of GPT-2 small as the panels ask for."""

    fingerprint = "f" * 64

    def float32(self, name: str, *, dtype: str = "float32") -> np.ndarray:
        assert name.endswith(".mlp.c_proj.weight")
        return np.ones((GPT2_SMALL.d_mlp, GPT2_SMALL.d_model), dtype=np.float32)


@cache
def largest() -> Trace:
    """1,024 tokens of GPT-2 small's shape, each token the one with the longest label. Layers share their memory."""
    generator = np.random.default_rng(0)
    pre = generator.normal(0, 2, (GPT2_SMALL.n_ctx, GPT2_SMALL.d_mlp)).astype(np.float32)
    resid = generator.normal(0, 5, (GPT2_SMALL.n_ctx, GPT2_SMALL.d_model)).astype(np.float32)
    longest = max(range(GPT2_SMALL.d_vocab), key=lambda token: len(label(token_text(token)).encode()))
    tensors = {
        "mlp_pre": np.broadcast_to(pre, (GPT2_SMALL.n_layer, *pre.shape)),
        "resid": np.broadcast_to(resid, (2 * GPT2_SMALL.n_layer + 1, *resid.shape)),
        "token_ids": np.full(GPT2_SMALL.n_ctx, longest, dtype=np.int32),
    }
    metadata = trace_metadata(GPT2_SMALL, fingerprint=SmallWeights.fingerprint, model="small", dtype="float32")
    return Trace(tensors, metadata | {"format": "1"}, weights=SmallWeights())


@pytest.mark.parametrize("name", ["gelu", "mlp-neurons", "resid-norms"])
def test_no_response_is_over_two_megabytes_at_the_longest_prompt(name: str) -> None:
    panel = PANELS[name]
    for knob in panel.knobs:
        for option in knob.options:
            chosen = {each.name: each.default for each in panel.knobs} | {knob.name: option}
            drawn = draw(panel, largest(), view(500, False, **chosen))
            assert len(drawn.figure.to_json()) + len(json.dumps(drawn.foot)) < LARGEST_RESPONSE_BYTES, chosen


def test_who_looks_for_cosines_between_layers_is_told_where_they_are() -> None:
    said = " ".join(item for item in PANELS["resid-norms"].about if isinstance(item, str))
    (panel,) = [panel for panel in BY_PAGE["Embeddings"] if f"“{panel.title}”" in said]
    assert "cosine" in " ".join(panel.knobs[0].options.values())
