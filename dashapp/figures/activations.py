"""Figures of the Activations page: neurons on the GELU curve, the strongest neurons, lengths of the residual stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any, Final, Literal

import numpy as np
import plotly.graph_objects as go

from dashapp.analysis.activations import (
    FLAT_BELOW,
    STRAIGHT_ABOVE,
    PreActivations,
    ResidualNorms,
    StrongestNeurons,
    gelu,
)
from dashapp.figures.theme import MONO, TEXT_SIZE, Frame, framed
from dashapp.figures.tokens import label, ticks

Against = Literal["zero", "others"]

MOST_ACROSS: Final = 32  # tokens beside each other on a telephone; the rest is a drag away
ROW: Final = 13  # pixels of a row with a label of its own
MOST_TALL: Final = 40  # rows that get one


def gelu_curve(measured: PreActivations, *, token: str, frame: Frame) -> go.Figure:
    """A layer's neurons on the GELU curve at one token, and below it how many lie where along the x axis.

    token: its text. Dashed lines at −3 and 3 part the flat, the bent and the straight piece of the curve.
    """
    colours = frame.colours
    low, high = min(-4.5, float(measured.pre.min()) - 0.3), max(4.5, float(measured.pre.max()) + 0.3)
    x = np.linspace(low, high, 400)
    curve = go.Scatter(x=x, y=gelu(x), mode="lines", line={"color": colours.edge, "width": 2}, hoverinfo="skip")
    points = go.Scatter(
        x=measured.pre,
        y=measured.post,
        mode="markers",
        marker={"color": colours.amount, "size": 7, "opacity": 0.55, "line": {"width": 0}},
        xhoverformat=".3g",
        yhoverformat=".3g",
        hovertemplate="neuron %{pointNumber}: %{x} before GELU, %{y} after<extra></extra>",
    )
    histogram = go.Bar(
        x=(measured.edges[:-1] + measured.edges[1:]) / 2,
        y=measured.counts,
        width=np.diff(measured.edges),
        yaxis="y2",
        marker={"color": colours.amount, "line": {"color": colours.paper, "width": 1}},
        customdata=np.stack([measured.edges[:-1], measured.edges[1:]], axis=-1),
        hovertemplate="%{y} neurons from %{customdata[0]:.3g} to %{customdata[1]:.3g} before GELU<extra></extra>",
    )
    pieces = f"{measured.n_flat} below −3, {measured.n_bent} between, {measured.n_straight} above 3"
    summary = f"Neurons of layer {measured.layer} at token {measured.pos} ‘{label(token)}’ on the GELU curve: {pieces}."
    figure = framed(curve, points, histogram, frame=frame, height=440, summary=summary)
    figure.update_layout(meta={"summary": summary, "shared": ["x", "y", "y2"]})  # see `ranges`
    _part_axes(figure, x_range=(low, high))
    _name_pieces(figure, measured, x_range=(low, high), frame=frame)
    return figure


def _part_axes(figure: go.Figure, *, x_range: tuple[float, float]) -> None:
    """The curve above, the histogram below, one x axis under both."""
    figure.update_layout(margin={"t": 40}, bargap=0, yaxis2=figure.layout.yaxis.to_plotly_json())
    figure.update_xaxes(title_text="pre-activation", range=x_range, anchor="y2", zeroline=True)
    figure.update_layout(
        yaxis={"title_text": "after GELU", "domain": [0.36, 1], "zeroline": True},
        yaxis2={"title_text": "neurons", "domain": [0, 0.27], "anchor": "x", "rangemode": "tozero", "tickformat": "d"},
    )
    figure.update_layout(yaxis2={"nticks": 4})


def _name_pieces(figure: go.Figure, measured: PreActivations, *, x_range: tuple[float, float], frame: Frame) -> None:
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
) -> go.Figure:
    """Activations of a layer's strongest neurons, a row a neuron, a column a token; strongest on top.

    revision: names trace and layer; while it stays the same, a redrawn figure keeps the person's zoom. The colours
    reach as far as the largest activation without the first token's; the first token may lie beyond them.
    """
    limit = colour_limit(strongest.activations)
    cells = go.Heatmap(
        z=strongest.activations,
        zmin=-limit,
        zmax=limit,
        zmid=0,
        colorscale=frame.signed_scale,
        colorbar=_colour_bar("activation after GELU", frame),
        zhoverformat=".3g",
        hovertemplate="%{y} at %{x}: %{z}<extra></extra>",
    )
    names = [f"{neuron}" for neuron in strongest.neurons]
    rows = _Axis("neuron, strongest first", [f"neuron {name}" for name in names], list(range(len(names))), names)
    tokens = _token_axis(texts, frame)
    summary = f"Activations of {len(names)} neurons of layer {strongest.layer} at {len(texts)} tokens."
    figure = _map([cells], across=tokens, rows=rows, frame=frame, summary=summary, height=ROW * max(len(names), 8))
    figure.update_yaxes(range=[len(names) - 0.5, -0.5])
    _crop(figure, n_tokens=len(texts), pos=pos, revision=revision, frame=frame)
    return figure


def norm_map(
    measured: ResidualNorms, *, texts: Sequence[str], pos: int, against: Against, revision: str, frame: Frame
) -> go.Figure:
    """Length of the residual stream, a row a point from the embeddings up, a column a token.

    against: colours are lengths from zero, or the difference to the mean of the row in per cent. The first token is
    coloured by itself, from zero to its own largest, and is not part of the mean.
    """
    n_point, n_tokens = measured.norms.shape
    first, others = measured.norms[:, :1], measured.norms[:, 1:]
    cells = [_first_token(first, is_alone=n_tokens == 1, frame=frame)]
    if n_tokens > 1:
        cells += [_other_tokens(others, against=against, frame=frame), _gap(n_point, frame)]
    names = [point_name(point, n_point) for point in range(n_point)]
    beside = [name.replace(" layer", "") for name in names] if frame.is_narrow else names
    step = 2 * -(-n_point // (2 * MOST_TALL)) if n_point > MOST_TALL else 1
    places = list(range(0, n_point, step))
    rows = _Axis("layer" if frame.is_narrow else "", names, places, [beside[place] for place in places])
    tokens = _token_axis(texts, frame)
    summary = f"Length of the residual stream at {n_point} points and {n_tokens} tokens."
    height = max(200, min(18 * n_point, 560))
    figure = _map(cells, across=tokens, rows=rows, frame=frame, summary=summary, height=height)
    figure.update_layout(margin={"l": 104 if frame.is_narrow else 132})
    figure.update_yaxes(range=[-0.5, n_point - 0.5])
    _crop(figure, n_tokens=n_tokens, pos=pos, revision=revision, frame=frame)
    return figure


def point_name(point: int, n_point: int) -> str:
    """A point of the residual stream in words: 'into layer 0', 'within layer 0', …, 'out of layer 11'."""
    layer, is_within = divmod(point, 2)
    if point == n_point - 1:
        return f"out of layer {layer - 1}"
    return f"within layer {layer}" if is_within else f"into layer {layer}"


def window(n_tokens: int, pos: int, frame: Frame) -> tuple[int, int]:
    """First token shown, and the one after the last: all of them, or on a telephone a stretch that holds `pos`.

    Stretches overlap by half, and stay put while the selection moves in their middle.
    """
    if not frame.is_narrow or n_tokens <= MOST_ACROSS:
        return 0, n_tokens
    half = MOST_ACROSS // 2
    start = min(max(0, (pos - half // 2) // half * half), n_tokens - MOST_ACROSS)
    return start, start + MOST_ACROSS


def colour_limit(values: np.ndarray) -> float:
    """The largest |value| of [row pos] without the first token's, or with it if it is alone; 1e-6 at least."""
    told = values[:, 1:] if values.shape[1] > 1 else values
    return max(float(np.abs(told).max()), 1e-6)


