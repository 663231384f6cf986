"""LayerNorm's figures by what they show: places, values, ranges, words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dashapp.analysis.layer_norm import Normed, NormStatistics
from dashapp.figures.layer_norm import norm_name, norm_steps, statistic_lines, statistic_map
from dashapp.figures.theme import THEMES, Frame

WIDE, NARROW = Frame(theme="light"), Frame(theme="light", is_narrow=True)
TEXTS = ["<|endoftext|>", " cat", "<b>", "\n"]


def statistics() -> NormStatistics:
    """Two layers, so five norms, at four tokens; the first token is far from the others."""
    means = np.arange(20, dtype=np.float32).reshape(5, 4) / 10 - 1
    scales = 2.0 ** -np.arange(5, dtype=np.float32)[:, None] * np.array([0.001, 1, 0.5, 2], dtype=np.float32)
    means[:, 0] = 500
    return NormStatistics(means=means, scales=scales)


def test_two_norms_of_a_layer_stand_on_either_side_of_it_and_the_final_one_after_all() -> None:
    figure = statistic_lines(statistics(), pos=1, frame=WIDE)
    _line, attention, mlp, final = (trace for trace in figure.data if trace.yaxis == "y")
    np.testing.assert_allclose([*attention.x, *mlp.x, *final.x], [-0.2, 0.8, 0.2, 1.2, 2])
    np.testing.assert_allclose([*attention.y, *mlp.y, *final.y], statistics().means[[0, 2, 1, 3, 4], 1])
    scales = [trace for trace in figure.data if trace.yaxis == "y2"][1:]
    np.testing.assert_allclose(np.concatenate([each.y for each in scales]), statistics().scales[[0, 2, 1, 3, 4], 1])
    assert len({trace.marker.symbol for trace in (attention, mlp, final)}) == 3  # told apart without colour
    assert attention.hovertext[1] == "before attention of layer 1: mean −0.1, 1/σ 0.25, σ 4"
    assert (list(attention.customdata), list(final.customdata)) == ([0, 1], [-1])
    assert figure.layout.meta["n_layer"] == 2
    assert list(figure.layout.xaxis.ticktext) == ["0", "1", "final"]


def test_one_over_sigma_has_a_logarithmic_axis_with_whole_numbers_and_all_points_inside() -> None:
    figure = statistic_lines(statistics(), pos=3, frame=WIDE)
    axis = figure.layout.yaxis2
    assert axis.type == "log"
    assert axis.range[0] < math.log10(2 / 16) < math.log10(2) < axis.range[1]
    assert {"0.1", "0.2", "0.5", "1", "2"} <= set(axis.ticktext)
    low, high = figure.layout.yaxis.range
    means = statistics().means[:, 3]
    assert low < min(0, means.min()) < max(0, means.max()) < high


@pytest.mark.parametrize("statistic", ["mean", "scale"])
def test_position_zero_has_no_say_in_the_colours_of_the_map(statistic: str) -> None:
    which = "mean" if statistic == "mean" else "scale"
    figure = statistic_map(statistics(), statistic=which, texts=TEXTS, pos=1, revision="r", frame=WIDE)
    cells = figure.data[0]
    if statistic == "mean":
        assert (cells.zmin, cells.zmax) == pytest.approx((-0.9, 0.9))
        assert cells.colorscale[1][1] == THEMES["light"].paper
    else:
        assert (cells.zmin, cells.zmax) == pytest.approx((math.log10(0.5 / 16), math.log10(2)))
        np.testing.assert_allclose(10 ** cells.z.astype(np.float64), statistics().scales, rtol=1e-5)
        assert [float(text) for text in cells.colorbar.ticktext][-1] == 2
    values = statistics().means if statistic == "mean" else statistics().scales
    np.testing.assert_array_equal(cells.customdata, values)
    assert list(figure.layout.yaxis.ticktext) == [norm_name(norm, 5) for norm in range(5)]
    assert list(figure.layout.yaxis2.ticktext) == ["attention 0", "MLP 0", "attention 1", "MLP 1", "final"]
    assert figure.layout.yaxis.range[0] < figure.layout.yaxis.range[1]
    assert figure.layout.meta["marks"] == "pos"


def test_norms_are_named() -> None:
    assert [norm_name(norm, 5) for norm in (0, 3, 4)] == [
        "before attention of layer 0",
        "before the MLP of layer 1",
        "the final LayerNorm",
    ]


def test_a_vector_is_shown_at_its_three_stages_with_mean_and_spread() -> None:
    found = Normed(
        norm=1, pos=1, mean=2.0, scale=0.5,
        before=np.array([0.0, 2, 4]), normed=np.array([-1.0, 0, 1]), gain=np.array([1.0, 2, 3]),
        bias=np.array([0.0, -1, 1]), after=np.array([-1.0, -1, 4]),
    )  # fmt: skip
    figure = norm_steps(found, frame=NARROW)
    assert [list(bars.y) for bars in figure.data] == [[0, 2, 4], [-1, 0, 1], [-1, -1, 4]]
    titles = [figure.layout[axis].title.text for axis in ("yaxis", "yaxis2", "yaxis3")]
    assert titles == ["before", "normalised", "after γ and β"]
    dashed = {axis: [shape.y0 for shape in figure.layout.shapes if shape.yref == axis] for axis in ("y", "y2", "y3")}
    assert dashed == {"y": [0, 2, 4], "y2": [-1, 0, 1], "y3": []}
    assert figure.data[2].hovertext[1] == "dimension 1: 2 before, 0 normalised<br>× 2 − 1 = −1 after"
