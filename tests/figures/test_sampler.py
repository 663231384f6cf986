"""The figure of the sampler's steps, by what it shows: numbers, bars, cuts, the token that came."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dashapp.analysis.sampler import sampler_rows, steps_of
from dashapp.figures import plot
from dashapp.figures.sampler import sampler_table
from dashapp.figures.theme import THEMES, Frame, ThemeName
from dashapp.model.sampling import SamplingSettings

# Probabilities 1/2, 1/4, 1/8, 1/16, 1/16 of the tokens 0 to 4.
LOGITS = np.log(np.array([0.5, 0.25, 0.125, 0.0625, 0.0625]))
TEXTS = {0: " cat", 1: "<b>", 2: "\n", 3: " a very long token indeed", 4: "x"}
CUT = SamplingSettings(top_k=3, top_p=0.8)  # 0.75 is 6/7 of what top-k left


def table(
    settings: SamplingSettings = CUT,
    *,
    followed: int | None = 1,
    n_first: int = 3,
    is_narrow: bool = False,
    text: float = 1,
    theme: ThemeName = "light",
    logits: np.ndarray = LOGITS,
) -> plot.Figure:
    steps = steps_of(logits, settings, followed=followed)
    rows = sampler_rows(steps, n_first=n_first)
    frame = Frame(theme=theme, is_narrow=is_narrow, text=text)
    return sampler_table(steps, rows, texts=TEXTS, after=" the", frame=frame)


def columns(figure: plot.Figure) -> list[list[str]]:
    return [list(trace.text) for trace in figure.data if isinstance(trace, plot.Scatter)]


def bars(figure: plot.Figure) -> list[list[float]]:
    return [list(trace.x) for trace in figure.data if isinstance(trace, plot.Bar)]


def heads(figure: plot.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def test_a_column_is_a_step_and_a_row_a_token() -> None:
    figure = table()
    assert list(figure.layout.yaxis.ticktext) == ["·cat", "▸ &lt;b&gt;", "↵", "2 others"]
    assert columns(figure) == [
        ["−0.69", "−1.39", "−2.08", ""],
        ["50%", "25%", "12.5%", "12.5%"],
        ["50%", "25%", "12.5%", "12.5%"],
        ["50%", "25%", "12.5%", "cut"],
        ["50%", "25%", "cut", ""],
        ["66.7%", "33.3%", "0%", "0%"],
    ]


def test_headings_tell_the_settings_and_what_is_kept() -> None:
    assert heads(table()) == [
        "<br>logit<br>",
        "<br>probability<br>T = 1",
        "after<br>temperature<br>T = 1",
        "after top-k<br>3 kept<br>87.5%",
        "after top-p<br>2 kept<br>75%",
        "renormalised<br>2 kept<br>100%",
    ]
    assert heads(table(SamplingSettings(temperature=2)))[2:5] == [
        "after<br>temperature<br>T = 2",
        "after top-k<br>all kept<br>100%",
        "after top-p<br>all kept<br>100%",
    ]


def test_bars_are_the_probabilities_on_one_scale_and_logits_have_none() -> None:
    figure = table()
    expected = [[0.5, 0.25, 0.125, 0.125]] * 2 + [[0.5, 0.25, 0.125, 0], [0.5, 0.25, 0, 0], [2 / 3, 1 / 3, 0, 0]]
    np.testing.assert_allclose(bars(figure), expected, rtol=0, atol=1e-12)  # float64 sums of five terms
    axes = [figure.layout[f"xaxis{n or ''}"] for n in ("", 2, 3, 4, 5, 6)]
    assert {tuple(axis.range) for axis in axes} == {(0, 1)}
    domains = [axis.domain for axis in axes]
    assert all(left[1] < right[0] for left, right in pairwise(domains))
    assert [trace.xaxis for trace in figure.data if isinstance(trace, plot.Bar)] == ["x2", "x3", "x4", "x5", "x6"]


def test_a_broken_line_stands_at_each_cut_and_amber_around_what_came() -> None:
    shapes = table().layout.shapes
    assert [shape.y0 for shape in shapes if shape.type == "line"] == [1.5, 2.5]
    assert {shape.line.dash for shape in shapes if shape.type == "line"} == {"dash"}
    (outline,) = [shape for shape in shapes if shape.type == "rect"]
    assert 0.5 < outline.y0 < 1 < outline.y1 < 1.5
    assert outline.line.color == THEMES["light"].selection
    assert not table(SamplingSettings(), followed=None).layout.shapes


def test_what_came_has_a_row_wherever_it_is() -> None:
    figure = table(followed=4, n_first=1)
    assert list(figure.layout.yaxis.ticktext) == ["·cat", "1 other", "1 other", "▸ x", "1 other"]
    assert columns(figure)[3] == ["50%", "25%", "12.5%", "cut", "cut"]


def test_temperature_0_leaves_the_likeliest_alone() -> None:
    found = columns(table(SamplingSettings(temperature=0, top_k=3), followed=None))
    assert found[1] == ["50%", "25%", "12.5%", "12.5%"]
    assert found[2:] == [["100%", "0%", "0%", "0%"], ["100%", "", "", ""], ["100%", "", "", ""], ["100%", *["0%"] * 3]]


def test_a_telephone_has_four_columns_and_short_numbers() -> None:
    figure = table(is_narrow=True)
    assert heads(figure)[2] == "cut by<br>3<br>25%"
    assert columns(figure)[2:] == [["", "", "top-p", "top-k"], ["66.7%", "33.3%", "0%", "0%"]]
    assert heads(table(SamplingSettings(), is_narrow=True))[2] == "cut by<br>nothing<br>is cut"
    tiny = table(SamplingSettings(), is_narrow=True, logits=np.array([0.0, -9.0, -10, -11, -12]))
    assert columns(tiny)[0][:3] == ["99.98%", "0.0123%", "&lt;0.01%"]
    assert "number 3 of the vocabulary, logit −10.00<br>probability 0.00454%" in tiny.data[1].hovertext[2]


@pytest.mark.parametrize(("text", "n_columns"), [(1, 4), (1.25, 3), (1.5, 2), (2, 1)])
def test_larger_text_leaves_a_telephone_fewer_columns_and_always_what_is_drawn(text: float, n_columns: int) -> None:
    figure = table(is_narrow=True, text=text)
    found = columns(figure)
    assert len(found) == n_columns
    assert found[-1] == ["66.7%", "33.3%", *(["0%", "0%"] if text == 1 else ["top-p", "top-k"])]
    assert len(columns(table(text=text))) == 6


def test_hover_tells_the_random_numbers_that_draw_a_token() -> None:
    hover = table().data[0].hovertext
    assert hover[1] == (
        "‘&lt;b&gt;’, number 2 of the vocabulary, logit −1.39<br>probability 25%, at temperature 1 25%<br>"
        "drawn with probability 33.3%<br>by random numbers from 0.6667 to 1.0000"
    )
    assert hover[3] == (
        "2 other tokens together<br>probability 12.5%, at temperature 1 12.5%<br>cut by top-k: never drawn"
    )


def test_the_summary_counts_what_may_be_drawn() -> None:
    assert table().layout.meta["summary"] == "After ‘·the’ the sampler leaves 2 of 5 tokens to draw from."


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_cut_is_written_in_the_weaker_ink(theme: ThemeName) -> None:
    colours = THEMES[theme]
    assert list(table(theme=theme).data[0].textfont.color) == [colours.ink, colours.ink, colours.muted, colours.muted]
