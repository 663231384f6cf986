"""Figures of attention: all heads in one picture, one head's pattern, one token's strongest weights.

Weights are 0..1 and the colour scale always is, so that a faint head looks faint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from dashapp.analysis.attention import Head, Strongest, TokenAttention
from dashapp.analysis.head_names import HeadName
from dashapp.analysis.heads import KindScores
from dashapp.figures import plot
from dashapp.figures.cells import texts_on_cells
from dashapp.figures.sprite import GAP, Colour, mosaic, png_address
from dashapp.figures.theme import AMOUNTS, MONO, Frame, framed, room_for_numbers
from dashapp.figures.tokens import MOST_NARROW, label

Scale = Literal["whole", "fit"]
Shade = Literal["even", "root"]
"""How a weight becomes a colour: in proportion, or by its square root, which shows faint weights."""

Places = list[list[Head | None]]  # which head stands where, [row column]; None for a gap
NOBODY: Final[Mapping[Head, HeadName]] = {}

SHADES: Final[dict[str, str]] = {"even": "by weight", "root": "by its square root, for faint weights"}
MOST_CELLS: Final = 512  # a side of a pattern that is drawn: what a browser has pixels for, as it drops rows of more
BYTE_STEPS: Final = 254  # of a weight that travels as a byte: 0 is no weight, 1 to 255 are 0 to 1
MOST_SPRITE_BYTES: Final = 1_400_000  # a third more in base64, and still below the 2 MB of a response
WIDTH, NARROW_WIDTH = 640, 300  # pixels for the cells of a figure of heads or tokens
LONGEST: Final = 10  # characters of a token: labels stand on two sides of a square, and its cells need the room
N_CROPPED: Final = 40  # tokens that a square of a telephone's width shows readably
LARGEST_CELL: Final = 84
GRID_WIDTH, LARGEST_TILE = 1080, 128  # pixels for all heads across, and for one of them
N_DETAIL, N_DETAIL_NARROW = 24, 12  # tokens a side with room for a number in each cell, or for their labels
SMALLEST_LETTERED: Final = 40  # pixels of a tile with room for a letter
MOST_TOKENS_LABELLED: Final = 30  # down the side of a square of `WIDTH`


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """What a square of queries and keys shows. values: float32 [query key], NaN where there is nothing.

    where: whose it is. is_score: has a sign, and no bounds. quantity, verb, unit: in the words of a hover. note: what
    a person must not overlook, above the figure.
    """

    values: np.ndarray
    where: str
    is_score: bool = False
    quantity: str = "attention"
    verb: str = "looks at"
    unit: str = ""
    note: str = ""


def head_grid(
    tiles: np.ndarray,
    scores: KindScores,
    *,
    places: Places | None = None,
    names: Mapping[Head, HeadName] = NOBODY,
    shade: Shade,
    frame: Frame,
) -> plot.Figure:
    """Heads in one picture, layers down and heads across; each tile is a head's pattern, query down, key across.

    tiles: uint8 [layer head cell_query cell_key]. places: another order, [row column]. names: whose letter stands in
    the upper right corner, where a pattern has nothing. A transparent heatmap over the picture gives hover and click:
    50 ms to draw where a heatmap for each of 144 heads takes 900.
    """
    n_head = tiles.shape[1]
    cells = by_layer(*tiles.shape[:2]) if places is None else places
    n_row = len(cells)
    most_pixels = min(LARGEST_CELL, math.isqrt(MOST_SPRITE_BYTES // (n_row * n_head)))
    pixels = mosaic(fitting(arranged(tiles, cells)), most_tile_pixels=most_pixels)
    hover = [[_head_sentence(scores, of, names.get(of), frame) if of else "" for of in row] for row in cells]
    clear = [(0, "rgba(0,0,0,0)"), (1, "rgba(0,0,0,0)")]
    over = plot.Heatmap(
        z=np.array([[0 if of else np.nan for of in row] for row in cells], dtype=np.float32),
        text=hover,
        customdata=[[[of.layer, of.head] if of else None for of in row] for row in cells],
        hoverinfo="text",
        hoverongaps=False,
        colorscale=clear,
        showscale=False,
    )
    cell = min(LARGEST_TILE, (NARROW_WIDTH if frame.is_narrow else GRID_WIDTH) / n_head)
    n_shown = sum(of is not None for row in cells for of in row)
    order = "in a grid of layers down and heads across" if places is None else "in the order of a score"
    summary = f"The attention patterns of {n_shown} heads, {order}."
    height = round(max(200, cell * n_row + 112))
    figure = framed(over, _bar_of_scale(shade, frame), frame=frame, height=height, summary=summary)
    figure.add_layout_image(
        source=png_address(pixels, palette(shade, frame)),
        xref="x",
        yref="y",
        x=-0.5,
        y=-0.5,
        sizex=n_head,
        sizey=n_row,
        sizing="stretch",
        layer="below",
    )
    _square(figure, ("", n_row), ("", n_head))  # the first tick says it: a title would lie on the others
    if places is None:
        figure.update_xaxes(dtick=1 if cell >= 24 else 4, tick0=0, tickprefix="head ", showtickprefix="first")
        figure.update_yaxes(dtick=1 if cell >= 16 else 4, tick0=0, tickprefix="layer ", showtickprefix="last")
    else:
        figure.update_xaxes(showticklabels=False)
        figure.update_yaxes(showticklabels=False)
    if cell >= SMALLEST_LETTERED:
        figure.add_trace(_corners(cells, names, is_sorted=places is not None, frame=frame))
    return figure


def by_layer(n_layer: int, n_head: int) -> Places:
    """Every head where the model has it."""
    return [[Head(layer=layer, head=head) for head in range(n_head)] for layer in range(n_layer)]


def in_rows(heads: Sequence[Head], n_across: int) -> Places:
    """Heads one after another, some to a row; the last row may have gaps."""
    rows: list[list[Head | None]] = [list(heads[i : i + n_across]) for i in range(0, len(heads), n_across)]
    rows[-1] += [None] * (n_across - len(rows[-1]))
    return rows


def arranged(tiles: np.ndarray, places: Places) -> np.ndarray:
    """Tiles of heads [layer head cell_query cell_key] where they are to stand, [row column cell_query cell_key]."""
    nothing = np.zeros_like(tiles[0, 0])
    return np.stack([np.stack([tiles[of.layer, of.head] if of else nothing for of in row]) for row in places])


def _corners(places: Places, names: Mapping[Head, HeadName], *, is_sorted: bool, frame: Frame) -> plot.Scatter:
    """In the upper right corner of each tile its head's letter and, where heads are sorted, its layer and head."""
    all_cells = [(of, row, column) for row, cells in enumerate(places) for column, of in enumerate(cells) if of]
    stands = [each for each in all_cells if is_sorted or each[0] in names]  # no point without a text: see `cells`
    texts = []
    for of, _row, _column in stands:
        letter = f"<b>{names[of].letter}</b>" if of in names else ""
        texts.append(" ".join(part for part in (f"{of.layer}.{of.head}" if is_sorted else "", letter) if part))
    return plot.Scatter(
        x=[column + 0.46 for _of, _row, column in stands],
        y=[row - 0.46 for _of, row, _column in stands],
        mode="text",
        text=texts,
        textposition="bottom left",
        textfont={"size": 11, "color": frame.colours.ink},
        hoverinfo="skip",
    )


