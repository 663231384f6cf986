"""The page `/`: what the model writes, what it expected at each token, and what surprised it."""

from __future__ import annotations

from dash import html, register_page

from dashapp.panels.catalogue import PANELS
from dashapp.panels.panel import layout as panel_layout


def layout(**_query: str) -> html.Div:
    """The page; the shell reads the query string."""
    return html.Div(
        [
            html.H1("Generation", className="visually-hidden"),
            panel_layout(PANELS["next-tokens"], "a"),
            panel_layout(PANELS["surprisal"], "a"),
        ],
        className="page",
    )


register_page(__name__, path="/", name="Generation", title="Generation · Inside GPT-2", order=0, layout=layout)
