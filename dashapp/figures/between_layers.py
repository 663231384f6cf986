"""The figure of how alike the residual stream is at every two layers."""

from __future__ import annotations

from typing import Final

import numpy as np

from dashapp.figures import plot
from dashapp.figures.embeddings import colour_bar
from dashapp.figures.theme import Frame, framed

CELL, CELL_NARROW = 44, 22  # pixels
LARGEST, LARGEST_NARROW = 600, 270
MOST_NUMBERS: Final = 14  # states, of which every value can be written into its cell


def between_layers(square: np.ndarray, *, quantity: str, hover: str, frame: Frame) -> plot.Figure:
    """A value of −1 to 1 for every two states [state state]: into layer 0, then out of each layer. NaN is a gap.

    quantity: what the colours are. hover: what it is, as a sentence goes on.
    """
    n_states = len(square)
    names = ["into 0", *[f"out of {layer}" for layer in range(n_states - 1)]]
    says_values = n_states <= MOST_NUMBERS and not frame.is_narrow
    cells = plot.Heatmap(
        z=square,
        x=names,
        y=names,
        zmin=-1,
        zmax=1,
        colorscale=frame.signed_scale,
        hoverongaps=False,
        xgap=1,
        ygap=1,
        texttemplate="%{z:.2f}" if says_values else None,
        textfont={"size": 11},
        colorbar=colour_bar(quantity, frame)
        | {"x": 0, "xanchor": "left", "tickvals": [-1, 0, 1], "ticktext": ["−1", "0", "1"]},
        hovertemplate=f"stream %{{y}} and stream %{{x}}:<br>{hover} %{{z:.4f}}<extra></extra>",
    )
    summary = (
        f"{quantity} of the residual stream into layer 0 and out of each layer, {n_states} states, each with each."
    )
    cell, largest = (CELL_NARROW, LARGEST_NARROW) if frame.is_narrow else (CELL, LARGEST)
    figure = framed(cells, frame=frame, height=max(150, min(cell * n_states, largest)) + 144, summary=summary)
    figure.update_layout(meta={"summary": summary, "shared": []}, margin={"l": 72, "b": 72, "t": 56})
    axis = {"type": "category", "showgrid": False, "zeroline": False, "constrain": "domain"}
    figure.update_xaxes(range=[-0.5, n_states - 0.5], constraintoward="left", tickangle=-60, **axis)
    figure.update_yaxes(range=[n_states - 0.5, -0.5], scaleanchor="x", scaleratio=1, constraintoward="top", **axis)
    return figure
