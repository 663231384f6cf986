"""Figures of the Embeddings page: vectors as rows of colour, as points of a map, and how alike they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from dashapp.analysis.embeddings import Dimensions, Similarity
from dashapp.figures import plot
from dashapp.figures.attention import block_names, token_names, tokens_a_cell
from dashapp.figures.space import Cloud, space
from dashapp.figures.theme import MONO, TEXT_SIZE, ColourScale, Frame, framed
from dashapp.figures.tokens import label, plain_label

Order = Literal["number", "variance"]

MOST_ROWS: Final = 256
MOST_COLUMNS, MOST_COLUMNS_NARROW = 800, 256  # about what the figure has pixels for; as float32 1.6 MB at most
WITHIN: Final = 0.995  # this share of the values lies within the colours
N_MARKED: Final = 3
EXACT_BELOW: Final = 480  # cells; from here on angles travel in whole degrees, for float32 may take more than 2 MB
N_CROPPED: Final = 40  # tokens that a square of a telephone's width shows readably
LINE, BAR_HEIGHT = 18, 56  # pixels: a line of marks, and a colour bar with its title and numbers
MAP_ROOM, MAP_ROOM_NARROW = (1000, 440), (290, 360)  # pixels for the points of a map, across and down
FLATTEST: Final = 0.4  # a map is at least so high for its width, and so wide for its height
SYMBOLS: Final = ("circle", "diamond")  # of the prompt, generated
MOST_SHADES: Final = 8  # tokens that can be told apart by colour
MOST_NAMES_IN_SPACE: Final = 60  # whether names meet depends on how a space is turned


# Vectors as rows of colour -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """A matrix small enough to draw. cells: float32 [row column], of each cell the value furthest from zero.

    n_down, n_across: how many tokens and dimensions are in a cell.
    """

    cells: np.ndarray
    n_down: int
    n_across: int


def pooled(values: np.ndarray, frame: Frame) -> Pooled:
    """Vectors [pos d_model] as cells that a figure of this width can show and a response can carry."""
    n_tokens, d_model = values.shape
    n_across = -(-d_model // (MOST_COLUMNS_NARROW if frame.is_narrow else MOST_COLUMNS))
    n_columns = -(-d_model // n_across)
    n_down = -(-n_tokens // MOST_ROWS)
    n_rows = -(-n_tokens // n_down)
    padded = np.zeros((n_rows * n_down, n_columns * n_across), dtype=np.float32)  # nothing is nearer to zero
    padded[:n_tokens, :d_model] = values
    blocks = padded.reshape(n_rows, n_down, n_columns, n_across).swapaxes(1, 2).reshape(n_rows, n_columns, -1)
    furthest = np.abs(blocks).argmax(axis=-1, keepdims=True)
    cells = np.take_along_axis(blocks, furthest, axis=-1)[..., 0]
    return Pooled(cells=cells, n_down=n_down, n_across=n_across)


def colour_limit(values: np.ndarray) -> float:
    """How far colours reach on both sides of zero: all but at most the largest 0.5% of |values|, and 1e-6 at least."""
    return max(float(np.quantile(np.abs(values), WITHIN, method="higher")), 1e-6)


def vector_rows(
    values: np.ndarray, measured: Dimensions, *, texts: Sequence[str], order: Order, frame: Frame
) -> plot.Figure:
    """Vectors [pos d_model], a token a row, a dimension a column; the largest dimensions have a mark on top."""
    n_tokens, d_model = values.shape
    columns = measured.by_variance if order == "variance" else np.arange(d_model)
    shown = pooled(values[:, columns], frame)
    limit = colour_limit(values)
    rows = _row_names(texts, shown.n_down)
    cells = plot.Heatmap(
        z=shown.cells,
        x=_column_names(columns, shown.n_across),
        y=rows,
        zmin=-limit,
        zmax=limit,
        zmid=0,
        colorscale=frame.signed_scale,
        colorbar=colour_bar("value", frame) | {"yanchor": "top", "ypad": 0},
        zhoverformat=".3g",
        hovertemplate=_cell_sentence(shown),
    )
    summary = f"The vectors of {n_tokens} tokens: a row a token, {d_model} dimensions across."
    height = max(160, min(16 * len(rows), 560))
    figure = framed(cells, frame=frame, height=height, summary=summary)
    figure.update_layout(meta={"summary": summary, "tokens_a_row": shown.n_down})  # for the browser's outline
    by = "dimension, most variable first" if order == "variance" else "dimension"
    axis: dict[str, Any] = {"type": "category", "showgrid": False, "zeroline": False, "automargin": True}
    figure.update_layout(margin={"l": 48, "r": 8, "b": 56})
    every = 2 ** math.ceil(
        math.log2(shown.cells.shape[1] / (6 if frame.is_narrow else 16))
    )  # models are made of powers
    figure.update_xaxes(title_text=by, dtick=max(1, every), tickangle=0, **axis)
    figure.update_yaxes(
        range=[len(rows) - 0.5, -0.5], nticks=min(len(rows), 40), tickfont={"family": MONO, "size": 12}, **axis
    )
    n_lines = _mark_largest(figure, measured, columns, n_across=shown.n_across, frame=frame)
    # Marks and colour bar have their room within the axes: a bar in a margin pushes it, and not the same at each draw.
    above = LINE * n_lines + BAR_HEIGHT
    figure.update_layout(height=height + above + 64)
    figure.update_yaxes(domain=[0, height / (height + above)])
    return figure


def _row_names(texts: Sequence[str], n_down: int) -> list[str]:
    if n_down == 1:
        return token_names(texts)
    starts = range(0, len(texts), n_down)
    return [f"{start}–{min(start + n_down, len(texts)) - 1}" for start in starts]


def _column_names(columns: np.ndarray, n_across: int) -> list[str]:
    """The numbers of the dimensions in each column: '138', or '138, 12' of two."""
    return [
        ", ".join(str(number) for number in columns[start : start + n_across])
        for start in range(0, len(columns), n_across)
    ]


def _cell_sentence(shown: Pooled) -> str:
    token = "token %{y}" if shown.n_down == 1 else "tokens %{y}"
    dimension = "dimension %{x}" if shown.n_across == 1 else "dimensions %{x}"
    is_exact = shown.n_down == shown.n_across == 1
    return f"{token}, {dimension}:<br>{'%{z}' if is_exact else '%{z} is the furthest from zero'}<extra></extra>"


def _mark_largest(
    figure: plot.Figure, measured: Dimensions, columns: np.ndarray, *, n_across: int, frame: Frame
) -> int:
    """A mark over each of the largest dimensions and its number above, a line higher where it would meet the last.

    Returns how many lines stand above the cells.
    """
    places = {int(number): place // n_across for place, number in enumerate(columns)}
    largest = sorted((int(number) for number in measured.largest(N_MARKED)), key=lambda number: places[number])
    room = len(columns) / n_across * (0.16 if frame.is_narrow else 0.06)
    before, line, most = -room, 0, 0
    for number in largest:
        place = places[number]
        line = line + 1 if place - before < room else 0
        before, most = place, max(most, line)
        figure.add_annotation(
            x=place,
            y=1,
            yref="y domain",
            yanchor="bottom",
            borderpad=0,
            showarrow=False,
            text="<br>".join([f"{number}", *["\N{NO-BREAK SPACE}"] * line, "▼"]),  # lines grow with text, pixels do not
            hovertext=f"dimension {number}: root mean square {measured.sizes[number]:.3g}",
        )
    return 2 + most


# Vectors as points ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Colouring:
    """What the colours of a map say. values: float64 [pos], NaN where there is nothing to say; hover: that in words.

    low, high: of the scale. ends: (value, what stands at it) on the bar.
    """

    title: str
    values: np.ndarray
    low: float
    high: float
    scale: ColourScale
    ends: tuple[tuple[float, str], ...]
    hover: Sequence[str]


def by_position(n_tokens: int, frame: Frame) -> Colouring:
    """From the first token to the last."""
    last = max(1, n_tokens - 1)
    return Colouring(
        title="position in the text",
        values=np.arange(n_tokens, dtype=np.float64),
        low=0,
        high=last,
        scale=frame.amount_scale,
        ends=((0, "first"), (last, "last")),
        hover=[""] * n_tokens,
    )


def by_part(n_tokens: int, n_prompt: int, frame: Frame) -> Colouring:
    """The prompt, and what was generated."""
    is_drawn = np.arange(n_tokens) >= n_prompt
    colours = frame.colours
    return Colouring(
        title="part of the text",
        values=is_drawn.astype(np.float64),
        low=0,
        high=1,
        scale=[(0.0, colours.slot_a), (0.5, colours.slot_a), (0.5, colours.slot_b), (1.0, colours.slot_b)],
        ends=((0.25, "prompt"), (0.75, "generated")),
        hover=[""] * n_tokens,
    )


def by_token(token_ids: np.ndarray, frame: Frame) -> Colouring:
    """The tokens that the text has most often, each in a shade of its own; those that stand in it once have none."""
    known, n_times = np.unique(token_ids, return_counts=True)
    often = [int(token) for token, n in zip(known, n_times, strict=True) if n > 1]
    often.sort(key=lambda token: -int(n_times[np.searchsorted(known, token)]))
    shown = often[:MOST_SHADES]
    place = {token: i for i, token in enumerate(shown)}
    times = {int(token): int(n) for token, n in zip(known, n_times, strict=True)}
    colours = frame.colours
    inks = [colours.paper, *_shades(frame)[: len(shown)]]
    n = len(inks)
    scale: ColourScale = []
    for i, ink in enumerate(inks):
        scale += [(i / n, ink), ((i + 1) / n, ink)]
    return Colouring(
        title="tokens that repeat",
        values=np.array([place.get(int(token), -1) for token in token_ids], dtype=np.float64),
        low=-1.5,
        high=n - 1.5,
        scale=scale,
        ends=((-1, "others"), *((len(shown) - 1, "least often") for _ in shown[:1])),
        hover=[f", {times[int(token)]} times in this text" if times[int(token)] > 1 else "" for token in token_ids],
    )


def by_likeness(cosines: np.ndarray, pos: int, frame: Frame) -> Colouring:
    """Cosine of each token's vector with the selected one's [pos], −1 to 1."""
    said = [f", cosine {cosine:.3f} with token {pos}" if np.isfinite(cosine) else ", no cosine" for cosine in cosines]
    return Colouring(
        title=f"cosine with token {pos}",
        values=np.nan_to_num(cosines.astype(np.float64)),
        low=-1,
        high=1,
        scale=frame.signed_scale,
        ends=((-1, "−1"), (0, "0"), (1, "1")),
        hover=[text.replace("-", "−") for text in said],
    )


def _shades(frame: Frame) -> list[str]:
    """Colours that can be told apart beside each other, the darkest first."""
    colours = frame.colours
    ends = (colours.slot_a, colours.slot_b, colours.ink, colours.amount)
    return [*ends, *(_mixed(ink, colours.paper, 0.5) for ink in ends)]


def vector_map(
    points: np.ndarray,
    *,
    texts: Sequence[str],
    n_prompt: int,
    axes: tuple[str, ...],
    colouring: Colouring,
    revision: str,
    frame: Frame,
) -> plot.Figure:
    """Points [pos 2] or [pos 3], NaN for a token that is not placed; circles of the prompt, diamonds generated.

    axes: what stands at them. revision: names what is mapped; while it stays the same, a redrawn map keeps its zoom,
    or how it was turned.
    """
    n_tokens = len(points)
    parts = [
        (np.arange(start, end), symbol)
        for start, end, symbol in ((0, n_prompt, SYMBOLS[0]), (n_prompt, n_tokens, SYMBOLS[1]))
        if end > start
    ]
    if len(axes) == 3:
        return _space(points, parts, texts=texts, axes=axes, colouring=colouring, revision=revision, frame=frame)
    is_named = with_room_for_names(points, texts, frame)
    drawn = [
        _points(points, which, texts=texts, is_named=is_named, symbol=symbol, colouring=colouring, frame=frame)
        for which, symbol in parts
    ]
    drawn[0].marker.update(showscale=True, colorbar=_bar_of(colouring, frame))
    summary = f"A map of {n_tokens} tokens: {axes[0]} across, {axes[1]} up."
    centre, half = map_shape(points)
    across, down = MAP_ROOM_NARROW if frame.is_narrow else MAP_ROOM
    height = round(min(down, across * half[1] / half[0]))
    figure = framed(*drawn, frame=frame, height=height + BAR_HEIGHT + 48, summary=summary)
    figure.update_layout(uirevision=revision, hovermode="closest", margin={"t": 16, "r": 8})  # the bar adds its own
    ranges = np.stack([centre - half, centre + half], axis=1).tolist()
    axis: dict[str, Any] = {"zeroline": False, "constrain": "domain"}
    figure.update_xaxes(title_text=axes[0], range=ranges[0], constraintoward="left", **axis)
    figure.update_yaxes(title_text=axes[1], range=ranges[1], constraintoward="top", **axis)
    figure.update_yaxes(scaleanchor="x", scaleratio=1)  # distances are distances
    return figure


def _space(
    points: np.ndarray,
    parts: Sequence[tuple[np.ndarray, str]],
    *,
    texts: Sequence[str],
    axes: tuple[str, str, str],
    colouring: Colouring,
    revision: str,
    frame: Frame,
) -> plot.Figure:
    is_named = len(points) <= MOST_NAMES_IN_SPACE  # WebGL texts know tags and no way to write one as text
    clouds = [
        Cloud(
            which=which,
            symbol=symbol,
            marker=_marker(colouring, which, size=6 if len(points) <= 200 else 4, frame=frame),
            names=[plain_label(texts[pos], longest=10) if is_named and "<" not in texts[pos] else "" for pos in which],
            hover=_hovers(which, texts, symbol, colouring),
        )
        for which, symbol in parts
    ]
    summary = f"A space of {len(points)} tokens: {axes[0]}, {axes[1]} and {axes[2]}."
    figure = space(points, clouds, axes=axes, summary=summary, revision=revision, frame=frame)
    figure.data[0].marker.update(showscale=True, colorbar=_bar_of(colouring, frame))
    return figure


def _marker(colouring: Colouring, which: np.ndarray, *, size: int, frame: Frame) -> dict[str, Any]:
    return {
        "size": size,
        "color": colouring.values[which].tolist(),
        "cmin": colouring.low,
        "cmax": colouring.high,
        "colorscale": colouring.scale,
        "line": {"color": frame.colours.edge, "width": 1},
    }


def _hovers(which: np.ndarray, texts: Sequence[str], symbol: str, colouring: Colouring) -> list[str]:
    part = "generated" if symbol == SYMBOLS[1] else "of the prompt"
    return [f"token {pos} ‘{label(texts[pos])}’, {part}{colouring.hover[pos]}" for pos in which]


def _bar_of(colouring: Colouring, frame: Frame) -> dict[str, Any]:
    bar = colour_bar(colouring.title, frame) | {"x": 0, "xanchor": "left"}  # a map may not fill the width
    values, names = [value for value, _ in colouring.ends], [name for _, name in colouring.ends]
    return bar | {"tickvals": values, "ticktext": names, "outlinecolor": frame.colours.edge}


def map_shape(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle of points [pos 2] and how far a map of them reaches from it, across and up: float64 [2] each."""
    low, high = np.nanmin(points, axis=0).astype(np.float64), np.nanmax(points, axis=0).astype(np.float64)
    half = 1.15 * (high - low) / 2  # marks and names need room at the edges
    return (low + high) / 2, np.maximum(half, FLATTEST * half.max()) if half.max() else np.ones(2)