# The parts of a map --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Axis:
    """names: of every row or column, for the hover. places, labels: those that stand beside the map."""

    title: str
    names: Sequence[str]
    places: Sequence[int]
    labels: Sequence[str]


def _token_axis(texts: Sequence[str], frame: Frame) -> _Axis:
    shown = texts[:MOST_ACROSS] if frame.is_narrow else texts
    step = ticks(shown, is_narrow=frame.is_narrow)[0]
    width = step[1] if len(step) > 1 else 1
    places = list(range(0, len(texts), width))
    names = [f"token {pos} ‘{label(text)}’" for pos, text in enumerate(texts)]
    return _Axis("", names, places, [label(texts[place]) for place in places])


def _map(cells: list[Any], *, across: _Axis, rows: _Axis, frame: Frame, summary: str, height: int) -> go.Figure:
    """Heatmaps with labelled axes.

    Each axis is there twice: the cells lie on one that names every token and row without showing the names, for a
    hover says what its axis says there; an empty trace lies on the other, which shows the labels that have room.
    """
    empty = go.Scatter(x=[None], y=[None], xaxis="x2", yaxis="y2", hoverinfo="skip")
    below = round(24 + 6.5 * max(len(unescape(name)) for name in across.labels))
    above = 56 if frame.is_narrow else 8
    figure = framed(*cells, empty, frame=frame, height=above + height + below, summary=summary)
    figure.update_layout(margin={"l": 64, "b": below, "r": 8, "t": above}, hovermode="closest")
    style_x, style_y = figure.layout.xaxis.to_plotly_json(), figure.layout.yaxis.to_plotly_json()
    shown = {"overlaying": None, "showgrid": False, "zeroline": False, "tickfont_family": MONO, "tickfont_size": 12}
    figure.update_layout(xaxis2=style_x, yaxis2=style_y)
    figure.update_layout(
        xaxis2=shown | {"overlaying": "x", "matches": "x", "side": "bottom", "anchor": "y", "tickangle": -60},
        yaxis2=shown | {"overlaying": "y", "matches": "y", "side": "left", "anchor": "x"},
    )
    for plain, visible, axis in (("xaxis", "xaxis2", across), ("yaxis", "yaxis2", rows)):
        places = list(range(len(axis.names)))
        figure.layout[plain].update(tickvals=places, ticktext=axis.names, showticklabels=False, showgrid=False)
        figure.layout[plain].update(zeroline=False)
        figure.layout[visible].update(tickvals=axis.places, ticktext=axis.labels, title_text=axis.title)
    return figure


