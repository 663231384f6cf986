"""The page `/model`: what is loaded, what it computes, whether it is right, and what is kept."""

from __future__ import annotations

from typing import Any

from dash import ALL, ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html, register_page
from dash.exceptions import PreventUpdate

from dashapp import ids
from dashapp.panels import architecture, cache_facts, checks_table, formula_list, model_facts
from dashapp.panels.catalogue import PANELS
from dashapp.panels.panel import layout as panel_layout
from dashapp.panels.source import Source


def layout(**query: str) -> html.Div:
    """The page of the model that the address names; the shell reads the rest of the query string."""
    source = Source.here()
    weights = source.weights_named(query.get("model")) or source.weights
    return html.Div(
        [
            html.H1("Model"),
            html.P("What is this model, what does it compute, and is it computed right?", className="question"),
            html.Div(architecture.layout(weights.config), id=ids.MODEL_DIAGRAM),
            html.Div(model_facts.layout(source, weights), id=ids.MODEL_FACTS),
            panel_layout(PANELS["checks"], "a", query),
            checks_table.layout(),
            panel_layout(PANELS["parity"], "a", query),
            formula_list.layout(),
            cache_facts.layout(source),
            dcc.Store(id=ids.MODEL_ON_SCREEN, data=weights.name),
        ],
        className="page model",
    )


register_page(__name__, path="/model", name="Model", title="Model · Inside GPT-2", order=5, layout=layout)

clientside_callback(
    ClientsideFunction("facts", "model"),
    Output(ids.MODEL_ON_SCREEN, "data"),
    Input(ids.of(ids.RUN, "a"), "data"),
    State(ids.MODEL_ON_SCREEN, "data"),
)
clientside_callback(
    ClientsideFunction("facts", "tokens"),
    Output(ids.n_tokens(ALL), "children"),
    Input(ids.of(ids.RUN, "a"), "data"),
    State(ids.n_tokens(ALL), "id"),
)
clientside_callback(
    ClientsideFunction("facts", "again"),
    Input(ids.CACHE_AGAIN, "n_clicks"),
    prevent_initial_call=True,
)


@callback(
    Output(ids.MODEL_FACTS, "children"),
    Output(ids.MODEL_DIAGRAM, "children"),
    Input(ids.MODEL_ON_SCREEN, "data"),
    prevent_initial_call=True,
)
def show_model(name: object) -> tuple[Any, Any]:
    """Facts and diagram of the model that computed the run on screen."""
    source = Source.here()
    weights = source.weights_named(name)
    if weights is None:
        raise PreventUpdate
    return model_facts.layout(source, weights), architecture.layout(weights.config)