def _points(
    points: np.ndarray,
    which: np.ndarray,
    *,
    texts: Sequence[str],
    is_named: np.ndarray,
    symbol: str,
    colouring: Colouring,
    frame: Frame,
) -> plot.Scatter:
    marker = _marker(colouring, which, size=11 if len(points) <= 200 else 8, frame=frame)
    return plot.Scatter(
        x=points[which, 0].tolist(),  # lists, for the browser looks a token's place up in them
        y=points[which, 1].tolist(),
        mode="markers+text",
        marker={**marker, "symbol": symbol},
        customdata=which.tolist(),
        text=[label(texts[pos], longest=10) if is_named[pos] else "" for pos in which],
        textposition="top center",
        textfont={"family": MONO, "size": 12},
        hovertext=_hovers(which, texts, symbol, colouring),
        hoverinfo="text",
    )


def with_room_for_names(points: np.ndarray, texts: Sequence[str], frame: Frame) -> np.ndarray:
    """Which points can have their token above them without it lying on a name or a point: bool [pos].

    Earlier tokens first. Counted in pixels, which are known about: the figure may be somewhat wider or narrower.
    """
    width, height = (0.87 * room for room in (MAP_ROOM_NARROW if frame.is_narrow else MAP_ROOM))  # without the edges
    spread = np.nanmax(points, axis=0) - np.nanmin(points, axis=0)
    centres = points * min(width / max(spread[0], 1e-9), height / max(spread[1], 1e-9))
    halves = np.array([4 * (1 + len(label(text, longest=10))) for text in texts])  # 8 pixels a character
    is_named = np.zeros(len(points), dtype=bool)
    for pos in range(len(points)):
        apart, above = np.abs(centres[:, 0] - centres[pos, 0]), centres[:, 1] - centres[pos, 1]
        on_name = (apart[is_named] < halves[is_named] + halves[pos]) & (np.abs(above[is_named]) < 16)
        on_point = (apart < halves[pos]) & (above > 3) & (above < 24)
        is_named[pos] = np.isfinite(above[pos]) and not on_name.any() and not on_point.any()
    return is_named


