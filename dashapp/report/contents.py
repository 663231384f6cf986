"""What a report holds: prompts, and panels with their views, which are checked before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from dashapp import ids
from dashapp.analysis.alignment import NO_PINS, Pins
from dashapp.errors import DashappError, TraceGone
from dashapp.figures.theme import Frame
from dashapp.jobs.works import Work
from dashapp.model.sampling import SamplingSettings
from dashapp.panels.catalogue import BY_PAGE, PAIR_PANELS, PANELS
from dashapp.panels.drawing import other_of
from dashapp.panels.panel import Panel, SelectionField, chosen_by, field_in, frame_of, pins_of, work_of
from dashapp.panels.source import Source
from dashapp.traces.record import Trace

COMPARE: Final = "Compare"
PAGES: Final = (*BY_PAGE, COMPARE)
SELECTED: Final[tuple[SelectionField, ...]] = ("pos", "key_pos", "layer", "head", "neuron", "target", "against")
LONGEST_WHY: Final = 500  # characters in which a page says why a panel shows nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A slot's prompt. n_prompt: how many of the trace's tokens are it. settings: of the run, where they are known.

    selected: what the slot shows as selected, a number or None for each of `SELECTED`.
    """

    slot: ids.Slot
    trace: Trace
    n_prompt: int
    settings: SamplingSettings | None
    selected: Mapping[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A panel of a page. view: what it shows, as a browser would send it; None for nothing, then `why` says why."""

    page: str
    panel: Panel
    slot: ids.Slot
    view: Mapping[str, Any] | None
    why: str = ""

    @property
    def trace(self) -> Trace | None:
        """Of its view; None where it has none, or where it is not here any more."""
        return Source.here().trace(self.view.get("key")) if self.view is not None else None

    @property
    def work(self) -> Work | None:
        """What would complete its figure; None also where it cannot be drawn. Raises: ValueError as `checked`."""
        trace = self.trace
        if self.view is None or trace is None:
            return None
        with suppress(DashappError):
            return work_of(self.panel, trace, self.view, other_of(self.view))
        return None

    def checked(self) -> Entry:
        """Itself. Raises: ValueError for a view that no page of ours has; TraceGone."""
        if self.view is None:
            return self
        frame_of(self.view)
        trace, other = self.trace, other_of(self.view)
        if trace is None or (other is None and self.panel.pairs):
            raise TraceGone
        chosen_by(self.panel, trace, self.view, other)
        if other is not None and not self.panel.pairs:
            chosen_by(self.panel, other, {**self.view, **self.view["beside"]})
            pins_of(self.view, *((other, trace) if self.slot == "b" else (trace, other)))
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a file will hold. frame: how it looks, as the page did. pins: decided of the alignment of two prompts."""

    prompts: tuple[Prompt, ...]
    entries: tuple[Entry, ...]
    frame: Frame
    pins: Pins = NO_PINS

    @property
    def pages(self) -> list[str]:
        """Pages that it has panels of, in its order."""
        return [*dict.fromkeys(entry.page for entry in self.entries)]

    @property
    def name(self) -> str:
        """What a file of it is called."""
        return f"{'-'.join(self.pages).lower()}-{self.prompts[0].trace.key[:8]}.html"


def report_asked(asked: object) -> Report:
    """What a browser wants of its page: {page, looks, prompts: {a, b}, panels: [{panel, slot, view, why}], pins}.

    Raises: ValueError for what no page of ours asks; TraceGone.
    """
    match asked:
        case {"page": str(page), "looks": dict(looks), "prompts": dict(prompts), "panels": [*panels], **rest} if (
            page in PAGES
        ):
            entries = [_entry(page, each) for each in panels]
        case _:
            raise ValueError("a page, how it looks, its prompts and its panels")
    if len({(entry.panel.name, entry.slot) for entry in entries}) != len(entries) or not entries:
        raise ValueError("a page has panels, each once in a slot")
    found = tuple(_prompt(slot, prompts[slot]) for slot in ids.SLOTS if prompts.get(slot) is not None)
    if not found:
        raise ValueError("a page that shows figures has a prompt")
    pins = pins_of({"pins": rest.get("pins", "")}, *(prompt.trace for prompt in found)) if len(found) > 1 else NO_PINS
    checked = tuple(entry.checked() for entry in entries)
    return Report(prompts=found, entries=checked, frame=frame_of(looks), pins=pins)


def _entry(page: str, asked: object) -> Entry:
    match asked:
        case {"panel": str(name), "slot": ("a" | "b") as slot, "view": dict() | None as view, "why": str(why)}:
            panel = PANELS.get(name) or PAIR_PANELS.get(name)
            if panel is not None and len(why) <= LONGEST_WHY:
                return Entry(page=page, panel=panel, slot=slot, view=view, why=why)
    raise ValueError("a panel's name, its slot, and its view or why it has none")


def _prompt(slot: ids.Slot, asked: object) -> Prompt:
    match asked:
        case {"key": str(key), "n_prompt": n_prompt, "settings": settings, "selected": dict(selected)}:
            trace = Source.here().trace(key)
        case _:
            raise ValueError("a prompt's trace, how long it is, how it was continued, and what is selected")
    if trace is None:
        raise TraceGone
    return Prompt(
        slot=slot,
        trace=trace,
        n_prompt=field_in("n_prompt", n_prompt, trace),
        settings=field_in("drawn_with", settings, trace),
        selected={name: field_in(name, selected.get(name), trace, may_lack=True) for name in SELECTED},
    )
