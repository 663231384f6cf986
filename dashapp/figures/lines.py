"""Attention of one token as lines between two columns of tokens, as thick as the weights, of one head or several.

A head is one trace of ribbons, for a line in Plotly has one width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dashapp.analysis.attention import Direction, Head
from dashapp.figures import plot
from dashapp.figures.attention import token_names, weight
from dashapp.figures.theme import MONO, Frame, ThemeName, framed

ROW: Final = 22  # pixels of a token
THICKEST: Final = 0.8  # of a row, for a weight of 1 of one head
LEAST_DRAWN: Final = 0.01  # of one head: a weight below it is thinner than a pixel
LEAST_OF_SEVERAL: Final = 0.05  # of several: each has a share of the row
FADED: Final = 0.62

# Told apart by every kind of colour vision where they are few (Okabe & Ito 2008, darkened or lightened to 3:1).
HUES: Final[dict[ThemeName, tuple[str, ...]]] = {
    "light": ("#1f5fb4", "#b35c00", "#00755a", "#a8447f", "#4c4c4c", "#0e7fa8", "#8a6d00", "#b3261e"),
    "dark": ("#7fb2f5", "#f0a860", "#4fc9a5", "#e79ac6", "#c4c4c4", "#72cdec", "#e3d26f", "#ff8a80"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLines:
    """The weights of one head, or of the mean of all (of is None): float64 [row], for the tokens that are listed."""

    of: Head | None
    weights: np.ndarray


def token_lines(
    heads: Sequence[HeadLines],
    listed: np.ndarray,
    *,
    pos: int,
    direction: Direction,
    texts: Sequence[str],
    frame: Frame,
) -> plot.Figure:
    """Lines between a token and those listed. listed: positions [row], in the order of the text, `pos` among them.

    The token that looks stands on the left, those looked at on the right.
    """
    names, colours = token_names(texts), frame.colours
    rows, here = np.arange(len(listed)), int(np.flatnonzero(listed == pos)[0])
    looks = direction == "looks_at"
    columns = []
    for side in (0, 1):
        is_end = (side == 0) != looks  # the side of the many tokens
        said = (
            [_sentence(heads, int(row), names, int(listed[row]), pos, looks=looks) for row in rows] if is_end else None
        )
        columns.append(
            plot.Scatter(
                x=np.full(len(rows), side),
                y=rows,
                customdata=listed.tolist(),
                mode="markers+text",
                marker={"size": 5, "color": colours.edge},
                text=[f"<b>{names[each]}</b>" if each == pos else names[each] for each in listed],
                textposition="middle left" if side == 0 else "middle right",
                textfont={"family": MONO, "size": 12, "color": colours.ink if is_end else colours.muted},
                hovertext=said or [f"token {names[each]}" for each in listed],
                hoverinfo="text",
                showlegend=False,
            )
        )
    least = least_drawn(len(heads))
    hues, lane = (
        HUES[frame.theme],
        THICKEST / len(heads),
    )  # side by side, for between two tokens they would hide another
    ribbons = [
        _ribbons(
            HeadLines(of=each.of, weights=np.where(each.weights >= least, each.weights, 0)),
            here,
            looks=looks,
            colour=hues[i % len(hues)],
            lane=((i - (len(heads) - 1) / 2) * lane, lane),
        )
        for i, each in enumerate(heads)
    ]
    verb = "looks at" if looks else "is looked at by"
    summary = f"What token {names[pos]} {verb} in {len(heads)} head{'s' if len(heads) > 1 else ''}, as lines."
    figure = framed(*columns, *ribbons, frame=frame, height=ROW * len(rows) + 96, summary=summary)
    strongest = np.argsort(-np.sum([each.weights for each in heads], axis=0), kind="stable")
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 56, "b": 8},
        meta={"summary": summary, "partners": listed[strongest].tolist(), "looks": looks, "n_tokens": len(texts)},
        showlegend=len(heads) > 1,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"color": colours.ink, "size": 12}},
        hovermode="closest",
    )
    plain: dict[str, Any] = {"showgrid": False, "zeroline": False, "showticklabels": False}
    room = 0.8 if frame.is_narrow else 0.45
    figure.update_xaxes(range=[-room, 1 + room], fixedrange=True, **plain)
    figure.update_yaxes(range=[len(rows) - 0.5, -1.2], **plain)
    for side, title in ((0, "looks"), (1, "is looked at")):
        figure.add_annotation(
            x=side, y=-0.9, text=title, showarrow=False, font={"color": colours.muted, "size": 12}, xanchor="center"
        )
    return figure


def least_drawn(n_heads: int) -> float:
    """The least weight that has a line."""
    return LEAST_DRAWN if n_heads == 1 else LEAST_OF_SEVERAL


def name_of(of: Head | None) -> str:
    """What a set of lines is called."""
    return "mean of all heads" if of is None else f"layer {of.layer}, head {of.head}"


def _ribbons(each: HeadLines, here: int, *, looks: bool, colour: str, lane: tuple[float, float]) -> plot.Scatter:
    """A four-cornered band for each weight that can be seen. lane: its middle, from the row's, and its width."""
    x: list[float | None] = []
    y: list[float | None] = []
    for row in np.flatnonzero(each.weights):
        half = float(each.weights[row]) * lane[1] / 2
        left, right = (end + lane[0] for end in ((here, int(row)) if looks else (int(row), here)))
        x += [0, 1, 1, 0, 0, None]
        y += [left - half, right - half, right + half, left + half, left - half, None]
    return plot.Scatter(
        x=x or [None],
        y=y or [None],
        mode="lines",
        fill="toself",
        fillcolor=_faded(colour),
        line={"color": colour, "width": 0.75},
        name=name_of(each.of),
        hoverinfo="skip",
    )


def _faded(colour: str) -> str:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return f"rgba({red},{green},{blue},{FADED})"


def _sentence(heads: Sequence[HeadLines], row: int, names: Sequence[str], other: int, pos: int, *, looks: bool) -> str:
    query, key = (pos, other) if looks else (other, pos)
    told = [f"{name_of(each.of)}: {weight(float(each.weights[row]))}" for each in heads]
    return f"token {names[query]} looks at token {names[key]}:<br>" + "<br>".join(told)