def head_pattern(pattern: np.ndarray, of: Head, *, texts: Sequence[str], shade: Shade, frame: Frame) -> plot.Figure:
    """One head's pattern, query down and key across: float32 [query key]; of many tokens some to a cell."""
    shown = Square(values=pattern, where=f"layer {of.layer}, head {of.head}")
    return attention_square(shown, texts=texts, shade=shade, frame=frame)


def attention_square(shown: Square, *, texts: Sequence[str], shade: Shade, frame: Frame) -> plot.Figure:
    """Weights or scores between all tokens, query down and key across; of many tokens some to a cell.

    Of many tokens a transparent map of bytes over the picture tells each weight within 1/255, and takes the clicks:
    40-panels.js makes weights of them. Scores have no bounds to cut into steps, so they are told by the cell.
    """
    n_tokens = len(texts)
    n_each = tokens_a_cell(n_tokens)
    are_bytes = n_each > 1 and not shown.is_score
    if are_bytes:
        names = token_names(texts)
        maps = _maps_of_bytes(shown, names, n_each, shade, frame)
        low, high = 0.0, 1.0
    else:
        names = block_names(texts, n_each)
        cells = pattern_cells(shown.values, n_each, is_signed=shown.is_score)
        low, high, scale = colours_of(shown, cells, shade, frame)
        maps = [
            plot.Heatmap(
                z=cells,
                x=names,
                y=names,
                zmin=low,
                zmax=high,
                hoverongaps=False,
                hovertemplate=_square_sentence(shown, is_pooled=n_each > 1),
                colorscale=scale,
                showscale=False,
            )
        ]
    summary = f"{_first_up(shown.quantity)} of {shown.where} between {n_tokens} tokens: each row is a query, each "
    summary += "column a key."
    side = min(LARGEST_CELL * n_tokens, NARROW_WIDTH - 48 if frame.is_narrow else WIDTH - 64)
    height = max(120, side) + 160
    bar = _bar_of_scale(shade, frame) if not shown.is_score else _bar_of_scores(low, high, frame)
    figure = framed(*maps, bar, frame=frame, height=height, summary=summary)
    _square(figure, ("query: the token that looks", len(names)), ("key: the token looked at", len(names)))
    n_row = 1 if are_bytes else n_each
    meta: dict[str, Any] = {"summary": summary, "tokens_a_row": n_row, "n_tokens": n_tokens}
    if are_bytes:
        meta["byte_steps"] = BYTE_STEPS
    if frame.is_narrow and n_tokens > N_CROPPED:
        meta["cropped"] = N_CROPPED * n_each // n_row  # rows; the browser knows the selected token
    figure.update_layout(meta=meta)
    n_ticks = MOST_NARROW if frame.is_narrow else MOST_TOKENS_LABELLED
    ticks: dict[str, Any] = {"nticks": n_ticks, "tickfont": {"family": MONO, "size": 12}}
    # Categories, where other token axes have numbers: a heatmap's hover can name a token only through its axis.
    figure.update_xaxes(type="category", tickangle=-60, **ticks)
    figure.update_yaxes(type="category", **ticks)
    if shown.note:
        place = {"xref": "paper", "x": 1, "xanchor": "right", "yref": "paper", "y": 1, "yanchor": "bottom"}
        font = {"color": frame.colours.alarm, "size": 12}
        figure.add_annotation(text=shown.note, showarrow=False, font=font, yshift=8, **place)
    return figure


