"""Serving: gunicorn as a library, one process with eight threads. Blocks until somebody ends it."""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import (
    ConfigurationProblem,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.gthread import ThreadWorker

from dashapp.app import HEADERS, create_app, manager_of, open_source
from dashapp.door.frame import refusal_page
from dashapp.errors import AddressTooLong, PortTaken
from dashapp.jobs.works import HOMES
from dashapp.settings import Settings

logger = logging.getLogger(__name__)

N_THREADS: Final = 8
KEPT_OPEN_S: Final = 75  # a connection that nobody uses takes no thread; one closed under a question is a failed click
SHARED_MEMORY: Final = Path("/dev/shm")
OUR_FAULT: Final = (ConfigurationProblem, InvalidResponseHeader, InvalidResponseHeaderName)  # of the same kind
NO_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
LONGEST_ADDRESS: Final = 8190  # bytes of a request's first line: the most that gunicorn reads


def serve(settings: Settings) -> None:
    """Serve the app until the process is told to end; prints the address when it answers.

    Raises: PortTaken, SecretKeyMissing, ModelError, StoreError, before anything is started.
    """
    refuse_taken_port(settings.host, settings.port)
    if settings.redis is not None:
        settings.shared_secret_key  # noqa: B018
    open_source(settings)  # what stands in the way is said here, in a sentence; the serving process opens its own
    _Server(settings).run()


def refuse_taken_port(host: str, port: int) -> None:
    """Raise PortTaken when nothing can listen there: the server itself would try for five seconds and say less."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        raise PortTaken(host, port, error.strerror or str(error)) from error


class _Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's, which refuses what it cannot read before the app hears of it; here in words, and not in the log."""

    def handle_error(self, req: object, client: socket.socket, addr: object, exc: BaseException) -> None:
        """Answer a request that could not be read. Its error quotes it, and it may hold a prompt."""
        if not isinstance(exc, ParseException) or isinstance(exc, OUR_FAULT):
            super().handle_error(req, client, addr, exc)
            return
        logger.warning("Refused a request that is none: %s", type(exc).__name__)
        with suppress(OSError):  # nobody listens any more
            client.sendall(_too_long() if isinstance(exc, LimitRequestLine) else NO_REQUEST)


def _too_long() -> bytes:
    """The answer to an address that is too long, as HTTP has it."""
    page = refusal_page("Address too long", AddressTooLong(LONGEST_ADDRESS)).encode()
    headers = HEADERS | {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(page)),
        "Cache-Control": "no-store",
        "Connection": "close",
    }
    lines = ["HTTP/1.1 414 URI Too Long", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + page


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn with our settings and no configuration file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        ours: dict[str, Any] = {
            "bind": f"{host}:{self._settings.port}",
            "workers": 1,  # jobs and their places are known to one process
            "threads": N_THREADS,
            "worker_class": _Worker,
            "timeout": 120,
            "graceful_timeout": 5,
            "keepalive": KEPT_OPEN_S,
            "limit_request_line": LONGEST_ADDRESS,
            "loglevel": "warning",  # no access log: an address holds a prompt
            "control_socket_disable": True,
            "post_worker_init": self._say_where,
        }
        if SHARED_MEMORY.is_dir():
            ours["worker_tmp_dir"] = str(SHARED_MEMORY)
        for name, value in ours.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Called in the serving process, after it was forked: nothing of ours ran before."""
        app = create_app(self._settings)
        manager_of(app).warm_up(_compute_example, homes=HOMES)
        server: Flask = app.server
        return server

    def _say_where(self, worker: Any) -> None:
        host = "127.0.0.1" if self._settings.host in ("0.0.0.0", "::") else self._settings.host
        shown = f"[{host}]" if ":" in host else host
        if worker.age == 1:  # a later one replaces a worker that died
            sys.stdout.write(f"http://{shown}:{self._settings.port}\n")
            sys.stdout.flush()


def _compute_example() -> None:
    """In a job's process: what a first visitor sees."""
    from dashapp.jobs.prompt import compute_example

    compute_example()
