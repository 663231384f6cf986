"""The fields in which a person writes tokens to ask for, and the route that knows the vocabulary.

A route and no callback, as for the strips: suggestions follow each key.
"""

from __future__ import annotations

from typing import Any, Final

import dash_bootstrap_components as dbc
from dash import html
from dash.development.base_component import Component
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from dashapp import ids
from dashapp.errors import DashappError
from dashapp.panels.source import Source
from dashapp.panels.vocabulary import LONGEST_TYPED, all_names, meant, named, suggestions

PATH: Final = "/vocabulary"
NAMES_PATH: Final = "/vocabulary/names"


def add_route(server: Flask) -> None:
    """Let browsers ask which tokens fit a text. POST, so that what somebody types stands in no address."""

    @server.post(PATH)
    def vocabulary() -> ResponseReturnValue:
        try:
            response = jsonify(told(request.get_json(silent=True)))
        except ValueError:  # no page of ours asks it
            return {}, 400
        response.headers["Cache-Control"] = "no-store"
        return response

    @server.get(NAMES_PATH)
    def names() -> ResponseReturnValue:
        response = jsonify(all_names())
        response.headers["Cache-Control"] = "public, max-age=86400"  # of the tokenizer, the same for all models
        return response


def told(asked: object) -> dict[str, Any]:
    """Of {"typed": text}: the token that is meant and its name, or why it is none; and suggestions by name.

    Raises: ValueError for what no page of ours sends.
    """
    typed = asked.get("typed") if isinstance(asked, dict) else None
    if not isinstance(typed, str) or len(typed) > LONGEST_TYPED:
        raise ValueError("what is typed is a short text")
    d_vocab = Source.here().weights.config.d_vocab
    answer: dict[str, Any] = {
        "id": None,
        "name": "",
        "fault": "",
        "suggestions": [named(each) for each in suggestions(typed, d_vocab)],
    }
    try:
        token = meant(typed, d_vocab)
    except DashappError as error:
        return answer | {"fault": str(error)}
    return answer | {"id": token, "name": named(token)}


def token_fields() -> list[Component]:
    """Neuron, target and what it is compared with; the stylesheet shows them on the pages that have a use for them."""
    text: Any = {"type": "text", "maxLength": LONGEST_TYPED, "list": ids.VOCABULARY, "autoComplete": "off"}
    number: Any = {"type": "number", "min": 0, "step": 1}
    fields: tuple[tuple[str, str, str, Any], ...] = (
        ("Neuron", ids.SELECTION_NEURON, "none", number),
        ("Target", ids.SELECTION_TARGET, "the favourite", text),
        ("compared with", ids.SELECTION_AGAINST, "as below", text),
    )
    return [
        *(
            html.Label([name, dbc.Input(id=field, placeholder=hint, size="sm", **of)], className="of-parts")
            for name, field, hint, of in fields
        ),
        html.Datalist(id=ids.VOCABULARY),
    ]
