"""The page `/model`: what is loaded."""

from __future__ import annotations

from dash import html, register_page

from dashapp.panels.model_facts import layout as facts_layout
from dashapp.panels.source import Source


def layout(**_query: str) -> html.Div:
    """The page; the shell reads the query string."""
    return html.Div(
        [
            html.H1("Model"),
            html.P("The weights that computed everything you see on the other pages.", className="question"),
            facts_layout(Source.here()),
        ],
        className="page",
    )


register_page(__name__, path="/model", name="Model", title="Model · Inside GPT-2", order=9, layout=layout)
