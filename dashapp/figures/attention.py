"""Figures of attention: all heads in one picture, one head's pattern, one token's strongest weights.

Weights are 0..1 and the colour scale always is, so that a faint head looks faint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import plotly.graph_objects as go

from dashapp.analysis.attention import Head, HeadScores, Strongest, TokenAttention
from dashapp.figures.sprite import GAP, Colour, mosaic, png_address
from dashapp.figures.theme import AMOUNTS, MONO, Frame, framed
from dashapp.figures.tokens import MOST_NARROW, label

Scale = Literal["whole", "fit"]
Shade = Literal["even", "root"]
"""How a weight becomes a colour: in proportion, or by its square root, which shows faint weights."""

SHADES: Final[dict[str, str]] = {"even": "by weight", "root": "by its square root, for faint weights"}
MOST_CELLS: Final = 512  # a side of a pattern: what a browser has pixels for, as it drops rows of more; 1.4 MB
MOST_SPRITE_BYTES: Final = 1_400_000  # a third more in base64, and still below the 2 MB of a response
WIDTH, NARROW_WIDTH = 640, 300  # pixels for the cells of a figure of heads or tokens
LONGEST: Final = 10  # characters of a token: labels stand on two sides of a square, and its cells need the room
N_CROPPED: Final = 40  # tokens that a square of a telephone's width shows readably
LARGEST_CELL: Final = 84
GRID_WIDTH, LARGEST_TILE = 1080, 128  # pixels for all heads across, and for one of them
MOST_TOKENS_LABELLED: Final = 30  # down the side of a square of `WIDTH`


def head_grid(tiles: np.ndarray, scores: HeadScores, *, shade: Shade, frame: Frame) -> go.Figure:
    """All heads in one picture, layers down and heads across; each tile is a head's pattern, query down, key across.

    tiles: uint8 [layer head cell_query cell_key]. A transparent heatmap over the picture gives hover and click: 50 ms
    to draw where a heatmap for each of 144 heads takes 900.
    """
    n_layer, n_head = tiles.shape[:2]
    most_pixels = min(LARGEST_CELL, math.isqrt(MOST_SPRITE_BYTES // (n_layer * n_head)))
    pixels = mosaic(fitting(tiles), most_tile_pixels=most_pixels)
    hover = [[_head_sentence(scores, Head(layer=i, head=j)) for j in range(n_head)] for i in range(n_layer)]
    clear = [(0, "rgba(0,0,0,0)"), (1, "rgba(0,0,0,0)")]
    cells = go.Heatmap(
        z=np.zeros((n_layer, n_head), dtype=np.uint8), text=hover, hoverinfo="text", colorscale=clear, showscale=False
    )
    cell = min(LARGEST_TILE, (NARROW_WIDTH if frame.is_narrow else GRID_WIDTH) / n_head)
    summary = (
        f"The attention patterns of {n_layer} layers of {n_head} heads, in a grid of layers down and heads across."
    )
    height = round(max(200, cell * n_layer + 112))
    figure = framed(cells, _bar_of_scale(shade, frame), frame=frame, height=height, summary=summary)
    figure.add_layout_image(
        source=png_address(pixels, palette(shade, frame)),
        xref="x",
        yref="y",
        x=-0.5,
        y=-0.5,
        sizex=n_head,
        sizey=n_layer,
        sizing="stretch",
        layer="below",
    )
    _square(figure, ("", n_layer), ("", n_head))  # the first tick says it: a title would lie on the others
    figure.update_xaxes(dtick=1 if cell >= 24 else 4, tick0=0, tickprefix="head ", showtickprefix="first")
    figure.update_yaxes(dtick=1 if cell >= 16 else 4, tick0=0, tickprefix="layer ", showtickprefix="last")
    return figure


def head_pattern(pattern: np.ndarray, of: Head, *, texts: Sequence[str], shade: Shade, frame: Frame) -> go.Figure:
    """One head's pattern, query down and key across: float32 [query key]; of many tokens some to a cell."""
    n_tokens = len(texts)
    n_each = tokens_a_cell(n_tokens)
    names = block_names(texts, n_each)
    where = f"layer {of.layer}, head {of.head}"
    cells = go.Heatmap(
        z=pattern_cells(pattern, n_each),
        x=names,
        y=names,
        zmin=0,
        zmax=1,
        hoverongaps=False,
        hovertemplate=_pattern_sentence(where, is_pooled=n_each > 1),
        colorscale=shaded(shade, frame),
        showscale=False,
    )
    summary = f"Attention of {where} between {n_tokens} tokens: each row is a query, each column a key."
    side = min(LARGEST_CELL * n_tokens, NARROW_WIDTH - 48 if frame.is_narrow else WIDTH - 64)
    height = max(120, side) + 160
    figure = framed(cells, _bar_of_scale(shade, frame), frame=frame, height=height, summary=summary)
    _square(figure, ("query: the token that looks", len(names)), ("key: the token looked at", len(names)))
    meta: dict[str, Any] = {"summary": summary, "tokens_a_row": n_each}
    if frame.is_narrow and n_tokens > N_CROPPED:
        meta["cropped"] = N_CROPPED  # the browser knows the selected token
    figure.update_layout(meta=meta)
    n_ticks = MOST_NARROW if frame.is_narrow else MOST_TOKENS_LABELLED
    ticks: dict[str, Any] = {"nticks": n_ticks, "tickfont": {"family": MONO, "size": 12}}
    # Categories, where other token axes have numbers: a heatmap's hover can name a token only through its axis.
    figure.update_xaxes(type="category", tickangle=-60, **ticks)
    figure.update_yaxes(type="category", **ticks)
    return figure


