"""What the token strips show of each token's prediction: how likely it was, how far down the list, and what else could
have come; small enough to be told once for a trace (130 KB at 1,024 tokens, a third of it on the way).

A route of its own, as for attention (`strip_attention`). The browser turns these numbers into colours, bars and the
card of a token (`16-measures.js`, `57-card.js`), in bits or nats.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

import dash_bootstrap_components as dbc
from dash import html
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from dashapp import ids
from dashapp.analysis.predictions import token_measures
from dashapp.errors import AGAIN, DashappError
from dashapp.model.tokenizer import token_bytes, token_text
from dashapp.panels.panel import aria
from dashapp.panels.source import Source
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)

PATH: Final = "/strip-measures"
COLOURS: Final = {
    "attention": "attention",
    "probability": "probability",
    "surprisal": "surprisal",
    "rank": "rank",
    "entropy": "entropy",
}
GONE: Final = f"The trace of this prompt is no longer in the cache, so its tokens have no numbers. {AGAIN}"


def add_route(server: Flask) -> None:
    """Let browsers ask. POST, so that what they look at stands in no address."""

    @server.post(PATH)
    def measures() -> ResponseReturnValue:
        asked = request.get_json(silent=True)
        key = asked.get("key") if isinstance(asked, dict) else None
        if not isinstance(key, str):
            logger.warning("Told no measures: no trace was named")
            return {}, 400
        try:
            told = measures_of(Source.here().trace(key))
        except DashappError as error:  # the store cannot be read
            told = {"fault": str(error)}
        response = jsonify({"key": key, **told})
        response.headers["Cache-Control"] = "no-store"
        return response


def measures_of(trace: Trace | None) -> dict[str, Any]:
    """What the browser is told of a trace, or why not.

    ids, bytes (hexadecimal), ranks: a list item a token. logprobs, entropies: base64 of a little-endian float32 [pos],
    nats, NaN for the first token. others: {ids, probs} [pos top] of the likeliest in its place, empty for the first
    token; words: the text of each id among them.
    """
    if trace is None:
        return {"fault": GONE}
    try:
        found = token_measures(trace)
    except DashappError as error:
        return {"fault": str(error)}
    words = {str(token): token_text(token) for token in set(found.other_ids.ravel().tolist())}
    return {
        "d_vocab": trace.config.d_vocab,
        "ids": trace.token_ids.tolist(),
        "bytes": [token_bytes(int(token)).hex(" ").upper() for token in trace.token_ids],
        "logprobs": _coded(found.logprobs),
        "ranks": found.ranks.tolist(),
        "entropies": _coded(found.entropies),
        "others": [
            {"ids": row.tolist(), "probs": [float(f"{prob:.3g}") for prob in probs]}
            for row, probs in zip(found.other_ids, found.other_probs, strict=True)
        ],
        "words": words,
    }


def colour_choice() -> html.Label:
    """What the strips' colours and bars show; kept in this browser and in the link."""
    options = [{"value": value, "label": label} for value, label in COLOURS.items()]
    choice = dbc.Select(id=ids.STRIP_COLOUR, options=options, value="attention", size="sm", class_name="strip-colour")
    return html.Label(["Colour", choice])


def token_card() -> html.Div:
    """What a token of a strip is, beside it while it is pointed at or has the focus; the browser fills it in."""
    return html.Div(id=ids.TOKEN_CARD, className="token-card", role="tooltip", hidden=True, **aria(live="off"))


def _coded(values: np.ndarray) -> str:
    return b64encode(values.astype("<f4").tobytes()).decode()
