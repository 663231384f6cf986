"""A slot's prompt bar: what to ask of the model, Generate and Stop, progress, and what went wrong."""

from __future__ import annotations

from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashapp import ids
from dashapp.jobs.request import EXAMPLE
from dashapp.model.examples import Example, examples_of
from dashapp.panels.panel import aria
from dashapp.panels.source import Source
from dashapp.shell.files import file_fold, file_mark
from dashapp.shell.history import history
from dashapp.shell.models import model_field
from dashapp.shell.typed import typed

NUMBERS: Final = (
    # id, label, value, what it means; what a person may not ask is refused by the server, in a sentence
    (
        ids.MAX_NEW_TOKENS,
        "New tokens",
        EXAMPLE.sampling.max_new_tokens,
        "0 only looks at the prompt",
    ),
    (ids.TEMPERATURE, "Temperature", EXAMPLE.sampling.temperature, "0 always takes the likeliest token"),
    (ids.TOP_K, "Top-k", EXAMPLE.sampling.top_k, "0 keeps every token"),
    (ids.TOP_P, "Top-p", EXAMPLE.sampling.top_p, "1 keeps every token"),
    (ids.SEED, "Seed", EXAMPLE.sampling.seed, "the same seed draws the same text"),
)


def prompt_bar(slot: ids.Slot) -> html.Section:
    """The bar of a slot; that of b is shown on Compare alone."""
    data: dict[str, Any] = {"data-phase": "nothing", "data-run": ""}  # what the run is doing, told by the browser
    return html.Section(
        [_form(slot), _hint(slot), _status(slot), file_mark(slot), _failure(slot)],
        id=ids.of(ids.SLOT, slot),
        className=f"prompt-bar of-{slot}",
        **aria(label=f"Prompt {slot}"),
        **data,
    )


def _form(slot: ids.Slot) -> html.Div:
    of = partial(ids.of, slot=slot)
    folds = [_settings(slot), *([_examples(), history()] if slot == "a" else []), file_fold(slot)]
    return html.Div(
        [
            html.Span(slot, className="slot-name"),
            html.Div(
                [
                    dbc.Label("Prompt", html_for=of(ids.PROMPT), class_name="visually-hidden"),
                    dbc.Textarea(id=of(ids.PROMPT), value="", rows=1, spellcheck=False, placeholder="Type a prompt"),
                ],
                className="prompt-field",
            ),
            html.Button("Generate", id=of(ids.GO), className="go", type="button", title="Ctrl+Enter in the prompt"),
            html.Div(
                [
                    html.Div(folds, className="folds"),
                    model_field(slot),
                    html.Span("Ctrl+Enter generates", className="key-hint"),
                    html.Span(
                        "differs from the run below", id=of(ids.PROMPT_DIFFERS), className="differs", hidden=True
                    ),
                ],
                className="under-prompt",
            ),
            typed(slot),
        ],
        className="prompt-form",
    )


def _hint(slot: ids.Slot) -> html.P:
    return html.P(id=ids.of(ids.HINT, slot), className="hint")


def _examples() -> html.Details:
    """Links like any other: what they open can be shared, and Back leads away from it."""
    weights = Source.here().weights
    rows = [html.Li(_example(example, weights.name)) for example in examples_of(weights.folder)]
    return html.Details([html.Summary("Examples"), html.Ul(rows)], id=ids.EXAMPLES, className="examples")


def _example(example: Example, model: str) -> list[Any]:
    selected = {"pos": example.pos, "layer": example.layer, "head": example.head}
    query = {"prompt": example.prompt, "bos": 1, "model": model}
    query |= {name: value for name, value in selected.items() if value is not None}
    if example.page != "/":
        query["new"] = 0  # what there is to see is in the prompt; a continuation would only crowd it
    link = dcc.Link(example.label, href=f"{example.page}?{urlencode(query)}")
    return [link, html.Small(example.says)]


def _settings(slot: ids.Slot) -> html.Details:
    fields = [*(_number(slot, row) for row in NUMBERS), _bos(slot), _stop_at_end(slot)]
    return html.Details(
        [html.Summary(id=ids.of(ids.SETTINGS_SUMMARY, slot)), html.Div(fields, className="fields")],
        className="sampling",
    )


def _number(slot: ids.Slot, row: tuple[str, str, float, str]) -> html.Div:
    name, label, value, meaning = row
    # Limits or steps in the browser would turn every other number into none.
    field = dbc.Input(id=ids.of(name, slot), type="number", step="any", value=value)
    return html.Div([dbc.Label(label, html_for=ids.of(name, slot)), field, html.Small(meaning)], className="field")


def _bos(slot: ids.Slot) -> html.Div:
    label = "Start with <|endoftext|>, as in training"
    switch = dbc.Switch(id=ids.of(ids.BOS, slot), value=EXAMPLE.bos, label=label)
    both = html.Button("Show with and without it, side by side", id=ids.BOS_BOTH, className="quiet", type="button")
    return html.Div([switch, *([both] if slot == "a" else [])], className="field bos")


def _stop_at_end(slot: ids.Slot) -> html.Div:
    value = EXAMPLE.sampling.stop_at_end
    switch = dbc.Switch(id=ids.of(ids.STOP_AT_END, slot), value=value, label="Stop when <|endoftext|> is drawn")
    return html.Div(switch, className="field bos")


def _status(slot: ids.Slot) -> html.Div:
    bar = html.Progress(
        id=ids.of(ids.BAR, slot), value="0", max="1", className="bar", hidden=True, **aria(label="Progress")
    )
    return html.Div([bar, html.P(id=ids.of(ids.STATUS, slot), className="status", role="status")])


def _failure(slot: ids.Slot) -> html.Div:
    of = partial(ids.of, slot=slot)
    return html.Div(
        [
            html.P(id=of(ids.FAILURE_TEXT)),
            html.Button("Retry", id=of(ids.RETRY), className="quiet", type="button"),
            html.Button("Cut the prompt", id=of(ids.CUT), className="quiet", type="button", hidden=True),
            html.Button("Run it", id=of(ids.INSTEAD), className="quiet", type="button", hidden=True),
        ],
        id=of(ids.FAILURE),
        className="failure",
        role="alert",
        hidden=True,
    )
