"""The Activations page's figures, by what they show: axes, ranges, colours, hovers."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from dashapp.analysis.activations import (
    PreActivations,
    ResidualNorms,
    StrongestNeurons,
    gelu,
    gelu_exact,
    gelu_exact_slope,
    gelu_slope,
)
from dashapp.figures import plot
from dashapp.figures.activations import gelu_curve, neuron_map, norm_map
from dashapp.figures.theme import THEMES, Frame
from dashapp.figures.token_map import point_name, window

WIDE, NARROW = Frame(theme="light"), Frame(theme="light", is_narrow=True)
TEXTS = ["<|endoftext|>", " cat", "<b>", "\n"]


def measured(pre: list[float]) -> PreActivations:
    x = np.array(pre, dtype=np.float32)
    edges = np.arange(-4, 9) * 1.0
    counts = np.histogram(x, edges)[0]
    return PreActivations(
        layer=2, pos=1, pre=x, post=gelu(x), counts=counts, edges=edges, n_flat=1, n_bent=2, n_straight=1
    )


def strongest() -> StrongestNeurons:
    """Three neurons at four tokens; the first token's values are far beyond the others."""
    activations = np.array([[90, 3, -0.1, 2], [0, 1, 2.5, 0], [-0.16, 0, 0, 1]], dtype=np.float32)
    return StrongestNeurons(
        layer=1, neurons=np.array([412, 7, 30]), activations=activations, strengths=np.array([3.0, 2.5, 1.0],
        dtype=np.float32), n_left_out=8, left_out_strength=0.5,
    )  # fmt: skip


def lengths(n_point: int = 5, n_tokens: int = 4) -> ResidualNorms:
    norms = np.arange(n_point * n_tokens, dtype=np.float32).reshape(n_point, n_tokens) + 1
    norms[:, 0] = 1000
    return ResidualNorms(norms=norms, growth=1.5)


# GELU ----------------------------------------------------------------------------------------------------------------


def test_a_point_is_a_neuron_before_and_after_gelu_and_lies_on_the_curve() -> None:
    curve, _exact, points, _bars = gelu_curve(measured([-3.5, -1, 0.5, 7]), token=" cat", frame=WIDE).data
    assert list(points.x) == [-3.5, -1, 0.5, 7]
    np.testing.assert_allclose(points.y, np.interp(points.x, curve.x, curve.y), atol=1e-3)
    assert points.hovertemplate == "neuron %{pointNumber}: %{x} before GELU, %{y} after<extra></extra>"


def test_every_neuron_is_inside_the_axis_and_both_borders_are() -> None:
    for pre in ([-50.0, 80.0], [0.1, 0.2]):
        low, high = gelu_curve(measured(pre), token="", frame=WIDE).layout.xaxis.range
        assert low < min(*pre, -3)
        assert high > max(*pre, 3)


def test_histogram_bars_stand_on_their_bins() -> None:
    figure = gelu_curve(measured([-3.5, -1, 0.5, 7]), token="", frame=WIDE)
    bars = figure.data[3]
    filled = [float(x) for x, y in zip(bars.x, bars.y, strict=True) if y]
    assert filled == [-3.5, -0.5, 0.5, 7.5]
    assert set(bars.width) == {1.0}
    assert (figure.layout.yaxis.title.text, figure.layout.yaxis2.title.text) == ("after GELU", "neurons")
    assert figure.layout.xaxis.title.text == "pre-activation"


def test_the_pieces_are_parted_at_minus_three_and_three_and_counted_in_words() -> None:
    figure = gelu_curve(measured([-3.5, -1, 0.5, 7]), token=" cat", frame=WIDE)
    assert [shape.x0 for shape in figure.layout.shapes] == [-3, 3]
    assert [note.text for note in figure.layout.annotations] == ["1 below −3", "2 between", "1 above 3"]
    assert figure.layout.meta["summary"] == (
        "Neurons of layer 2 at token 1 ‘·cat’ on the GELU curve: 1 below −3, 2 between, 1 above 3."
    )


