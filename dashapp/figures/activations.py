"""Figures of the Activations page: neurons on the GELU curve, the strongest neurons, lengths of the residual stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from dashapp.analysis.activations import (
    FLAT_BELOW,
    STRAIGHT_ABOVE,
    PreActivations,
    ResidualNorms,
    StrongestNeurons,
    gelu,
    gelu_exact,
    gelu_exact_slope,
    gelu_slope,
)
from dashapp.figures import plot
from dashapp.figures.theme import Frame, framed
from dashapp.figures.token_map import Axis, colour_bar, crop, point_axis, token_axis, token_map
from dashapp.figures.tokens import label

Against = Literal["zero", "others"]
Curve = Literal["forms", "difference", "slope"]

TITLES: Final = {"forms": "after GELU", "difference": "tanh form − exact form", "slope": "derivative of GELU"}
MEANING: Final = {"forms": "%{y} after", "difference": "the forms differ by %{y}", "slope": "derivative %{y}"}
EACH: Final = {"token": "neuron", "neuron": "token", "layer": "value"}  # what a point is
MOST_POINTS: Final = 10_000  # more would hide each other; the histogram has them all
ROW: Final = 13  # pixels of a row with a label of its own


def gelu_curve(measured: PreActivations, *, token: str, curve: Curve = "forms", frame: Frame) -> plot.Figure:
    """Pre-activations on the GELU curve, and below it how many lie where along the x axis.

    token: the selected one's text. curve: both forms of GELU, their difference, or their derivatives; the points lie on
    the form that GPT-2 computes. Dashed lines at −3 and 3 part the flat, the bent and the straight piece.
    """
    colours = frame.colours
    low, high = min(-4.5, float(measured.pre.min()) - 0.3), max(4.5, float(measured.pre.max()) + 0.3)
    x = np.linspace(low, high, 400)
    each = EACH[measured.of]
    lines = [
        plot.Scatter(x=x, y=values, mode="lines", line=line, name=name, hoverinfo="skip")
        for (name, values), line in zip(_lines(x, curve).items(), _looks(frame), strict=False)
    ]
    has_points = len(measured.pre) <= MOST_POINTS
    at = measured.pre if has_points else measured.pre[:0]
    points = plot.Scatter(
        x=at,
        y=next(iter(_lines(at, curve).values())),
        mode="markers",
        marker={"color": colours.amount, "size": 7, "opacity": 0.55, "line": {"width": 0}},
        xhoverformat=".3g",
        yhoverformat=".3g",
        hovertemplate=f"{each} %{{pointNumber}}: %{{x}} before GELU, {MEANING[curve]}<extra></extra>",
        showlegend=False,
    )
    histogram = plot.Bar(
        x=(measured.edges[:-1] + measured.edges[1:]) / 2,
        y=measured.counts,
        width=np.diff(measured.edges),
        yaxis="y2",
        marker={"color": colours.amount, "line": {"color": colours.paper, "width": 1}},
        customdata=np.stack([measured.edges[:-1], measured.edges[1:]], axis=-1),
        hovertemplate=f"%{{y}} {each}s from %{{customdata[0]:.3g}} "
        "to %{customdata[1]:.3g} before GELU<extra></extra>",
        showlegend=False,
    )
    pieces = f"{measured.n_flat} below −3, {measured.n_bent} between, {measured.n_straight} above 3"
    whose = {
        "token": f"Neurons of layer {measured.layer} at token {measured.pos} ‘{label(token)}’",
        "neuron": f"Neuron {measured.neuron} of layer {measured.layer} at every token",
        "layer": f"Neurons of layer {measured.layer} at every token",
    }[measured.of]
    drawn = [*lines, points, histogram] if has_points else [*lines, histogram]
    figure = framed(*drawn, frame=frame, height=440, summary=f"{whose} on the GELU curve: {pieces}.")
    figure.update_layout(meta={"summary": f"{whose} on the GELU curve: {pieces}.", "shared": ["x", "y", "y2"]})
    _part_axes(figure, x_range=(low, high), y_title=TITLES[curve], counted=f"{each}s")
    _name_pieces(figure, measured, x_range=(low, high), frame=frame)
    figure.update_layout(showlegend=True, legend={"x": 0.02, "y": 0.98, "xanchor": "left", "yanchor": "top"})
    return figure


def _lines(x: np.ndarray, curve: Curve) -> dict[str, np.ndarray]:
    """What is drawn over x, that of GPT-2's form first."""
    match curve:
        case "forms":
            return {"tanh, as GPT-2 computes it": gelu(x), "exact, x·Φ(x)": gelu_exact(x)}
        case "difference":
            return {"tanh − exact": gelu(x.astype(np.float64)) - gelu_exact(x)}
        case "slope":
            return {"derivative, tanh": gelu_slope(x), "derivative, exact": gelu_exact_slope(x)}


