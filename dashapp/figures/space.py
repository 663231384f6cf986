"""Points in three dimensions, to be turned by mouse and by keyboard.

WebGL, so the browser outlines a selected point with a trace of its own (`RING`), for shapes have no third dimension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dashapp.figures import plot
from dashapp.figures.theme import MONO, Frame, framed

RING: Final = "ring"  # the trace that 40-panels.js moves to the selected point
HEIGHT, HEIGHT_NARROW = 520, 380
EYE: Final = {"eye": {"x": 1.5, "y": 1.5, "z": 0.9}}  # far enough for the titles of the axes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """Some points of a space. which: int [point], their tokens. symbol, marker: of their marks, as Plotly takes them.

    names: texts beside them, "" for none. hover: a sentence each.
    """

    which: np.ndarray
    symbol: str
    marker: Mapping[str, Any]
    names: Sequence[str]
    hover: Sequence[str]


def space(
    points: np.ndarray,
    clouds: Sequence[Cloud],
    *,
    axes: tuple[str, str, str],
    summary: str,
    revision: str,
    frame: Frame,
    curve: bool = False,
) -> plot.Figure:
    """Points [pos 3], NaN for one that is not placed, in axes of the same scale. curve: they are joined in their order.

    revision: names what is shown; while it stays the same, a redrawn figure keeps how it was turned.
    """
    colours = frame.colours
    drawn = [_cloud(points, cloud, frame) for cloud in clouds]
    if curve:
        line = {"color": colours.edge, "width": 2}
        drawn.insert(0, plot.Scatter3d(**_places(points), mode="lines", line=line, hoverinfo="skip"))
    ring = {"symbol": "circle-open", "size": 14, "color": colours.selection, "line": {"width": 4}}
    drawn.append(plot.Scatter3d(x=[None], y=[None], z=[None], mode="markers", marker=ring, hoverinfo="skip", meta=RING))
    figure = framed(*drawn, frame=frame, height=HEIGHT_NARROW if frame.is_narrow else HEIGHT, summary=summary)
    axis: dict[str, Any] = {
        "color": colours.ink,
        "gridcolor": colours.hairline,
        "zerolinecolor": colours.edge,
        "showbackground": False,
        "showspikes": False,
        "nticks": 5,
        "tickfont": {"size": 11},
    }
    named = {
        name: {**axis, "title": {"text": title, "font": {"size": 12, "color": colours.muted}}}
        for name, title in zip(("xaxis", "yaxis", "zaxis"), axes, strict=True)
    }
    figure.update_layout(
        scene={**named, "aspectmode": "data", "uirevision": revision, "bgcolor": "rgba(0,0,0,0)", "camera": EYE},
        uirevision=revision,
        margin={"l": 0, "r": 0, "t": 56, "b": 0},
    )
    return figure


def _places(points: np.ndarray) -> dict[str, Any]:
    return {name: points[:, i].tolist() for i, name in enumerate("xyz")}


def _cloud(points: np.ndarray, cloud: Cloud, frame: Frame) -> plot.Scatter3d:
    return plot.Scatter3d(
        **_places(points[cloud.which]),
        mode="markers+text",
        marker={**cloud.marker, "symbol": cloud.symbol},
        customdata=cloud.which.tolist(),
        text=list(cloud.names),
        textposition="top center",
        textfont={"family": MONO, "size": 11, "color": frame.colours.ink},
        hovertext=list(cloud.hover),
        hoverinfo="text",
    )
