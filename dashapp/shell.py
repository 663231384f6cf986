"""What stands on every page: header, prompt bar, token strip, selection bar, and the stores that jobs write to.

Life of a request: `REQUEST` → `answer` (known, refused, waiting, admitted) → `ADMITTED` → `run_job` in a process of its
own → `PROGRESS`, `JOB_RESULT`. The browser puts all of it together in `RUN`, which is what everything draws. All
stores live here, so that changing pages neither stops a job nor loses its result.
"""

from __future__ import annotations

from typing import Any, Final

import dash_bootstrap_components as dbc
from dash import Input, Output, callback, ctx, dcc, html, page_container, page_registry
from dash.exceptions import PreventUpdate
from flask import current_app

from dashapp import ids
from dashapp.jobs.reception import Reception
from dashapp.jobs.request import EXAMPLE, ID_PATTERN
from dashapp.panels.panel import aria
from dashapp.panels.source import Source

RECEPTION: Final = "dashapp.reception"  # where an app keeps them, among Flask's extensions
MANAGER: Final = "dashapp.jobs"

NUMBERS: Final = (
    # id, label, what it means; what a person may not ask is refused by the server, in a sentence
    (ids.MAX_NEW_TOKENS, "New tokens", "0 only looks at the prompt"),
    (ids.TEMPERATURE, "Temperature", "0 always takes the likeliest token"),
    (ids.TOP_K, "Top-k", "0 keeps every token"),
    (ids.TOP_P, "Top-p", "1 keeps every token"),
    (ids.SEED, "Seed", "the same seed draws the same text"),
)
EXAMPLE_VALUES: Final = {
    ids.MAX_NEW_TOKENS: EXAMPLE.sampling.max_new_tokens,
    ids.TEMPERATURE: EXAMPLE.sampling.temperature,
    ids.TOP_K: EXAMPLE.sampling.top_k,
    ids.TOP_P: EXAMPLE.sampling.top_p,
    ids.SEED: EXAMPLE.sampling.seed,
}


def layout() -> html.Div:
    """The shell around the page."""
    return html.Div(
        [
            html.A("Skip to the figures", href="#page", className="skip"),
            dcc.Location(id=ids.LOCATION, refresh=False),
            _header(),
            html.Section([_prompt_form(), _status(), _failure()], className="prompt-bar", **aria(label="What to ask")),
            html.Section([_strip(), _selection_bar()], className="strip-bar", **aria(label="Tokens")),
            html.Main(page_container, id="page"),
            *_stores(),
        ],
        id=ids.SHELL,
    )


# What the browser asks of the server ---------------------------------------------------------------------------------


@callback(Output(ids.ANSWER, "data"), Input(ids.REQUEST, "data"), Input(ids.ASK, "data"), prevent_initial_call=True)
def answer(request: object, asked_again: object) -> dict[str, Any]:
    """Known, refused, waiting or admitted."""
    reception: Reception = current_app.extensions[RECEPTION]
    try:
        return reception.answer(asked_again if ctx.triggered_id == ids.ASK else request)
    except ValueError as error:  # no page of ours sends it
        raise PreventUpdate from error


@callback(
    Output(ids.JOB_RESULT, "data"),
    Input(ids.ADMITTED, "data"),
    background=True,
    interval=100,
    progress=[Output(ids.PROGRESS, "data")],
    running=[(Output(ids.RUNNING, "data"), True, False)],
    prevent_initial_call=True,
)
def run_job(context: Any, request: object) -> dict[str, Any]:
    """The run of a request that was let in. Called in a job's process, with a context of `jobs.manager`."""
    from dashapp.jobs.prompt import run_prompt_in_job  # it needs torch, which this process does without

    return run_prompt_in_job(context, request)


@callback(Output(ids.STOPPED, "data"), Input(ids.STOP, "data"), prevent_initial_call=True)
def stop(request_id: object) -> str:
    """Tell a job to end with what it has."""
    if not isinstance(request_id, str) or not ID_PATTERN.fullmatch(request_id):
        raise PreventUpdate
    current_app.extensions[MANAGER].ask_to_stop(request_id)
    return request_id


