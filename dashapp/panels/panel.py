"""A panel: a figure with knobs, a question it answers, and how it becomes components: nowhere else does one.

Two callbacks draw every panel (`catalogue` registers the server's): in the browser a panel's view is put together from
the run, the selection and its knobs, and only a view that differs is sent to the server, which answers with a figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashapp import ids
from dashapp.figures.theme import THEMES, Frame
from dashapp.model.config import GPT2Config
from dashapp.panels.source import Source
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    import plotly.graph_objects as go

Slot = Literal["a", "b"]
SelectionField = Literal["pos", "layer", "head"]
Mark = Literal["pos", "pattern", "head", "bar"]

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
    """A choice among a few. options: value → label, the default first; or a function that makes them for a model."""

    name: str
    label: str
    options: Mapping[str, str] | Callable[[GPT2Config], Mapping[str, str]]

    def options_for(self, config: GPT2Config) -> Mapping[str, str]:
        """value → label for a model of this shape."""
        return self.options(config) if callable(self.options) else self.options


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a panel shows. foot: one line on what was left out, pooled or unexplained, or a number of the whole."""

    figure: go.Figure
    foot: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """draw(trace, frame=…, then a keyword for each selection field it reads and each knob) → Drawn.

    reads: selection fields that change the figure; pos is always given, layer and head are None where no head is
    selected. marks: what the browser outlines and selects by itself, as in `KINDS` of 40-panels.js.
    about: paragraphs on formula, source, and what the panel does not show.
    """

    name: str
    title: str
    question: str
    about: tuple[str, ...]
    draw: Callable[..., Drawn]
    reads: tuple[SelectionField, ...] = ()
    marks: Mark | None = None
    knobs: tuple[Knob, ...] = ()


def aria(**attributes: str) -> dict[str, Any]:
    """Attributes for assistive technology: label="Pages" → {"aria-label": "Pages"}."""
    return {f"aria-{name}": value for name, value in attributes.items()}


def layout(panel: Panel, slot: Slot) -> html.Section:
    """A panel in a slot, as components."""
    graph = dcc.Graph(id=ids.part("figure", panel.name, slot), config=GRAPH_CONFIG, figure=BLANK)
    marks: Any = {"data-marks": panel.marks} if panel.marks else {}  # Dash's annotation knows of no data attributes
    return html.Section(
        [
            html.H2(panel.title, id=ids.title(panel.name, slot)),
            html.P(panel.question, className="question"),
            html.Div(
                [
                    html.P(id=ids.part("state", panel.name, slot), className="panel-state"),
                    html.Div(graph, className="panel-graph", **marks),
                ],
                id=ids.part("body", panel.name, slot),
                className="panel-body is-waiting",
            ),
            html.P(id=ids.part("fault", panel.name, slot), className="panel-fault", role="alert"),
            html.Div([_knob(panel, slot, knob) for knob in panel.knobs], className="knobs"),
            html.P(id=ids.part("foot", panel.name, slot), className="foot"),
            html.Details([html.Summary("About this panel"), *(html.P(text) for text in panel.about)]),
            dcc.Store(id=ids.part("reads", panel.name, slot), data=list(panel.reads)),
            dcc.Store(id=ids.part("view", panel.name, slot)),
            dcc.Store(id=ids.part("drawn", panel.name, slot)),
        ],
        className="panel",
        **aria(labelledby=ids.title(panel.name, slot)),
    )


def draw(panel: Panel, trace: Trace, view: Mapping[str, Any]) -> Drawn:
    """A panel's figure for a view that a browser sent. Raises: ValueError for a view that no page of ours sends."""
    theme = next((name for name in THEMES if name == view.get("theme")), None)
    if theme is None:
        raise ValueError(f"a theme is one of {list(THEMES)}")
    chosen: dict[str, object] = {"frame": Frame(theme=theme, is_narrow=view.get("narrow") is True)}
    sizes = {"pos": trace.n_tokens, "layer": trace.config.n_layer, "head": trace.config.n_head}
    for field in panel.reads:
        value = view.get(field)
        is_inside = not isinstance(value, bool) and isinstance(value, int) and 0 <= value < sizes[field]
        if not is_inside and not (value is None and field != "pos"):
            raise ValueError(f"{field} is outside the trace")
        chosen[field] = value
    knobs = view.get("knobs")
    for knob in panel.knobs:
        value = knobs.get(knob.name) if isinstance(knobs, Mapping) else None
        if not isinstance(value, str) or value not in knob.options_for(trace.config):
            raise ValueError(f"{knob.name} is none of its options")
        chosen[knob.name] = value
    return panel.draw(trace, **chosen)


def _knob(panel: Panel, slot: Slot, knob: Knob) -> html.Fieldset | html.Label:
    choices = knob.options_for(Source.here().weights.config) if callable(knob.options) else knob.options
    options = [{"value": value, "label": label} for value, label in choices.items()]
    knob_id, default = ids.knob(panel.name, slot, knob.name), next(iter(choices))
    if len(options) > MOST_BUTTONS:
        return html.Label([knob.label, dbc.Select(id=knob_id, options=options, value=default, size="sm")])
    return html.Fieldset(
        [html.Legend(knob.label), dbc.RadioItems(id=knob_id, options=options, value=default, inline=True)]
    )