# Vectors against each other ------------------------------------------------------------------------------------------


def similarity_square(
    found: Similarity, *, texts: Sequence[str], frame: Frame, of: Literal["token", "position"] = "token"
) -> plot.Figure:
    """Cosine of each token's vector with each, −1 to 1, a token a row and a column; of many tokens some to a cell.

    of: what they are called; positions have no text.
    """
    n_tokens = len(texts)
    n_each = tokens_a_cell(n_tokens)
    names = block_names(texts, n_each)
    cosines = furthest_of_blocks(found.cosines, n_each)
    is_exact = len(names) < EXACT_BELOW
    cells = plot.Heatmap(
        z=cosines if is_exact else degree_cells(cosines),
        x=names,
        y=names,
        zmin=-1 if is_exact else 0,
        zmax=1 if is_exact else 180,
        hoverongaps=False,
        colorscale=frame.signed_scale if is_exact else degree_scale(frame),
        showscale=False,
        hovertemplate=_similarity_sentence(of, is_exact=is_exact, is_pooled=n_each > 1),
    )
    summary = f"The cosine similarity of the vectors of {n_tokens} {of}s, each with each."
    side = min(84 * n_tokens, 270 if frame.is_narrow else 640)
    figure = framed(cells, _bar_of_cosines(frame), frame=frame, height=max(120, side) + 160, summary=summary)
    # Compared, the colours of two squares stay as they are: their bounds are natural, in degrees or not.
    meta: dict[str, Any] = {"summary": summary, "shared": [], "tokens_a_row": n_each}
    if frame.is_narrow and n_tokens > N_CROPPED:
        meta["cropped"] = N_CROPPED  # the browser knows the selected token
    axis: dict[str, Any] = {
        "type": "category",
        "showgrid": False,
        "zeroline": False,
        "constrain": "domain",
        "nticks": 16 if frame.is_narrow else 40,
        "tickfont": {"family": MONO, "size": 12},
    }
    # Not Plotly's automatic margins: with them a square changes its size, its labels, and so its margins without end.
    label = 7.3 * max(map(len, names))  # pixels
    figure.update_layout(meta=meta, margin={"l": 12 + label, "r": 8, "t": 56, "b": 12 + 0.87 * label})
    figure.update_xaxes(range=[-0.5, len(names) - 0.5], constraintoward="left", tickangle=-60, **axis)
    figure.update_yaxes(range=[len(names) - 0.5, -0.5], scaleanchor="x", scaleratio=1, constraintoward="top", **axis)
    return figure


