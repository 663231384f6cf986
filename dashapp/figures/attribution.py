"""Figures of direct logit attribution: all parts as bars in the order of the computation, and every head as a cell."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from dashapp.analysis.attribution import Attribution
from dashapp.figures import plot
from dashapp.figures.cells import ABOVE, bar_above, say_above, texts_on_cells
from dashapp.figures.theme import Frame, framed, room_for_numbers

ADDED: Final = "nats added to the logit difference"
ROW: Final = 20  # pixels of a bar
LEFT: Final = 132  # of the names of parts
CELL: Final = 34
MOST_NUMBERED: Final = 16  # heads across with room for a number each


def part_bars(found: Attribution, *, over: str, frame: Frame) -> plot.Figure:
    """A bar a part of the model, from the embeddings down to the final norm, and below them the whole.

    over: the logit difference in words. What raises it goes right in one colour, what lowers it left in another.
    """
    names, values = parts(found)
    n_bars = len(names) + 1
    colours = frame.colours
    bars = _bars(values, names, start=0, marker={"color": [_colour(value, frame) for value in values]})
    hatched = {"shape": "/", "fgcolor": colours.edge, "bgcolor": colours.paper, "solidity": 0.25}
    line = {"color": colours.edge, "width": 1}
    whole = _bars(
        np.array([found.whole]),
        ["all of it"],
        start=n_bars - 1,
        marker={"color": colours.paper, "line": line, "pattern": hatched},
    )
    summary = f"What each part of the model adds to {over}: {signed(found.whole)} nats in all."
    figure = framed(bars, whole, frame=frame, height=ROW * n_bars + 72, summary=summary)
    low, high = min(0.0, *values, found.whole), max(1e-6, *values, found.whole)
    figure.update_layout(margin={"l": LEFT}, bargap=0.2, barmode="overlay")
    figure.update_xaxes(
        title_text=ADDED,
        range=room_for_numbers(low, high, left=LEFT, frame=frame),
        zeroline=True,
        zerolinecolor=colours.edge,
        nticks=5 if frame.is_narrow else 9,
    )
    figure.update_yaxes(
        tickvals=list(range(n_bars)),
        ticktext=[*names, "all of it"],
        range=[n_bars - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    return figure


def parts(found: Attribution) -> tuple[list[str], np.ndarray]:
    """The parts in the order of the computation, biases of all layers together: names, and float64 [part]."""
    names, values = ["token embedding", "position"], [found.token, found.position]
    for layer, (attention, mlp) in enumerate(zip(found.heads.sum(axis=1), found.mlps, strict=True)):
        names += [f"attention {layer}", f"MLP {layer}"]
        values += [float(attention), float(mlp)]
    return [*names, "biases of layers", "final norm’s bias"], np.array([*values, found.biases, found.final_bias])


def head_cells(found: Attribution, *, over: str, frame: Frame) -> plot.Figure:
    """What each head adds, layers down and heads across, the colours centred on 0."""
    n_layer, n_head = found.heads.shape
    limit = max(1e-6, float(np.abs(found.heads).max()))
    cells = plot.Heatmap(
        z=found.heads,
        text=[
            [f"layer {layer}, head {head}: {signed(value)} nats" for head, value in enumerate(row)]
            for layer, row in enumerate(found.heads)
        ],
        hoverinfo="text",
        zmin=-limit,
        zmax=limit,
        zmid=0,
        colorscale=frame.signed_scale,
        xgap=1,
        ygap=1,
        colorbar=bar_above(0.6, frame),
    )
    summary = f"What each of {n_layer} × {n_head} heads adds to {over}."
    cell = CELL if n_head <= MOST_NUMBERED else CELL // 2
    figure = framed(cells, frame=frame, height=cell * n_layer + ABOVE + 48, summary=summary)
    if n_head <= MOST_NUMBERED and not frame.is_narrow:
        numbers = [[f"{value:+.2f}".replace("-", "−") for value in row] for row in found.heads]
        figure.add_trace(texts_on_cells(numbers, 0.5 + found.heads / limit / 2, frame.signed_scale))
    figure.update_layout(margin={"l": 64, "r": 8, "t": ABOVE}, hovermode="closest")
    say_above(figure, ADDED, frame)
    figure.update_xaxes(range=[-0.5, n_head - 0.5], dtick=1 if n_head <= 12 else 4, tick0=0, showgrid=False)
    figure.update_xaxes(zeroline=False, tickprefix="head ", showtickprefix="first")
    figure.update_yaxes(range=[n_layer - 0.5, -0.5], dtick=1 if n_layer <= 24 else 4, tick0=0, showgrid=False)
    figure.update_yaxes(zeroline=False, tickprefix="layer ", showtickprefix="last")
    return figure


def signed(value: float) -> str:
    """A number with its sign and three significant digits, the minus a true one."""
    return f"{value:+.3g}".replace("-", "−")


def _colour(value: float, frame: Frame) -> str:
    return frame.colours.slot_a if value >= 0 else frame.colours.slot_b


def _bars(values: np.ndarray, names: list[str], *, start: int, marker: dict[str, Any]) -> plot.Bar:
    told = [signed(float(value)) for value in values]
    return plot.Bar(
        x=values,
        y=np.arange(start, start + len(values)),
        orientation="h",
        text=told,
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{name}: {value} nats" for name, value in zip(names, told, strict=True)],
        hoverinfo="text",
        marker=marker,
    )
