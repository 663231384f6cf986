"""A panel: a figure with knobs, a question it answers, and how it becomes components: nowhere else does one.

Two callbacks draw every panel (`catalogue` registers the server's): in the browser a panel's view is put together from
the run, the selection and its knobs, and only a view that differs is sent to the server, which answers with a figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any, Final, Literal

import dash_bootstrap_components as dbc
from dash import dcc, html
from dash.development.base_component import Component

from dashapp import ids
from dashapp.analysis.alignment import Pins
from dashapp.analysis.table import Table
from dashapp.errors import BadPins, BadSampling
from dashapp.figures.theme import TEXT_FACTORS, THEMES, UNITS, Frame, Units, enlarged
from dashapp.jobs.works import Work
from dashapp.model.sampling import SamplingSettings
from dashapp.panels import awaiting, steps, taking
from dashapp.panels.fixed import Fixed
from dashapp.panels.formulas import Formula
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    import numpy as np

    from dashapp.figures import plot

SelectionField = Literal[
    "pos", "key_pos", "layer", "head", "neuron", "target", "against", "n_prompt", "drawn_with", "branches", "pins"
]
Mark = Literal[
    "pos",
    "pattern",
    "row",
    "matrix",
    "point",
    "steps",
    "head",
    "layer",
    "layer_pos",
    "head_pos",
    "bar",
    "tree",
    "words",
    "token",
    "between",
    "vocabulary",
    "source",
    "lines",
    "neuron",
    "neuron_pos",
    "lens",
    "none",
]

OF_A_PROMPT: Final = ("pos", "n_prompt")  # of a selection, what differs between two prompts
# Of a selection, where a panel has something to show without.
NULLABLE: Final = ("key_pos", "layer", "head", "neuron", "target", "against")

LONGEST_LINE: Final = 120  # characters of a typed knob
MOST_BRANCHES: Final = 12  # that a page remembers of a prompt
MOST_BUTTONS: Final = 6  # a knob of more options is a list to choose from

GRAPH_CONFIG: Final[Any] = {
    "displaylogo": False,
    "showSendToCloud": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    "responsive": True,
}

BLANK: Final[Any] = {"data": [], "layout": {}}  # a figure without the two makes plotly.js warn


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """A choice among a few. options: value → label. start: the default, the first of them unless it is told."""

    name: str
    label: str
    options: Mapping[str, str]
    start: str = ""

    @property
    def default(self) -> str:
        return self.start or next(iter(self.options))

    def accepts(self, value: str) -> bool:
        return value in self.options


# Of a panel in slot b beside itself in slot a.
MINUS: Final = Knob(name="minus", label="Here", options={"b": "b", "difference": "a − b"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TextKnob:
    """A line of text to type, empty at first. example: what stands there while it is empty."""

    name: str
    label: str
    example: str
    default: str = ""

    @property
    def options(self) -> Mapping[str, str]:
        """What it may say, by two instances: nothing, and the example."""
        return {"": "", self.example: self.example}

    def accepts(self, value: str) -> bool:
        return len(value) <= LONGEST_LINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a panel shows. foot: one line on what was left out, pooled or unexplained, or a number of the whole."""

    figure: plot.Figure
    foot: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """draw(trace, frame=…, then a keyword for each selection field it reads and each knob) → Drawn.

    reads: selection fields that change the figure; all but pos are None where none is selected. key_pos: the token of
    a pair that is looked at; pos: the one that looks. target, against: tokens of the vocabulary. n_prompt: how many
    tokens are the prompt's. drawn_with: the settings of the run on screen, None where they are not known. branches:
    other texts of the same prompt, None where the page remembers nothing. pins: what a person decided of the alignment,
    for panels of pairs. marks: what the browser outlines and selects by itself, as in `KINDS` of 40-panels.js.
    when: fields of `reads` that count only while a knob has a value, (knob, value); otherwise they are None, and
    another selection draws nothing anew.
    about: paragraphs and formulas: what is computed, source, and what the panel does not show.
    work: from the same arguments as draw, without frame: what takes long and would complete the figure, or None. Then
    draw has `result` too: its arrays by name, None while they are not there. starts: the work waits for a press of
    Start; always, or while a knob has a value (knob, value).
    draws_parts: draw takes part of a result too, as it comes. aside: another work, which is not awaited; draw has its
    result as `aside` where it is there all the same, else None.
    numbers: what the figure shows as a table, to be taken away (`takeaway`): of the arguments of draw those that it
    names, and of the frame `units` and `is_narrow`; a `result` that is awaited is there, and one that is not annotated
    as optional always. None where there are none to take: then no_numbers says why.
    difference: which measure of its table is subtracted where the panel stands in both slots, "" for the only one, or
    what tells it from the knobs and the unit of information; None where a − b would mean nothing.
    behind: of a panel of pairs, the panels that show of each prompt what it compares: name → title.
    pairs: it shows what two prompts have to do with each other, and stands once on Compare: draw and work have `other`
    too, slot b's trace, and for each field of `OF_A_PROMPT` that they read `other_…`, as it is in b.
    """

    name: str
    title: str
    question: str
    about: tuple[str | Formula, ...]
    draw: Callable[..., Drawn]
    reads: tuple[SelectionField, ...] = ()
    when: Mapping[SelectionField, tuple[str, str]] = field(default_factory=dict)
    marks: Mark | None = None
    knobs: tuple[Knob | TextKnob, ...] = ()
    work: Callable[..., Work | None] | None = None
    starts: bool | tuple[str, str] = False
    draws_parts: bool = False
    aside: Callable[..., Work | None] | None = None
    pairs: bool = False
    numbers: Callable[..., Table] | None = None
    no_numbers: str = ""
    difference: str | Callable[[Mapping[str, str], Units], str] | None = None
    behind: Mapping[str, str] = field(default_factory=dict)


