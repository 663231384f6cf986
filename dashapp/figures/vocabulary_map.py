"""The figure of the whole vocabulary as points, with what is marked among them.

WebGL for the many, for 50,257 circles of SVG take a second at each zoom. Points stand in the order of their tokens and
have no texts: the browser knows the names of all tokens (59-names.js) and writes them into the hovers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dashapp.figures import plot
from dashapp.figures.embeddings import map_shape
from dashapp.figures.theme import MONO, Frame, framed
from dashapp.figures.tokens import label

DOT: Final = 3  # pixels
HEIGHT, HEIGHT_NARROW = 520, 360  # of the map
OPACITY: Final = 0.4  # where many lie over each other, it is darker
MOST_PLACES: Final = 5  # of a token in the prompt that its hover tells


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """A token and those nearest to it. ids: int [near], nearest first, without itself; cosines: float [near]."""

    token: int
    ids: np.ndarray
    cosines: np.ndarray


def vocabulary_map(
    points: np.ndarray,
    *,
    prompt: np.ndarray,
    texts: Sequence[str],
    near: Neighbours | None,
    states: np.ndarray | None,
    names: Sequence[str],
    axes: tuple[str, str],
    revision: str,
    frame: Frame,
) -> plot.Figure:
    """Every token a dot: points float32 [token 2]. Diamonds are the prompt's tokens, int [pos], and their texts.

    near: a token, a star with its name, and its neighbours, circles. names: of the token and of each neighbour.
    states: float [layer 2], of one token on its way through the layers, joined and numbered; None for none.
    revision: while it stays the same, a redrawn map keeps its zoom.
    """
    dots = plot.Scattergl(
        x=np.ascontiguousarray(points[:, 0]),
        y=np.ascontiguousarray(points[:, 1]),
        mode="markers",
        marker={"size": DOT, "color": frame.colours.amount, "opacity": OPACITY},
        hoverinfo="text",
    )
    drawn: list[Any] = [dots, _prompt(points, prompt, texts, frame)]
    if near is not None:
        drawn += _near(points, near, names, frame)
    if states is not None:
        drawn.append(_path(states, frame))
    summary = f"A map of {len(points):,} tokens: {axes[0]} across, {axes[1]} up."
    centre, half = map_shape(points if states is None else np.concatenate([points, states]))
    height = (HEIGHT_NARROW if frame.is_narrow else HEIGHT) + 64
    figure = framed(*drawn, frame=frame, height=height, summary=summary)
    ranges = np.stack([centre - half, centre + half], axis=1).tolist()
    whole = {"x": ranges[0], "y": ranges[1]}
    meta = {"summary": summary, "names": True, "token_ids": prompt.tolist(), "whole": whole}
    figure.update_layout(meta=meta, uirevision=revision, hovermode="closest", margin={"t": 16, "r": 8})
    # One size for all maps, filled by wider ranges: Plotly does not fit its canvas of dots to a figure that grows.
    figure.update_xaxes(title_text=axes[0], range=ranges[0], zeroline=False, constrain="range")
    figure.update_yaxes(title_text=axes[1], range=ranges[1], zeroline=False, constrain="range")
    figure.update_yaxes(scaleanchor="x", scaleratio=1)  # distances are distances
    return figure


def _prompt(points: np.ndarray, prompt: np.ndarray, texts: Sequence[str], frame: Frame) -> plot.Scattergl:
    """A diamond for each token that the prompt has, once."""
    ids = np.unique(prompt)
    places = [np.flatnonzero(prompt == token) for token in ids]
    return plot.Scattergl(
        x=points[ids, 0],
        y=points[ids, 1],
        mode="markers",
        marker={"symbol": "diamond", "size": 9, "color": frame.colours.ink, "line": _rim(frame)},
        customdata=ids.tolist(),
        hovertext=[
            f"‘{label(texts[where[0]])}’ (token {int(token)}), {_standing(where)}"
            for token, where in zip(ids, places, strict=True)
        ],
        hoverinfo="text",
    )


def _standing(where: np.ndarray) -> str:
    told = ", ".join(str(pos) for pos in where[:MOST_PLACES])
    more = " …" if len(where) > MOST_PLACES else ""
    return f"at position{'s' if len(where) > 1 else ''} {told}{more}"


def _near(points: np.ndarray, near: Neighbours, names: Sequence[str], frame: Frame) -> list[plot.Scatter]:
    this, others = label(names[0]), [label(name) for name in names[1:]]
    circles = plot.Scatter(
        x=points[near.ids, 0].tolist(),
        y=points[near.ids, 1].tolist(),
        mode="markers",
        marker={"symbol": "circle-open", "size": 11, "color": frame.colours.ink, "line": {"width": 2}},
        customdata=near.ids.tolist(),
        hovertext=[
            f"‘{name}’ (token {int(token)}): number {i} of the nearest to ‘{this}’,<br>cosine {signed(cosine)}"
            for i, (token, name, cosine) in enumerate(zip(near.ids, others, near.cosines, strict=True), start=1)
        ],
        hoverinfo="text",
    )
    star = plot.Scatter(
        x=[float(points[near.token, 0])],
        y=[float(points[near.token, 1])],
        mode="markers+text",
        marker={"symbol": "star", "size": 15, "color": frame.colours.ink, "line": _rim(frame)},
        text=[f"<b>{this}</b>"],
        textposition="top center",
        textfont={"family": MONO, "size": 13, "color": frame.colours.ink},
        customdata=[near.token],
        hovertext=[f"‘{this}’ (token {near.token})"],
        hoverinfo="text",
    )
    return [circles, star]


def _rim(frame: Frame) -> dict[str, Any]:
    """Around what lies over the dots."""
    return {"color": frame.colours.paper, "width": 1}


def signed(value: float) -> str:
    """A cosine with a true minus."""
    return f"{value:.3f}".replace("-", "−")


def _path(states: np.ndarray, frame: Frame) -> plot.Scatter:
    """States from what enters layer 0 on, joined; each after the first has the number of the layer that it leaves."""
    hover = ["into layer 0", *(f"out of layer {layer}" for layer in range(len(states) - 1))]
    return plot.Scatter(
        x=states[:, 0].tolist(),
        y=states[:, 1].tolist(),
        mode="lines+markers+text",
        line={"color": frame.colours.selection, "width": 2},
        marker={"size": 7, "color": frame.colours.selection},
        text=["", *(str(layer) for layer in range(len(states) - 1))],
        textposition="top center",
        textfont={"family": MONO, "size": 12, "color": frame.colours.ink},
        hovertext=[f"the selected token’s state {name}" for name in hover],
        hoverinfo="text",
    )
