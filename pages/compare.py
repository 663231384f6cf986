"""The page `/compare`: two prompts, and any panel for both of them side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import dash_bootstrap_components as dbc
from dash import (
    ALL,
    ClientsideFunction,
    Input,
    Output,
    State,
    callback,
    clientside_callback,
    dcc,
    html,
    no_update,
    register_page,
)
from dash.exceptions import PreventUpdate

from dashapp import ids
from dashapp.panels.catalogue import BY_PAGE, PAIR_PANELS, PANELS
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import aria, told
from dashapp.panels.panel import layout as panel_layout
from dashapp.panels.rows import panel_row

OPEN_AT_FIRST: Final = ("next-tokens",)
KNOB: Final = "compare.open"  # in the address: names of panels, with "." between them

# Panels of both prompts: one a row, or two beside each other.
ROWS: Final = (
    ("changed-tokens", "changed-neurons"),
    ("changed-surprisal",),
    ("changed-heads",),
    ("changed-stream",),
    ("lens-change",),
    ("patching",),
    ("patch-cell",),
    ("ablation",),
)

EMPTY: Final = "There is no second prompt yet. Type one under b and press Generate, or take one of these pairs:"
READY: Final = (  # what differs, a, b
    (
        "who gives",
        "When Mary and John went to the store, John gave a drink to",
        "When Mary and John went to the store, Mary gave a drink to",
    ),
    ("which country", "Everybody knows that the capital of France is", "Everybody knows that the capital of Italy is"),
    ("one or several", "The keys to the cabinet", "The key to the cabinet"),
)
ABOUT: Final = (
    "Tokens are aligned by what they are: as many same tokens as can be, in the order of both prompts (their longest "
    "common subsequence); between those, a token of one prompt is paired with the token in its place in the other, as "
    "replaced. What is left over has no counterpart. In the strips, replaced tokens stand on a wave and those without "
    "counterpart on dots, as along the axes of the figures side by side.",
    Formula("js"),
    Formula("kl"),
    "p and q are what the model expects after the two compared tokens, over the whole vocabulary, before temperature, "
    "top-k and top-p. The formula is in nats; bits are nats divided by ln 2.",
    "Sources: Wagner & Fischer 1974 (alignment); Lin 1991; Kullback & Leibler 1951.",
    "It does not show why the expectations differ, nor whether paired tokens mean the same: alignment knows what a "
    "token is and where it stands, not the part it plays.",
)


def layout(**query: str) -> html.Div:
    """The page; knobs and open panels stand in the query string, and the shell reads the rest of it."""
    opened = open_panels(query.get(KNOB))
    pairs = [
        html.Div(
            _pair(name, query) if name in opened else [], id=ids.pair(name), className="pair", disable_n_clicks=True
        )
        for name in PANELS
    ]
    return html.Div(
        [
            html.H1("Compare", className="visually-hidden"),
            _difference(),
            _alignment(),
            *(panel_row([PAIR_PANELS[name] for name in names], query) for names in ROWS),
            _choice(opened),
            html.Div(pairs),
            dcc.Store(id=ids.COMPARED),
            dcc.Store(id=ids.COMPARE_QUERY, data=query),
            dcc.Store(id=ids.COMPARE_SHOWN, data=opened),
        ],
        className="page compare",
    )


register_page(__name__, path="/compare", name="Compare", title="Compare · Inside GPT-2", order=4, layout=layout)


@callback(
    Output(ids.pair(ALL), "children"),
    Output(ids.COMPARE_SHOWN, "data"),
    Input(ids.compare_open(ALL), "value"),
    State(ids.pair(ALL), "id"),
    State(ids.COMPARE_SHOWN, "data"),
    State(ids.COMPARE_QUERY, "data"),
    prevent_initial_call=True,
)
def open_pairs(wanted: object, pairs: object, shown: object, query: object) -> tuple[list[Any], list[str]]:
    """What stands in each pair: those that are open already stay as they are."""
    if not isinstance(pairs, list) or not all(isinstance(pair, dict) and pair.get("panel") in PANELS for pair in pairs):
        raise PreventUpdate  # no page of ours sends it
    asked, there = _panels_in(_joined(wanted)), _panels_in(shown)
    knobs = {name: value for name, value in query.items() if isinstance(value, str)} if isinstance(query, dict) else {}

    def children(name: str) -> Any:
        if (name in asked) == (name in there):
            return no_update
        return _pair(name, knobs) if name in asked else []

    return [children(pair["panel"]) for pair in pairs], asked


clientside_callback(
    ClientsideFunction("compare", "compared"),
    Output(ids.COMPARED, "data"),
    Input(ids.SELECTION, "data"),
    *(Input(ids.of(ids.RUN, slot), "data") for slot in ids.SLOTS),
    Input(ids.ALIGNMENT, "data"),
    State(ids.COMPARED, "data"),
)
clientside_callback(
    ClientsideFunction("alignment", "draw"),
    Output(ids.ALIGN, "hidden"),
    Input(ids.ALIGNMENT, "data"),
    *(Input(ids.of(ids.RUN, slot), "data") for slot in ids.SLOTS),
)
clientside_callback(
    ClientsideFunction("compare", "offers"),
    Output(ids.COMPARE_EMPTY, "hidden"),
    Output(ids.COMPARE_EXAMPLE, "hidden"),
    Output(ids.COMPARE_COPY, "disabled"),
    Output(ids.COMPARE_SWAP, "disabled"),
    *(Input(ids.of(ids.REQUEST, slot), "data") for slot in ids.SLOTS),
    *(Input(ids.of(ids.LIVE, slot), "data") for slot in ids.SLOTS),
)
clientside_callback(
    ClientsideFunction("compare", "fill"),
    Input(ids.COMPARE_EXAMPLE, "n_clicks"),
    Input(ids.COMPARE_COPY, "n_clicks"),
    Input(ids.COMPARE_SWAP, "n_clicks"),
    *(State(ids.of(ids.REQUEST, slot), "data") for slot in ids.SLOTS),
    State(ids.SELECTION, "data"),
    prevent_initial_call=True,
)
for name in ("site", "direction"):  # a cell that is patched is one of the sweep's
    same = [ids.knob(panel, "a", name) for panel in ("patching", "patch-cell")]
    clientside_callback(
        ClientsideFunction("compare", "same"),
        *(Output(knob, "value", allow_duplicate=True) for knob in same),
        *(Input(knob, "value") for knob in same),
        prevent_initial_call=True,
    )
clientside_callback(
    ClientsideFunction("compare", "openBehind"),
    Output(ids.compare_open(ALL), "value"),
    Input(ids.behind(ALL, ALL), "n_clicks"),
    State(ids.compare_open(ALL), "value"),
    State(ids.compare_open(ALL), "options"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("compare", "keepOpen"),
    Input(ids.compare_open(ALL), "value"),
    prevent_initial_call=True,
)


def open_panels(names: str | None) -> list[str]:
    """The panels that an address names, in the order of the catalogue; those open at first, where it names none."""
    return _panels_in(list(OPEN_AT_FIRST) if names is None else names.split("."))


def _panels_in(names: object) -> list[str]:
    """The panels that a list names, in the order of the catalogue."""
    return [name for name in PANELS if isinstance(names, list) and name in names]


def _joined(lists: object) -> list[object]:
    """One list of the lists of all pages."""
    return [name for names in lists if isinstance(names, list) for name in names] if isinstance(lists, list) else []


def _pair(name: str, query: Mapping[str, str]) -> list[html.Div]:
    """A panel in both slots."""
    return [
        html.Div(
            [html.Span(slot, className="slot-name"), panel_layout(PANELS[name], slot, query, shares=True)],
            className=f"half of-{slot}",
            role="group",
            **aria(label=f"{PANELS[name].title}, prompt {slot}"),
        )
        for slot in ids.SLOTS
    ]


def _difference() -> html.Section:
    return html.Section(
        [
            html.H2("What differs", id="compare-title"),
            html.P(
                "Which tokens do the prompts share, and how far apart is what the model expects after them?",
                className="question",
            ),
            _ready_pairs(),
            html.P(id=ids.COMPARE_TOKENS),
            html.P(id=ids.COMPARE_EXPECTATIONS, **aria(live="polite")),
            html.Div([_button(*row) for row in BUTTONS], className="buttons"),
            html.Details(
                [
                    html.Summary("About this comparison"),
                    told(ABOUT),
                ]
            ),
        ],
        className="panel difference",
        **aria(labelledby="compare-title"),
    )


def _ready_pairs() -> html.Div:
    pairs = html.Ul([html.Li(_ready(*row)) for row in READY])
    return html.Div([html.P(EMPTY), pairs], id=ids.COMPARE_EMPTY, className="examples", hidden=True)


def _ready(label: str, a: str, b: str) -> list[Any]:
    """A link to two prompts, read and not continued."""
    query = {"prompt": a, "new": 0, "b.prompt": b, "b.new": 0}
    return [dcc.Link(label.capitalize(), href=f"/compare?{urlencode(query)}"), html.Small(f"{a} … / {b} …")]


def _alignment() -> html.Details:
    """The tokens of both prompts in pairs, to be edited; 62-alignment.js draws them and listens."""
    return html.Details(
        [
            html.Summary(html.H2("How the tokens are aligned", id="align-title")),
            html.P(ALIGN_HELP, className="question"),
            html.Div(id=ids.ALIGN_PAIRS, className="align-pairs", role="group", **aria(label=ALIGN_KEYS)),
            html.P(id=ids.ALIGN_SAID, role="status"),
            html.P(id=ids.ALIGN_REFUSED, className="align-refused", role="alert"),
            html.Div([_button(*row) for row in ALIGN_BUTTONS], className="buttons"),
        ],
        id=ids.ALIGN,
        className="panel alignment",
        open=True,
        hidden=True,
    )


ALIGN_HELP: Final = (
    "Above stands a, below b: = the same token, ≠ another one in its place, – none. A pencil "
    "marks what was edited. Whatever compares the prompts token by token follows, and so does the link."
)
ALIGN_KEYS: Final = (
    "Pairs of tokens: arrow keys move, Enter chooses a token and then its counterpart, Delete leaves one alone, Escape "
    "lets the choice go"
)
ALIGN_BUTTONS: Final = (
    (ids.ALIGN_ALONE, "Leave alone"),
    (ids.ALIGN_DROP, "Drop its edit"),
    (ids.ALIGN_CANCEL, "Cancel choice"),
    (ids.ALIGN_UNDO, "Undo all edits"),
)
BUTTONS: Final = (
    (ids.COMPARE_EXAMPLE, "Generate b with one word changed"),
    (ids.COMPARE_COPY, "Copy a to b"),
    (ids.COMPARE_SWAP, "Swap a and b"),
)


def _button(name: str, label: str) -> html.Button:
    return html.Button(label, id=name, className="quiet", type="button")


def _choice(opened: list[str]) -> html.Fieldset:
    """Which panels are open, one under the other: a list for each page."""
    lists = [
        html.Fieldset(
            [
                html.Legend(page),
                dbc.Checklist(
                    id=ids.compare_open(page),
                    options=[{"value": panel.name, "label": panel.title} for panel in panels],
                    value=[panel.name for panel in panels if panel.name in opened],
                ),
            ]
        )
        for page, panels in BY_PAGE.items()
    ]
    about = html.P("Panels of the other pages, for both prompts side by side.", className="question")
    return html.Fieldset(
        [html.Legend("What to compare"), about, html.Div(lists, className="choice-lists")], className="choice"
    )