def _maps_of_bytes(shown: Square, names: Sequence[str], n_each: int, shade: Shade, frame: Frame) -> list[plot.Heatmap]:
    """What is pointed at, and the picture of the largest weight in each block of so many tokens a side."""
    ends: dict[str, Any] = {"zmin": 1, "zmax": BYTE_STEPS + 1, "showscale": False}
    clear = [(0, "rgba(0,0,0,0)"), (1, "rgba(0,0,0,0)")]
    sentence = _square_sentence(shown, is_pooled=False).replace("<extra>", ", within 1/255<extra>")
    over = plot.Heatmap(
        z=weight_bytes(shown.values),
        x=names,
        y=names,
        colorscale=clear,
        hoverongaps=False,
        hovertemplate=sentence,
        **ends,
    )
    middle = (n_each - 1) / 2
    picture = plot.Heatmap(
        z=weight_bytes(pattern_cells(shown.values, n_each)),
        x0=middle,
        y0=middle,
        dx=n_each,
        dy=n_each,
        colorscale=shaded(shade, frame),
        hoverinfo="skip",
        **ends,
    )
    return [over, picture]


def weight_bytes(weights: np.ndarray) -> np.ndarray:
    """Weights 0 to 1 as bytes, within 1/508: uint8 of the same shape, 1 + 254 w, and 0 where there is none (NaN).

    The future of a pattern is given as 0 weights or as NaN; either way a row's bytes sum to little, for in base64 a
    255 is slashes, and Plotly sends six characters for each of those.
    """
    steps = np.float32(BYTE_STEPS) * weights
    steps += 1.5  # rounded where it is cut
    steps[~(np.isfinite(weights) & np.tri(len(weights), dtype=bool))] = 0
    return steps.astype(np.uint8)


