"""Ranges that two figures of one kind share, so that one can be read against the other. Knows figures, not prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashapp.figures import plot

Range = tuple[float, float]

HEADROOM = 1.05  # above the longest bar of an axis that has no range of its own, as Plotly leaves it
SIDES = ("l", "r", "t", "b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A figure that shares its ranges. colours: those that reach further than it needs itself, by trace."""

    figure: plot.Figure
    colours: tuple[Range, ...]


def with_ranges_of_both(figure: plot.Figure, other: plot.Figure) -> Shared:
    """A copy of `figure` whose amounts, colours and margins leave as much room as `figure` and `other` need.

    Shared are the axes along which bars grow and the colours of heatmaps; or, where a figure's metadata say `shared`,
    what they name: axes ("x", "y2", …), "colours". Axes of tokens, layers and neurons stay as they are. Cells that
    travel as bytes have the whole of their natural range anyway.
    """
    copy = figure.copy()
    named = (figure.layout.meta or {}).get("shared")
    for axis in sorted(set(_axes_of_bars(figure)) & set(_axes_of_bars(other))) if named is None else named:
        if axis != "colours":
            copy.layout[_name(axis)].range = _union(_range(figure, axis), _range(other, axis))
    colours = _share_colours(copy, other) if named is None or "colours" in named else []
    _share_margins(copy, other)
    return Shared(figure=copy, colours=tuple(colours))


def has_ranges(figure: plot.Figure) -> bool:
    """Whether a figure has any range to share. Colours from 0 to 1 are the same in every figure."""
    maps = [trace for trace in figure.data if _has_colours(trace) and (trace.zmin, trace.zmax) != (0, 1)]
    return bool(maps or any(_axes_of_bars(figure)) or (figure.layout.meta or {}).get("shared"))


def _axes_of_bars(figure: plot.Figure) -> Iterator[str]:
    for trace in figure.data:
        if isinstance(trace, plot.Bar):
            yield (trace.xaxis or "x") if trace.orientation == "h" else (trace.yaxis or "y")


def _name(axis: str) -> str:
    """'y2' → 'yaxis2'."""
    return f"{axis[0]}axis{axis[1:]}"


def _range(figure: plot.Figure, axis: str) -> Range:
    """What an axis shows: the range it was given, or what its traces need, from zero on where they are bars."""
    given = figure.layout[_name(axis)].range
    if given is not None:
        return float(given[0]), float(given[1])
    low, high = np.inf, -np.inf
    for trace in figure.data:
        if (trace[_name(axis[0])] or axis[0]) != axis or trace[axis[0]] is None:
            continue
        values = np.asarray(trace[axis[0]], dtype=np.float64)
        is_bar = isinstance(trace, plot.Bar)
        low = min(low, float(np.nanmin(values)) * HEADROOM, 0.0 if is_bar else np.inf)
        high = max(high, float(np.nanmax(values)) * HEADROOM, 0.0 if is_bar else -np.inf)
    return low, high


def _union(one: Range, other: Range) -> Range:
    """The smallest range that holds both, in the direction of the first."""
    low, high = min(*one, *other), max(*one, *other)
    return (high, low) if one[0] > one[1] else (low, high)


def _share_colours(figure: plot.Figure, other: plot.Figure) -> list[Range]:
    """Give the heatmaps of a figure the colours that those of another need too; returns the ranges that changed."""
    changed = []
    for ours, theirs in zip(figure.data, other.data, strict=False):
        if not (_has_colours(ours) and _has_colours(theirs)):
            continue
        before = (float(ours.zmin), float(ours.zmax))
        both = _union(before, (float(theirs.zmin), float(theirs.zmax)))
        if both != before:
            ours.zmin, ours.zmax = both
            changed.append(both)
    return changed


def _has_colours(trace: Any) -> bool:
    is_map = isinstance(trace, plot.Heatmap) and trace.zmin is not None and trace.zmax is not None
    return is_map and np.asarray(trace.z).dtype != np.uint8


def _share_margins(figure: plot.Figure, other: plot.Figure) -> None:
    """The larger margin on each side; the figure grows by what it gains above and below, so that no cell shrinks."""
    before = figure.layout.margin
    wider = {side: max(before[side] or 0, other.layout.margin[side] or 0) for side in SIDES}
    gained = sum(wider[side] - (before[side] or 0) for side in ("t", "b"))
    figure.update_layout(margin=wider, height=figure.layout.height + gained)
