"""The tokens of a prompt while it is typed: what stands under it, and the two questions that it asks the server.

Routes of their own, not callbacks: an answer must not wait in Dash's queue behind figures, and an old one is dropped
(`12-typed.js`). POST, so that what somebody types stands in no address and no log. 1,024 tokens take 2 ms.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, Final

from dash import html
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from dashapp import ids
from dashapp.errors import DashappError, PromptTooLarge
from dashapp.model.merges import first_parts, merges_of
from dashapp.model.tokenizer import encode, longest_token_bytes, token_bytes, token_text, token_texts
from dashapp.panels.panel import aria
from dashapp.panels.source import Source

logger = logging.getLogger(__name__)

TOKENS_PATH: Final = "/tokens-of-text"
MERGES_PATH: Final = "/merges-of-token"
N_CTX: Final = 1024  # of every published GPT-2: for one that is not on this machine yet


def add_routes(server: Flask) -> None:
    """Let browsers ask for the tokens of a text, and for how a token is made."""

    @server.post(TOKENS_PATH)
    def tokens() -> ResponseReturnValue:
        return _answered(tokens_of, request.get_json(silent=True))

    @server.post(MERGES_PATH)
    def merges() -> ResponseReturnValue:
        return _answered(making_of, request.get_json(silent=True))


def tokens_of(asked: object) -> dict[str, Any]:
    """The tokens of {text, bos, model}: tokens, ids, n, n_ctx; of more than fit, the first n_ctx. Or a fault.

    Raises: ValueError for what no page of ours asks.
    """
    match asked:
        case {"text": str(text), "bos": bool(bos), "model": name}:
            pass
        case _:
            raise ValueError("a text, whether <|endoftext|> stands in front, and a model")
    weights = Source.here().weights_named(name)
    n_ctx = weights.config.n_ctx if weights else N_CTX
    try:
        size_bytes, limit_bytes = len(text.encode(errors="replace")), n_ctx * longest_token_bytes()
        if size_bytes > limit_bytes:
            raise PromptTooLarge(size_bytes, limit_bytes)
        found = encode(text, bos=bos)
    except DashappError as error:
        return {"fault": str(error)}
    shown = found[:n_ctx]
    return {"tokens": token_texts(shown), "ids": shown.tolist(), "n": len(found), "n_ctx": n_ctx}


def making_of(asked: object) -> dict[str, Any]:
    """How {token} is made: its bytes in hexadecimal, its first parts as text, and merges [left, right, made, id].

    Raises: ValueError for what no page of ours asks.
    """
    token = asked.get("token") if isinstance(asked, dict) else None
    if isinstance(token, bool) or not isinstance(token, int):
        raise ValueError("a token is a whole number")
    try:
        parts, merges = first_parts(token), merges_of(token)
    except (KeyError, OverflowError) as error:
        raise ValueError(f"no token has the id {token}") from error
    rows = [[token_text(merge.left), token_text(merge.right), token_text(merge.made), merge.made] for merge in merges]
    return {"token": token, "bytes": token_bytes(token).hex(" ").upper(), "parts": token_texts(parts), "merges": rows}


def typed(slot: ids.Slot) -> html.Div:
    """What stands under a prompt that is being typed; the browser fills it in."""
    of = partial(ids.of, slot=slot)
    return html.Div(
        [
            html.P(
                [html.Span(id=of(ids.TYPED_COUNT)), html.Span(id=of(ids.TYPED_WARNING), role="status")],
                className="typed-count",
            ),
            html.Div(id=of(ids.TYPED_TOKENS), className="typed-tokens"),
            html.Div(id=of(ids.TYPED_SPLIT), className="typed-split", **aria(live="polite")),
        ],
        className="typed",
    )


def _answered(answer: Any, asked: object) -> ResponseReturnValue:
    try:
        response = jsonify(answer(asked))
    except ValueError as error:  # no page of ours asks it; what it asks is somebody's text
        logger.warning("Told no tokens: %s", error)
        return {}, 400
    response.headers["Cache-Control"] = "no-store"
    return response
