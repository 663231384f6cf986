"""The route by which numbers of figures, and the Python that computes them, leave the app.

No callback: what is taken away may be megabytes, and none of it is to be drawn. POST, so that what somebody looks at
stands in no address and no log.
"""

from __future__ import annotations

import logging
from typing import Final

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

from dashapp.analysis.table import csv_lines, npz_bytes
from dashapp.errors import DashappError
from dashapp.panels.takeaway import shown_by

logger = logging.getLogger(__name__)

PATH: Final = "/take-away"


def add_route(server: Flask) -> None:
    """Let browsers ask for {panel, view, as}."""

    @server.post(PATH)
    def take_away() -> ResponseReturnValue:
        try:
            return taken(request.get_json(silent=True))
        except ValueError as error:  # no page of ours asks it
            logger.warning("Gave nothing away: %s", error)
            return {}, 400
        except DashappError as error:
            return {"fault": str(error)}  # an answer like others: the browser would write any error to its console


def taken(asked: object) -> Response:
    """A file, line by line where it is CSV. Raises: as `shown_by` and `Shown.table`."""
    shown, form = shown_by(asked)
    if form == "python":
        return as_file(Response(shown.python(), mimetype="text/x-python"), f"{shown.name}.py")
    table = shown.table()
    if form == "npz":
        return as_file(Response(npz_bytes(table), mimetype="application/octet-stream"), f"{shown.name}.npz")
    return as_file(Response(csv_lines(table), mimetype="text/csv"), f"{shown.name}.csv")


def as_file(response: Response, name: str) -> Response:
    """An answer to be saved under a name, and kept nowhere else."""
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response