def token_bars(found: TokenAttention, top: Strongest, *, texts: Sequence[str], scale: Scale, frame: Frame) -> go.Figure:
    """The strongest weights from or to a token, strongest first, and all others together."""
    colours = frame.colours
    names = token_names(texts)
    this = f"token {names[found.pos]}"
    looks = found.direction == "looks_at"
    hover = [
        f"{this} looks at token {names[other]}: {weight(w)}"
        if looks
        else f"token {names[other]} looks at {this}: {weight(w)}"
        for other, w in zip(top.positions, top.weights, strict=True)
    ]
    bars = _bars(top.weights, start=0, hover=hover, marker={"color": colours.amount, "line": {"width": 0}})
    bars.customdata = top.positions.tolist()
    rows = [names[other] for other in top.positions]
    drawn = [bars]
    if top.n_rest:
        hatch = {"shape": "/", "fgcolor": colours.edge, "bgcolor": colours.paper, "solidity": 0.25}
        marker = {"color": colours.paper, "line": {"color": colours.edge, "width": 1}, "pattern": hatch}
        rest = f"{top.n_rest:,} others" if top.n_rest > 1 else "1 other"
        together = f"{rest}, together: {weight(top.rest)}"
        drawn.append(_bars(np.array([top.rest]), start=len(rows), hover=[together], marker=marker))
        rows.append(rest)
    summary = f"{'What' if looks else 'Who looks at'} {this}{' looks at' if looks else ''}, strongest first."
    figure = framed(*drawn, frame=frame, height=24 * len(rows) + 64, summary=summary)
    figure.update_layout(margin={"l": 136, "r": 24}, bargap=0.25, barmode="overlay", yaxis_tickfont_family=MONO)
    longest = max(1e-6, float(top.weights.max()), top.rest)
    title = f"attention of {this}" if looks else f"attention to {this}"
    limit = max(1.0, top.rest) if scale == "whole" else longest
    figure.update_xaxes(title_text=title, range=[0, limit * 1.18])
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=rows, range=[len(rows) - 0.5, -0.5], showgrid=False, zeroline=False
    )
    return figure


def token_names(texts: Sequence[str]) -> list[str]:
    """Each token by place and text, no two alike: '5 ·cat'."""
    return [f"{pos} {label(text, longest=LONGEST)}" for pos, text in enumerate(texts)]