@pytest.mark.parametrize(
    ("curve", "lines", "title"),
    [
        ("forms", (gelu, gelu_exact), "after GELU"),
        ("difference", (lambda x: gelu(x) - gelu_exact(x),), "tanh form − exact form"),
        ("slope", (gelu_slope, gelu_exact_slope), "derivative of GELU"),
    ],
)
def test_the_curve_is_what_was_asked_for_and_the_points_lie_on_gpt2_s(curve: Any, lines: Any, title: str) -> None:
    figure = gelu_curve(measured([-3.5, -1, 0.5, 7]), token="", curve=curve, frame=WIDE)
    for drawn_line, line in zip(figure.data, lines, strict=False):
        np.testing.assert_allclose(drawn_line.y, line(np.asarray(drawn_line.x)), atol=1e-12)
    points = figure.data[len(lines)]
    np.testing.assert_allclose(points.y, lines[0](np.asarray(points.x, dtype=np.float64)), atol=1e-6)
    assert figure.layout.yaxis.title.text == title
    assert len({line.line.dash for line in figure.data[: len(lines)]}) == len(lines)


# Neurons -------------------------------------------------------------------------------------------------------------


def drawn(frame: Frame = WIDE, pos: int = 1) -> dict[str, object]:
    figure = neuron_map(strongest(), texts=TEXTS, pos=pos, revision="r", frame=frame)
    return dict(json.loads(figure.to_json())["layout"])


def test_colours_are_centred_on_zero_and_reach_as_far_as_the_largest_but_the_first_token_s() -> None:
    cells = neuron_map(strongest(), texts=TEXTS, pos=1, revision="r", frame=WIDE).data[0]
    assert (cells.zmin, cells.zmid, cells.zmax) == (-3, 0, 3)
    assert [colour for _, colour in cells.colorscale] == [
        THEMES["light"].slot_b,
        THEMES["light"].paper,
        THEMES["light"].slot_a,
    ]
    assert cells.colorbar.title.text == "activation after GELU"
    np.testing.assert_array_equal(cells.z, strongest().activations)


def test_the_strongest_neuron_is_the_top_row_and_rows_are_numbered() -> None:
    layout = neuron_map(strongest(), texts=TEXTS, pos=1, revision="r", frame=WIDE).layout
    low, high = layout.yaxis.range
    assert low > high
    assert list(layout.yaxis2.ticktext) == ["412", "7", "30"]
    assert layout.yaxis2.title.text == "neuron, strongest first"


def test_hover_names_every_neuron_and_token() -> None:
    """A hover says what the axis of the cells says, which names all and shows none."""
    figure = neuron_map(strongest(), texts=TEXTS, pos=1, revision="r", frame=WIDE)
    assert figure.data[0].hovertemplate == "%{y} at %{x}: %{z}<extra></extra>"
    assert list(figure.layout.yaxis.ticktext) == ["neuron 412", "neuron 7", "neuron 30"]
    assert list(figure.layout.xaxis.ticktext)[1:3] == ["token 1 ‘·cat’", "token 2 ‘&lt;b&gt;’"]
    assert not figure.layout.xaxis.showticklabels
    assert not figure.layout.yaxis.showticklabels


def test_tokens_are_labelled_beside_the_map_on_an_axis_that_follows_the_cells() -> None:
    layout = neuron_map(strongest(), texts=TEXTS, pos=1, revision="r", frame=WIDE).layout
    assert list(layout.xaxis2.ticktext) == ["&lt;|endoftext|&gt;", "·cat", "&lt;b&gt;", "↵"]
    assert (layout.xaxis2.matches, layout.yaxis2.matches) == ("x", "y")
    many = neuron_map(
        StrongestNeurons(0, np.array([1]), np.ones((1, 500), dtype=np.float32), np.ones(1), 0, 0.0),
        texts=["x"] * 500, pos=1, revision="r", frame=WIDE,
    )  # fmt: skip
    assert len(many.layout.xaxis2.ticktext) <= 60
    assert len(many.layout.xaxis.ticktext) == 500


