"""What pages show of prompts that somebody has just opened: knobs as at first, and nothing selected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dashapp import ids
from dashapp.figures.theme import Frame
from dashapp.model.sampling import SamplingSettings
from dashapp.panels.catalogue import BY_PAGE, PAIR_PANELS, PANELS
from dashapp.panels.panel import Panel
from dashapp.report.contents import COMPARE, SELECTED, Entry, Prompt, Report
from dashapp.traces.record import Trace

BESIDE_ON_COMPARE = ("next-tokens",)  # of the other pages' panels, as the page Compare begins


def prompt_opened(slot: ids.Slot, trace: Trace, n_prompt: int, settings: SamplingSettings) -> Prompt:
    """A prompt of which the page shows the last token, for nobody has selected another."""
    selected: dict[str, int | None] = dict.fromkeys(SELECTED)
    return Prompt(
        slot=slot, trace=trace, n_prompt=n_prompt, settings=settings, selected=selected | {"pos": n_prompt - 1}
    )


def report_opened(prompts: tuple[Prompt, ...], pages: Iterable[str], frame: Frame) -> Report:
    """Pages of one prompt or two; with two, each panel is there for both, and `COMPARE` has those of the pair."""
    entries = [entry.checked() for page in pages for entry in _entries(page, prompts, frame)]
    return Report(prompts=prompts, entries=tuple(entries), frame=frame)


def _entries(page: str, prompts: tuple[Prompt, ...], frame: Frame) -> Iterator[Entry]:
    if page == COMPARE:
        for panel in PAIR_PANELS.values():
            yield Entry(page=page, panel=panel, slot="a", view=_view(panel, prompts[0], prompts[1:], frame))
    for panel in [PANELS[name] for name in BESIDE_ON_COMPARE] if page == COMPARE else BY_PAGE[page]:
        for prompt in prompts:
            others = tuple(other for other in prompts if other is not prompt)
            yield Entry(page=page, panel=panel, slot=prompt.slot, view=_view(panel, prompt, others, frame))


def _view(panel: Panel, prompt: Prompt, others: tuple[Prompt, ...], frame: Frame) -> dict[str, Any]:
    """As the browser would put it together, see `viewOf` in 40-panels.js."""
    looks = {"theme": frame.theme, "text": frame.text, "units": frame.units, "narrow": frame.is_narrow}
    knobs = {knob.name: knob.default for knob in panel.knobs}
    beside = {"key": others[0].trace.key, **_fields(panel, others[0])} if others else None
    return {"key": prompt.trace.key, **looks, "knobs": knobs, "beside": beside, **_fields(panel, prompt)}


def _fields(panel: Panel, prompt: Prompt) -> dict[str, Any]:
    """What a panel reads of the selection and of the run."""
    settings = prompt.settings.as_dict() if prompt.settings else None
    known = {**prompt.selected, "n_prompt": prompt.n_prompt, "drawn_with": settings, "branches": None}
    return {field: known[field] for field in panel.reads}