# The parts -----------------------------------------------------------------------------------------------------------


def _header() -> html.Header:
    weights = Source.here().weights
    size = f"{weights.config.n_params / 1e6:.3g} M parameters"
    chip = [html.Span(weights.name, className="model-name"), html.Span(f" {size}", className="model-size")]
    # The browser asks them before it selects a head that a link names. Dash's annotation knows of no data attributes.
    sizes: dict[str, Any] = {"data-layers": str(weights.config.n_layer), "data-heads": str(weights.config.n_head)}
    pages = [page for page in page_registry.values() if page["path_template"] is None and page["path"] != "/404"]
    links = [
        dcc.Link(page["name"], href=page["path"], id=ids.nav_link(page["path"]), className="nav-link")
        for page in pages
        if page["module"] != "pages.not_found_404"
    ]
    return html.Header(
        [
            html.Span("Inside GPT-2", className="brand"),
            html.Nav(links, className="pages", **aria(label="Pages")),
            html.Span(chip, id=ids.MODEL_CHIP, className="model-chip", title="The model that is loaded", **sizes),
            html.Button("Dark", id=ids.THEME_BUTTON, className="quiet", type="button"),
        ],
        className="header",
    )


def _prompt_form() -> html.Div:
    return html.Div(
        [
            html.Div(
                [
                    dbc.Label("Prompt", html_for=ids.PROMPT, class_name="visually-hidden"),
                    dbc.Textarea(id=ids.PROMPT, value="", rows=2, spellcheck=False, placeholder="Type a prompt"),
                ],
                className="prompt-field",
            ),
            html.Button("Generate", id=ids.GO, className="go", type="button", title="Ctrl+Enter in the prompt"),
            html.Details(
                [html.Summary(id=ids.SETTINGS_SUMMARY), html.Div([*map(_number, NUMBERS), _bos()], className="fields")],
                className="sampling",
            ),
            html.Span("differs from the run below", id=ids.PROMPT_DIFFERS, className="differs", hidden=True),
        ],
        className="prompt-form",
    )


def _number(row: tuple[str, str, str]) -> html.Div:
    name, label, meaning = row
    # Limits or steps in the browser would turn every other number into none.
    field = dbc.Input(id=name, type="number", step="any", value=EXAMPLE_VALUES[name])
    return html.Div([dbc.Label(label, html_for=name), field, html.Small(meaning)], className="field")


def _bos() -> html.Div:
    return html.Div(
        dbc.Switch(id=ids.BOS, value=EXAMPLE.bos, label="Start with <|endoftext|>, as in training"),
        className="field bos",
    )


def _status() -> html.Div:
    return html.Div(
        [
            html.Progress(id=ids.BAR, value="0", max="1", className="bar", hidden=True, **aria(label="Progress")),
            html.P(id=ids.STATUS, className="status", role="status"),
        ]
    )


def _failure() -> html.Div:
    return html.Div(
        [
            html.P(id=ids.FAILURE_TEXT),
            html.Button("Retry", id=ids.RETRY, className="quiet", type="button"),
        ],
        id=ids.FAILURE,
        className="failure",
        role="alert",
        hidden=True,
    )


def _strip() -> html.Div:
    return html.Div(id=ids.STRIP, className="strip")


def _selection_bar() -> html.Div:
    return html.Div(
        [
            html.P(id=ids.SELECTION_TEXT, className="selection-text", **aria(live="polite")),
            html.Button("Clear selection", id=ids.SELECTION_CLEAR, className="quiet", type="button", hidden=True),
        ],
        className="selection-bar",
    )


def _stores() -> list[Any]:
    names = (
        *(ids.REQUEST, ids.ASK, ids.ANSWER, ids.ADMITTED, ids.PROGRESS, ids.JOB_RESULT, ids.FINISHED, ids.RUNNING),
        *(ids.STOP, ids.STOPPED, ids.RUN, ids.SELECTION, ids.THEME, ids.RESTORE, ids.LINKED),
    )
    return [*(dcc.Store(id=name) for name in names), dcc.Interval(id=ids.PULSE, interval=1000, disabled=True)]
