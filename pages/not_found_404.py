"""What an unknown address shows."""

from __future__ import annotations

from dash import dcc, html, register_page


def layout(**_query: str) -> html.Div:
    """One sentence and a way back."""
    return html.Div(
        [
            html.H1("No such page"),
            html.P(["The pages are those named above. Start with ", dcc.Link("Generation", href="/"), "."]),
        ],
        className="page",
    )


register_page(__name__, title="No such page · Inside GPT-2", layout=layout)
