"""The list of models in the header: which model a run is of, which the next one uses, and downloads.

The server tells the models as rows; the browser draws them (`36-models.js`), asks again each second while something is
downloaded, and puts what is chosen into the prompt bars. What is chosen waits for Generate, like every other setting of
a prompt: a larger model may take minutes, and nobody who only looks into the list wants to lose what is on screen.
"""

from __future__ import annotations

from typing import Any, Final

import dash_bootstrap_components as dbc
from dash import Input, Output, callback, ctx, dcc, html
from dash.exceptions import PreventUpdate
from flask import current_app

from dashapp import ids
from dashapp.jobs.models import ModelList, Row
from dashapp.panels.cache_facts import said_folder
from dashapp.panels.panel import aria
from dashapp.panels.source import Source

MODELS: Final = "dashapp.models"  # where an app keeps its list, among Flask's extensions


@callback(
    Output(ids.MODELS, "data"),
    Input(ids.MODELS_ORDER, "data"),
    Input(ids.MODELS_PULSE, "n_intervals"),
)
def list_models(order: object, _n: object) -> list[Row]:
    """All models, after an order was carried out; the clock repeats no order."""
    models: ModelList = current_app.extensions[MODELS]
    try:
        return models.answer(order if ctx.triggered_id == ids.MODELS_ORDER else None)
    except ValueError as error:  # no page of ours sends it
        raise PreventUpdate from error


def model_picker() -> html.Details:
    """The chip with the model of the run, which opens the list."""
    weights = Source.here().weights
    config = weights.config
    # The browser asks them before there is a run. Dash's annotation knows of no data attributes.
    sizes: dict[str, Any] = {
        "data-layers": str(config.n_layer),
        "data-heads": str(config.n_head),
        "data-neurons": str(config.d_mlp),
    }
    return html.Details(
        [
            html.Summary(
                [
                    html.Span(weights.name, id=ids.MODEL_NAME, className="model-name"),
                    html.Span(f" {config.n_params / 1e6:.3g} M", id=ids.MODEL_SIZE, className="model-size"),
                    html.Span(id=ids.MODEL_OTHER, className="model-other"),
                    html.Span(id=ids.MODEL_NEXT, className="model-next", role="status"),
                ],
                id=ids.MODEL_CHIP,
                className="model-chip",
                title="The model of the run, its parameters, and what Generate will use next. Opens the list of models",
                **sizes,
            ),
            html.Div(
                [
                    html.P("Models", className="model-menu-title", id=ids.MODEL_LIST_TITLE),
                    html.P("What you choose is used when you press Generate.", className="model-menu-when"),
                    html.Ul(id=ids.MODEL_LIST, className="model-list", **aria(labelledby=ids.MODEL_LIST_TITLE)),
                    html.P(
                        "Any folder in Hugging Face format appears here when it lies in "
                        f"the models folder{_models_folder()}.",
                        className="model-menu-foot",
                    ),
                ],
                className="model-menu",
            ),
            dcc.Store(id=ids.MODELS),
            dcc.Store(id=ids.MODELS_ORDER),
            dcc.Store(id=ids.MODEL_DEFAULT, data=weights.name),
            dcc.Interval(id=ids.MODELS_PULSE, interval=1000, disabled=True),
        ],
        id=ids.MODEL_PICKER,
        className="model-picker",
    )


def _models_folder() -> str:
    """Where it is, as people write it."""
    folder = Source.here().models.models_dir
    return f", {said_folder(folder)}" if folder else ""


def model_field(slot: ids.Slot) -> dbc.Input:
    """What a slot's prompt bar will use: a field of its form that nobody sees, for it is chosen in the list."""
    return dbc.Input(id=ids.of(ids.MODEL, slot), type="hidden", value=Source.here().weights.name)


def demo_note() -> html.P:
    """One line on what the demo model is, shown while a run is of it."""
    return html.P(id=ids.DEMO_NOTE, className="demo-note", hidden=True)
