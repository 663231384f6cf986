"""What was written into the stream and its largest dimensions, as figures: bars, rows, ranges, words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dashapp.analysis.writes import LargestDimensions, Writes
from dashapp.figures.theme import Frame
from dashapp.figures.writes import dimension_map, told, write_bars

WIDE, NARROW = Frame(theme="light"), Frame(theme="light", is_narrow=True)


def found() -> Writes:
    """Two layers at three tokens: part p at token t wrote 10 t + p, and position 0 is far from the others."""
    lengths = np.arange(5)[:, None] + np.array([1000, 10, 20])
    along = np.where(np.arange(5)[:, None] == 0, math.nan, np.array([[900.0, 3, 5]]) * np.array([[1, 1, -1, 1, 1]]).T)
    shares = np.array([[0.9, 0.1, 0.2], [0.1, -0.2, 0.0], [0, 0.6, 0.3], [0, 0.25, 0.25], [0, 0.25, 0.25]])
    return Writes(lengths=lengths.astype(np.float64), along=along, shares=shares)


def largest() -> LargestDimensions:
    return LargestDimensions(
        dimensions=np.array([447, 3]),
        values=np.array([[1, -200, 3], [0.5, 4, 5]], dtype=np.float32),
        shares=np.array([[0.1, 0.8, 0.2], [0.05, 0.1, 0.5]]),
        together=np.array([0.15, 0.9, 0.7]),
        peaks=np.array([1, 2]),
        n_tokens=1,
    )


def test_bars_are_attention_and_mlp_of_each_layer_beside_each_other_and_the_embeddings_before_them() -> None:
    figure = write_bars(found(), at=1, measure="share", frame=WIDE)
    embeddings, attention, mlp = figure.data
    assert [bar.name for bar in figure.data] == ["embeddings", "attention", "MLP"]
    assert (list(embeddings.x), list(attention.x), list(mlp.x)) == ([-1], [0, 1], [0, 1])
    assert (list(embeddings.y), list(attention.y), list(mlp.y)) == ([0.1], [-0.2, 0.25], [0.6, 0.25])
    assert attention.offset + attention.width == mlp.offset == 0
    assert mlp.marker.pattern.shape  # no colour needed
    assert not attention.marker.pattern
    assert figure.layout.yaxis.title.text == "share of the last stream"
    assert list(figure.layout.xaxis.ticktext) == ["embeddings", "0", "1"]
    assert figure.layout.meta["n_layer"] == 2
    assert list(attention.customdata) == [0, 1]
    assert attention.hovertext[0] == "attention of layer 0: −20% of the last stream"


def test_means_leave_position_zero_out_unless_it_is_alone() -> None:
    figure = write_bars(found(), at=None, measure="length", frame=WIDE)
    assert [list(bar.y) for bar in figure.data] == [[15], [16, 18], [17, 19]]
    assert figure.data[2].hovertext[1] == "MLP of layer 1: wrote a vector 19 long"
    alone = Writes(**{name: getattr(found(), name)[:, :1] for name in ("lengths", "along", "shares")})
    assert told(alone, "length", None).tolist() == [1000, 1001, 1002, 1003, 1004]


def test_embeddings_reach_along_nothing_and_have_no_bar_there() -> None:
    figure = write_bars(found(), at=2, measure="along", frame=NARROW)
    assert [bar.name for bar in figure.data] == ["attention", "MLP"]
    assert figure.data[1].hovertext[0] == "MLP of layer 0: takes away 5 along the stream as it was"
    assert figure.layout.xaxis.range[0] == -0.5


@pytest.mark.parametrize(("colour", "reach"), [("share", (0, 0.8)), ("value", (-200, 200))])
def test_dimensions_are_rows_with_the_largest_on_top(colour: str, reach: tuple[float, float]) -> None:
    figure = dimension_map(largest(), colour="share" if colour == "share" else "value", frame=WIDE)
    cells = figure.data[0]
    np.testing.assert_array_equal(cells.z, largest().shares if colour == "share" else largest().values)
    assert (cells.zmin, cells.zmax) == reach
    assert list(figure.layout.yaxis2.ticktext) == ["447", "3"]
    assert list(figure.layout.yaxis.ticktext) == ["dimension 447", "dimension 3"]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
    assert list(figure.layout.xaxis.ticktext) == ["into layer 0", "within layer 0", "out of layer 0"]
    assert cells.text[0][1] == "−200, 80%"


def test_where_a_dimension_is_largest_stands_beside_it_where_there_is_room() -> None:
    notes = [note.text for note in dimension_map(largest(), colour="share", frame=WIDE).layout.annotations]
    assert notes[1:] == ["−200 within layer 0", "5 out of layer 0"]
    assert len(dimension_map(largest(), colour="share", frame=NARROW).layout.annotations) == 1
