"""Figures of what was written into the residual stream, layer by layer, and of the dimensions it is largest in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np

from dashapp.analysis.writes import LargestDimensions, Writes
from dashapp.figures import plot
from dashapp.figures.activations import colour_limit
from dashapp.figures.cells import ABOVE, bar_above, say_above
from dashapp.figures.numbers import percent, percent_label
from dashapp.figures.theme import MONO, Frame, framed
from dashapp.figures.token_map import Axis, point_axis, point_name, token_map

Measure = Literal["share", "length", "along"]
Colour = Literal["share", "value"]

MEASURES: Final[Mapping[Measure, str]] = {
    "share": "share of the last stream",
    "length": "length (L2 norm)",
    "along": "reach along the stream",
}
EMBEDDINGS: Final = -1  # their place left of layer 0
MOST_NAMED: Final = 24  # layers that have a number each
ROW: Final = 24  # pixels of a dimension


def write_bars(found: Writes, *, at: int | None, measure: Measure, frame: Frame) -> plot.Figure:
    """Two bars a layer, attention and MLP, and before them one of the embeddings, which are added to nothing.

    at: the token; without it, means over all tokens but the first (unless it is alone).
    """
    values = told(found, measure, at)
    n_layer, colours = len(values) // 2, frame.colours
    patterned = {"shape": "/", "fgcolor": colours.paper, "solidity": 0.25, "size": 6}
    layers = list(range(n_layer))
    looks: tuple[tuple[str, list[int], np.ndarray, dict[str, Any], float, float], ...] = (
        ("embeddings", [EMBEDDINGS], values[:1], {"color": colours.muted}, -0.2, 0.4),
        ("attention", layers, values[found.attention], {"color": colours.slot_a}, -0.4, 0.4),
        ("MLP", layers, values[found.mlp], {"color": colours.slot_b, "pattern": patterned}, 0.0, 0.4),
    )
    bars = [
        plot.Bar(
            x=x,
            y=y,
            name=name,
            marker=marker | {"line": {"width": 0}},
            offset=offset,
            width=width,
            hovertext=[sentence(name, place, value, measure) for place, value in zip(x, y.tolist(), strict=True)],
            hoverinfo="text",
            customdata=x,  # as lists: the browser reads layers from it
        )
        for name, x, y, marker, offset, width in looks[1 if measure == "along" else 0 :]
    ]
    summary = f"What attention and MLP of {n_layer} layers wrote: {MEASURES[measure]}."
    figure = framed(*bars, frame=frame, height=320, summary=summary)
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"}
    figure.update_layout(
        showlegend=True, legend=legend, margin={"t": 40}, meta={"summary": summary, "n_layer": n_layer}
    )
    step = 1 if n_layer <= (MOST_NAMED // 2 if frame.is_narrow else MOST_NAMED) else 4
    named = list(range(0, n_layer, step))
    first = -0.5 if measure == "along" else EMBEDDINGS - 0.5
    beginning = [] if measure == "along" else [(EMBEDDINGS, "emb." if frame.is_narrow else "embeddings")]
    places, names = zip(*beginning, *((layer, str(layer)) for layer in named), strict=True)
    figure.update_xaxes(
        title_text="layer", tickvals=places, ticktext=names, range=[first, max(n_layer, 4) - 0.5], showgrid=False
    )
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(title_text=MEASURES[measure], zeroline=True, zerolinecolor=colours.edge)
    if measure == "share":
        figure.update_yaxes(tickformat="~%")
    return figure


def told(found: Writes, measure: Measure, at: int | None) -> np.ndarray:
    """What the bars show: float64 [part], of token `at` or as means without position 0."""
    values = {"share": found.shares, "length": found.lengths, "along": found.along}[measure]
    if at is not None:
        return values[:, at]
    means: np.ndarray = values[:, 1:].mean(axis=1) if values.shape[1] > 1 else values[:, 0]
    return means


def sentence(name: str, place: int, value: float, measure: Measure) -> str:
    """A bar in words."""
    who = "the embeddings" if place == EMBEDDINGS else f"{name} of layer {place}"
    match measure:
        case "share":
            text = f"{who}: {percent(value)} of the last stream"
        case "length":
            text = f"{who}: wrote a vector {value:.3g} long"
        case "along":
            does = "adds" if value >= 0 else "takes away"
            text = f"{who}: {does} {abs(value):.3g} along the stream as it was"
    return text.replace("-", "−")


def dimension_map(found: LargestDimensions, *, colour: Colour, frame: Frame) -> plot.Figure:
    """A row a dimension, the largest on top, a column a point of the stream; and where each is largest, in words.

    colour: each value's share of the squared length of the stream at its point, or the value itself.
    """
    n_shown, n_point = found.values.shape
    rest: dict[str, Any] = {
        "share": {"z": found.shares, "zmin": 0, "zmax": max(float(found.shares.max()), 1e-6)},
        "value": {"z": found.values, "zmid": 0},
    }[colour]
    if colour == "value":
        limit = colour_limit(np.concatenate([found.values[:, :1], found.values], axis=1))
        rest |= {"zmin": -limit, "zmax": limit}
    cells = plot.Heatmap(
        colorscale=frame.amount_scale if colour == "share" else frame.signed_scale,
        text=_words(found),
        hovertemplate="%{y}, %{x}: %{text} of the squared length<extra></extra>",
        xgap=1,
        ygap=1,
        colorbar=bar_above(0.4, frame) | ({"tickformat": "~%"} if colour == "share" else {}),
        **rest,
    )
    numbers = [str(dimension) for dimension in found.dimensions]
    rows = Axis("dimension", [f"dimension {number}" for number in numbers], list(range(n_shown)), numbers)
    across = point_axis(n_point, frame)
    summary = f"The {n_shown} largest dimensions of the residual stream at {n_point} points."
    figure = token_map([cells], across=across, rows=rows, frame=frame, summary=summary, height=ROW * n_shown)
    figure.update_layout(height=figure.layout.height + ABOVE - figure.layout.margin.t, margin={"t": ABOVE})
    say_above(figure, "share of the squared length" if colour == "share" else "value", frame)
    figure.update_xaxes(range=[-0.5, n_point - 0.5])
    figure.update_yaxes(range=[n_shown - 0.5, -0.5])
    if not frame.is_narrow:
        _say_peaks(figure, found, frame)
    return figure


def _words(found: LargestDimensions) -> list[list[str]]:
    """Value and share of each cell."""
    pairs = np.stack([found.values, found.shares], axis=-1)
    return [
        [f"{value:.3g}, {percent_label(share)}".replace("-", "−") for value, share in row] for row in pairs.tolist()
    ]


def _say_peaks(figure: plot.Figure, found: LargestDimensions, frame: Frame) -> None:
    """Beside each row its value where its share is largest, and where that is."""
    figure.update_layout(margin={"r": 216})
    place = {"xref": "paper", "x": 1, "xanchor": "left", "yanchor": "middle", "xshift": 8, "showarrow": False}
    for row, peak in enumerate(found.peaks.tolist()):
        value = f"{found.values[row, peak]:.3g}".replace("-", "−")
        text = f"{value} {point_name(peak, found.values.shape[1])}"
        figure.add_annotation(y=row, text=text, font={"family": MONO, "size": 12, "color": frame.colours.ink}, **place)