def square_detail(
    shown: Square, *, at: tuple[int, int], texts: Sequence[str], shade: Shade, frame: Frame
) -> plot.Figure:
    """Some rows and columns of a square around a query and a key, every token labelled, every weight exact.

    at: the first row and column that `shown.values` has of all.
    """
    n_row, n_column = shown.values.shape
    names = token_names(texts)
    rows, columns = names[at[0] : at[0] + n_row], names[at[1] : at[1] + n_column]
    low, high, scale = colours_of(shown, shown.values, shade, frame)
    heat = plot.Heatmap(
        z=shown.values,
        x=columns,
        y=rows,
        zmin=low,
        zmax=high,
        hoverongaps=False,
        hovertemplate=_square_sentence(shown, is_pooled=False),
        colorscale=scale,
        showscale=False,
    )
    summary = f"{_first_up(shown.quantity)} of {shown.where}, of {n_row} queries and {n_column} keys."
    cell = (NARROW_WIDTH - 48 if frame.is_narrow else WIDTH - 64) / max(n_row, n_column)
    height = round(min(LARGEST_CELL, cell) * n_row) + 140
    figure = framed(heat, frame=frame, height=height, summary=summary)
    if not frame.is_narrow:
        steps = np.nan_to_num((np.clip(shown.values, low, high) - low) / (high - low))
        shares = np.sqrt(steps) if shade == "root" and not shown.is_score else steps
        ends = frame.signed_scale if shown.is_score else frame.amount_scale
        numbers = [["" if np.isnan(value) else _in_cell(value) for value in row] for row in shown.values]
        texts_over = texts_on_cells(numbers, shares, ends)
        texts_over.x, texts_over.y = [columns[x] for x in texts_over.x], [rows[y] for y in texts_over.y]
        texts_over.textfont.size = 10
        figure.add_trace(texts_over)
    figure.update_layout(margin={"l": 48, "r": 8, "t": 8})
    meta = {"summary": summary, "n_tokens": len(texts), "first_row": at[0], "first_column": at[1]}
    figure.update_layout(meta=meta)
    ticks: dict[str, Any] = {"tickfont": {"family": MONO, "size": 12}, "type": "category", "showgrid": False}
    figure.update_xaxes(tickangle=-60, dtick=1, range=[-0.5, n_column - 0.5], automargin=True, **ticks)
    figure.update_yaxes(dtick=1, range=[n_row - 0.5, -0.5], automargin=True, **ticks)
    return figure


def colours_of(
    shown: Square, cells: np.ndarray, shade: Shade, frame: Frame
) -> tuple[float, float, list[tuple[float, str]]]:
    """The range and the scale of colours: 0 to 1 for weights, centred on 0 for scores."""
    if not shown.is_score:
        return 0.0, 1.0, shaded(shade, frame)
    finite = np.abs(cells[np.isfinite(cells)])
    limit = max(1e-6, float(finite.max())) if finite.size else 1.0
    return -limit, limit, frame.signed_scale


def token_bars(
    found: TokenAttention, top: Strongest, *, texts: Sequence[str], scale: Scale, frame: Frame
) -> plot.Figure:
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
    figure.update_xaxes(title_text=title, range=room_for_numbers(0.0, limit, left=136, frame=frame))
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


