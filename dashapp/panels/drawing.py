"""A panel's view as it stands now: with the result of its work, or marked as awaiting it, and beside the other slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dashapp.jobs.works import Work
from dashapp.panels.awaiting import marked
from dashapp.panels.beside import draw_beside
from dashapp.panels.difference import draw_difference
from dashapp.panels.panel import Drawn, Panel, aside_of, draw, waits_for_start, work_of
from dashapp.panels.shown import is_subtracted, subtracted
from dashapp.panels.source import Source
from dashapp.traces.record import Trace


def drawn_for(panel: Panel, trace: Trace, view: Mapping[str, Any]) -> Drawn:
    """A panel's view, with the result of its work or marked as awaiting it, and with the ranges of the other slot's.

    Raises: ValueError for a view that no page of ours sends, DashappError for one that cannot be drawn.
    """
    other = other_of(view)
    work = work_of(panel, trace, view, other)
    store = Source.here().store
    result = store.get_result(work.key) if work else None
    so_far = store.get_result(work.part_key) if work and result is None and panel.draws_parts else None
    beside = aside_of(panel, trace, view, other)
    aside = store.get_result(beside.key) if beside else None
    drawn = draw(panel, trace, view, result=result if so_far is None else so_far, aside=aside, other=other)
    if work is not None and result is None:
        drawn = replace(drawn, figure=marked(drawn.figure, work, starts=waits_for_start(panel, view)))
    if panel.pairs or other is None:
        return drawn
    if is_subtracted(panel, view) and (work is None or result is not None):
        return draw_difference(panel, other, trace, view)
    return draw_beside(panel, drawn, other, {**view, **view["beside"]})


def awaited_by(panel: Panel, trace: Trace, view: Mapping[str, Any]) -> Work | None:
    """The work that a panel's view awaits, or awaited last: its own, and where it is a − b then that of a.

    Raises: ValueError as `drawn_for`.
    """
    other = other_of(view)
    own = work_of(panel, trace, view, other)
    is_there = own is None or Source.here().store.get_result(own.key) is not None
    if other is None or not is_there or not is_subtracted(panel, view):
        return own
    of_a = subtracted(panel, other, trace, view).of_a
    return of_a.work if of_a.work is not None and of_a.awaits else own


def other_of(view: Mapping[str, Any]) -> Trace | None:
    """The trace of the slot beside a view's, if there is one."""
    return Source.here().trace(view["beside"].get("key")) if isinstance(view.get("beside"), dict) else None
