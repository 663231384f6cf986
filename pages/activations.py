"""The page `/activations`: what the model was about to say, what made it, and what neurons and stream held."""

from __future__ import annotations

from typing import Final

from dash import html, register_page

from dashapp.panels.catalogue import PANELS
from dashapp.panels.page_index import page_index
from dashapp.panels.panel import layout as panel_layout

SHOWN: Final = tuple(
    PANELS[name]
    for name in (
        *("logit-lens", "lens-map", "attribution", "head-attribution", "neuron-attribution"),
        *("neuron", "gelu", "mlp-neurons", "mlp-sparsity"),
        *("resid-norms", "resid-writes", "resid-dimensions", "norm-statistics", "norm-vector"),
    )
)


def layout(**query: str) -> html.Div:
    """The page; knobs stand in the query string, and the shell reads the rest of it."""
    drawn = [panel_layout(panel, "a", query) for panel in SHOWN]
    return html.Div([html.H1("Activations", className="visually-hidden"), page_index(SHOWN), *drawn], className="page")


register_page(
    __name__, path="/activations", name="Activations", title="Activations · Inside GPT-2", order=3, layout=layout
)
