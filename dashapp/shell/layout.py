"""The shell as components: header on top, a prompt bar and a token strip for each slot, then the page."""

from __future__ import annotations

from typing import Any

from dash import dcc, html, page_container

from dashapp import ids
from dashapp.panels.panel import aria
from dashapp.panels.taking import dialog, page_menu
from dashapp.shell.header import header
from dashapp.shell.models import demo_note
from dashapp.shell.prompt_bar import prompt_bar
from dashapp.shell.selection_bar import selection_bar
from dashapp.shell.strip_attention import strip_legend
from dashapp.shell.strip_measures import token_card
from dashapp.shell.toasts import toasts


def layout() -> html.Div:
    """The shell around the page."""
    return html.Div(
        [
            html.A("Skip to the figures", href="#page", className="skip"),
            toasts(),
            token_card(),
            dialog(),
            dcc.Location(id=ids.LOCATION, refresh=False),
            header(),
            demo_note(),
            html.Div([prompt_bar(slot) for slot in ids.SLOTS], className="prompt-bars"),
            html.Section(
                [*(_strip(slot) for slot in ids.SLOTS), selection_bar()], className="strip-bar", **aria(label="Tokens")
            ),
            html.Main([page_menu(), page_container], id="page", disable_n_clicks=True),
            *_stores(),
        ],
        id=ids.SHELL,
        disable_n_clicks=True,  # here and below: or each click on a token is counted, which keeps Dash busy
    )


def _strip(slot: ids.Slot) -> html.Div:
    strip = html.Div(
        [html.Div(id=ids.of(ids.STRIP, slot), className="strip", disable_n_clicks=True), strip_legend(slot)],
        className="strip-side",
    )
    return html.Div([html.Span(slot, className="slot-name"), strip], className=f"strip-row of-{slot}")


def _stores() -> list[Any]:
    return [
        *(dcc.Store(id=ids.of(name, slot)) for slot in ids.SLOTS for name in ids.STORES),
        *(dcc.Store(id=ids.of(ids.SLOT_NAME, slot), data=slot) for slot in ids.SLOTS),
        *(dcc.Store(id=name) for name in (ids.SELECTION, ids.THEME, ids.TEXT, ids.UNITS, ids.RESTORE, ids.TOLD)),
        *(dcc.Store(id=name) for name in (ids.PAIR, ids.PINS, ids.ALIGNMENT, ids.PINS_REFUSED)),
        *(dcc.Store(id=name) for name in (ids.RECIPE_TO_KEEP, ids.RECIPE_KEPT, ids.RECIPE_TO_OPEN, ids.RECIPE_OPENED)),
        dcc.Interval(id=ids.PULSE, interval=1000, disabled=True),
    ]
