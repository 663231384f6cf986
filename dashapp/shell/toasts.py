"""Errors that belong to no place on a page: a callback that failed, told in a corner of the window until dismissed.

What the browser notices by itself, an unreachable server or an answer that is none, is told there too (`18-toasts.js`).
"""

from __future__ import annotations

import logging
import secrets

from dash import html, set_props

from dashapp import ids
from dashapp.errors import DashappError, UnexpectedFailure
from dashapp.panels.panel import aria

logger = logging.getLogger(__name__)


def toasts() -> html.Section:
    """Where they appear. Early in the tab order, for what they say comes first."""
    return html.Section(id=ids.TOASTS, className="toasts", **aria(label="Errors"))


def tell_failure(error: Exception) -> None:
    """A callback raised: tell the browser; an error that nobody foresaw is logged whole under an id. For `on_error`."""
    if not isinstance(error, DashappError):
        failure_id = secrets.token_hex(4)
        logger.error("A callback failed unexpectedly; its failure id is %s", failure_id, exc_info=error)
        error = UnexpectedFailure(failure_id)
    set_props(ids.TOLD, {"data": {"rule": error.rule, "instance": error.instance, "remedy": error.remedy}})
