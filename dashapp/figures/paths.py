"""The figure of the paths that tokens take through the layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go

from dashapp.figures.embeddings import BAR_HEIGHT, MAP_ROOM, MAP_ROOM_NARROW, colour_bar, map_shape
from dashapp.figures.theme import MONO, Frame, framed
from dashapp.figures.tokens import label

STATES: Final = "into layer 0"


def path_map(
    points: np.ndarray,
    *,
    texts: Sequence[str],
    pos: int,
    axes: tuple[str, str],
    shows_others: bool,
    revision: str,
    frame: Frame,
) -> go.Figure:
    """Paths [state pos 2]: a thin line a token, a mark at its end, and the selected token's drawn with every state.

    NaN for a token that is not placed. revision: while it stays the same, a redrawn map keeps its zoom.
    """
    n_states, n_tokens, _ = points.shape
    colours = frame.colours
    broken = np.concatenate([points, np.full((1, n_tokens, 2), np.nan, dtype=points.dtype)])  # a gap between tokens
    flat = broken.swapaxes(0, 1).reshape(-1, 2).astype(np.float32)
    others = go.Scatter(
        x=flat[:, 0], y=flat[:, 1], mode="lines", line={"color": colours.hairline, "width": 1}, hoverinfo="skip"
    )
    ends = go.Scatter(
        x=points[-1, :, 0].tolist(),  # lists, for the browser looks a token's place up in them
        y=points[-1, :, 1].tolist(),
        mode="markers",
        marker={
            "size": 9 if n_tokens <= 200 else 6,
            "color": np.arange(n_tokens),
            "cmin": 0,
            "cmax": max(1, n_tokens - 1),
            "colorscale": frame.amount_scale,
            "line": {"color": colours.edge, "width": 1},
            "showscale": True,
            "colorbar": colour_bar("position in the text", frame) | {"x": 0, "xanchor": "left"},
        },
        customdata=list(range(n_tokens)),
        hovertext=[f"token {at} ‘{label(text)}’ after all layers" for at, text in enumerate(texts)],
        hoverinfo="text",
    )
    path = points[:, pos]
    names = state_names(n_states)
    selected = go.Scatter(
        x=path[:, 0].tolist(),
        y=path[:, 1].tolist(),
        mode="lines+markers+text",
        line={"color": colours.selection, "width": 3},
        marker={"size": 7, "color": colours.selection},
        text=["", *(str(layer) for layer in range(n_states - 1))],
        textposition="top center",
        textfont={"family": MONO, "size": 12, "color": colours.ink},
        hovertext=[f"token {pos} ‘{label(texts[pos])}’ {name}" for name in names],
        hoverinfo="text",
    )
    summary = f"The paths of {n_tokens} tokens through {n_states - 1} layers: {axes[0]} across, {axes[1]} up."
    drawn = (others, ends, selected) if shows_others else (ends, selected)
    centre, half = map_shape(points.reshape(-1, 2))
    across, down = MAP_ROOM_NARROW if frame.is_narrow else MAP_ROOM
    height = round(min(down, across * half[1] / half[0]))
    figure = framed(*drawn, frame=frame, height=height + BAR_HEIGHT + 48, summary=summary)
    ranges = np.stack([centre - half, centre + half], axis=1).tolist()
    figure.update_layout(uirevision=revision, hovermode="closest", margin={"t": 16, "r": 8})
    figure.update_xaxes(title_text=axes[0], range=ranges[0], zeroline=False, constrain="domain", constraintoward="left")
    figure.update_yaxes(title_text=axes[1], range=ranges[1], zeroline=False, constrain="domain", constraintoward="top")
    figure.update_yaxes(scaleanchor="x", scaleratio=1)  # distances are distances
    return figure


def state_names(n_states: int) -> list[str]:
    """What enters layer 0 and leaves each layer, in words."""
    return [STATES, *(f"out of layer {layer}" for layer in range(n_states - 1))]
