"""A heatmap with tokens along x, at any length of prompt: what its axes say, how it is cropped, its colour bar.

Knows tokens as labels and rows by name; knows nothing of what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any, Final

from dashapp.figures import plot
from dashapp.figures.theme import MONO, TEXT_SIZE, Frame, framed
from dashapp.figures.tokens import label, ticks

MOST_ACROSS: Final = 32  # tokens beside each other on a telephone; the rest is a drag away
MOST_TALL: Final = 40  # rows that get a label of their own


@dataclass(frozen=True, slots=True)
class Axis:
    """names: of every row or column, for the hover; start: where the first is. places, labels: those beside the map."""

    title: str
    names: Sequence[str]
    places: Sequence[int]
    labels: Sequence[str]
    start: int = 0


def token_axis(texts: Sequence[str], frame: Frame) -> Axis:
    """All tokens of a text, labelled as far as there is room."""
    shown = texts[:MOST_ACROSS] if frame.is_narrow else texts
    step = ticks(shown, is_narrow=frame.is_narrow)[0]
    width = step[1] if len(step) > 1 else 1
    places = list(range(0, len(texts), width))
    names = [f"token {pos} ‘{label(text)}’" for pos, text in enumerate(texts)]
    return Axis("", names, places, [label(texts[place]) for place in places])


def point_axis(n_point: int, frame: Frame) -> Axis:
    """All points of the residual stream, labelled as far as there is room."""
    names = [point_name(point, n_point) for point in range(n_point)]
    beside = [name.replace(" layer", "") for name in names] if frame.is_narrow else names
    step = 2 * -(-n_point // (2 * MOST_TALL)) if n_point > MOST_TALL else 1
    places = list(range(0, n_point, step))
    return Axis("layer" if frame.is_narrow else "", names, places, [beside[place] for place in places])


def token_map(cells: list[Any], *, across: Axis, rows: Axis, frame: Frame, summary: str, height: int) -> plot.Figure:
    """Heatmaps with labelled axes.

    Each axis is there twice: the cells lie on one that names every token and row without showing the names, for a
    hover says what its axis says there; an empty trace lies on the other, which shows the labels that have room.
    """
    empty = plot.Scatter(x=[None], y=[None], xaxis="x2", yaxis="y2", hoverinfo="skip")
    below = round(24 + 6.5 * max(len(unescape(name)) for name in across.labels))
    above = 56 if frame.is_narrow else 8
    figure = framed(*cells, empty, frame=frame, height=above + height + below, summary=summary)
    figure.update_layout(margin={"l": 64, "b": below, "r": 8, "t": above}, hovermode="closest")
    style_x, style_y = figure.layout.xaxis, figure.layout.yaxis
    shown = {"overlaying": None, "showgrid": False, "zeroline": False, "tickfont_family": MONO, "tickfont_size": 12}
    figure.update_layout(xaxis2=style_x, yaxis2=style_y)
    figure.update_layout(
        xaxis2=shown | {"overlaying": "x", "matches": "x", "side": "bottom", "anchor": "y", "tickangle": -60},
        yaxis2=shown | {"overlaying": "y", "matches": "y", "side": "left", "anchor": "x"},
    )
    for plain, visible, axis in (("xaxis", "xaxis2", across), ("yaxis", "yaxis2", rows)):
        places = list(range(axis.start, axis.start + len(axis.names)))
        figure.layout[plain].update(tickvals=places, ticktext=axis.names, showticklabels=False, showgrid=False)
        figure.layout[plain].update(zeroline=False)
        figure.layout[visible].update(tickvals=axis.places, ticktext=axis.labels, title_text=axis.title)
    return figure


def crop(figure: plot.Figure, *, n_tokens: int, pos: int, revision: str, frame: Frame) -> None:
    """Show as many tokens as there is room for; a person's zoom stays while `revision` does."""
    start, end = window(n_tokens, pos, frame)
    figure.update_xaxes(range=[start - 0.5, max(end, start + 4) - 0.5])
    figure.update_layout(uirevision=f"{revision} {start}")


def point_name(point: int, n_point: int) -> str:
    """A point of the residual stream in words: 'into layer 0', 'within layer 0', …, 'out of layer 11'."""
    layer, is_within = divmod(point, 2)
    if point == n_point - 1:
        return f"out of layer {layer - 1}"
    return f"within layer {layer}" if is_within else f"into layer {layer}"


def window(n_tokens: int, pos: int, frame: Frame) -> tuple[int, int]:
    """First token shown, and the one after the last: all of them, or on a telephone a stretch that holds `pos`."""
    return stretch(n_tokens, pos, MOST_ACROSS) if frame.is_narrow else (0, n_tokens)


def stretch(n_tokens: int, pos: int, most: int) -> tuple[int, int]:
    """First of at most so many tokens around `pos`, and the one after the last.

    Stretches overlap by half, and stay put while the selection moves in their middle.
    """
    if n_tokens <= most:
        return 0, n_tokens
    half = most // 2
    start = min(max(0, (pos - half // 2) // half * half), n_tokens - most)
    return start, start + most


def colour_bar(title: str, frame: Frame) -> dict[str, Any]:
    """What colours mean, beside a map, or on a telephone above it."""
    across = {"orientation": "h", "x": 0.5, "y": 1, "yanchor": "bottom"} if frame.is_narrow else {}
    font = {"color": frame.colours.muted, "size": TEXT_SIZE - 1}
    return across | {
        "title": {"text": title, "side": "top" if frame.is_narrow else "right", "font": font},
        "thickness": 10,
        "outlinewidth": 0,
        "tickfont": {"color": frame.colours.ink},
        "nticks": 6,
    }
