"""Figures of head scores: one score of every head as maps side by side, and all scores of some heads as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dashapp.analysis.attention import Head
from dashapp.figures import plot
from dashapp.figures.cells import ABOVE, texts_on_cells
from dashapp.figures.theme import Frame, framed

GAP: Final = 1  # a cell between two maps
CELL: Final = 34  # pixels of a cell of a map
ROW: Final = 24  # pixels of a row of the table
MOST_NUMBERED: Final = 13  # heads across with room for a number each, in two maps beside each other


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreMap:
    """A score of every head: title over its map; values: float [layer head]; unit: after a number in its hover."""

    title: str
    values: np.ndarray
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the table. values: float [row]; most: the value with the deepest colour."""

    title: str
    values: np.ndarray
    most: float
    unit: str = ""


def score_maps(maps: Sequence[ScoreMap], *, low: float, high: float, frame: Frame) -> plot.Figure:
    """Maps of layers down and heads across, in one range of colours; below each other on a telephone.

    low: 0 for amounts, −high for what has a sign.
    """
    n_layer, n_head = maps[0].values.shape
    is_down = frame.is_narrow
    n_row, n_column = _extent(len(maps), n_layer, n_head, is_down=is_down)
    values = np.full((n_row, n_column), np.nan)
    cells: list[list[list[int] | None]] = [[None] * n_column for _ in range(n_row)]
    hover = [[""] * n_column for _ in range(n_row)]
    for place, each in enumerate(maps):
        top, left = _corner(place, n_layer, n_head, is_down=is_down)
        values[top : top + n_layer, left : left + n_head] = each.values
        for layer, head in np.ndindex(n_layer, n_head):
            cells[top + layer][left + head] = [layer, head]
            number = _number(float(each.values[layer, head]))
            hover[top + layer][left + head] = f"{each.title}:<br>layer {layer}, head {head}, {number}{each.unit}"
    scale = frame.signed_scale if low < 0 else frame.amount_scale
    heat = plot.Heatmap(
        z=values,
        customdata=cells,
        text=hover,
        hoverinfo="text",
        hoverongaps=False,
        zmin=low,
        zmax=high,
        colorscale=scale,
        xgap=1,
        ygap=1,
        showscale=False,
    )
    summary = f"{' and '.join(each.title for each in maps)} of {n_layer} × {n_head} heads."
    cell = CELL if n_head <= MOST_NUMBERED else CELL // 2
    figure = framed(heat, frame=frame, height=cell * n_row + ABOVE + 24, summary=summary)
    if n_head <= MOST_NUMBERED and not frame.is_narrow:
        numbers = [["" if np.isnan(value) else _short(value) for value in row] for row in values]
        shares = np.nan_to_num((values - low) / max(high - low, 1e-12))
        figure.add_trace(texts_on_cells(numbers, shares, scale))
    for place, each in enumerate(maps):
        top, left = _corner(place, n_layer, n_head, is_down=is_down)
        said = {"x": left - 0.5, "y": top - 0.5, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
        figure.add_annotation(text=each.title, font_color=frame.colours.muted, yshift=4, **said)
    figure.update_layout(margin={"l": 64, "r": 8, "t": 32, "b": 40}, hovermode="closest")
    plain: dict[str, Any] = {"showgrid": False, "zeroline": False}
    step = 1 if n_head <= MOST_NUMBERED else 4
    lefts = [0] if is_down else [_corner(place, n_layer, n_head, is_down=False)[1] for place in range(len(maps))]
    tops = [_corner(place, n_layer, n_head, is_down=True)[0] for place in range(len(maps))] if is_down else [0]
    heads, layers = list(range(0, n_head, step)), list(range(0, n_layer, 1 if n_layer <= 24 else 4))
    figure.update_xaxes(
        range=[-0.5, n_column - 0.5],
        tickvals=[left + head for left in lefts for head in heads],
        ticktext=[f"head {head}" if head == 0 else str(head) for _ in lefts for head in heads],
        tickangle=0,
        **plain,
    )
    figure.update_yaxes(
        range=[n_row - 0.5, -0.5],
        tickvals=[top + layer for top in tops for layer in layers],
        ticktext=[f"layer {layer}" if layer == 0 else str(layer) for _ in tops for layer in layers],
        **plain,
    )
    return figure


def score_table(
    heads: Sequence[Head], titles: Sequence[str], columns: Sequence[Column], *, frame: Frame
) -> plot.Figure:
    """A row a head with its title, a column a score; each number on a colour that grows with it in its column."""
    shares = np.stack([np.clip(each.values / max(each.most, 1e-12), 0, 1) for each in columns], axis=1)
    hover = [
        [f"{titles[row]}:<br>{each.title}, {_number(each.values[row])}{each.unit}" for each in columns]
        for row in range(len(heads))
    ]
    heat = plot.Heatmap(
        z=shares,
        customdata=[[[of.layer, of.head]] * len(columns) for of in heads],
        text=hover,
        hoverinfo="text",
        zmin=0,
        zmax=1,
        colorscale=frame.amount_scale,
        xgap=1,
        ygap=1,
        showscale=False,
    )
    summary = f"{len(columns)} scores of {len(heads)} heads, a row a head."
    figure = framed(heat, frame=frame, height=ROW * len(heads) + 148, summary=summary)
    if not frame.is_narrow:
        numbers = [[_short(each.values[row]) for each in columns] for row in range(len(heads))]
        figure.add_trace(texts_on_cells(numbers, shares, frame.amount_scale))
    plain: dict[str, Any] = {"showgrid": False, "zeroline": False}
    figure.update_layout(margin={"l": 72, "r": 8, "t": 132, "b": 8}, hovermode="closest")
    figure.update_xaxes(
        range=[-0.5, len(columns) - 0.5],
        tickvals=list(range(len(columns))),
        ticktext=[each.title for each in columns],
        tickangle=-60,
        side="top",
        **plain,
    )
    figure.update_yaxes(
        range=[len(heads) - 0.5, -0.5], tickvals=list(range(len(heads))), ticktext=list(titles), **plain
    )
    return figure


def _extent(n_maps: int, n_layer: int, n_head: int, *, is_down: bool) -> tuple[int, int]:
    if is_down:
        return n_maps * n_layer + (n_maps - 1) * 2 * GAP, n_head
    return n_layer, n_maps * n_head + (n_maps - 1) * GAP


def _corner(place: int, n_layer: int, n_head: int, *, is_down: bool) -> tuple[int, int]:
    """The upper left cell of a map."""
    return (place * (n_layer + 2 * GAP), 0) if is_down else (0, place * (n_head + GAP))


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _short(value: float) -> str:
    """For a cell: '.62', '−.10', '1', '14'."""
    told = f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"
    return told.replace("-0.", "−.").replace("-", "−").removeprefix("0") if abs(value) < 1 else told.replace("-", "−")