def aria(**attributes: str) -> dict[str, Any]:
    """Attributes for assistive technology: label="Pages" → {"aria-label": "Pages"}."""
    return {f"aria-{name}": value for name, value in attributes.items()}


def told(about: Iterable[str | Formula]) -> Component:
    """Paragraphs and formulas as a component."""
    return Fixed(html=told_as_html(about))


def told_as_html(about: Iterable[str | Formula]) -> str:
    """The same as HTML, the texts escaped."""
    return "".join(f"<p>{escape(item)}</p>" if isinstance(item, str) else item.html() for item in about)


def layout(panel: Panel, slot: ids.Slot, query: Mapping[str, str], *, shares: bool = False) -> html.Section:
    """A panel in a slot, as components. query: of the address, which may set knobs.

    shares: the same panel stands beside it in the other slot, and both have the same ranges.
    """
    graph = dcc.Graph(id=ids.part("figure", panel.name, slot), config=GRAPH_CONFIG, figure=BLANK)
    # Dash's annotation knows of no data attributes.
    marks: Any = {"data-marks": panel.marks, "data-slot": slot} if panel.marks else {}
    reads: Any = {"data-reads": " ".join(panel.reads)} if panel.reads else {}
    knobs = (*panel.knobs, *((MINUS,) if shares and slot == "b" and panel.difference is not None else ()))
    defaults = {knob.name: knob.default for knob in knobs}
    spec = {
        "slot": slot,
        "reads": panel.reads,
        "when": panel.when,
        "shares": shares or panel.pairs,
        "defaults": defaults,
    }
    spec |= {"pairs": panel.pairs}
    return html.Section(
        [
            html.Div(
                [
                    html.H2(panel.title, id=ids.title(panel.name, slot)),
                    taking.menu(panel.name, slot, title=panel.title, no_numbers=panel.no_numbers),
                ],
                className="panel-head",
            ),
            html.P(panel.question, className="question"),
            html.Div(
                [
                    html.P(id=ids.part("state", panel.name, slot), className="panel-state"),
                    html.Div(graph, className="panel-graph", **marks),
                ],
                id=ids.part("body", panel.name, slot),
                className="panel-body is-waiting",
                disable_n_clicks=True,  # or each click on a figure is counted, which keeps Dash busy
                **reads,
            ),
            html.P(id=ids.part("fault", panel.name, slot), className="panel-fault", role="alert"),
            *(steps.parts() if panel.marks == "steps" else ()),
            *(awaiting.parts(panel.name, slot) if panel.work else ()),
            html.Div([_knob(panel, slot, knob, query) for knob in knobs], className="knobs"),
            html.P(id=ids.part("foot", panel.name, slot), className="foot"),
            *_buttons_behind(panel),
            html.Details([html.Summary("About this panel"), told(panel.about)]),
            dcc.Store(id=ids.part("spec", panel.name, slot), data=spec),
            dcc.Store(id=ids.part("view", panel.name, slot)),
            dcc.Store(id=ids.part("drawn", panel.name, slot)),
            dcc.Store(id=ids.part("near", panel.name, slot)),
        ],
        className="panel",
        **aria(labelledby=ids.title(panel.name, slot)),
    )