def tokens_a_cell(n_tokens: int) -> int:
    """How many tokens share a row and a column of a square, so that it has at most `MOST_CELLS` a side."""
    return -(-n_tokens // MOST_CELLS)


def block_names(texts: Sequence[str], n_each: int) -> list[str]:
    """What stands at the rows of a square: each token's name, or the first and last of some: '512–513'."""
    if n_each == 1:
        return token_names(texts)
    last = len(texts) - 1
    starts = range(0, len(texts), n_each)
    return [f"{start}" if start == last else f"{start}–{min(start + n_each - 1, last)}" for start in starts]


def pattern_cells(pattern: np.ndarray, n_each: int) -> np.ndarray:
    """A pattern for drawing, float32 [cell_query cell_key]: the largest weight in each block of so many tokens a side.

    NaN, which leaves a gap, where no query of the block can look.
    """
    n_tokens = len(pattern)
    n_cells = -(-n_tokens // n_each)
    padded = np.zeros((n_cells * n_each, n_cells * n_each), dtype=np.float32)
    padded[:n_tokens, :n_tokens] = pattern
    largest = padded.reshape(n_cells, n_each, n_cells, n_each).max(axis=(1, 3))
    return np.where(np.tri(n_cells, dtype=bool), largest, np.float32("nan"))


def fitting(tiles: np.ndarray) -> np.ndarray:
    """Tiles small enough for one response: halved by the largest of each 2 × 2 cells until they are."""
    while tiles.size > MOST_SPRITE_BYTES:
        n_layer, n_head, n_cell, _ = tiles.shape
        tiles = tiles.reshape(n_layer, n_head, n_cell // 2, 2, n_cell // 2, 2).max(axis=(3, 5))
    return tiles


def palette(shade: Shade, frame: Frame) -> list[Colour]:
    """256 colours: those of the weights 0 to 1 in 255 steps, and the colour between tiles."""
    return [*_colours(np.linspace(0, 1, GAP), shade, frame), _channels(frame.colours.hairline)]


def shaded(shade: Shade, frame: Frame) -> list[tuple[float, str]]:
    """The colour scale of weights 0 to 1, as Plotly reads one."""
    weights = np.linspace(0, 1, 17) ** 2  # closest together where a square root bends most
    return [(float(w), "rgb" + str(colour)) for w, colour in zip(weights, _colours(weights, shade, frame), strict=True)]


def weight(value: float) -> str:
    """A weight of attention with three significant digits: '0.62', '0.000431', '2.1e−7'."""
    if value == 0 or value >= 1e-4:
        return f"{value:.3g}"
    return f"{value:.1e}".replace("e-0", "e-").replace("-", "−")


def _colours(weights: np.ndarray, shade: Shade, frame: Frame) -> list[Colour]:
    stops = np.array([_channels(colour) for colour in AMOUNTS[frame.theme]])
    places = (np.sqrt(weights) if shade == "root" else weights) * (len(stops) - 1)
    channels = [np.interp(places, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    return [(int(red), int(green), int(blue)) for red, green, blue in np.rint(channels).T]


def _channels(colour: str) -> Colour:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def _head_sentence(scores: HeadScores, of: Head) -> str:
    place = of.layer, of.head
    return (
        f"layer {of.layer}, head {of.head}: entropy {scores.entropy_nats[place]:.2g} nats,<br>"
        f"mean distance {scores.distance_tokens[place]:.2g} tokens,<br>"
        f"{weight(scores.first[place])} on the first token, {weight(scores.previous[place])} on the one before"
    )


def _pattern_sentence(where: str, *, is_pooled: bool) -> str:
    if is_pooled:
        return f"{where}:<br>tokens %{{y}} look at tokens %{{x}},<br>at most %{{z:.3~g}}<extra></extra>"
    return f"{where}:<br>token %{{y}} looks at token %{{x}}, %{{z:.3~g}}<extra></extra>"


def _bar_of_scale(shade: Shade, frame: Frame) -> go.Scatter:
    """A colour bar from 0 to 1, alone: a transparent or byte-valued heatmap has none to show."""
    bar: dict[str, Any] = {
        "orientation": "h",
        "thickness": 8,
        "len": 160,
        "lenmode": "pixels",
        "x": 0,
        "xanchor": "left",
        "xpad": 0,
        "y": 1,
        "yanchor": "bottom",
        "ypad": 4,
    }
    marker = {
        "color": [0],
        "cmin": 0,
        "cmax": 1,
        "colorscale": shaded(shade, frame),
        "showscale": True,
        "colorbar": bar
        | {
            "title": {"text": "attention, 0 to 1", "side": "top", "font": {"size": 12}},
            "tickvals": [0, 0.5, 1],
            "outlinecolor": frame.colours.edge,
            "outlinewidth": 1,
        },
    }
    return go.Scatter(x=[None], y=[None], mode="markers", marker=marker, hoverinfo="skip")


def _square(figure: go.Figure, down: tuple[str, int], across: tuple[str, int]) -> None:
    """Equal cells, the first in the upper left corner. down, across: an axis' title and how many cells it has."""
    figure.update_layout(margin={"l": 48, "r": 8, "t": 56})
    axis: dict[str, Any] = {"showgrid": False, "zeroline": False, "constrain": "domain"}
    figure.update_xaxes(
        title_text=across[0],
        title_standoff=8,
        automargin=True,
        range=[-0.5, across[1] - 0.5],
        constraintoward="left",
        **axis,
    )
    figure.update_yaxes(
        title_text=down[0],
        title_standoff=8,
        range=[down[1] - 0.5, -0.5],
        scaleanchor="x",
        scaleratio=1,
        constraintoward="top",
        automargin=True,
        **axis,
    )


def _bars(values: np.ndarray, *, start: int, hover: list[str], marker: dict[str, Any]) -> go.Bar:
    """Horizontal bars from row `start` down, each with its weight at the end."""
    return go.Bar(
        x=values,
        y=np.arange(start, start + len(values)),
        orientation="h",
        text=[weight(value) for value in values],
        textposition="outside",
        cliponaxis=False,
        hovertext=hover,
        hoverinfo="text",
        marker=marker,
    )
