"""Figures of the positional embeddings: their curve, their dimensions, and their share of a sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from dashapp.analysis.embeddings import PCA
from dashapp.analysis.positions import SumParts
from dashapp.figures import plot
from dashapp.figures.embeddings import FLATTEST, MAP_ROOM, MAP_ROOM_NARROW, colour_bar, map_shape
from dashapp.figures.numbers import percent_label
from dashapp.figures.space import Cloud, space
from dashapp.figures.theme import MONO, Frame, framed
from dashapp.figures.tokens import label, ticks

Dimensions = Literal["2", "3"]
MOST_LINES: Final = 6
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")  # a cue besides colour


def position_curve(found: PCA, *, n_tokens: int, dimensions: Dimensions, revision: str, frame: Frame) -> plot.Figure:
    """The positions [pos component] along their first components, joined in their order.

    n_tokens: of the text; later positions stand in it nowhere and are drawn smaller.
    """
    n_positions = len(found.points)
    axes = [f"component {i + 1} ({percent_label(float(share))})" for i, share in enumerate(found.shares)]
    is_used = np.arange(n_positions) < n_tokens
    marker: dict[str, Any] = {
        "size": np.where(is_used, 5, 2) if dimensions == "3" else np.where(is_used, 7, 4),
        "color": np.arange(n_positions),
        "cmin": 0,
        "cmax": max(1, n_positions - 1),
        "colorscale": frame.amount_scale,
        "line": {"color": frame.colours.edge, "width": 1},
        "colorbar": colour_bar("position", frame) | {"x": 0, "xanchor": "left"},
        "showscale": True,
    }
    hover = [f"position {pos}{'' if pos < n_tokens else ', behind the end of this text'}" for pos in range(n_positions)]
    summary = (
        f"The {n_positions} positional embeddings along their first {dimensions} principal components, as a curve."
    )
    if dimensions == "3":
        clouds = [
            Cloud(which=np.arange(n_positions), symbol="circle", marker=marker, names=[""] * n_positions, hover=hover)
        ]
        titles = (axes[0], axes[1], axes[2])
        figure = space(found.points, clouds, axes=titles, summary=summary, revision=revision, frame=frame, curve=True)
        figure.update_layout(meta={"summary": summary, "n_tokens": n_tokens})
        return figure
    points = plot.Scatter(
        x=found.points[:, 0].tolist(),
        y=found.points[:, 1].tolist(),
        mode="lines+markers",
        line={"color": frame.colours.hairline, "width": 1},
        marker=marker,
        customdata=list(range(n_positions)),
        hovertext=hover,
        hoverinfo="text",
    )
    centre, half = map_shape(found.points[:, :2])
    across, down = MAP_ROOM_NARROW if frame.is_narrow else MAP_ROOM
    height = round(min(down, across * max(half[1] / half[0], FLATTEST)))
    figure = framed(points, frame=frame, height=height + 104, summary=summary)
    ranges = np.stack([centre - half, centre + half], axis=1).tolist()
    figure.update_layout(
        uirevision=revision, hovermode="closest", margin={"t": 56}, meta={"summary": summary, "n_tokens": n_tokens}
    )
    figure.update_xaxes(title_text=axes[0], range=ranges[0], zeroline=False, constrain="domain", constraintoward="left")
    figure.update_yaxes(title_text=axes[1], range=ranges[1], zeroline=False, constrain="domain", constraintoward="top")
    figure.update_yaxes(scaleanchor="x", scaleratio=1)
    return figure


def position_lines(table: np.ndarray, shown: Sequence[int], *, n_tokens: int, frame: Frame) -> plot.Figure:
    """Some dimensions of the positional embeddings [n_ctx d_model] over position, a line each."""
    colours = frame.colours
    inks = (colours.slot_a, colours.slot_b, colours.ink, colours.muted, colours.amount, colours.edge)
    positions = np.arange(len(table))
    lines = [
        plot.Scatter(
            x=positions,
            y=table[:, dimension],
            mode="lines",
            name=f"dimension {dimension}",
            line={"color": ink, "dash": dash, "width": 2},
            hovertemplate=f"dimension {dimension} at position %{{x}}: %{{y:.3g}}<extra></extra>",
        )
        for dimension, ink, dash in zip(shown, inks, DASHES, strict=False)
    ]
    said = ", ".join(str(dimension) for dimension in shown)
    summary = f"Dimensions {said} of the positional embeddings over {len(table)} positions."
    figure = framed(*lines, frame=frame, height=340, summary=summary)
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        margin={"t": 48},
        meta={"summary": summary, "n_tokens": n_tokens},
    )
    figure.update_xaxes(title_text="position", range=[-0.5, max(len(table), 8) - 0.5])
    figure.update_yaxes(title_text="value")
    return figure


def sum_bars(parts: SumParts, *, texts: Sequence[str], frame: Frame) -> plot.Figure:
    """Squared length of each token's sum, stacked from its three parts; below zero where the two point apart."""
    colours = frame.colours
    stacks = (
        ("token embedding", parts.token, colours.slot_a, ""),
        ("positional embedding", parts.position, colours.slot_b, "/"),
        ("both together", parts.both, colours.muted, "x"),
    )
    bars = [
        plot.Bar(
            x=np.arange(len(texts)),
            y=values,
            name=name,
            hovertext=[_part_sentence(name, parts, pos, values[pos], texts[pos]) for pos in range(len(texts))],
            hoverinfo="text",
            marker={
                "color": ink,
                "line": {"width": 0},
                "pattern": {"shape": shape, "fgcolor": colours.paper, "solidity": 0.2, "size": 6},
            },
        )
        for name, values, ink, shape in stacks
    ]
    summary = f"Squared length of the sum of both embeddings of {len(texts)} tokens, in its parts."
    figure = framed(*bars, frame=frame, height=340, summary=summary)
    places, names = ticks(texts, is_narrow=frame.is_narrow)
    figure.update_layout(
        barmode="relative",
        bargap=0.1,
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        margin={"t": 48, "b": 88},
    )
    figure.update_xaxes(
        tickvals=places,
        ticktext=names,
        tickangle=-60,
        tickfont={"family": MONO, "size": 12},
        range=[-0.5, max(len(texts), 8) - 0.5],
        showgrid=False,
    )
    figure.update_yaxes(title_text="squared length")
    return figure


def _part_sentence(name: str, parts: SumParts, pos: int, value: float, text: str) -> str:
    whole = float(parts.whole[pos])
    of_whole = f", {percent_label(value / whole)} of the sum’s {whole:.3g}" if whole > 0 else ""
    return f"token {pos} ‘{label(text)}’, {name}: {value:.3g}{of_whole}".replace("-", "−")
