"""What a panel offers to be taken away, as components: one small menu in its frame, and one dialog for all of them.

80-takeaway.js answers the buttons: it makes pictures itself and asks `shell.takeaway` for the rest.
"""

from __future__ import annotations

from html import escape
from typing import Any, Final

from dash import html
from dash.development.base_component import Component

from dashapp import ids
from dashapp.panels.fixed import Fixed

PICTURES: Final = {"png": "Picture (PNG)", "svg": "Picture (SVG)"}
NUMBERS: Final = {"csv": "Numbers (CSV)", "npz": "Numbers (NPZ)", "python": "Python that computes them"}


def menu(panel: str, slot: ids.Slot, *, title: str, no_numbers: str) -> Component:
    """The menu of a panel. title: of the panel, for who hears the menu alone. no_numbers: why there are none, or ""."""
    offers = PICTURES if no_numbers else PICTURES | NUMBERS
    buttons = "".join(
        f'<button type="button" data-take="{kind}">{escape(label)}</button>' for kind, label in offers.items()
    )
    rest = f"<p>{escape(no_numbers)}</p>" if no_numbers else ""
    return Fixed(
        html=f'<details class="take-away" data-panel="{panel}" data-slot="{slot}">\n'
        f'<summary aria-label="Take away: {escape(title)}">Take away</summary>\n'
        f'<div class="take-menu">{buttons}{rest}<p class="take-said" role="status"></p></div></details>'
    )


def page_menu() -> Component:
    """The menu of the page that is on screen."""
    about = "All figures of this page with their texts, the prompt, model and settings: it opens without a network."
    return Fixed(
        html='<details class="take-away of-page"><summary>Take away page</summary>\n'
        f'<div class="take-menu"><p>{about}</p><button type="button" data-take="page">Whole page (HTML)</button>\n'
        '<p class="take-said" role="status"></p></div></details>'
    )


def dialog() -> html.Dialog:
    """The Python of a figure, to be read and copied; the browser fills it in and opens it."""
    named: dict[str, Any] = {"aria-labelledby": ids.SNIPPET_TITLE}
    reads: dict[str, Any] = {"aria-label": "Python"}
    buttons = [
        html.Button("Copy", id=ids.SNIPPET_COPY, className="go", type="button"),
        html.Button("Close", id=ids.SNIPPET_CLOSE, className="quiet", type="button"),
        html.Span(id=ids.SNIPPET_SAID, role="status"),
    ]
    about = (
        "It computes the numbers of this figure from the same tokens, by the functions that the app itself uses, where "
        "dashapp is installed and has the model. It ends with an error where the model has other weights."
    )
    return html.Dialog(
        [
            html.H2(id=ids.SNIPPET_TITLE),
            html.P(about),
            html.Pre(html.Code(id=ids.SNIPPET_CODE), tabIndex=0, role="region", **reads),
            html.Div(buttons, className="snippet-tools"),
        ],
        id=ids.SNIPPET,
        className="snippet",
        **named,
    )
