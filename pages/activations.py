"""The page `/activations`: what the neurons and the residual stream held while the model read the prompt."""

from __future__ import annotations

from dash import html, register_page

from dashapp.panels.catalogue import PANELS
from dashapp.panels.panel import layout as panel_layout


def layout(**_query: str) -> html.Div:
    """The page; the shell reads the query string."""
    return html.Div(
        [
            html.H1("Activations", className="visually-hidden"),
            panel_layout(PANELS["gelu"], "a"),
            panel_layout(PANELS["mlp-neurons"], "a"),
            panel_layout(PANELS["resid-norms"], "a"),
        ],
        className="page",
    )


register_page(
    __name__, path="/activations", name="Activations", title="Activations · Inside GPT-2", order=3, layout=layout
)
