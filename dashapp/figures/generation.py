"""Figures of the Generation page: the next-token distribution, and the surprisal of each token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from dashapp.analysis.predictions import NextToken, Surprisals
from dashapp.figures import plot
from dashapp.figures.numbers import percent, percent_label
from dashapp.figures.theme import MONO, Frame, framed, room_for_numbers
from dashapp.figures.tokens import label, ticks

Scale = Literal["whole", "fit"]


def next_tokens(expected: NextToken, *, texts: Sequence[str], after: str, scale: Scale, frame: Frame) -> plot.Figure:
    """Probability of the most likely next tokens, and of all others together, as bars from the likeliest down.

    texts: of `expected.ids`. after: the token that they would follow. The bar of the token
    that came is outlined in amber and named in its label, so that colour is not the only sign.
    """
    colours = frame.colours
    rest = f"{expected.n_others:,} others"
    names = [label(text) for text in texts]
    came_at = [expected.actual is not None and int(token) == expected.actual for token in expected.ids]
    marked = [f"▸ {name}" if here else name for name, here in zip(names, came_at, strict=True)]
    bars = _bars(
        expected.probs,
        start=0,
        hover=[
            f"‘{name}’ comes next with probability {percent(float(p))}"
            for name, p in zip(names, expected.probs, strict=True)
        ],
        marker={
            "color": colours.amount,
            "line": {"color": colours.selection, "width": [3 if here else 0 for here in came_at]},
        },
    )
    others = _bars(
        np.array([expected.tail]),
        start=len(names),
        hover=[f"One of the {rest}: together {percent(expected.tail)}"],
        marker={
            "color": colours.paper,
            "line": {"color": colours.edge, "width": 1},
            "pattern": {"shape": "/", "fgcolor": colours.edge, "bgcolor": colours.paper, "solidity": 0.25},
        },
    )
    n_bars = len(names) + 1
    figure = framed(bars, others, frame=frame, height=24 * n_bars + 64, summary=_summary(expected, names, after))
    figure.update_layout(margin={"l": 136}, bargap=0.25, barmode="overlay", yaxis_tickfont_family=MONO)
    limit = 1.0 if scale == "whole" else max(1e-6, float(expected.probs.max()), expected.tail)
    figure.update_xaxes(
        title_text=f"probability of coming after ‘{label(after)}’",
        range=room_for_numbers(0.0, limit, left=136, frame=frame),
        tickformat="~%",
    )
    tick_text = [*marked, rest]
    figure.update_yaxes(
        tickvals=list(range(n_bars)), ticktext=tick_text, range=[n_bars - 0.5, -0.5], showgrid=False, zeroline=False
    )
    return figure


def surprisal(measured: Surprisals, *, texts: Sequence[str], frame: Frame) -> plot.Figure:
    """Surprisal of each token in the frame's units, in the order of the text."""
    colours = frame.colours
    heights = np.nan_to_num(measured.bits, nan=0.0) * frame.per_bit
    bars = plot.Bar(
        x=np.arange(len(texts)),
        y=heights,
        hovertext=[_surprisal_sentence(measured, texts, pos, frame) for pos in range(len(texts))],
        hoverinfo="text",
        marker={"color": colours.amount, "line": {"width": 0}},
    )
    mean = f"{frame.information(measured.mean_bits)} a token" if len(texts) > 1 else "no token to expect"
    figure = framed(bars, frame=frame, height=260, summary=f"Surprisal of {len(texts)} tokens, on average {mean}.")
    places, names = ticks(texts, is_narrow=frame.is_narrow)
    figure.update_layout(bargap=0.15, margin={"b": 88})
    figure.update_xaxes(
        tickvals=places,
        ticktext=names,
        tickangle=-60,
        tickfont={"family": MONO, "size": 12},
        range=[-0.5, max(len(texts), 8) - 0.5],
        showgrid=False,
    )
    figure.update_yaxes(title_text=f"surprisal ({frame.units})", rangemode="tozero")
    return figure


def _bars(probs: np.ndarray, *, start: int, hover: list[str], marker: dict[str, Any]) -> plot.Bar:
    """Horizontal bars from row `start` down, each with its probability at the end."""
    return plot.Bar(
        x=probs,
        y=np.arange(start, start + len(probs)),
        orientation="h",
        text=[percent_label(float(p)) for p in probs],
        textposition="outside",
        cliponaxis=False,
        hovertext=hover,
        hoverinfo="text",
        marker=marker,
    )


def _surprisal_sentence(measured: Surprisals, texts: Sequence[str], pos: int, frame: Frame) -> str:
    name = f"token {pos} ‘{label(texts[pos])}’"
    if pos == 0:
        return f"{name}: nothing stands before it, so nothing was expected"
    prob = 2.0 ** -float(measured.bits[pos])
    rank = int(measured.ranks[pos])
    place = "the favourite" if rank == 0 else f"{rank:,} tokens were more likely"
    return f"{name}: {frame.information(measured.bits[pos])}, probability {percent(prob)}, {place}"


def _summary(expected: NextToken, names: Sequence[str], after: str) -> str:
    first = f"‘{names[0]}’ with {percent(float(expected.probs[0]))}"
    return f"After token {expected.pos} ‘{label(after)}’ the likeliest next token is {first}."
