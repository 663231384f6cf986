"""The Generation page's figures, by what they show: bars, labels, ranges, hovers."""

from __future__ import annotations

import numpy as np
import pytest

from dashapp.analysis.predictions import NextToken, Surprisals
from dashapp.figures.generation import next_tokens, surprisal
from dashapp.figures.theme import THEMES, Frame, ThemeName

FRAME = Frame(theme="light")


def expected(actual: int | None = 7) -> NextToken:
    """Three tokens known: 0.5, 0.2, 0.1; the others hold 0.2."""
    return NextToken(
        pos=4,
        ids=np.array([3, 7, 5], dtype=np.int32),
        probs=np.array([0.5, 0.2, 0.1]),
        tail=0.2,
        n_others=50_254,
        entropy_bits=2.0,
        actual=actual,
        actual_prob=0.2,
        actual_rank=1,
    )


TEXTS = [" cat", "<b>", "\n"]


def test_bars_are_the_probabilities_and_the_tail() -> None:
    bars, others = next_tokens(expected(), texts=TEXTS, after=" the", scale="whole", frame=FRAME).data
    assert list(bars.x) == [0.5, 0.2, 0.1]
    assert list(others.x) == [0.2]
    assert list(others.y) == [3]
    assert list(bars.text) == ["50%", "20%", "10%"]


def test_labels_show_whitespace_escape_markup_and_mark_what_came() -> None:
    figure = next_tokens(expected(), texts=TEXTS, after=" the", scale="whole", frame=FRAME)
    assert list(figure.layout.yaxis.ticktext) == ["·cat", "▸ &lt;b&gt;", "↵", "50,254 others"]
    assert list(figure.data[0].marker.line.width) == [0, 3, 0]
    assert figure.layout.xaxis.title.text == "probability of coming after ‘·the’"


def test_what_came_is_marked_nowhere_when_it_is_not_among_the_bars() -> None:
    for actual in (None, 9):
        figure = next_tokens(expected(actual), texts=TEXTS, after=" the", scale="whole", frame=FRAME)
        assert list(figure.data[0].marker.line.width) == [0, 0, 0]
        assert "▸" not in "".join(figure.layout.yaxis.ticktext)


def test_the_scale_is_fixed_unless_asked_to_fit() -> None:
    whole = next_tokens(expected(), texts=TEXTS, after="", scale="whole", frame=FRAME)
    fit = next_tokens(expected(), texts=TEXTS, after="", scale="fit", frame=FRAME)
    assert whole.layout.xaxis.range[0] == 0
    assert 1.1 < whole.layout.xaxis.range[1] < 1.2  # room for the number of a bar at 100%
    assert fit.layout.xaxis.range[1] == pytest.approx(whole.layout.xaxis.range[1] / 2)


def test_the_likeliest_stands_on_top() -> None:
    low, high = next_tokens(expected(), texts=TEXTS, after="", scale="whole", frame=FRAME).layout.yaxis.range
    assert low > high


def test_hover_is_a_sentence() -> None:
    bars, others = next_tokens(expected(), texts=TEXTS, after="", scale="whole", frame=FRAME).data
    assert bars.hovertext[0] == "‘·cat’ comes next with probability 50%"
    assert others.hovertext[0] == "One of the 50,254 others: together 20%"


def measured() -> Surprisals:
    return Surprisals(bits=np.array([np.nan, 1.0, 3.5]), ranks=np.array([-1, 0, 12]), mean_bits=2.25)


def test_surprisal_bars_are_the_bits_and_none_for_the_first() -> None:
    figure = surprisal(measured(), texts=["<|endoftext|>", "A", " dog"], frame=FRAME)
    (bars,) = figure.data
    assert list(bars.y) == [0, 1, 3.5]
    assert list(figure.layout.xaxis.ticktext) == ["&lt;|endoftext|&gt;", "A", "·dog"]
    assert figure.layout.yaxis.title.text == "surprisal (bits)"


def test_surprisal_is_drawn_and_told_in_nats_where_they_are_wanted() -> None:
    figure = surprisal(measured(), texts=["The", "A", " dog"], frame=Frame(theme="light", units="nats"))
    np.testing.assert_allclose(figure.data[0].y, [0, 0.693147, 3.5 * 0.693147], rtol=1e-6)
    assert figure.layout.yaxis.title.text == "surprisal (nats)"
    assert figure.data[0].hovertext[2] == "token 2 ‘·dog’: 2.43 nats, probability 8.84%, 12 tokens were more likely"
    assert "1.56 nats a token" in figure.layout.meta["summary"]


def test_surprisal_hover_tells_bits_probability_and_place() -> None:
    (bars,) = surprisal(measured(), texts=["x", "A", " dog"], frame=FRAME).data
    assert bars.hovertext[0] == "token 0 ‘x’: nothing stands before it, so nothing was expected"
    assert bars.hovertext[1] == "token 1 ‘A’: 1 bit, probability 50%, the favourite"
    assert bars.hovertext[2] == "token 2 ‘·dog’: 3.5 bits, probability 8.84%, 12 tokens were more likely"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_take_the_theme_s_colours_and_no_ground_of_their_own(theme: ThemeName) -> None:
    figure = surprisal(measured(), texts=["x", "A", " dog"], frame=Frame(theme=theme))
    assert figure.data[0].marker.color == THEMES[theme].amount
    assert figure.layout.font.color == THEMES[theme].ink
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