def test_a_selected_neuron_is_the_last_row_below_a_gap() -> None:
    pinned = dataclasses.replace(strongest(), pinned_place=40)
    figure = neuron_map(pinned, texts=TEXTS, pos=1, revision="r", frame=WIDE)
    gap = figure.data[1]
    assert (list(gap.x), list(gap.y)) == ([-0.5, 3.5], [1.5, 1.5])
    assert gap.line.color == THEMES["light"].paper
    assert len(neuron_map(strongest(), texts=TEXTS, pos=1, revision="r", frame=WIDE).data) == len(figure.data) - 1
    assert list(figure.layout.meta["neurons"]) == [412, 7, 30]
    assert figure.layout.meta["layer"] == 1
    assert tuple(figure.layout.meta["cells"]) == (3, 4)


def test_zoom_is_kept_while_the_trace_and_the_layer_stay() -> None:
    assert drawn(pos=1)["uirevision"] == drawn(pos=3)["uirevision"]


# The stream ----------------------------------------------------------------------------------------------------------


def norms_drawn(against: str = "zero", *, n_point: int = 5, n_tokens: int = 4, frame: Frame = WIDE) -> plot.Figure:
    return norm_map(
        lengths(n_point, n_tokens),
        texts=[f"t{pos}" for pos in range(n_tokens)],
        pos=1,
        against="others" if against == "others" else "zero",
        revision="r",
        frame=frame,
    )


def test_position_zero_has_colours_of_its_own() -> None:
    first, others, *_ = norms_drawn().data
    assert (list(first.x), first.zmin, first.zmax, first.showscale) == ([0], 0, 1000, False)
    assert list(others.x) == [1, 2, 3]
    assert (others.zmin, others.zmax) == (0, 20)
    assert "scale of its own" in first.hovertemplate


def test_a_single_token_shows_its_scale() -> None:
    (first, _) = norms_drawn(n_tokens=1).data
    assert first.showscale
    assert first.colorbar.title.text == "length (L2 norm)"


def test_against_the_others_is_per_cent_of_the_row_s_mean_without_position_zero() -> None:
    _, others, *_ = norms_drawn("others").data
    # the first row has lengths 2, 3, 4: mean 3
    assert others.z[0] == pytest.approx([-100 / 3, 0, 100 / 3], abs=1e-4)
    assert others.customdata[0] == pytest.approx([2, 3, 4])
    assert others.zmin == -others.zmax
    assert others.zmid == 0


def test_points_go_up_as_the_model_computes() -> None:
    layout = norms_drawn().layout
    names = ["into layer 0", "within layer 0", "into layer 1", "within layer 1", "out of layer 1"]
    assert list(layout.yaxis.ticktext) == names
    assert list(layout.yaxis2.ticktext) == names
    assert layout.yaxis.range[0] < layout.yaxis.range[1]
    assert [point_name(point, 3) for point in range(3)] == ["into layer 0", "within layer 0", "out of layer 0"]


def test_many_points_are_labelled_sparsely_and_named_each() -> None:
    layout = norms_drawn(n_point=97).layout
    assert len(layout.yaxis2.ticktext) <= 40
    assert len(layout.yaxis.ticktext) == 97
    assert all(name.startswith(("into", "out")) for name in layout.yaxis2.ticktext)


# A telephone ---------------------------------------------------------------------------------------------------------


def test_a_wide_window_shows_all_tokens() -> None:
    assert window(1024, 500, WIDE) == (0, 1024)
    assert window(32, 31, NARROW) == (0, 32)


@pytest.mark.parametrize("n_tokens", [33, 40, 1024])
def test_a_telephone_shows_a_stretch_with_the_selected_token(n_tokens: int) -> None:
    for pos in range(n_tokens):
        start, end = window(n_tokens, pos, NARROW)
        assert start <= pos < end
        assert (end - start, start >= 0, end <= n_tokens) == (32, True, True)
        if 8 <= pos < n_tokens - 8:  # never at the edge of what is seen, unless it is at the edge of the prompt
            assert start + 4 <= pos < end - 4