def _buttons_behind(panel: Panel) -> list[html.Div]:
    """What opens the panels behind one of pairs, for both prompts."""
    if not panel.behind:
        return []
    buttons = [
        html.Button(f"Show {title} of both", id=ids.behind(panel.name, name), className="quiet", type="button")
        for name, title in panel.behind.items()
    ]
    return [html.Div(buttons, className="buttons")]


def draw(
    panel: Panel,
    trace: Trace,
    view: Mapping[str, Any],
    *,
    result: Mapping[str, np.ndarray] | None = None,
    aside: Mapping[str, np.ndarray] | None = None,
    other: Trace | None = None,
) -> Drawn:
    """A panel's figure for a view that a browser sent. result, aside: of its works, if it has any and that is there.

    other: slot b's trace, for a panel of pairs. Raises: ValueError for a view that no page of ours sends.
    """
    frame = frame_of(view)
    chosen = chosen_by(panel, trace, view, other) | {"frame": frame}
    results = ({"result": result} if panel.work else {}) | ({"aside": aside} if panel.aside else {})
    drawn = panel.draw(trace, **chosen, **results)
    return replace(drawn, figure=enlarged(drawn.figure, frame.text))


def frame_of(view: Mapping[str, Any]) -> Frame:
    """How the page of a view looks. Raises: ValueError as `draw`."""
    theme = next((name for name in THEMES if name == view.get("theme")), None)
    if theme is None:
        raise ValueError(f"a theme is one of {list(THEMES)}")
    text = next((factor for factor in TEXT_FACTORS if factor == view.get("text")), None)
    if text is None:
        raise ValueError(f"a text size is one of {list(TEXT_FACTORS)}")
    units = next((each for each in UNITS if each == view.get("units", UNITS[0])), None)
    if units is None:
        raise ValueError(f"a unit of information is one of {list(UNITS)}")
    return Frame(theme=theme, is_narrow=view.get("narrow") is True, text=text, units=units)


def work_of(panel: Panel, trace: Trace, view: Mapping[str, Any], other: Trace | None = None) -> Work | None:
    """What would complete a panel's figure, or None. Raises: ValueError as `draw`."""
    return panel.work(trace, **chosen_by(panel, trace, view, other)) if panel.work else None


def aside_of(panel: Panel, trace: Trace, view: Mapping[str, Any], other: Trace | None = None) -> Work | None:
    """What a panel's figure tells too where it is there, or None. Raises: ValueError as `draw`."""
    return panel.aside(trace, **chosen_by(panel, trace, view, other)) if panel.aside else None


def chosen_by(panel: Panel, trace: Trace, view: Mapping[str, Any], other: Trace | None = None) -> dict[str, Any]:
    """A panel's fields of the selection and its knobs in a view, and of a panel of pairs what it needs of slot b.

    Raises: ValueError as `draw`.
    """
    knobs = view.get("knobs")
    chosen: dict[str, Any] = {
        field: field_in(field, view.get(field), trace, may_lack=not _counts(panel, field, knobs))
        for field in panel.reads
        if field != "pins"
    }
    for knob in panel.knobs:
        value = knobs.get(knob.name) if isinstance(knobs, Mapping) else None
        if not isinstance(value, str) or not knob.accepts(value):
            raise ValueError(f"{knob.name} is none of its options")
        chosen[knob.name] = value
    return chosen | _of_other(panel, view, trace, other) if panel.pairs else chosen


