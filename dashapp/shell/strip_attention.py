"""What the token strips show of attention: a token's weights as numbers small and quick enough for the arrow keys.

No job: at 1,024 tokens the mean over GPT-2's 144 heads takes 10 ms, and 35 ms where the slices of the trace must be
verified first (random weights, one core). And no callback of Dash, whose queue is full of figures to draw when a
selection changes: the browser asks a route of its own, one question at a time, and keeps what it was told
(`15-weights.js`, `55-strip.js`).
"""

from __future__ import annotations

import logging
from base64 import b64encode
from typing import Any, Final, cast, get_args

import dash_bootstrap_components as dbc
from dash import html
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from dashapp import ids
from dashapp.analysis.attention import Direction, Head, token_attention
from dashapp.errors import AGAIN, DashappError
from dashapp.panels.panel import aria
from dashapp.panels.source import Source
from dashapp.traces.record import Trace

logger = logging.getLogger(__name__)

PATH: Final = "/strip-attention"
DIRECTIONS: Final[dict[Direction, str]] = {"looks_at": "looks at", "looked_at_by": "is looked at by"}
GONE: Final = f"The trace of this prompt is no longer in the cache, so its attention is not shown. {AGAIN}"


def add_route(server: Flask) -> None:
    """Let browsers ask for weights. POST, so that what they look at stands in no address."""

    @server.post(PATH)
    def weights() -> ResponseReturnValue:
        view = request.get_json(silent=True)
        try:
            response = jsonify(weights_of(view))
        except ValueError as error:  # no page of ours asks it
            logger.warning("Told no weights: %s", error)
            return {}, 400
        response.headers["Cache-Control"] = "no-store"
        return response


def weights_of(view: object) -> dict[str, Any]:
    """The weights of a view {key, pos, layer, head, direction}, told with it, or why there are none.

    Raises: ValueError for a view of what the trace has not.
    """
    if not isinstance(view, dict):
        raise ValueError("a view is an object")
    try:
        trace = Source.here().trace(view.get("key"))
        if trace is None:
            return {**view, "fault": GONE}
        return {**view, "weights": encoded_weights(trace, view)}
    except DashappError as error:
        return {**view, "fault": str(error)}


def encoded_weights(trace: Trace, view: dict[str, Any]) -> str:
    """A token's attention to or from every token, base64 of a little-endian float32 [pos].

    Raises: ValueError for a view of what the trace has not.
    """
    layer, head, direction = (view.get(name) for name in ("layer", "head", "direction"))
    if direction not in get_args(Direction):
        raise ValueError("a token looks at others or is looked at by them")
    of = None
    if layer is not None or head is not None:
        of = Head(layer=_place(layer, trace.config.n_layer), head=_place(head, trace.config.n_head))
    pos = _place(view.get("pos"), trace.n_tokens)
    weights = token_attention(trace, pos, direction=cast(Direction, direction), of=of).weights
    return b64encode(weights.astype("<f4").tobytes()).decode()


def direction_switch() -> html.Fieldset:
    """Which way the strips look; kept in this browser."""
    return html.Fieldset(
        [
            html.Legend("Bars: the selected token", className="visually-hidden"),
            dbc.RadioItems(
                id=ids.WEIGHTS_DIRECTION,
                options=[{"value": value, "label": label} for value, label in DIRECTIONS.items()],
                value="looks_at",
                inline=True,
                persistence=True,
                persistence_type="local",
            ),
        ],
        className="strip-direction",
    )


def strip_legend(slot: ids.Slot) -> html.P:
    """One line under a strip: what its bars show, on which scale. The browser writes it."""
    return html.P(id=ids.of(ids.WEIGHTS_LEGEND, slot), className="strip-legend", **aria(live="off"))


def _place(value: Any, n: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < n:
        raise ValueError(f"{value!r} is not one of {n}")
    return value
