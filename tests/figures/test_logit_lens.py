"""The lens and attribution figures: what stands on axes, in cells and at bars, and that it can be read."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from dashapp.analysis.attribution import Attribution
from dashapp.analysis.logit_lens import Lens
from dashapp.figures.attribution import head_cells, part_bars, parts
from dashapp.figures.cells import inks
from dashapp.figures.logit_lens import MEASURES, lens_figure
from dashapp.figures.theme import Frame

LIGHT, DARK = Frame(theme="light"), Frame(theme="dark", is_narrow=True)
NAMES = {1: " cat", 2: "<b>", 3: "\n"}

LENS = Lens(
    pos=4,
    scale="recomputed",
    top_ids=np.array([[2, 3, 1], [1, 2, 3], [1, 3, 2]], dtype=np.int32),
    top_probs=np.array([[0.9, 0.05, 0.01], [0.5, 0.25, 0.125], [0.75, 0.2, 0.05]]),
    entropy_bits=np.array([0.6, 1.5, 1.0]),
    kl_bits=np.array([4.0, 0.5, 0.0]),
    settles_at=1,
    followed=(1, 3),
    probs=np.array([[0.01, 0.5, 0.75], [0.05, 0.125, 0.2]]),
    ranks=np.array([[2, 0, 0], [1, 2, 1]]),
)
FOUND = Attribution(
    pos=4,
    target=1,
    against=2,
    token=1.5,
    position=-0.25,
    heads=np.array([[1.0, -3.0], [0.5, 0.25]]),
    attention=np.array([-2.0, 0.75]),
    mlps=np.array([4.0, -0.125]),
    biases=0.0625,
    final_bias=-1.0,
    whole=2.9375,
)


def lens(measure: Any = "probability", frame: Frame = LIGHT) -> Any:
    return lens_figure(LENS, names=NAMES, followed=["favourite", "target"], after=" the", measure=measure, frame=frame)


def test_a_row_is_a_point_with_its_likeliest_tokens_and_their_probabilities() -> None:
    cells, texts = lens().data[:2]
    np.testing.assert_array_equal(cells.z, LENS.top_probs)
    assert (cells.zmin, cells.zmax) == (0, 1)
    assert list(texts.text) == ["&lt;b&gt;", "↵", "▸ ·cat", "▸ ·cat", "&lt;b&gt;", "↵", "▸ ·cat", "↵", "&lt;b&gt;"]
    assert list(lens().layout.yaxis.ticktext) == ["into layer 0", "within layer 0", "out of layer 0"]
    assert cells.hovertext[0][0].startswith("into layer 0: ‘&lt;b&gt;’ with 90%<br>entropy 0.6 bits, 4 bits from")
    assert cells.customdata == ([2, 3, 1], [1, 2, 3], [1, 3, 2])


def test_a_telephone_shows_the_two_likeliest() -> None:
    assert lens(frame=DARK).data[0].z.shape == (3, 2)
    assert list(lens(frame=DARK).layout.xaxis.ticktext) == ["likeliest", "2nd"]


@pytest.mark.parametrize(
    ("measure", "lines", "title"),
    [
        ("probability", LENS.probs, "probability"),
        ("rank", LENS.ranks + 1, "place, 1 the likeliest"),
        ("kl", [LENS.kl_bits], "bits from the output"),
        ("entropy", [LENS.entropy_bits], "entropy (bits)"),
    ],
)
def test_the_line_is_the_measure_from_the_embeddings_up(measure: str, lines: Any, title: str) -> None:
    figure = lens(measure)
    drawn = [trace for trace in figure.data if trace.xaxis == "x2"]
    assert measure in MEASURES
    assert len(drawn) == len(lines)
    for trace, values in zip(drawn, lines, strict=True):
        np.testing.assert_array_equal(trace.x, values)
        np.testing.assert_array_equal(trace.y, [0, 1, 2])
    low, high = figure.layout.xaxis2.range
    reach = np.log10(np.array(lines)) if measure == "rank" else np.array(lines)
    assert low <= reach.min()
    assert high >= reach.max()
    assert figure.layout.xaxis2.title.text == title


@pytest.mark.parametrize(("measure", "bits"), [("kl", LENS.kl_bits), ("entropy", LENS.entropy_bits)])
def test_information_is_told_in_nats_where_the_page_does(measure: Any, bits: np.ndarray) -> None:
    figure = lens(measure, frame=Frame(theme="light", units="nats"))
    (line,) = (trace for trace in figure.data if trace.xaxis == "x2")
    np.testing.assert_allclose(line.x, bits * np.log(2))
    assert "nats" in line.hovertemplate
    assert "nats" in figure.layout.xaxis2.title.text
    assert figure.data[0].hovertext[0][0].endswith("entropy 0.416 nats, 2.77 nats from the output")


def test_lines_of_tokens_are_told_apart_without_colour() -> None:
    lines = [trace for trace in lens().data if trace.xaxis == "x2"]
    assert [line.name for line in lines] == ["·cat (favourite)", "↵ (target)"]
    assert len({line.line.dash for line in lines}) == len({line.marker.symbol for line in lines}) == 2


def test_the_dashed_line_stands_below_the_point_where_the_prediction_settles() -> None:
    assert list(lens().data[-1].y) == [0.5, 0.5]
    assert lens().layout.meta["summary"].endswith("‘·cat’ from within layer 0 on.")


def test_bars_stand_in_the_order_of_the_computation_and_the_whole_last() -> None:
    figure = part_bars(FOUND, over="‘·cat’ over ‘b’", frame=LIGHT)
    bars, whole = figure.data
    assert list(figure.layout.yaxis.ticktext) == [
        *("token embedding", "position", "attention 0", "MLP 0", "attention 1", "MLP 1"),
        *("biases of layers", "final norm’s bias", "all of it"),
    ]
    assert list(bars.x) == [1.5, -0.25, -2, 4, 0.75, -0.125, 0.0625, -1]
    assert parts(FOUND)[1].sum() == FOUND.explained == FOUND.whole == whole.x[0]
    assert list(bars.text)[:3] == ["+1.5", "−0.25", "−2"]
    assert figure.layout.yaxis.range == (8.5, -0.5)
    low, high = figure.layout.xaxis.range
    assert low < -2
    assert high > 4
    assert len(set(bars.marker.color)) == 2


def test_a_part_that_is_nothing_at_all_is_drawn() -> None:
    nothing = replace(FOUND, heads=FOUND.heads * 0, mlps=FOUND.mlps * 0, token=0.0, position=0.0, biases=0.0, whole=0.0)
    figure = part_bars(replace(nothing, final_bias=0.0), over="itself", frame=LIGHT)
    assert figure.layout.xaxis.range[0] < figure.layout.xaxis.range[1]
    assert head_cells(nothing, over="itself", frame=LIGHT).data[0].zmax > 0


def test_heads_are_cells_with_layers_down_and_colours_centred_on_nothing() -> None:
    cells, numbers = head_cells(FOUND, over="‘·cat’ over ‘b’", frame=LIGHT).data
    np.testing.assert_array_equal(cells.z, FOUND.heads)
    assert (cells.zmin, cells.zmid, cells.zmax) == (-3, 0, 3)
    assert cells.text[0][1] == "layer 0, head 1: −3 nats"
    assert list(numbers.text) == ["+1.00", "−3.00", "+0.50", "+0.25"]
    assert len(head_cells(FOUND, over="x", frame=DARK).data) == 1  # no room for numbers


@pytest.mark.parametrize("frame", [LIGHT, DARK])
@pytest.mark.parametrize("kind", ["amount_scale", "signed_scale"])
def test_a_text_on_any_cell_has_a_contrast_of_at_least_four_and_a_half(frame: Frame, kind: str) -> None:
    scale = getattr(frame, kind)
    shares = np.linspace(0, 1, 101)
    for share, ink in zip(shares, inks(shares, scale), strict=True):
        below, above = next(pair for pair in pairwise(scale) if pair[0][0] <= share <= pair[1][0])
        part = (share - below[0]) / (above[0] - below[0])
        ground = 0.0
        for start, weight in ((1, 0.2126), (3, 0.7152), (5, 0.0722)):
            first, second = (int(colour[start : start + 2], 16) / 255 for _place, colour in (below, above))
            value = first + part * (second - first)
            ground += weight * (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
        text = 1.0 if ink == "#ffffff" else 0.0
        contrast = (max(text, ground) + 0.05) / (min(text, ground) + 0.05)
        assert contrast >= 4.5, (share, ink)
