"""What a browser wants to take away of a panel's view: as a table, or as Python that computes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dashapp.errors import TraceGone
from dashapp.panels.catalogue import PAIR_PANELS, PANELS
from dashapp.panels.panel import Panel
from dashapp.panels.shown import Shown, Subtracted, is_subtracted, shown_of, subtracted
from dashapp.panels.source import Source
from dashapp.traces.record import Trace

FORMS: Final = ("csv", "npz", "python")


def shown_by(asked: object) -> tuple[Shown | Subtracted, str]:
    """What a browser wants to take away, {panel, view, as}, and as which of `FORMS`.

    Raises: ValueError for what no page of ours asks; TraceGone; DashappError where the figure cannot be drawn either.
    """
    match asked:
        case {"panel": str(name), "view": dict(view), "as": str(form)} if form in FORMS:
            panel = PANELS.get(name) or PAIR_PANELS.get(name)
        case _:
            raise ValueError("a panel's name, its view, and one of csv, npz and python")
    if panel is None or panel.numbers is None:
        raise ValueError("no panel of that name has numbers")
    trace, other = Source.here().trace(view.get("key")), _other(panel, view)
    if trace is None or (panel.pairs and other is None):
        raise TraceGone
    if is_subtracted(panel, view):
        a = Source.here().trace(view["beside"].get("key"))
        if a is None:
            raise TraceGone
        return subtracted(panel, a, trace, view), form
    return shown_of(panel, trace, view, other), form


def _other(panel: Panel, view: Mapping[str, Any]) -> Trace | None:
    beside = view.get("beside")
    return Source.here().trace(beside.get("key")) if panel.pairs and isinstance(beside, Mapping) else None
