"""Maps of activation patching: what each patch moved, by layer and token, layer and head, or head and token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from dashapp.figures import plot
from dashapp.figures.cells import ABOVE, bar_above, say_above, texts_on_cells
from dashapp.figures.theme import MONO, TEXT_SIZE, ColourScale, Frame, framed
from dashapp.figures.tokens import label, ticks

Across = Literal["token", "head"]
Beside = tuple[str, np.ndarray]  # what the numbers are, in words, and one for each cell

ROW: Final = 26  # pixels
MOST_TOLD: Final = 6000  # cells with a sentence each; more would weigh a megabyte
MOST_NUMBERED: Final = 16  # columns with room for a number in each cell
MOST_ACROSS: Final = 32  # tokens beside each other on a telephone; the rest is a drag away


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """What a map's cells are. rows: "layer" or "head". texts: the tokens across, None where heads are.

    layer: of a map of one layer's heads. slot: of the prompt whose tokens these are, the one that is patched. refused:
    columns of tokens without a counterpart; so: what follows from that. unit: of the colours, in words.
    """

    rows: Literal["layer", "head"]
    texts: Sequence[str] | None
    slot: Literal["a", "b"]
    unit: str
    refused: Sequence[int] = ()
    layer: int | None = None
    so: str = ": nothing can take its place"


def effect_map(
    effects: np.ndarray | None,
    shown: MapOf,
    shape: tuple[int, int],
    *,
    beside: Beside | None = None,
    frame: Frame,
) -> plot.Figure:
    """What each patch moved: float64 [row column] as cells, None before anything is computed; a cell is a patch.

    beside: what to say of each in its hover besides.
    Blue moves towards prompt a, orange towards b; the colours are centred on 0 and reach at least as far as 1, the
    whole way from one run to the other.
    """
    n_row, n_column = shape
    limit = 1.0 if effects is None else max(1.0, float(np.nanmax(np.abs(effects), initial=0.0)))
    cells = np.full(shape, np.nan) if effects is None else effects
    scale = towards(shown.slot, frame)
    heat = plot.Heatmap(
        z=cells,
        zmin=-limit,
        zmax=limit,
        zmid=0,
        colorscale=scale,
        xgap=1 if n_column <= 128 else 0,
        ygap=1,
        hoverongaps=False,
        colorbar=bar_above(0.4, frame),
        **_hover(cells, shown, beside),
    )
    figure = framed(heat, frame=frame, height=ROW * n_row + ABOVE + 48, summary=_summary(effects, shown))
    if effects is not None and n_column <= MOST_NUMBERED and not frame.is_narrow:
        _number(figure, effects, limit, scale)
    if len(shown.refused):
        figure.add_trace(crosses(shown, n_row, frame))
    label_cells(figure, shown, shape, frame)
    meta = {"cells": list(shape), "slot": shown.slot, "layer": shown.layer, "marks": _marks(shown)}
    figure.update_layout(meta={**figure.layout.meta, **meta}, hovermode="closest")
    return figure


def towards(slot: Literal["a", "b"], frame: Frame) -> ColourScale:
    """Colours of effects on a prompt: the other prompt's colour at 1."""
    colours = [colour for _place, colour in frame.signed_scale]
    ordered = colours if slot == "b" else colours[::-1]
    return [(0.0, ordered[0]), (0.5, ordered[1]), (1.0, ordered[2])]


def signed(value: float) -> str:
    """A number with its sign and two decimals, the minus a true one."""
    return f"{value:+.2f}".replace("-", "−")


def _marks(shown: MapOf) -> str:
    if shown.texts is None:
        return "head"
    return "layer_pos" if shown.rows == "layer" else "head_pos"


def _hover(cells: np.ndarray, shown: MapOf, beside: Beside | None) -> dict[str, Any]:
    if cells.size > MOST_TOLD:
        return {"hovertemplate": f"{shown.rows} %{{y}}, token %{{x}}: moves %{{z:+.2f}}<extra></extra>"}
    guesses = np.full(cells.shape, "", dtype=object)
    if beside is not None:
        says, values = beside
        guesses[:] = [[f" ({says} {signed(value)})" for value in row] for row in values]
    sentences = [
        [
            f"{shown.rows} {row}, {_named(column, shown)}: moves {signed(value)}{guesses[row, column]}"
            for column, value in enumerate(values)
        ]
        for row, values in enumerate(cells)
    ]
    return {"text": sentences, "hoverinfo": "text"}


def _named(column: int, shown: MapOf) -> str:
    return f"head {column}" if shown.texts is None else f"token {column} ‘{label(shown.texts[column])}’"


def _number(figure: plot.Figure, effects: np.ndarray, limit: float, scale: ColourScale) -> None:
    known = np.nan_to_num(effects)
    numbers = [["" if np.isnan(value) else signed(value) for value in row] for row in effects]
    figure.add_trace(texts_on_cells(numbers, 0.5 + known / limit / 2, scale))


def crosses(shown: MapOf, n_row: int, frame: Frame) -> plot.Scatter:
    """A cross in each cell of a token without a counterpart, with the reason on hover."""
    assert shown.texts is not None, "heads are never refused"
    other = "b" if shown.slot == "a" else "a"
    return plot.Scatter(
        x=np.tile(np.asarray(shown.refused), n_row),
        y=np.repeat(np.arange(n_row), len(shown.refused)),
        mode="markers",
        marker={"symbol": "x-thin", "size": 7, "line": {"width": 1, "color": frame.colours.edge}},
        hovertemplate=f"token %{{x}} has no counterpart in {other}{shown.so}<extra></extra>",
    )


def label_cells(figure: plot.Figure, shown: MapOf, shape: tuple[int, int], frame: Frame) -> None:
    """Axes of a map and what its colours are; of tokens as many labels as have room."""
    n_row, n_column = shape
    say_above(figure, shown.unit, frame)
    figure.update_layout(margin={"l": 64, "r": 8, "t": ABOVE})
    figure.update_yaxes(range=[n_row - 0.5, -0.5], dtick=1 if n_row <= 24 else 4, tick0=0, showgrid=False)
    figure.update_yaxes(zeroline=False, tickprefix=f"{shown.rows} ", showtickprefix="last")
    figure.update_xaxes(showgrid=False, zeroline=False, range=[-0.5, n_column - 0.5])
    if shown.texts is None:
        figure.update_xaxes(dtick=1 if n_column <= 12 else 4, tick0=0, tickprefix="head ", showtickprefix="first")
        return
    visible = shown.texts[:MOST_ACROSS] if frame.is_narrow else shown.texts
    step = ticks(visible, is_narrow=frame.is_narrow)[0]
    width = step[1] if len(step) > 1 else 1
    places = list(range(0, n_column, width))
    labels = [label(shown.texts[place]) for place in places]
    below = round(24 + 6.5 * max(len(each) for each in labels))
    font = {"family": MONO, "size": TEXT_SIZE - 2}
    figure.update_xaxes(tickvals=places, ticktext=labels, tickangle=-60, tickfont=font)
    figure.update_xaxes(range=[-0.5, min(n_column, MOST_ACROSS if frame.is_narrow else n_column) - 0.5])
    figure.update_layout(margin={"b": below}, height=ROW * n_row + ABOVE + below)


def _summary(effects: np.ndarray | None, shown: MapOf) -> str:
    columns = "heads" if shown.texts is None else "tokens"
    if effects is None:
        return f"An empty map of {shown.rows}s and {columns}: nothing is patched yet."
    return f"What a patch moves, by {shown.rows}s and {columns}: at most {signed(float(np.nanmax(effects)))}."
