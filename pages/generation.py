"""The page `/`: what the model writes, what it expected at each token, how one is drawn, how else
the text could go on, and what surprised it."""

from __future__ import annotations

from dash import ClientsideFunction, Input, clientside_callback, html, register_page

from dashapp import ids
from dashapp.panels.catalogue import PANELS
from dashapp.panels.panel import aria
from dashapp.panels.panel import layout as panel_layout


def layout(**query: str) -> html.Div:
    """The page; knobs stand in the query string, and the shell reads the rest of it."""
    return html.Div(
        [
            html.H1("Generation", className="visually-hidden"),
            panel_layout(PANELS["next-tokens"], "a", query),
            panel_layout(PANELS["sampler"], "a", query),
            panel_layout(PANELS["continuations"], "a", query),
            html.Section(id=ids.TREE_ACTIONS, className="tree-actions", **aria(label="Ways to go on")),
            panel_layout(PANELS["surprisal"], "a", query),
        ],
        className="page",
    )


register_page(__name__, path="/", name="Generation", title="Generation · Inside GPT-2", order=0, layout=layout)

clientside_callback(
    ClientsideFunction("tree", "list"),
    Input(ids.part("figure", "continuations", "a"), "figure"),
    prevent_initial_call=True,
)
