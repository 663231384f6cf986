"""Figures of what differs: each slot in its own colour and shape, differences centred on zero, the unaligned marked."""

from __future__ import annotations

import math

import numpy as np

from dashapp.analysis.changes import SurprisalChange
from dashapp.figures.changes import surprisal_lines
from dashapp.figures.theme import Frame

FRAME = Frame(theme="light")
SURPRISED = SurprisalChange(
    of_a=np.array([math.nan, 3.0, 1.0, 2.0]),
    of_b=np.array([math.nan, 1.0, math.nan, 4.0]),
    b_of_a=np.array([0, 1, -1, 2]),
    is_same=np.array([True, True, False, False]),
)
TEXTS = ["<|endoftext|>", " a", "<b>", " c"], ["<|endoftext|>", " a", " x"]


def test_surprisals_stand_over_their_difference_which_is_centred_on_zero() -> None:
    figure = surprisal_lines(SURPRISED, texts=TEXTS, frame=FRAME)
    a, b, bars, crosses = figure.data
    np.testing.assert_array_equal(a.y, SURPRISED.of_a)
    np.testing.assert_array_equal(b.y, SURPRISED.of_b)
    assert list(bars.y) == [0, 2, 0, -2]
    colours = FRAME.colours
    assert (bars.marker.color[1], bars.marker.color[3]) == (colours.slot_a, colours.slot_b)
    low, high = figure.layout.yaxis2.range
    assert low == -high
    assert (list(crosses.x), crosses.marker.symbol) == ([2], "x-thin")
    assert crosses.hovertext[0] == "token 2 ‘&lt;b&gt;’ of a has no counterpart in b"
    assert list(a.marker.symbol) == ["circle", "circle", "circle", "circle-open"]
    assert b.marker.symbol[3] == "diamond-open"
    assert a.hovertext[3] == "token 3 ‘·c’ of a: 2 bits<br>token 2 ‘·x’ of b: 4 bits<br>2 bits more in b"
    assert "nothing stands before it" in a.hovertext[0]
    assert figure.layout.meta["slot"] == "a"


def test_nats_are_bits_times_ln_2() -> None:
    bits, nats = (surprisal_lines(SURPRISED, texts=TEXTS, frame=Frame(theme="dark", units=u)) for u in ("bits", "nats"))
    for one, other in zip(bits.data[:3], nats.data[:3], strict=True):
        np.testing.assert_allclose(np.array(one.y) * math.log(2), other.y)
    assert "1.39 nats more in b" in nats.data[0].hovertext[3]


def test_a_thousand_tokens_fit_into_a_response() -> None:
    n = 1024
    values = np.random.default_rng(0).exponential(5, n)
    long = SurprisalChange(of_a=values, of_b=values[::-1], b_of_a=np.arange(n), is_same=np.ones(n, dtype=bool))
    figure = surprisal_lines(long, texts=([" some token"] * n, [" some token"] * n), frame=FRAME)
    assert len(figure.to_json().encode()) < 1_000_000
