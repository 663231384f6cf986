"""A figure's numbers as a table or as Python that computes them, for the view that a browser says it shows."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dashapp.analysis.table import Table
from dashapp.errors import NotThereYet, TraceGone
from dashapp.jobs.works import KINDS, Work
from dashapp.panels.catalogue import PAIR_PANELS, PANELS
from dashapp.panels.panel import Panel, chosen_by, frame_of, work_of
from dashapp.panels.snippet import snippet
from dashapp.panels.source import Source
from dashapp.traces.record import Trace

FORMS: Final = ("csv", "npz", "python")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A view that was found to be one. other: slot b's trace, for a panel of pairs. work: what completes it, or None.

    arguments: of the panel's `numbers`, without the trace and without `result`.
    """

    panel: Panel
    trace: Trace
    other: Trace | None
    work: Work | None
    arguments: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What a file of it is called."""
        return f"{self.panel.name}-{self.trace.key[:8]}"

    @property
    def awaits(self) -> bool:
        """Whether its numbers need the result of a work."""
        return self.work is not None and "result" in _named_by(self.panel)

    @property
    def needs_work(self) -> bool:
        """Whether there are no numbers at all without one: a panel may wait for somebody who chooses."""
        assert self.panel.numbers is not None, "who asks has looked"
        result = inspect.signature(self.panel.numbers).parameters.get("result")
        return result is not None and "None" not in str(result.annotation)

    def table(self) -> Table:
        """Its numbers. Raises: NotThereYet, and DashappError where the figure cannot be drawn either."""
        assert self.panel.numbers is not None, "who asks has looked"
        result = Source.here().store.get_result(self.work.key) if self.work and self.awaits else None
        if result is None and (self.awaits or self.needs_work):
            raise self._not_there()
        with_result = {"result": result} if "result" in _named_by(self.panel) else {}
        found: Table = self.panel.numbers(self.trace, **self.arguments, **with_result)
        return found

    def python(self) -> str:
        """Python that computes them. Raises: NotThereYet, where nobody has chosen what."""
        if self.work is None and self.needs_work:
            raise self._not_there()
        traces = {"trace": self.trace} if self.other is None else {"a": self.trace, "b": self.other}
        return snippet(self.panel, self.arguments, traces=traces, work=self.work if self.awaits else None)

    def _not_there(self) -> NotThereYet:
        return NotThereYet(KINDS[self.work.kind].title if self.work else self.panel.title)


def shown_by(asked: object) -> tuple[Shown, str]:
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
    work = work_of(panel, trace, view, other)
    return Shown(
        panel=panel, trace=trace, other=other, work=work, arguments=_arguments(panel, trace, view, other)
    ), form


def _other(panel: Panel, view: Mapping[str, Any]) -> Trace | None:
    beside = view.get("beside")
    return Source.here().trace(beside.get("key")) if panel.pairs and isinstance(beside, Mapping) else None


def _arguments(panel: Panel, trace: Trace, view: Mapping[str, Any], other: Trace | None) -> dict[str, Any]:
    """Of what `draw` would be given, and of the frame, what `numbers` names."""
    frame = frame_of(view)
    given = chosen_by(panel, trace, view, other) | {"units": frame.units, "is_narrow": frame.is_narrow}
    return {name: given[name] for name in _named_by(panel) if name in given}


def _named_by(panel: Panel) -> list[str]:
    """The keywords of a panel's `numbers`."""
    assert panel.numbers is not None, "who asks has looked"
    return [*inspect.signature(panel.numbers).parameters][1:]
