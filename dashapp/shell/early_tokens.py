"""What a job has drawn so far, told beside Dash: a text is seen to begin before Dash has handed on that it does.

Dash asks for a job's progress ten times a second and passes it from store to store, which takes about 200 ms until it
is drawn. The strip asks here until it has the first token (`32-early.js`); all that follows comes through Dash.
"""

from __future__ import annotations

from typing import Final

from flask import Flask, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from dashapp.jobs.request import ID_PATTERN
from dashapp.shell.callbacks import MANAGER

PATH: Final = "/early-tokens"


def add_route(server: Flask) -> None:
    """Let browsers ask, by the id of a request, which only who made it knows. POST, so that it stands in no log."""

    @server.post(PATH)
    def early_tokens() -> ResponseReturnValue:
        asked = request.get_json(silent=True)
        request_id = asked.get("id") if isinstance(asked, dict) else None
        if not isinstance(request_id, str) or not ID_PATTERN.fullmatch(request_id):
            return {}, 400
        response = jsonify(current_app.extensions[MANAGER].told(request_id))
        response.headers["Cache-Control"] = "no-store"
        return response