def _crop(figure: go.Figure, *, n_tokens: int, pos: int, revision: str, frame: Frame) -> None:
    start, end = window(n_tokens, pos, frame)
    figure.update_xaxes(range=[start - 0.5, max(end, start + 4) - 0.5])
    figure.update_layout(uirevision=f"{revision} {start}")


def _first_token(norms: np.ndarray, *, is_alone: bool, frame: Frame) -> go.Heatmap:
    return go.Heatmap(
        z=norms,
        x=[0],
        zmin=0,
        zmax=max(float(norms.max()), 1e-6),
        colorscale=frame.amount_scale,
        showscale=is_alone,
        colorbar=_colour_bar("length (L2 norm)", frame),
        hovertemplate="%{x}, %{y}: %{z:.3g} long (colour on a scale of its own)<extra></extra>",
    )


def _other_tokens(norms: np.ndarray, *, against: Against, frame: Frame) -> go.Heatmap:
    x = np.arange(1, norms.shape[1] + 1)
    if against == "zero":
        return go.Heatmap(
            z=norms,
            x=x,
            zmin=0,
            zmax=max(float(norms.max()), 1e-6),
            colorscale=frame.amount_scale,
            colorbar=_colour_bar("length (L2 norm)", frame),
            hovertemplate="%{x}, %{y}: %{z:.3g} long<extra></extra>",
        )
    means = norms.mean(axis=1, keepdims=True)
    percent = 100 * (norms / np.maximum(means, np.float32(1e-12)) - 1)
    limit = max(float(np.abs(percent).max()), 1e-6)
    return go.Heatmap(
        z=percent,
        x=x,
        customdata=norms,
        zmin=-limit,
        zmax=limit,
        zmid=0,
        colorscale=frame.signed_scale,
        colorbar=_colour_bar("difference to the mean of the row (%)", frame),
        hovertemplate="%{x}, %{y}: %{customdata:.3g} long, %{z}% to the mean of its row<extra></extra>",
        zhoverformat="+.3g",
    )


def _gap(n_point: int, frame: Frame) -> go.Scatter:
    """A line in the paper's colour between the first token and the others."""
    return go.Scatter(
        x=[0.5, 0.5],
        y=[-0.5, n_point - 0.5],
        mode="lines",
        line={"color": frame.colours.paper, "width": 4},
        hoverinfo="skip",
    )


def _colour_bar(title: str, frame: Frame) -> dict[str, Any]:
    across = {"orientation": "h", "x": 0.5, "y": 1, "yanchor": "bottom"} if frame.is_narrow else {}
    font = {"color": frame.colours.muted, "size": TEXT_SIZE - 1}
    return across | {
        "title": {"text": title, "side": "top" if frame.is_narrow else "right", "font": font},
        "thickness": 10,
        "outlinewidth": 0,
        "tickfont": {"color": frame.colours.ink},
        "nticks": 6,
    }
