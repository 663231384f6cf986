"""The Dash app: pages, shell, headers, health. Made once in a process; starts no process and loads no torch."""

from __future__ import annotations

import importlib
import os
import secrets
from pathlib import Path
from typing import Any, Final

from dash import Dash
from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue

from dashapp import clientside
from dashapp.errors import StoreUnavailable
from dashapp.figures.theme import css_variables
from dashapp.jobs.manager import JobManager
from dashapp.jobs.reception import Reception
from dashapp.model.registry import locate, name_of
from dashapp.model.weights import FingerprintCache, Weights
from dashapp.panels.source import Source
from dashapp.settings import Settings
from dashapp.store.disk import TraceStore, default_size_limit
from dashapp.store.folders import claim_folder, new_private_file

PAGES: Final = ("pages.generation", "pages.attention", "pages.activations", "pages.model", "pages.not_found_404")

# What the fork server imports before the first job: the model, all that a job runs, and the module its function is in.
PRELOAD: Final = ("dashapp.jobs.warm", "dashapp.jobs.prompt", "dashapp.shell")

HEADERS: Final = {
    "Referrer-Policy": "no-referrer",  # an address holds a prompt
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
}

INDEX: Final = """<!DOCTYPE html>
<html lang="en" data-bs-theme="light">
<head>
{%metas%}
<title>{%title%}</title>
{%favicon%}
{%css%}
<style>VARIABLES</style>
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""

_made: list[Dash] = []


def create_app(settings: Settings) -> Dash:
    """The app, ready to be served. Jobs start when `manager_of(app).warm_up` or the first visitor asks for one.

    A second call in one process is refused: pages register themselves once, and it would be without callbacks.
    Raises: ModelError, StoreError.
    """
    if _made:
        raise RuntimeError("create_app() was called before in this process; one process serves one app")
    source = open_source(settings)
    manager = JobManager(
        settings.cache_dir / "jobs",
        n_jobs=settings.n_jobs,
        timeout_s=settings.job_timeout_s,
        preload=PRELOAD,
        environ=settings.environ() | {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": str(settings.threads_per_job)},
    )
    server: Any = _new_server(settings)  # Dash's annotation knows of no Flask
    app = Dash(
        __name__,
        server=server,
        use_pages=True,
        pages_folder="",
        assets_folder=str(Path(__file__).with_name("assets")),
        background_callback_manager=manager,
        compress=True,
        title="Inside GPT-2",
        update_title="",
        index_string=INDEX.replace("VARIABLES", css_variables()),
        serve_locally=True,
        add_log_handler=False,
        include_pages_meta=False,  # they would repeat the address, which holds a prompt
    )
    _made.append(app)
    source.install(server)
    _install(app, source, manager)
    return app


def manager_of(app: Dash) -> JobManager:
    """The manager of an app's jobs."""
    from dashapp import shell

    found: JobManager = app.server.extensions[shell.MANAGER]
    return found


def _install(app: Dash, source: Source, manager: JobManager) -> None:
    """Give an app its pages, callbacks and routes. Pages and shell are imported only now: they register in a `Dash`."""
    from dashapp import shell

    for page in PAGES:
        importlib.import_module(page)
    clientside.register()
    with app.server.app_context():  # Dash calls it at once, and it asks which model is loaded
        app.layout = shell.layout
    app.server.extensions[shell.MANAGER] = manager
    app.server.extensions[shell.RECEPTION] = Reception(
        weights=source.weights, dtype=source.dtype, store=source.store, place=manager.place
    )
    _add_health(app.server, source, manager)
    _add_headers(app)


def open_source(settings: Settings) -> Source:
    """Weights and store as the settings name them. Raises: ModelError, StoreError."""
    try:
        claim_folder(settings.cache_dir)
    except OSError as error:
        raise StoreUnavailable(settings.cache_dir, error.strerror or error) from error
    folder = locate(settings.model, models_dir=settings.models_dir, dtype=settings.dtype)
    weights = Weights.open(
        folder,
        name=name_of(settings.model, models_dir=settings.models_dir),
        fingerprints=FingerprintCache(settings.fingerprints_file),
    )
    limit_bytes = settings.cache_size or default_size_limit(settings.cache_dir)
    store = TraceStore(settings.cache_dir, size_limit_bytes=limit_bytes)
    store.check()
    return Source(weights=weights, store=store, dtype=settings.dtype, device=settings.device)


def _new_server(settings: Settings) -> Flask:
    server = Flask("dashapp")
    server.secret_key = settings.secret_key or _kept_secret(settings.cache_dir / "secret_key")
    server.config["COMPRESS_MIMETYPES"] = [
        "text/html",
        "text/css",
        "application/json",
        "application/javascript",
        "text/javascript",
    ]
    return server


def _kept_secret(path: Path) -> str:
    """The key that an earlier start made, or a new one, in a file that only we can read."""
    try:
        descriptor = new_private_file(path)
    except FileExistsError:
        return path.read_text(encoding="utf-8")
    secret = secrets.token_hex(32)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret)
    return secret


def _add_health(server: Flask, source: Source, manager: JobManager) -> None:
    """`/healthz`: the process answers. `/readyz`: weights, store and jobs are there too."""

    @server.get("/healthz")
    def healthz() -> ResponseReturnValue:
        return jsonify(ok=True)

    @server.get("/readyz")
    def readyz() -> ResponseReturnValue:
        parts = {
            "weights": source.weights.folder.is_dir(),
            "store": os.access(source.store.folder, os.W_OK),
            "jobs": manager.is_warm.is_set(),
        }
        return jsonify(parts), 200 if all(parts.values()) else 503


def _add_headers(app: Dash) -> None:
    server: Flask = app.server

    @server.after_request
    def add(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault(
            "Content-Security-Policy", _policy(app, with_scripts=response.mimetype == "text/html")
        )
        if request.path.startswith("/_dash-") or response.mimetype == "text/html":
            response.headers.setdefault("Cache-Control", "no-store" if request.method == "POST" else "no-cache")
        return response


def _policy(app: Dash, *, with_scripts: bool) -> str:
    """The content security policy: everything from here, no inline script but Dash's own, told by their hashes.

    The hashes are asked for at each page, for the router adds its script at the first request.
    """
    hashes: list[Any] = list(app.csp_hashes()) if with_scripts else []
    return "; ".join(
        [
            "default-src 'self'",
            " ".join(["script-src 'self'", *hashes]),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "frame-ancestors 'none'",
            "form-action 'self'",
        ]
    )
