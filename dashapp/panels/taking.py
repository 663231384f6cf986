"""What a panel offers to be taken away, as components: one small menu in its frame, and one dialog for all of them.

80-takeaway.js answers the buttons: it makes pictures itself and asks `shell.takeaway` for the rest.
"""

from __future__ import annotations

from typing import Any, Final

from dash import html
from dash.development.base_component import Component

from dashapp import ids

PICTURES: Final = {"png": "Picture (PNG)", "svg": "Picture (SVG)"}
NUMBERS: Final = {"csv": "Numbers (CSV)", "npz": "Numbers (NPZ)", "python": "Python that computes them"}


def menu(panel: str, slot: ids.Slot, *, title: str, no_numbers: str) -> html.Details:
    """The menu of a panel. title: of the panel, for who hears the menu alone. no_numbers: why there are none, or ""."""
    where: dict[str, Any] = {"data-panel": panel, "data-slot": slot}
    named: dict[str, Any] = {"aria-label": f"Take away: {title}"}
    offers = PICTURES if no_numbers else PICTURES | NUMBERS
    rest = [html.P(no_numbers)] if no_numbers else []
    said = html.P(className="take-said", role="status")
    items = html.Div([*(_offer(kind, label) for kind, label in offers.items()), *rest, said], className="take-menu")
    return html.Details([html.Summary("Take away", **named), items], className="take-away", **where)


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


def _offer(kind: str, label: str) -> Component:
    take: dict[str, Any] = {"data-take": kind}
    return html.Button(label, type="button", **take)
