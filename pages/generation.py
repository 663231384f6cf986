"""The page `/`: what the model writes, what it expected at each token, how one is drawn, and what surprised it."""

from __future__ import annotations

from dash import html, register_page

from dashapp.panels.catalogue import PANELS
from dashapp.panels.panel import layout as panel_layout


def layout(**query: str) -> html.Div:
    """The page; knobs stand in the query string, and the shell reads the rest of it."""
    return html.Div(
        [
            html.H1("Generation", className="visually-hidden"),
            panel_layout(PANELS["next-tokens"], "a", query),
            panel_layout(PANELS["sampler"], "a", query),
            panel_layout(PANELS["surprisal"], "a", query),
        ],
        className="page",
    )


register_page(__name__, path="/", name="Generation", title="Generation · Inside GPT-2", order=0, layout=layout)
