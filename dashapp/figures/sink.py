"""The figure of the first token as a sink: how much attention each head gives it, and each row of one head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dashapp.analysis.attention import Head
from dashapp.figures import plot
from dashapp.figures.attention import token_names, weight
from dashapp.figures.theme import Frame, framed
from dashapp.figures.tokens import ticks


def sink_rows(given: np.ndarray, of: Head, *, texts: Sequence[str], frame: Frame) -> plot.Figure:
    """A bar a token: how much it gives to the first one in a head. given: float [pos], 0..1."""
    names = token_names(texts)
    bars = plot.Bar(
        x=np.arange(len(names)),
        y=given,
        hovertext=[
            f"token {name} gives {weight(float(w))} to the first token" for name, w in zip(names, given, strict=True)
        ],
        hoverinfo="text",
        marker={"color": frame.colours.amount, "line": {"width": 0}},
    )
    summary = f"Attention to the first token of each token in layer {of.layer}, head {of.head}."
    figure = framed(bars, frame=frame, height=260, summary=summary)
    places, labels = ticks(texts, is_narrow=frame.is_narrow)
    figure.update_layout(margin={"b": 88}, bargap=0.1 if len(names) < 200 else 0)
    figure.update_xaxes(range=[-0.5, len(names) - 0.5], tickvals=places, ticktext=labels, tickangle=-60, showgrid=False)
    figure.update_yaxes(title_text="given to the first token", range=[0, 1])
    return figure


def sink_heads(given: np.ndarray, *, frame: Frame) -> plot.Figure:
    """A bar a head, layer after layer: how much it gives to the first token on average. given: float [layer head]."""
    n_layer, n_head = given.shape
    heads = [[layer, head] for layer in range(n_layer) for head in range(n_head)]
    values = given.ravel()
    bars = plot.Bar(
        x=np.arange(len(values)),
        y=values,
        customdata=heads,
        hovertext=[
            f"layer {layer}, head {head} gives {weight(float(w))} to the first token on average"
            for (layer, head), w in zip(heads, values, strict=True)
        ],
        hoverinfo="text",
        marker={"color": frame.colours.amount, "line": {"width": 0}},
    )
    summary = f"Mean attention to the first token of {n_layer} × {n_head} heads, layer after layer."
    figure = framed(bars, frame=frame, height=240, summary=summary)
    step = 1 if n_layer <= 12 else 4
    layers: dict[str, Any] = {
        "tickvals": [(layer + 0.5) * n_head - 0.5 for layer in range(0, n_layer, step)],
        "ticktext": [f"layer {layer}" if layer == 0 else str(layer) for layer in range(0, n_layer, step)],
    }
    figure.update_layout(bargap=0.1)
    figure.update_xaxes(range=[-0.5, len(values) - 0.5], showgrid=False, **layers)
    figure.update_yaxes(title_text="mean over the tokens", range=[0, 1])
    return figure
