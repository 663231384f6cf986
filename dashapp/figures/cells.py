"""Texts on the cells of a heatmap, each black or white, whichever can be read there; and its colours above it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dashapp.figures import plot
from dashapp.figures.theme import MONO, TEXT_SIZE, ColourScale, Frame

ABOVE: Final = 64  # pixels over a heatmap for its colour bar

# Relative luminance at which black and white have the same contrast, 4.58:1: √(1.05 · 0.05) − 0.05 (WCAG 2.2).
EVEN: Final = 0.179


def texts_on_cells(
    texts: Sequence[Sequence[str]],
    shares: np.ndarray,
    scale: ColourScale,
    *,
    x: Sequence[int] | None = None,
    y: Sequence[int] | None = None,
) -> plot.Scatter:
    """A text in each cell [row column] of a heatmap whose colours are `scale` at `shares`, 0..1; none where it is "".

    x, y: where columns and rows are; counted from 0, where they are not told.
    Plotly's own texts on heatmaps are dark grey or white, which leaves 3:1 on colours between. And a point that began
    without a text gets none when the figure is drawn again, so it is no point.
    """
    rows, columns = np.array([[text != "" for text in row] for row in texts]).nonzero()
    return plot.Scatter(
        x=columns if x is None else np.asarray(x)[columns],
        y=rows if y is None else np.asarray(y)[rows],
        mode="text",
        text=[text for row in texts for text in row if text != ""],
        textfont={"family": MONO, "size": 12, "color": inks(shares[rows, columns], scale)},
        hoverinfo="skip",
        showlegend=False,
    )


def inks(shares: np.ndarray, scale: ColourScale) -> list[str]:
    """Black or white for a text on each of some places of a colour scale."""
    places = [place for place, _colour in scale]
    channels = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for _place, colour in scale]) / 255
    mixed = np.stack([np.interp(shares, places, channel) for channel in channels.T], axis=-1)  # [cell channel]
    linear = np.where(mixed <= 0.04045, mixed / 12.92, ((mixed + 0.055) / 1.055) ** 2.4)
    luminances = linear @ (0.2126, 0.7152, 0.0722)
    return ["#000000" if luminance > EVEN else "#ffffff" for luminance in luminances]


def bar_above(length: float, frame: Frame) -> dict[str, Any]:
    """A colour bar in the upper left corner of a figure, that long a share of it, with room for `say_above`."""
    place = {"orientation": "h", "x": 0, "xanchor": "left", "xpad": 0, "yref": "container", "y": 1, "yanchor": "top"}
    ticks = {"nticks": 3 if frame.is_narrow else 5, "tickangle": 0}
    return place | ticks | {"ypad": 4, "len": length, "thickness": 10, "outlinewidth": 0}


def say_above(figure: plot.Figure, text: str, frame: Frame) -> None:
    """What the colours are, between bar and map: the bar’s own title would lie on it."""
    font = {"color": frame.colours.muted, "size": TEXT_SIZE - 1}
    place = {"xref": "paper", "x": 0, "xanchor": "left", "yref": "paper", "y": 1, "yanchor": "bottom"}
    figure.add_annotation(text=text, font=font, showarrow=False, yshift=6, **place)
