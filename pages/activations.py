"""The page `/activations`: what the model was about to say, what made it, and what neurons and stream held."""

from __future__ import annotations

from dash import html, register_page

from dashapp.panels.catalogue import PANELS
from dashapp.panels.panel import layout as panel_layout


def layout(**query: str) -> html.Div:
    """The page; knobs stand in the query string, and the shell reads the rest of it."""
    return html.Div(
        [
            html.H1("Activations", className="visually-hidden"),
            panel_layout(PANELS["logit-lens"], "a", query),
            panel_layout(PANELS["lens-map"], "a", query),
            panel_layout(PANELS["attribution"], "a", query),
            panel_layout(PANELS["head-attribution"], "a", query),
            panel_layout(PANELS["neuron-attribution"], "a", query),
            panel_layout(PANELS["neuron"], "a", query),
            panel_layout(PANELS["gelu"], "a", query),
            panel_layout(PANELS["mlp-neurons"], "a", query),
            panel_layout(PANELS["mlp-sparsity"], "a", query),
            panel_layout(PANELS["resid-norms"], "a", query),
            panel_layout(PANELS["resid-writes"], "a", query),
            panel_layout(PANELS["resid-dimensions"], "a", query),
            panel_layout(PANELS["norm-statistics"], "a", query),
            panel_layout(PANELS["norm-vector"], "a", query),
        ],
        className="page",
    )


register_page(
    __name__, path="/activations", name="Activations", title="Activations · Inside GPT-2", order=3, layout=layout
)
