"""How the door says no: an error's three sentences, with a status of HTTP that fits. Knows errors and answers."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from dashapp.errors import DashappError


def refused(error: DashappError, status: int, *, wait_s: float = 0) -> ResponseReturnValue:
    """An answer that `18-toasts.js` reads and says. wait_s: until it may be asked again; 0 where that is no help."""
    said = {"rule": error.rule, "instance": error.instance, "remedy": error.remedy}
    return said, status, {"Cache-Control": "no-store"} | ({"Retry-After": f"{wait_s + 0.5:.0f}"} if wait_s else {})