def _of_other(panel: Panel, view: Mapping[str, Any], trace: Trace, other: Trace | None) -> dict[str, Any]:
    beside = view.get("beside")
    if other is None or not isinstance(beside, Mapping):
        raise ValueError("a panel of pairs needs two prompts")
    fields = [field for field in panel.reads if field in OF_A_PROMPT]
    lacking = {field: not _counts(panel, field, view.get("knobs")) for field in fields}
    of_other = {
        f"other_{field}": field_in(field, beside.get(field), other, may_lack=lacking[field]) for field in fields
    }
    decided = {"pins": pins_of(view, trace, other)} if "pins" in panel.reads else {}
    return {"other": other, **of_other, **decided}


def pins_of(view: Mapping[str, Any], a: Trace, b: Trace) -> Pins:
    """What is decided of the alignment of both prompts in a view. Raises: ValueError as `draw`."""
    text = view.get("pins", "")
    if not isinstance(text, str):
        raise ValueError("edits of an alignment are a text")
    try:
        pins = Pins.read(text)
        pins.check(a.n_tokens, b.n_tokens)
    except BadPins as error:  # the page was told, and sends none that do not fit
        raise ValueError(error.instance) from error
    return pins


def field_in(field: SelectionField, value: object, trace: Trace, *, may_lack: bool = False) -> Any:
    """A field of the selection in a view. may_lack: it counts for nothing now. Raises: ValueError outside the trace."""
    if field in RECORDS:
        return None if value is None else RECORDS[field](value)
    config, n_tokens = trace.config, trace.n_tokens
    sizes = {"pos": n_tokens, "layer": config.n_layer, "head": config.n_head, "n_prompt": n_tokens + 1}
    sizes |= {"key_pos": n_tokens, "neuron": config.d_mlp, "target": config.d_vocab, "against": config.d_vocab}
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < sizes[field]:
        return value
    if value is not None or not (may_lack or field in NULLABLE):
        raise ValueError(f"{field} is outside the trace")
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Branches:
    """Other texts of a prompt. n_typed: how many tokens somebody typed. keys: of their traces."""

    n_typed: int
    keys: tuple[str, ...]


def _branches_in(value: object) -> Branches:
    match value:
        case {"n_typed": int(n_typed), "keys": [*keys]} if n_typed >= 0 and len(keys) <= MOST_BRANCHES:
            if all(isinstance(key, str) for key in keys):
                return Branches(n_typed=n_typed, keys=tuple(keys))
    raise ValueError("branches is none of what a page remembers")


def _settings_in(value: object) -> SamplingSettings:
    try:
        return SamplingSettings(**value)  # type: ignore[arg-type]
    except (TypeError, BadSampling) as error:
        raise ValueError("drawn_with is outside of what a run can have") from error


RECORDS: Final = {"drawn_with": _settings_in, "branches": _branches_in}  # fields that are no number


def waits_for_start(panel: Panel, view: Mapping[str, Any]) -> bool:
    """Whether the work of a panel's view begins when a person presses Start, and not by itself."""
    if isinstance(panel.starts, bool):
        return panel.starts
    knob, value = panel.starts
    knobs = view.get("knobs")
    return isinstance(knobs, Mapping) and knobs.get(knob) == value


def _counts(panel: Panel, name: SelectionField, knobs: object) -> bool:
    """Whether a field of the selection changes the figure while the knobs stand so."""
    knob, value = panel.when.get(name, ("", ""))
    return not knob or (isinstance(knobs, Mapping) and knobs.get(knob) == value)


def _knob(panel: Panel, slot: ids.Slot, knob: Knob | TextKnob, query: Mapping[str, str]) -> html.Fieldset | html.Label:
    told = query.get(f"{panel.name}.{knob.name}", "")
    knob_id, value = ids.knob(panel.name, slot, knob.name), told if knob.accepts(told) else knob.default
    if isinstance(knob, TextKnob):
        line: dict[str, Any] = {"debounce": True, "autocomplete": "off", "maxlength": LONGEST_LINE, "size": "sm"}
        return html.Label([knob.label, dbc.Input(id=knob_id, value=value, placeholder=knob.example, **line)])
    options = [{"value": value, "label": label} for value, label in knob.options.items()]
    if len(options) > MOST_BUTTONS:
        return html.Label([knob.label, dbc.Select(id=knob_id, options=options, value=value, size="sm")])
    return html.Fieldset(
        [html.Legend(knob.label), dbc.RadioItems(id=knob_id, options=options, value=value, inline=True)]
    )
