"""Two figures side by side: bars, colours and margins on one scale; tokens and layers left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dashapp.figures import plot
from dashapp.figures.ranges import has_ranges, with_ranges_of_both
from dashapp.figures.theme import Frame, framed

FRAME = Frame(theme="light")


def bars(values: list[float], *, axis: str = "y", **axis_options: Any) -> plot.Figure:
    places = list(range(len(values)))
    across = {"x": values, "y": places, "orientation": "h"} if axis == "x" else {"x": places, "y": values}
    figure = framed(plot.Bar(**across), frame=FRAME, height=300, summary="Bars.")
    figure.update_layout({f"{axis}axis": axis_options})
    return figure


def cells(z: np.ndarray, limit: float | None, *, low: float = 0) -> plot.Figure:
    reach = {} if limit is None else {"zmin": low, "zmax": limit}
    return framed(plot.Heatmap(z=z, **reach), frame=FRAME, height=300, summary="Cells.")


def test_bars_without_a_range_reach_as_far_as_the_longest_of_both() -> None:
    short, long = bars([1, 2]), bars([3, 10, 1])
    for one, other in ((short, long), (long, short)):
        assert with_ranges_of_both(one, other).figure.layout.yaxis.range == pytest.approx((0, 10.5))
    assert short.layout.yaxis.range is None, "the figure that was given stays as it was"


def test_bars_below_zero_have_room_too() -> None:
    assert with_ranges_of_both(bars([1]), bars([-2])).figure.layout.yaxis.range == pytest.approx((-2.1, 1.05))


def test_lying_bars_share_the_axis_they_grow_along_and_not_the_one_of_their_names() -> None:
    one, other = bars([0.5], axis="x", range=[0, 0.56]), bars([0.9, 0.1], axis="x", range=[0, 1.01])
    one.update_yaxes(range=[0.5, -0.5])
    shared = with_ranges_of_both(one, other).figure
    assert tuple(shared.layout.xaxis.range) == (0, 1.01)
    assert tuple(shared.layout.yaxis.range) == (0.5, -0.5)


def test_a_range_that_runs_backwards_goes_on_doing_so() -> None:
    shared = with_ranges_of_both(bars([1], range=[5, 0]), bars([1], range=[9, 2])).figure
    assert tuple(shared.layout.yaxis.range) == (9, 0)


def test_second_axes_are_found_by_their_names() -> None:
    def curve_and_counts(most: float) -> plot.Figure:
        counts = plot.Bar(x=[0, 1], y=[1, most], yaxis="y2")
        figure = framed(plot.Scatter(x=[0, 1], y=[0, 5]), counts, frame=FRAME, height=300, summary="Both.")
        figure.update_layout(yaxis2={"anchor": "x"})
        return figure

    shared = with_ranges_of_both(curve_and_counts(4), curve_and_counts(8)).figure
    assert shared.layout.yaxis2.range == pytest.approx((0, 8.4))
    assert shared.layout.yaxis.range is None, "a curve's axis is shared only when the figure says so"


def test_colours_reach_as_far_as_either_needs_and_say_when_they_changed() -> None:
    z = np.ones((2, 3), dtype=np.float32)
    narrow, wide = cells(z, 2.0, low=-2.0), cells(z, 5.0, low=-5.0)
    shared = with_ranges_of_both(narrow, wide)
    assert (shared.figure.data[0].zmin, shared.figure.data[0].zmax) == (-5, 5)
    assert shared.colours == ((-5, 5),)
    assert with_ranges_of_both(wide, narrow).colours == ()
    assert with_ranges_of_both(wide, narrow).figure.data[0].zmax == 5


def test_natural_bounds_stay() -> None:
    z = np.ones((2, 3), dtype=np.float32)
    assert with_ranges_of_both(cells(z, 1.0), cells(z, 1.0)).colours == ()


def test_bytes_beside_weights_are_not_one_scale() -> None:
    """A pattern of 512 tokens and more travels as 0..255 for 0..1; a shorter one as the weights themselves."""
    weights, as_bytes = cells(np.ones((2, 2), dtype=np.float32), 1.0), cells(np.ones((2, 2), dtype=np.uint8), 255)
    assert with_ranges_of_both(weights, as_bytes).figure.data[0].zmax == 1
    assert with_ranges_of_both(as_bytes, weights).figure.data[0].zmax == 255


def test_a_figure_may_name_what_it_shares() -> None:
    def lines(high: float, *shared: str) -> plot.Figure:
        figure = framed(plot.Scatter(x=[0, 1], y=[0, high]), frame=FRAME, height=300, summary="Lines.")
        figure.update_layout(meta={"summary": "Lines.", "shared": list(shared)})
        return figure

    assert with_ranges_of_both(lines(2, "y"), lines(4, "y")).figure.layout.yaxis.range == pytest.approx((0, 4.2))
    figure = with_ranges_of_both(lines(2), lines(4)).figure
    assert (figure.layout.xaxis.range, figure.layout.yaxis.range) == (None, None)


def test_a_figure_with_natural_bounds_alone_has_nothing_to_share() -> None:
    z = np.ones((2, 3), dtype=np.float32)
    assert has_ranges(bars([1]))
    assert has_ranges(cells(z, 2.0))
    assert not has_ranges(cells(z, 1.0))
    assert not has_ranges(cells(z, None))
    assert not has_ranges(cells(z.astype(np.uint8), 255))


def test_margins_are_the_wider_ones_and_no_cell_shrinks() -> None:
    one, other = bars([1]), bars([1])
    one.update_layout(margin={"l": 100, "b": 40, "t": 8, "r": 16})
    other.update_layout(margin={"l": 60, "b": 90, "t": 20, "r": 16})
    shared = with_ranges_of_both(one, other).figure
    assert [shared.layout.margin[side] for side in "lrtb"] == [100, 16, 20, 90]
    assert shared.layout.height == 300 + 12 + 50
