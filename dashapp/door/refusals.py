"""How the door says no: an error's three sentences, with a status of HTTP that fits. Knows errors and answers."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from dashapp.door.frame import refusal_page
from dashapp.errors import DashappError


def refused(error: DashappError, status: int, *, wait_s: float = 0) -> ResponseReturnValue:
    """A page where a browser wants one, else an answer that `18-toasts.js` reads and says.

    wait_s: until it may be asked again; 0 where that is no help.
    """
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": f"{wait_s + 0.5:.0f}"} if wait_s else {})
    if request.accept_mimetypes.best == "text/html":
        return refusal_page("Refused", error), status, headers
    return {"rule": error.rule, "instance": error.instance, "remedy": error.remedy}, status, headers
