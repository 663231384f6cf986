"""What the panels of LayerNorm say below their figures, and which norm they show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

import dashapp
from dashapp.panels.catalogue import PANELS
from dashapp.panels.panel import Drawn, draw
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The <b> sat on a mat", cache=False)


def drawn(name: str, trace: Trace, *, pos: int = 2, layer: int | None = None, **knobs: str) -> Drawn:
    defaults = {knob.name: knob.default for knob in PANELS[name].knobs}
    view = {"theme": "light", "text": 1, "pos": pos, "layer": layer, "knobs": defaults | knobs}
    return draw(PANELS[name], trace, view)


@pytest.mark.parametrize(("which", "norm", "words"), [
    ("attention", 2, "before attention of layer 1"),
    ("mlp", 3, "before the MLP of layer 1"),
    ("final", 6, "the final LayerNorm"),
])  # fmt: skip
def test_the_chosen_norm_of_the_selected_layer_is_shown(trace: Trace, which: str, norm: int, words: str) -> None:
    shown = drawn("norm-vector", trace, layer=1, which=which)
    vector = trace.read("resid")[norm, 2].astype(np.float64)
    np.testing.assert_allclose(shown.figure.data[0].y, vector, rtol=1e-6)
    assert f"‘·<’, {words}: mean {vector.mean():.3g}, 1/σ {trace.ln_scale[norm, 2]:.3g}." in shown.foot.replace(
        "−", "-"
    )
    largest = int(np.abs(vector).argmax())
    assert f"before is {vector[largest]:.3g}, in dimension {largest}, which becomes " in shown.foot.replace("−", "-")
    assert shown.foot.endswith(f"√d is {math.sqrt(10):.3g}.")


def test_without_a_layer_it_is_the_first_and_says_so_unless_the_norm_is_the_final_one(trace: Trace) -> None:
    assert drawn("norm-vector", trace).foot.startswith("No layer is selected: choose one above the figures. Token 2")
    assert drawn("norm-vector", trace, which="final").foot.startswith("Token 2")


def test_statistics_tell_how_much_less_is_read_of_the_same_later(trace: Trace) -> None:
    scales = trace.ln_scale[:, 2]
    said = drawn("norm-statistics", trace).foot
    assert f"1/σ goes from {scales[0]:.3g} before layer 0 to {scales[-1]:.3g} at the final norm" in said
    assert f"{scales[0] / scales[-1]:.3g} times as strongly" in said
    assert "which in trained models behaves differently" in drawn("norm-statistics", trace, pos=0).foot


def test_maps_set_position_zero_apart(trace: Trace) -> None:
    said = drawn("norm-statistics", trace, shown="scale").foot
    assert (
        f"1/σ falls to {trace.ln_scale[:, 0].min():.3g}, that of the others to {trace.ln_scale[:, 1:].min():.3g}"
        in said
    )
    assert "Position 0" in drawn("norm-statistics", trace, shown="mean").foot