def pattern_cells(pattern: np.ndarray, n_each: int, *, is_signed: bool = False) -> np.ndarray:
    """A pattern for drawing, float32 [cell_query cell_key]: the largest weight in each block of so many tokens a side.

    NaN, which leaves a gap, where no query of the block can look. is_signed: scores, of which the largest by size is
    kept and the future is shown if it is there.
    """
    n_tokens = len(pattern)
    n_cells = -(-n_tokens // n_each)
    padded = np.full((n_cells * n_each, n_cells * n_each), np.nan, dtype=np.float32)
    padded[:n_tokens, :n_tokens] = pattern
    blocks = padded.reshape(n_cells, n_each, n_cells, n_each)
    # Without NaN: its warnings for a block that has nothing else would have to be hushed. An axis at a time is faster.
    highest = np.where(np.isnan(blocks), np.float32("-inf"), blocks).max(axis=1).max(axis=2)
    if is_signed:
        lowest = np.where(np.isnan(blocks), np.float32("inf"), blocks).min(axis=1).min(axis=2)
        cells = np.where(np.abs(lowest) > np.abs(highest), lowest, highest)
        return np.where(np.isfinite(cells), cells, np.float32("nan"))
    return np.where(np.tri(n_cells, dtype=bool) & np.isfinite(highest), highest, np.float32("nan"))


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


def _head_sentence(scores: KindScores, of: Head, name: HeadName | None, frame: Frame) -> str:
    place = of.layer, of.head
    called = f"<br>{name.words}" if name else ""
    return (
        f"layer {of.layer}, head {of.head}: entropy {frame.of_nats(scores.entropy_nats[place]):.2g} {frame.units},<br>"
        f"mean distance {scores.distance_tokens[place]:.2g} tokens,<br>"
        f"{weight(scores.first[place])} on the first token, {weight(scores.previous[place])} on the one before,<br>"
        f"{weight(scores.duplicate[place])} on earlier copies, {weight(scores.induction[place])} on what followed "
        f"them{called}"
    )


def _square_sentence(shown: Square, *, is_pooled: bool) -> str:
    if shown.is_score:
        pooled = "the largest by size, " if is_pooled else ""
        tokens = "tokens" if is_pooled else "token"
        return (
            f"{shown.where}:<br>query of {tokens} %{{y}}, key of {tokens} %{{x}},<br>"
            f"{pooled}{shown.quantity} %{{z:.3~g}}<extra></extra>"
        )
    end = f" {shown.unit}" if shown.unit else ""
    if is_pooled:
        verb = shown.verb.replace("s ", " ", 1)  # of several
        return f"{shown.where}:<br>tokens %{{y}} {verb} tokens %{{x}},<br>at most %{{z:.3~g}}{end}<extra></extra>"
    return f"{shown.where}:<br>token %{{y}} {shown.verb} token %{{x}}, %{{z:.3~g}}{end}<extra></extra>"


def _first_up(text: str) -> str:
    return text[0].upper() + text[1:]


def _in_cell(value: float) -> str:
    """A weight or a score where there is room for three characters: '.62', '0', '1', '−12'."""
    if abs(value) >= 0.995:
        return f"{value:.0f}".replace("-", "−")
    told = f"{value:.2f}".replace("-", "−").replace("0.", ".")
    return "0" if told in (".00", "−.00") else told


def _bar_of_scale(shade: Shade, frame: Frame) -> plot.Scatter:
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
    return plot.Scatter(x=[None], y=[None], mode="markers", marker=marker, hoverinfo="skip")


def _bar_of_scores(low: float, high: float, frame: Frame) -> plot.Scatter:
    """The colour bar of scores, which have a sign."""
    bar = _bar_of_scale("even", frame)
    marker = bar.marker
    marker.update(color=[0], cmin=low, cmax=high, colorscale=frame.signed_scale)
    ticks = {"tickvals": [low, 0, high], "ticktext": [f"−{high:.3g}", "0", f"{high:.3g}"]}
    marker.colorbar.update(title_text="scaled score, no unit", **ticks)
    return bar


def _square(figure: plot.Figure, down: tuple[str, int], across: tuple[str, int]) -> None:
    """Equal cells, the first in the upper left corner. down, across: an axis' title and how many cells it has."""
    figure.update_layout(margin={"l": 48, "r": 8, "t": 56})
    axis: dict[str, Any] = {"showgrid": False, "zeroline": False, "constrain": "domain"}
    figure.update_xaxes(
        title_text=across[0],
        title_standoff=8,
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
        **axis,
    )


def _bars(values: np.ndarray, *, start: int, hover: list[str], marker: dict[str, Any]) -> plot.Bar:
    """Horizontal bars from row `start` down, each with its weight at the end."""
    return plot.Bar(
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
