"""A difference of two tables as a figure: bars, or a map, its colours centred on zero; blue is more in a."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np

from dashapp.analysis.table import Table
from dashapp.figures import plot
from dashapp.figures.cells import bar_above
from dashapp.figures.heads import ScoreMap, score_maps
from dashapp.figures.theme import MONO, Frame, framed
from dashapp.figures.token_map import MOST_TALL, Axis, token_axis, token_map
from dashapp.figures.tokens import label, ticks

HEIGHT: Final = 320
ROW: Final = 22  # pixels of a row of a map
TALLEST: Final = 560
MOST_CELLS: Final = 250_000  # of a map: 1.3 MB
MOST_ALONG: Final = 24  # labels under bars of other places than tokens


def difference_figure(table: Table, *, texts: Sequence[str], is_of_tokens: Sequence[bool], frame: Frame) -> plot.Figure:
    """a − b at each place: bars for one axis, a map for two, of layers and heads as all such maps.

    texts: of a. is_of_tokens: of each axis, whether its places are a's tokens. Raises: ValueError for other numbers of
    axes.
    """
    if [*table.axes] == ["layer", "head"] and not np.isnan(table.values).any():  # a model of another shape leaves gaps
        limit = _limit(table.values)
        maps = [ScoreMap(title="a − b", values=table.values)]
        figure = score_maps(maps, low=-limit, high=limit, frame=frame)
        marks = "head"
    elif table.values.ndim == 1:
        figure = _bars(table, texts if is_of_tokens[0] else None, frame)
        marks = "pos" if is_of_tokens[0] else "none"
    elif table.values.ndim == 2:
        figure, marks = _map(table, texts, is_of_tokens, frame), "none"
    else:
        raise ValueError(f"a difference along {table.values.ndim} axes is not drawn")
    figure.update_layout(meta={**figure.layout.meta, "slot": "a", "marks": marks})
    return figure


def _limit(values: np.ndarray) -> float:
    return max(1e-9, float(np.nanmax(np.abs(values), initial=0.0)))


def _bars(table: Table, texts: Sequence[str] | None, frame: Frame) -> plot.Figure:
    own = [escape(each, quote=False) for each in next(iter(table.axes.values()))]
    labels = own if texts is None else [label(text) for text in texts[: len(own)]]
    colours = [frame.colours.slot_a if value >= 0 else frame.colours.slot_b for value in np.nan_to_num(table.values)]
    names = labels if texts is None else [f"token {pos} ‘{each}’" for pos, each in enumerate(labels)]
    sentences = [
        f"{name}: {'not in b' if np.isnan(value) else f'{value:+.4g}'}"
        for name, value in zip(names, table.values, strict=True)
    ]
    bars = plot.Bar(
        x=list(range(len(labels))),
        y=np.nan_to_num(table.values),
        marker={"color": colours, "line": {"width": 0}},
        hovertext=sentences,
        hoverinfo="text",
    )
    figure = framed(bars, frame=frame, height=HEIGHT, summary=f"a − b: {table.quantity}, {len(labels)} places.")
    if texts is None:
        step = -(-len(labels) // MOST_ALONG)
        places, under = list(range(0, len(labels), step)), labels[::step]
    else:
        places, under = ticks(texts[: len(labels)], is_narrow=frame.is_narrow)
    reach = 1.1 * _limit(table.values)
    figure.update_xaxes(tickvals=places, ticktext=under, tickangle=-60, tickfont={"family": MONO, "size": 12})
    figure.update_xaxes(range=[-0.5, max(len(labels), 8) - 0.5], showgrid=False, zeroline=False)
    figure.update_yaxes(title_text="a − b", range=[-reach, reach], zeroline=True, zerolinecolor=frame.colours.edge)
    return figure.update_layout(margin={"b": 88, "l": 64}, bargap=0.15, hovermode="closest")


def block_of(table: Table) -> int:
    """Of how many rows, and columns, a cell of a map is: 1, or more where cells would weigh megabytes."""
    return 1 if table.values.ndim < 2 else max(1, math.ceil(math.sqrt(table.values.size / MOST_CELLS)))


def _map(table: Table, texts: Sequence[str], is_of_tokens: Sequence[bool], frame: Frame) -> plot.Figure:
    block = block_of(table)
    axes = [
        _thinned(token_axis(texts[: len(labels)], frame) if is_tokens else _axis(name, labels), block)
        for (name, labels), is_tokens in zip(table.axes.items(), is_of_tokens, strict=True)
    ]
    limit = _limit(table.values)
    heat = plot.Heatmap(
        z=_largest(table.values, block).astype(np.float32),
        zmin=-limit,
        zmax=limit,
        zmid=0,
        colorscale=frame.signed_scale,
        hoverongaps=False,
        colorbar=bar_above(0.4, frame),
        hovertemplate="%{y}, %{x}: %{z:+.4g}<extra></extra>",
    )
    n_row, n_column = heat.z.shape
    height = min(TALLEST, max(200, ROW * n_row))
    summary = f"a − b: {table.quantity}, {n_row} by {n_column} cells."
    figure = token_map([heat], across=axes[1], rows=axes[0], frame=frame, summary=summary, height=height)
    figure.update_layout(margin_t=64, height=figure.layout.height + 56)
    is_upwards = next(iter(table.axes)) == "point"  # of the stream, as in all figures of it
    return figure.update_yaxes(range=[-0.5, n_row - 0.5] if is_upwards else [n_row - 0.5, -0.5])


def _largest(values: np.ndarray, block: int) -> np.ndarray:
    """Of each block of rows and columns the value furthest from 0; NaN where there is none."""
    if block == 1:
        return values
    n_row, n_column = (-(-n // block) for n in values.shape)
    padded = np.full((n_row * block, n_column * block), np.nan)
    padded[: values.shape[0], : values.shape[1]] = values
    blocks = padded.reshape(n_row, block, n_column, block).transpose(0, 2, 1, 3).reshape(n_row, n_column, -1)
    furthest = np.abs(np.nan_to_num(blocks)).argmax(axis=-1)
    found = np.take_along_axis(blocks, furthest[..., None], axis=-1)[..., 0]
    known: np.ndarray = np.where(np.isnan(blocks).all(axis=-1), np.nan, np.nan_to_num(found))
    return known


def _thinned(axis: Axis, block: int) -> Axis:
    """An axis of blocks: each is called by its first place."""
    if block == 1:
        return axis
    n = -(-len(axis.names) // block)
    names = [f"from {name}" for name in axis.names[::block]]
    places = [place // block for place in axis.places]
    return Axis(axis.title, names, [place for place in places if place < n], axis.labels)


def _axis(name: str, labels: Sequence[str]) -> Axis:
    step = -(-len(labels) // MOST_TALL)
    shown = [escape(each, quote=False) for each in labels]
    names = [f"{name} {each}" if each.isdigit() else each for each in shown]
    return Axis(name, names, list(range(0, len(labels), step)), shown[::step])
