"""The lens of a whole text as a figure: which rows, columns and words there are, and what colours mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dashapp.figures.lens_map import Colour, MapCells, across, colour_title, lens_map_figure, point_places, span_around
from dashapp.figures.theme import Frame

WIDE, NARROW = Frame(theme="light"), Frame(theme="dark", is_narrow=True)
NAMES = {1: " cat", 2: "<b>", 3: "\n"}
IDS = np.array([[2, 3, 1, 1], [1, 2, 1, 2], [1, 3, 1, 2]])
VALUES = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8], [0.9, 1.0, 0.5, 0.0]])


def figure(
    colour: Colour = "top",
    values: np.ndarray = VALUES,
    span: tuple[int, int] = (0, 4),
    frame: Frame = WIDE,
    settles_at: Any = (1, 2, 0, 1),
) -> Any:
    cells = MapCells(
        colour=colour,
        top_ids=IDS,
        values=values,
        ranks=np.array([[0, 1233, 5, 0]] * 3),
        settles_at=None if settles_at is None else np.array(settles_at),
        target="‘·dog’",
        d_vocab=50_257,
    )
    texts = ["a", "b", "c", "d"]
    return lens_map_figure(cells, names=NAMES, texts=texts, span=span, revision="r", frame=frame)


def test_a_column_is_a_token_and_a_row_a_point_with_its_likeliest_word() -> None:
    shown = figure()
    cells, words = shown.data[:2]
    np.testing.assert_allclose(cells.z, VALUES, rtol=1e-6)
    assert cells.customdata == tuple(IDS.tolist())
    written = {1: "·cat", 2: "&lt;b&gt;", 3: "↵"}
    assert list(words.text) == [written[id_] for id_ in IDS.ravel()]
    assert list(shown.layout.xaxis.ticktext) == ["token 0 ‘a’", "token 1 ‘b’", "token 2 ‘c’", "token 3 ‘d’"]
    assert list(shown.layout.yaxis.ticktext) == ["into layer 0", "within layer 0", "out of layer 0"]


def test_a_stretch_keeps_its_tokens_places() -> None:
    shown = figure(span=(1, 3))
    assert list(shown.data[0].x) == [1, 2]
    assert list(shown.data[1].x) == [1, 2] * 3
    assert list(shown.layout.xaxis.tickvals) == [1, 2]
    assert shown.layout.xaxis.ticktext[0] == "token 1 ‘b’"
    assert shown.layout.xaxis.range[0] == 0.5


@pytest.mark.parametrize(
    ("colour", "ends"),
    [
        ("top", (0, 1)),
        ("prob", (0, 1)),
        ("rank", (0, np.log10(50_257))),
        ("entropy", (0, np.log2(50_257))),
        ("kl", (0, 1)),
    ],
)
def test_colours_reach_as_far_as_their_quantity_can(colour: Colour, ends: tuple[float, float]) -> None:
    shown = figure(colour)
    assert (shown.data[0].zmin, shown.data[0].zmax) == pytest.approx(ends)
    assert shown.layout.annotations[0].text == colour_title(colour, WIDE)


def test_a_logarithm_reaches_from_the_lowest_to_zero() -> None:
    shown = figure("logprob", values=-20.5 * VALUES)
    assert (shown.data[0].zmin, shown.data[0].zmax) == (-21, 0)
    assert figure("logprob", values=np.zeros((3, 4))).data[0].zmin == -1


@pytest.mark.parametrize(
    ("colour", "title", "hover"),
    [
        ("logprob", "ln of the target’s probability", "the ln probability of ‘·dog’ is %{z:.3g}"),
        ("entropy", "entropy (nats)", "entropy %{z:.3g} nats"),
        ("kl", "nats from the output (KL)", "%{z:.3g} nats from the output"),
    ],
)
def test_information_is_told_in_nats_where_the_page_does(colour: Colour, title: str, hover: str) -> None:
    in_bits, in_nats = figure(colour), figure(colour, frame=Frame(theme="light", units="nats"))
    np.testing.assert_allclose(in_nats.data[0].z, np.asarray(in_bits.data[0].z) * np.log(2), rtol=1e-6)
    assert in_nats.layout.annotations[0].text == title
    assert hover in in_nats.data[0].hovertemplate
    if colour == "entropy":
        assert in_nats.data[0].zmax == pytest.approx(np.log(50_257))


def test_the_first_place_is_deepest() -> None:
    shown = figure("rank", values=np.log10(np.array([[1, 1234, 6, 1]] * 3)))
    assert shown.data[0].colorscale[0] == (0, WIDE.amount_scale[-1][1])
    assert shown.data[0].colorscale[-1] == (1, WIDE.amount_scale[0][1])
    assert list(shown.data[0].colorbar.ticktext) == ["1", "100", "10,000"]
    assert shown.data[0].text[0] == ["1", "1,234, behind ‘↵’", "6, behind ‘·cat’", "1"]
    assert "‘·dog’ is at place %{text}" in shown.data[0].hovertemplate


def test_the_line_crosses_each_column_where_its_prediction_settles() -> None:
    line = figure().data[2]
    assert list(line.x[:5]) == [-0.5, 0.5, None, 0.5, 1.5]
    assert list(line.y[:5]) == [0.5, 0.5, None, 1.5, 1.5]


def test_what_is_not_known_has_no_word_and_no_hover() -> None:
    cells = MapCells(
        colour="top",
        top_ids=np.array([[-1], [-1], [3]]),
        values=np.array([[np.nan], [np.nan], [0.5]]),
        ranks=None,
        settles_at=None,
        target="",
        d_vocab=50_257,
    )
    shown: Any = lens_map_figure(cells, names=NAMES, texts=["a"], span=(0, 1), revision="r", frame=WIDE)
    words, map_ = shown.data[1], shown.data[0]
    assert [(text, y) for text, y in zip(words.text, words.y, strict=True)] == [("↵", map_.y[2])]
    assert shown.data[0].hoverongaps is False
    assert np.isnan(np.asarray(shown.data[0].z)).sum() == 2


def test_as_many_words_stand_beside_each_other_as_can_be_read() -> None:
    assert span_around(1024, 500, WIDE)[1] - span_around(1024, 500, WIDE)[0] == across(WIDE) == 18
    assert across(NARROW) == 5
    assert across(Frame(theme="light", text=2)) == 9
    for pos in (0, 7, 500, 1023):
        start, end = span_around(1024, pos, NARROW)
        assert start <= pos < end
    long = lens_map_figure(
        MapCells(
            colour="top",
            top_ids=np.ones((3, 40), dtype=int),
            values=np.zeros((3, 40)),
            ranks=None,
            settles_at=None,
            target="",
            d_vocab=50_257,
        ),
        names=NAMES,
        texts=["a"] * 40,
        span=(0, 40),
        revision="r",
        frame=WIDE,
    )
    assert [trace.mode for trace in long.data if trace.type == "scatter" and trace.mode == "text"] == []


def test_of_a_deep_model_or_a_long_text_fewer_points_have_rows() -> None:
    assert point_places(25, 1024) == list(range(25))
    assert point_places(97, 18) == list(range(0, 97, 2))
    assert point_places(97, 1024) == list(range(0, 97, 4))
    assert point_places(23, 2000) == list(range(0, 23, 2))
