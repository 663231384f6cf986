"""The figure of the paths that tokens take through the layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dashapp.figures import plot
from dashapp.figures.embeddings import BAR_HEIGHT, MAP_ROOM, MAP_ROOM_NARROW, colour_bar, map_shape, with_room_for_names
from dashapp.figures.theme import MONO, Frame, framed
from dashapp.figures.tokens import label

STEPS_HEIGHT, STEPS_HEIGHT_NARROW = 420, 320
MOST_NAMED: Final = 200
STEPS_ACROSS, STEPS_ACROSS_NARROW = 2.4, 1.0  # how much wider than high a map of that height is
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
) -> plot.Figure:
    """Paths [state pos 2]: a thin line a token, a mark at its end, and the selected token's drawn with every state.

    NaN for a token that is not placed. revision: while it stays the same, a redrawn map keeps its zoom.
    """
    n_states, n_tokens, _ = points.shape
    colours = frame.colours
    broken = np.concatenate([points, np.full((1, n_tokens, 2), np.nan, dtype=points.dtype)])  # a gap between tokens
    flat = broken.swapaxes(0, 1).reshape(-1, 2).astype(np.float32)
    others = plot.Scatter(
        x=flat[:, 0], y=flat[:, 1], mode="lines", line={"color": colours.hairline, "width": 1}, hoverinfo="skip"
    )
    ends = plot.Scatter(
        x=points[-1, :, 0].tolist(),  # lists, for the browser looks a token's place up in them
        y=points[-1, :, 1].tolist(),
        mode="markers",
        marker=_by_position(n_tokens, frame, size=9),
        customdata=list(range(n_tokens)),
        hovertext=[f"token {at} ‘{label(text)}’ after all layers" for at, text in enumerate(texts)],
        hoverinfo="text",
    )
    path = points[:, pos]
    names = state_names(n_states)
    selected = plot.Scatter(
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


def step_map(
    points: np.ndarray,
    *,
    at: int,
    texts: Sequence[str],
    axes: tuple[str, str],
    is_fitted: bool,
    revision: str,
    frame: Frame,
) -> plot.Figure:
    """One state of every token as dots, state `at` of points [state pos 2]; 42-steps.js shows the others in its place.

    NaN for a token that is not placed. is_fitted: each state is made to fill the map, or all have one extent. It is the
    points that are fitted, and axes without numbers: Dash draws a figure anew with the ranges that it came with. States
    travel with five digits in the figure's metadata: a thousand tokens through 48 layers are 0.8 MB.
    """
    n_states, n_tokens, _ = points.shape
    colours = frame.colours
    across = STEPS_ACROSS_NARROW if frame.is_narrow else STEPS_ACROSS
    shown = np.stack([_filling(state, across) for state in points]) if is_fitted else points
    names = [label(text, longest=10) for text in texts]
    named = [_named(state, texts, frame) for state in points]
    dots = plot.Scatter(
        x=_told(shown[at, :, 0]),
        y=_told(shown[at, :, 1]),
        mode="markers+text",
        text=[name if pos in named[at] else "" for pos, name in enumerate(names)],
        textposition="top center",
        textfont={"family": MONO, "size": 12, "color": colours.ink},
        marker=_by_position(n_tokens, frame, size=10),
        customdata=list(range(n_tokens)),
        hovertext=[f"token {pos} ‘{label(text)}’" for pos, text in enumerate(texts)],
        hoverinfo="text",
    )
    summary = f"A map of {n_tokens} tokens at each of {n_states} points of the stream: {axes[0]} across, {axes[1]} up."
    height = (STEPS_HEIGHT_NARROW if frame.is_narrow else STEPS_HEIGHT) + BAR_HEIGHT
    figure = framed(dots, frame=frame, height=height, summary=summary)
    steps = {
        "names": state_names(n_states),
        "labels": names,
        "named": named,
        "x": [_told(state[:, 0]) for state in shown],
        "y": [_told(state[:, 1]) for state in shown],
        "wide": [float(f"{np.nanmax(state[:, 0]) - np.nanmin(state[:, 0]):.3g}") for state in points]
        if is_fitted
        else [],
    }
    figure.update_layout(meta={"summary": summary, "steps": steps}, uirevision=revision, hovermode="closest")
    figure.update_layout(margin={"t": 16, "r": 8})
    centre, half = map_shape(points.reshape(-1, 2))
    low, high = ([-across, -1], [across, 1]) if is_fitted else (centre - half, centre + half)
    axis: dict[str, Any] = {"zeroline": False, "constrain": "range"}
    if is_fitted:  # lines at places without a number; with no labels at all a title would lie on the axis
        places = np.arange(-3, 3.5, 0.5).tolist()
        axis |= {"tickvals": places, "ticktext": ["\N{NO-BREAK SPACE}"] * len(places)}
    figure.update_xaxes(title_text=axes[0], range=[float(low[0]), float(high[0])], **axis)
    figure.update_yaxes(title_text=axes[1], range=[float(low[1]), float(high[1])], **axis)
    figure.update_yaxes(scaleanchor="x", scaleratio=1)  # distances are distances
    return figure


def _by_position(n_tokens: int, frame: Frame, *, size: int) -> dict[str, Any]:
    """Dots coloured by position, with a scale that says so. size: in pixels, of as few as have room for it."""
    return {
        "size": size if n_tokens <= 200 else 6,
        "color": np.arange(n_tokens),
        "cmin": 0,
        "cmax": max(1, n_tokens - 1),
        "colorscale": frame.amount_scale,
        "line": {"color": frame.colours.edge, "width": 1},
        "showscale": True,
        "colorbar": colour_bar("position in the text", frame) | {"x": 0, "xanchor": "left"},
    }


def _named(points: np.ndarray, texts: Sequence[str], frame: Frame) -> list[int]:
    """The tokens of a state whose names have room; of a long text none, for it takes a look at each pair."""
    if len(texts) > MOST_NAMED:
        return []
    return [int(pos) for pos in np.flatnonzero(with_room_for_names(points, texts, frame))]


def _filling(points: np.ndarray, across: float) -> np.ndarray:
    """Points [pos 2] moved and made larger or smaller, alike in both directions, to fill −across..across by −1..1."""
    centre, half = map_shape(points)
    filled: np.ndarray = (points - centre) / max(half[0] / across, half[1])
    return filled


def _told(values: np.ndarray) -> list[float | None]:
    """Numbers with five digits, None for one that is not placed."""
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values]


def state_names(n_states: int) -> list[str]:
    """What enters layer 0 and leaves each layer, in words."""
    return [STATES, *(f"out of layer {layer}" for layer in range(n_states - 1))]