def furthest_of_blocks(cosines: np.ndarray, n_each: int) -> np.ndarray:
    """Of each block of so many tokens a side the cosine furthest from 0: float32 [cell cell]; NaN for none."""
    if n_each == 1:
        return cosines
    n_tokens = len(cosines)
    n_cells = -(-n_tokens // n_each)
    padded = np.full((n_cells * n_each, n_cells * n_each), np.nan, dtype=np.float32)
    padded[:n_tokens, :n_tokens] = cosines
    blocks = padded.reshape(n_cells, n_each, n_cells, n_each).swapaxes(1, 2).reshape(n_cells, n_cells, -1)
    furthest = np.nan_to_num(np.abs(blocks), nan=-1.0).argmax(axis=-1, keepdims=True)
    return np.take_along_axis(blocks, furthest, axis=-1)[..., 0]


def degree_cells(cosines: np.ndarray) -> np.ndarray:
    """Cosines for drawing, as angles in whole degrees, 0..180, so at most half a degree off; 90 where there is none.

    Bytes from −127 to 127 would do as well, but in base64 those just below zero are slashes, and Plotly sends six
    characters for each.
    """
    degrees: np.ndarray = np.rint(np.degrees(np.arccos(np.nan_to_num(cosines)))).astype(np.uint8)
    return degrees


def degree_scale(frame: Frame) -> ColourScale:
    """The colours of cosines by their angle: the same for 60° as `signed_scale` has for 0.5."""
    colours = frame.colours
    scale = []
    for degrees in range(0, 181, 10):
        cosine = math.cos(math.radians(degrees))
        scale.append(
            (degrees / 180, _mixed(colours.paper, colours.slot_a if cosine > 0 else colours.slot_b, abs(cosine)))
        )
    return scale


def _mixed(one: str, other: str, share: float) -> str:
    """A colour so far from one to another, each '#rrggbb'."""
    channels = [np.array(list(bytes.fromhex(colour[1:]))) for colour in (one, other)]
    red, green, blue = np.rint(channels[0] + share * (channels[1] - channels[0])).astype(int)
    return f"rgb({red}, {green}, {blue})"


def _similarity_sentence(of: str, *, is_exact: bool, is_pooled: bool) -> str:
    value = "cosine %{z:.3f}" if is_exact else "%{z}° apart, within half a degree"
    if is_pooled:
        return f"{of}s %{{y}} and {of}s %{{x}}:<br>furthest from a right angle: {value}<extra></extra>"
    return f"{of} %{{y}} and {of} %{{x}}:<br>{value}<extra></extra>"


def _bar_of_cosines(frame: Frame) -> plot.Scatter:
    """The colour bar, alone: cells in degrees have another."""
    bar = colour_bar("cosine", frame) | {"x": 0, "xanchor": "left"}  # the square does not fill the width
    marker = {
        "color": [0],
        "cmin": -1,
        "cmax": 1,
        "colorscale": frame.signed_scale,
        "showscale": True,
        "colorbar": bar | {"tickvals": [-1, 0, 1], "ticktext": ["−1", "0", "1"]},
    }
    return plot.Scatter(x=[None], y=[None], mode="markers", marker=marker, hoverinfo="skip")


def colour_bar(title: str, frame: Frame) -> dict[str, Any]:
    """A short bar above the figure."""
    return {
        "orientation": "h",
        "thickness": 8,
        "len": 160,
        "lenmode": "pixels",
        "x": 1,
        "xanchor": "right",
        "y": 1,
        "yanchor": "bottom",
        "ypad": 4,
        "title": {"text": title, "side": "top", "font": {"color": frame.colours.muted, "size": TEXT_SIZE - 2}},
        "outlinewidth": 1,
        "outlinecolor": frame.colours.edge,
        "tickfont": {"color": frame.colours.ink},
        "nticks": 4,
    }
