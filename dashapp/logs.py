"""Log lines for people, or a JSON object each for programs; with the ids of request and job where there are any.

A request's id is made for each and told to the browser as `X-Request-Id`; a job's is that of the press of Generate or
the key of the analysis. Neither says whose it is. Knows the standard library's logging; knows nothing of Flask.
"""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal

REQUEST_ID: Final[ContextVar[str]] = ContextVar("dashapp_request_id", default="")
JOB_ID: Final[ContextVar[str]] = ContextVar("dashapp_job_id", default="")


def begin_logging(level: str, form: Literal["text", "json"]) -> None:
    """Write what is logged from now on to standard error, in this form."""
    handler = logging.StreamHandler()
    handler.setFormatter(AsJson() if form == "json" else AsText())
    logging.basicConfig(level=level, handlers=[handler])


def ids() -> dict[str, str]:
    """Those that belong to what this thread or process does now."""
    found = {"request": REQUEST_ID.get(), "job": JOB_ID.get()}
    return {name: value for name, value in found.items() if value}


class AsText(logging.Formatter):
    """`WARNING dashapp.store.disk: Removed … [job 0123]`."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        said = ", ".join(f"{name} {value}" for name, value in ids().items())
        return super().formatMessage(record) + (f" [{said}]" if said else "")


class AsJson(logging.Formatter):
    """{"at": …, "level": …, "logger": …, "says": …}, and "traceback", "request" and "job" where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said: dict[str, Any] = {"at": at, "level": record.levelname, "logger": record.name, "says": record.getMessage()}
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said | ids(), ensure_ascii=False)
