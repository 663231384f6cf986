"""The list of prompts that were run in this browser: a fold of the prompt bar, filled in by 67-history.js."""

from __future__ import annotations

from dash import html

from dashapp import ids
from dashapp.panels.panel import aria

PRIVATE = (
    "Private to this browser: the last 100 prompts are kept here and nowhere else; whoever uses this browser can see "
    "them. Pinned ones stand on top and go last."
)


def history() -> html.Details:
    """The fold: entries, what is said of them, Clear and Undo."""
    return html.Details(
        [
            html.Summary("History"),
            html.P(PRIVATE),
            html.P("Nothing yet: a prompt stands here once it has been run.", id=ids.HISTORY_NONE),
            html.Ul(id=ids.HISTORY_LIST, className="history-list", **aria(label="Prompts, the newest first")),
            html.Div(
                [
                    html.Button("Clear history", id=ids.HISTORY_CLEAR, className="quiet", type="button", hidden=True),
                    html.Button("Undo", id=ids.HISTORY_UNDO, className="quiet", type="button", hidden=True),
                    html.Span(id=ids.HISTORY_SAID, role="status"),
                ],
                className="history-foot",
            ),
        ],
        id=ids.HISTORY,
        className="history",
    )
