"""The route by which a whole page leaves the app: one file, sent as its figures are drawn.

No callback, and POST, for the reasons of `takeaway`. What leaves is bytes to be saved: no browser may take it for a
page of ours.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

from flask import Flask, Response, request, stream_with_context
from flask.typing import ResponseReturnValue

from dashapp.errors import DashappError
from dashapp.report.contents import report_asked
from dashapp.report.document import pieces
from dashapp.shell.takeaway import as_file

logger = logging.getLogger(__name__)

PATH: Final = "/report"


def add_route(server: Flask) -> None:
    """Let browsers ask for what `report_asked` takes."""

    @server.post(PATH)
    def report() -> ResponseReturnValue:
        try:
            asked = report_asked(request.get_json(silent=True))
        except ValueError as error:  # no page of ours asks it
            logger.warning("Gave no page away: %s", error)
            return {}, 400
        except DashappError as error:
            return {"fault": str(error)}
        drawn = stream_with_context(pieces(asked, now=datetime.now(UTC)))
        return as_file(Response(drawn, mimetype="application/octet-stream"), asked.name)
