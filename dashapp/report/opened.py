"""What pages show of prompts that somebody has just opened: knobs as at first, and a selection made in the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dashapp import ids
from dashapp.analysis.alignment import NO_PINS, NONE, Pins, align
from dashapp.errors import NotThere
from dashapp.figures.theme import Frame
from dashapp.model.sampling import SamplingSettings
from dashapp.panels.catalogue import BY_PAGE, PAIR_PANELS, PANELS
from dashapp.panels.panel import Panel, SelectionField
from dashapp.report.contents import COMPARE, SELECTED, Entry, Prompt, Report
from dashapp.traces.record import Trace

ALONE = "The selected token of a has no counterpart in b. Select one that has."
BESIDE_ON_COMPARE = ("next-tokens",)  # of the other pages' panels, as the page Compare begins


def prompts_opened(
    runs: Sequence[tuple[Trace, int, SamplingSettings]], selected: Mapping[str, int | None], pins: Pins = NO_PINS
) -> tuple[Prompt, ...]:
    """One prompt or two, each a trace, how many of its tokens are the prompt, and how it was continued, with
    what is selected in the first: a token (or the prompt's last), in the second its counterpart (None where it has
    none), and in both the same layer, head, neuron, target and against. pins: decided of their alignment.

    Raises: NotThere, BadPins.
    """
    first, nothing = runs[0][0], dict[str, int | None].fromkeys(SELECTED)
    chosen = nothing | dict(selected)
    for what, field, n in sizes_of(first):
        value = chosen[field]
        if value is not None and not 0 <= value < n:
            raise NotThere(what, value, n)
    if len(runs) > 1:
        pins.check(first.n_tokens, runs[1][0].n_tokens)
    found = []
    for slot, (trace, n_prompt, settings) in zip(ids.SLOTS, runs, strict=False):
        wanted = chosen["pos"]
        pos = n_prompt - 1 if wanted is None else wanted if slot == "a" else _counterpart(first, trace, wanted, pins)
        shown = {**chosen, "pos": pos}
        found.append(Prompt(slot=slot, trace=trace, n_prompt=n_prompt, settings=settings, selected=shown))
    return tuple(found)


def sizes_of(trace: Trace) -> tuple[tuple[str, SelectionField, int], ...]:
    """What of a selection has how many places: (in words, field, number)."""
    config = trace.config
    return (
        ("token", "pos", trace.n_tokens),
        ("layer", "layer", config.n_layer),
        ("head", "head", config.n_head),
        ("neuron", "neuron", config.d_mlp),
    )


def _counterpart(a: Trace, b: Trace, pos: int, pins: Pins) -> int | None:
    found = int(align(a.token_ids, b.token_ids, pins).b_of_a[pos])
    return None if found == NONE else found


def report_opened(prompts: tuple[Prompt, ...], pages: Iterable[str], frame: Frame, pins: Pins = NO_PINS) -> Report:
    """Pages of one prompt or two; with two, each panel is there for both, and `COMPARE` has those of the pair.

    pins: decided of the alignment of the two.
    """
    entries = [entry.checked() for page in pages for entry in _entries(page, prompts, frame, pins=pins)]
    return Report(prompts=prompts, entries=tuple(entries), frame=frame, pins=pins)


def _entries(page: str, prompts: tuple[Prompt, ...], frame: Frame, *, pins: Pins) -> Iterator[Entry]:
    if page == COMPARE:
        for panel in PAIR_PANELS.values():
            yield _entry(page, panel, prompts[0], prompts[1:], frame, pins=pins)
    for panel in [PANELS[name] for name in BESIDE_ON_COMPARE] if page == COMPARE else BY_PAGE[page]:
        for prompt in prompts:
            others = tuple(other for other in prompts if other is not prompt)
            yield _entry(page, panel, prompt, others, frame, pins=pins)


def _entry(page: str, panel: Panel, prompt: Prompt, others: tuple[Prompt, ...], frame: Frame, *, pins: Pins) -> Entry:
    """A panel, or why it cannot show what is selected."""
    wanted = (prompt, *others) if panel.pairs else (prompt,)
    if "pos" in panel.reads and any(each.selected["pos"] is None for each in wanted):
        return Entry(page=page, panel=panel, slot=prompt.slot, view=None, why=ALONE)
    beside = tuple(other for other in others if "pos" not in panel.reads or other.selected["pos"] is not None)
    return Entry(page=page, panel=panel, slot=prompt.slot, view=_view(panel, prompt, beside, frame, pins=pins))


def _view(panel: Panel, prompt: Prompt, others: tuple[Prompt, ...], frame: Frame, *, pins: Pins) -> dict[str, Any]:
    """As the browser would put it together, see `viewOf` in 40-panels.js."""
    looks = {"theme": frame.theme, "text": frame.text, "units": frame.units, "narrow": frame.is_narrow}
    knobs = {knob.name: knob.default for knob in panel.knobs}
    beside = {"key": others[0].trace.key, **_fields(panel, others[0])} if others else None
    decided = {"pins": str(pins)} if "pins" in panel.reads else {}
    return {"key": prompt.trace.key, **looks, "knobs": knobs, "beside": beside, **_fields(panel, prompt), **decided}


def _fields(panel: Panel, prompt: Prompt) -> dict[str, Any]:
    """What a panel reads of the selection and of the run."""
    settings = prompt.settings.as_dict() if prompt.settings else None
    known = {**prompt.selected, "n_prompt": prompt.n_prompt, "drawn_with": settings, "branches": None}
    return {field: known[field] for field in panel.reads if field != "pins"}