def _looks(frame: Frame) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"color": frame.colours.edge, "width": 2}, {"color": frame.colours.ink, "width": 2, "dash": "dot"}


def _part_axes(figure: plot.Figure, *, x_range: tuple[float, float], y_title: str, counted: str) -> None:
    """The curve above, the histogram below, one x axis under both."""
    figure.update_layout(margin={"t": 40}, bargap=0, yaxis2=figure.layout.yaxis)
    figure.update_xaxes(title_text="pre-activation", range=x_range, anchor="y2", zeroline=True)
    figure.update_layout(
        yaxis={"title_text": y_title, "domain": [0.36, 1], "zeroline": True},
        yaxis2={"title_text": counted, "domain": [0, 0.27], "anchor": "x", "rangemode": "tozero", "tickformat": "d"},
    )
    figure.update_layout(yaxis2={"nticks": 4})


def _name_pieces(figure: plot.Figure, measured: PreActivations, *, x_range: tuple[float, float], frame: Frame) -> None:
    """Dashed lines at −3 and 3, and over each piece how many neurons lie there."""
    dashed = {"color": frame.colours.edge, "width": 1, "dash": "dash"}
    for edge in (FLAT_BELOW, STRAIGHT_ABOVE):
        figure.add_shape(type="line", x0=edge, x1=edge, yref="paper", y0=0, y1=1, line=dashed)
    low, high = x_range
    pieces = (
        ((low + FLAT_BELOW) / 2, measured.n_flat, "below −3"),
        ((FLAT_BELOW + STRAIGHT_ABOVE) / 2, measured.n_bent, "between"),
        ((STRAIGHT_ABOVE + high) / 2, measured.n_straight, "above 3"),
    )
    for x, n_neurons, where in pieces:
        text = f"{n_neurons:,}<br>{where}" if frame.is_narrow else f"{n_neurons:,} {where}"
        figure.add_annotation(x=x, y=1, yref="paper", yanchor="bottom", showarrow=False, text=text)


def neuron_map(
    strongest: StrongestNeurons, *, texts: Sequence[str], pos: int, revision: str, frame: Frame
) -> plot.Figure:
    """Activations of a layer's strongest neurons, a row a neuron, a column a token; strongest on top.

    One that is there because it is selected has the last row, below a gap.

    revision: names trace and layer; while it stays the same, a redrawn figure keeps the person's zoom. The colours
    reach as far as the largest activation without the first token's; the first token may lie beyond them.
    """
    limit = colour_limit(strongest.activations)
    cells = plot.Heatmap(
        z=strongest.activations,
        zmin=-limit,
        zmax=limit,
        zmid=0,
        colorscale=frame.signed_scale,
        colorbar=colour_bar("activation after GELU", frame),
        zhoverformat=".3g",
        hovertemplate="%{y} at %{x}: %{z}<extra></extra>",
    )
    names = [f"{neuron}" for neuron in strongest.neurons]
    rows = Axis("neuron, strongest first", [f"neuron {name}" for name in names], list(range(len(names))), names)
    tokens = token_axis(texts, frame)
    summary = f"Activations of {len(names)} neurons of layer {strongest.layer} at {len(texts)} tokens."
    apart = [] if strongest.pinned_place is None else [_gap_above(len(names) - 1, len(texts), frame)]
    height = ROW * max(len(names), 8)
    figure = token_map([cells, *apart], across=tokens, rows=rows, frame=frame, summary=summary, height=height)
    figure.update_yaxes(range=[len(names) - 0.5, -0.5])
    places = {"layer": strongest.layer, "neurons": strongest.neurons.tolist(), "cells": [len(names), len(texts)]}
    figure.update_layout(meta={"summary": summary} | places)
    crop(figure, n_tokens=len(texts), pos=pos, revision=revision, frame=frame)
    return figure


