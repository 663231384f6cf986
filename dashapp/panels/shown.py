"""What a panel's view shows, as numbers and as Python, by itself or less what it shows of the other prompt."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dashapp.analysis.alignment import NO_PINS, Pins, align
from dashapp.analysis.difference import table_difference
from dashapp.analysis.table import Table, token_names
from dashapp.errors import NotThereYet
from dashapp.jobs.works import KINDS, Work
from dashapp.panels.panel import MINUS, Panel, chosen_by, frame_of, pins_of, work_of
from dashapp.panels.snippet import snippet
from dashapp.panels.source import Source
from dashapp.traces.record import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A view that was found to be one. other: slot b's trace, for a panel of pairs. work: what completes it, or None.

    arguments: of the panel's `numbers`, without the trace and without `result`. view: as a browser sends it.
    """

    panel: Panel
    trace: Trace
    other: Trace | None
    work: Work | None
    arguments: Mapping[str, Any]
    view: Mapping[str, Any]

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
        return self.python_of({"trace": self.trace} if self.other is None else {"a": self.trace, "b": self.other})

    def python_of(self, traces: Mapping[str, Trace], *, draws: bool = True) -> str:
        """The same with traces under these names. draws: the figure too."""
        if self.work is None and self.needs_work:
            raise self._not_there()
        work = self.work if self.awaits else None
        return snippet(self.panel, self.arguments, traces=traces, work=work, view=self.view if draws else None)

    def _not_there(self) -> NotThereYet:
        return NotThereYet(KINDS[self.work.kind].title if self.work else self.panel.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtracted:
    """A view in slot b that shows a − b: what the panel shows of a, and what of b. pins: decided of their alignment."""

    of_a: Shown
    of_b: Shown
    pins: Pins

    @property
    def measure(self) -> str:
        """Which measure of both tables is subtracted, "" for the only one."""
        told, view = self.of_b.panel.difference, self.of_b.view
        assert told is not None, "who asks has looked"
        return told if isinstance(told, str) else told(view["knobs"], frame_of(view).units)

    @property
    def name(self) -> str:
        """What a file of it is called."""
        return f"{self.of_a.name}-{self.of_b.trace.key[:8]}"

    def table(self) -> Table:
        """The table of a less that of b, at a's places. Raises: as `Shown.table`; NoDifference."""
        a, b = self.of_a.trace, self.of_b.trace
        names = token_names(a.token_texts), token_names(b.token_texts)
        aligned = align(a.token_ids, b.token_ids, self.pins)
        tables = self.of_a.table(), self.of_b.table()
        return table_difference(*tables, measure=self.measure, names=names, aligned=aligned)

    def python(self) -> str:
        """Python that computes both and then the difference. Raises: as `Shown.python`."""
        a = self.of_a.python_of({"a": self.of_a.trace}, draws=False)
        b = self.of_b.python_of({"b": self.of_b.trace}, draws=False)
        rest = b.partition("from __future__ import annotations\n")[2].strip()
        return f"{a}table_of_a = table\n\n{rest}\n{self._subtraction()}"

    def _subtraction(self) -> str:
        names, decided = ("Pins, align", f", {self.pins!r}") if self.pins else ("align", "")
        frame = frame_of(self.of_b.view)
        return SUBTRACTION.format(measure=self.measure, names=names, decided=decided, frame=frame, text=frame.text)


SUBTRACTION: Final = """
import plotly.graph_objects as go
from dashapp.analysis.alignment import {names}
from dashapp.analysis.difference import is_of_tokens, table_difference
from dashapp.analysis.table import token_names
from dashapp.figures.difference import difference_figure
from dashapp.figures.theme import Frame, enlarged

table = table_difference(
    table_of_a,
    table,
    measure={measure!r},
    names=(token_names(a.token_texts), token_names(b.token_texts)),
    aligned=align(a.token_ids, b.token_ids{decided}),
)
tokens = [is_of_tokens(labels, token_names(a.token_texts)) for labels in table.axes.values()]
drawn = difference_figure(table, texts=a.token_texts, is_of_tokens=tokens, frame={frame!r})
figure = go.Figure(enlarged(drawn, {text}).as_dict())  # figure.show() opens it in a browser
"""


def is_subtracted(panel: Panel, view: Mapping[str, Any]) -> bool:
    """Whether a view is of a panel in slot b that is to show a − b."""
    knobs = view.get("knobs")
    has_one = panel.difference is not None and isinstance(view.get("beside"), Mapping)
    return has_one and isinstance(knobs, Mapping) and knobs.get(MINUS.name) == "difference"


def subtracted(panel: Panel, a: Trace, b: Trace, view: Mapping[str, Any]) -> Subtracted:
    """What such a view shows. view: of the panel in slot b. Raises: ValueError as `draw`."""
    of_a, of_b = shown_of(panel, a, {**view, **view["beside"]}), shown_of(panel, b, view)
    return Subtracted(of_a=of_a, of_b=of_b, pins=pins_of(view, a, b))


def shown_of(panel: Panel, trace: Trace, view: Mapping[str, Any], other: Trace | None = None) -> Shown:
    """What a view of a panel that has numbers shows. Raises: as `shown_by`."""
    work, arguments = work_of(panel, trace, view, other), _arguments(panel, trace, view, other)
    return Shown(panel=panel, trace=trace, other=other, work=work, arguments=arguments, view=view)


def _arguments(panel: Panel, trace: Trace, view: Mapping[str, Any], other: Trace | None) -> dict[str, Any]:
    """Of what `draw` would be given, and of the frame, what `numbers` names; no pins where there are none."""
    frame = frame_of(view)
    given = chosen_by(panel, trace, view, other) | {"units": frame.units, "is_narrow": frame.is_narrow}
    return {name: given[name] for name in _named_by(panel) if given.get(name, NO_PINS) != NO_PINS}


def _named_by(panel: Panel) -> list[str]:
    """The keywords of a panel's `numbers`."""
    assert panel.numbers is not None, "who asks has looked"
    return [*inspect.signature(panel.numbers).parameters][1:]
