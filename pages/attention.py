"""The page `/attention`: where every head looks, one head closely, and one token's attention."""

from __future__ import annotations

from dash import html, register_page

from dashapp.panels.catalogue import PANELS
from dashapp.panels.panel import layout as panel_layout


def layout(**query: str) -> html.Div:
    """The page; knobs stand in the query string, and the shell reads the rest of it."""
    return html.Div(
        [
            html.H1("Attention", className="visually-hidden"),
            panel_layout(PANELS["head-grid"], "a", query),
            html.Div(
                [panel_layout(PANELS["head-pattern"], "a", query), panel_layout(PANELS["token-attention"], "a", query)],
                className="beside",
            ),
        ],
        className="page",
    )


register_page(__name__, path="/attention", name="Attention", title="Attention · Inside GPT-2", order=1, layout=layout)