def norm_map(
    measured: ResidualNorms, *, texts: Sequence[str], pos: int, against: Against, revision: str, frame: Frame
) -> plot.Figure:
    """Length of the residual stream, a row a point from the embeddings up, a column a token.

    against: colours are lengths from zero, or the difference to the mean of the row in per cent. The first token is
    coloured by itself, from zero to its own largest, and is not part of the mean.
    """
    n_point, n_tokens = measured.norms.shape
    first, others = measured.norms[:, :1], measured.norms[:, 1:]
    cells: list[plot.Trace] = [_first_token(first, is_alone=n_tokens == 1, frame=frame)]
    if n_tokens > 1:
        cells += [_other_tokens(others, against=against, frame=frame), _gap(n_point, frame)]
    rows = point_axis(n_point, frame)
    tokens = token_axis(texts, frame)
    summary = f"Length of the residual stream at {n_point} points and {n_tokens} tokens."
    height = max(200, min(18 * n_point, 560))
    figure = token_map(cells, across=tokens, rows=rows, frame=frame, summary=summary, height=height)
    figure.update_layout(margin={"l": 104 if frame.is_narrow else 132})
    figure.update_yaxes(range=[-0.5, n_point - 0.5])
    crop(figure, n_tokens=n_tokens, pos=pos, revision=revision, frame=frame)
    return figure


def colour_limit(values: np.ndarray) -> float:
    """The largest |value| of [row pos] without the first token's, or with it if it is alone; 1e-6 at least."""
    told = values[:, 1:] if values.shape[1] > 1 else values
    return max(float(np.abs(told).max()), 1e-6)


# The parts of a map of lengths ---------------------------------------------------------------------------------------


def _first_token(norms: np.ndarray, *, is_alone: bool, frame: Frame) -> plot.Heatmap:
    return plot.Heatmap(
        z=norms,
        x=[0],
        zmin=0,
        zmax=max(float(norms.max()), 1e-6),
        colorscale=frame.amount_scale,
        showscale=is_alone,
        colorbar=colour_bar("length (L2 norm)", frame),
        hovertemplate="%{x}, %{y}: %{z:.3g} long (colour on a scale of its own)<extra></extra>",
    )


def _other_tokens(norms: np.ndarray, *, against: Against, frame: Frame) -> plot.Heatmap:
    x = np.arange(1, norms.shape[1] + 1)
    if against == "zero":
        return plot.Heatmap(
            z=norms,
            x=x,
            zmin=0,
            zmax=max(float(norms.max()), 1e-6),
            colorscale=frame.amount_scale,
            colorbar=colour_bar("length (L2 norm)", frame),
            hovertemplate="%{x}, %{y}: %{z:.3g} long<extra></extra>",
        )
    means = norms.mean(axis=1, keepdims=True)
    percent = 100 * (norms / np.maximum(means, np.float32(1e-12)) - 1)
    limit = max(float(np.abs(percent).max()), 1e-6)
    return plot.Heatmap(
        z=percent,
        x=x,
        customdata=norms,
        zmin=-limit,
        zmax=limit,
        zmid=0,
        colorscale=frame.signed_scale,
        colorbar=colour_bar("difference to the mean of the row (%)", frame),
        hovertemplate="%{x}, %{y}: %{customdata:.3g} long, %{z}% to the mean of its row<extra></extra>",
        zhoverformat="+.3g",
    )


def _gap(n_point: int, frame: Frame) -> plot.Scatter:
    """A line in the paper's colour between the first token and the others."""
    return _line([0.5, 0.5], [-0.5, n_point - 0.5], frame)


def _gap_above(row: int, n_tokens: int, frame: Frame) -> plot.Scatter:
    """A line in the paper's colour between a row and those above it."""
    return _line([-0.5, n_tokens - 0.5], [row - 0.5] * 2, frame)


def _line(x: list[float], y: list[float], frame: Frame) -> plot.Scatter:
    return plot.Scatter(
        x=x, y=y, mode="lines", line={"color": frame.colours.paper, "width": 4}, hoverinfo="skip", showlegend=False
    )
