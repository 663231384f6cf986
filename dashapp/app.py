"""The Dash app: pages, shell, headers, health. Made once in a process; starts no process and loads no torch."""

from __future__ import annotations

import importlib
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dash import Dash, page_registry
from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue

from dashapp import clientside
from dashapp.door.keeper import ask_for_password, believe_proxy
from dashapp.door.questions import refuse_made_up_questions
from dashapp.door.shares import Shares
from dashapp.door.visitors import share_out, tell_visitors_apart
from dashapp.errors import StoreUnavailable
from dashapp.figures.theme import css_variables
from dashapp.jobs.downloads import Downloads
from dashapp.jobs.manager import JobManager
from dashapp.jobs.models import ModelList
from dashapp.jobs.reception import Reception
from dashapp.jobs.resident import may_compute_on_device
from dashapp.jobs.running import Limits
from dashapp.jobs.works import WORKS, Works
from dashapp.logs import REQUEST_ID
from dashapp.metrics import Metrics
from dashapp.model.opened import Models
from dashapp.panels.source import Source
from dashapp.settings import Settings
from dashapp.store.contract import StoreAddress
from dashapp.store.folders import claim_folder, new_private_file
from dashapp.store.opened import new_store, open_recipes

if TYPE_CHECKING:
    from dashapp.jobs.queue_manager import QueueManager

    Manager = JobManager | QueueManager

PAGES: Final = (
    *("pages.generation", "pages.attention", "pages.embeddings", "pages.activations"),
    *("pages.compare", "pages.model", "pages.not_found_404"),
)

# What the fork server imports before the first job: the model, all that a job runs, and the module its function is in.
PRELOAD: Final = ("dashapp.jobs.warm", "dashapp.jobs.prompt", "dashapp.shell.callbacks")

METRICS: Final = "dashapp.metrics"  # where an app keeps them, among Flask's extensions
LARGEST_REQUEST: Final = 8_000_000  # bytes; a megabyte of text is still told in words that it is too long

HEADERS: Final = {
    "Referrer-Policy": "no-referrer",  # an address holds a prompt
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
}

A_YEAR_S: Final = 31_536_000
COMPRESSED_ETAG: Final = re.compile(r':(?:gzip|br|zstd|deflate)(?=")')

INDEX: Final = """<!DOCTYPE html>
<html lang="en" data-bs-theme="light">
<head>
{%metas%}
<title>{%title%}</title>
{%favicon%}
{%css%}
<link rel="prefetch" as="script" href="PLOTLY">
<style>VARIABLES</style>
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""

# Three quarters of what a first visit fetches, and Dash asks for it only when the first figure is to be drawn.
PLOTLY: Final = "/_dash-component-suites/plotly/package_data/plotly.min.js"

_made: list[Dash] = []


def create_app(settings: Settings) -> Dash:
    """The app, ready to be served. Jobs start when `manager_of(app).warm_up` or the first visitor asks for one.

    A second call in one process is refused: pages register themselves once, and it would be without callbacks.
    Raises: ConfigError, ModelError, StoreError.
    """
    if _made:
        raise RuntimeError("create_app() was called before in this process; one process serves one app")
    source = open_source(settings)
    manager = _new_manager(settings)
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
        index_string=INDEX.replace("VARIABLES", css_variables()).replace("PLOTLY", PLOTLY),
        serve_locally=True,
        add_log_handler=False,
        include_pages_meta=False,  # they would repeat the address, which holds a prompt
        on_error=_tell_failure,
    )
    _made.append(app)
    source.install(server)
    _install(app, settings, source, manager)
    return app


def _new_manager(settings: Settings) -> Manager:
    """What runs jobs: this machine, or workers that take them from a queue. Raises: SecretKeyMissing, ScaleMissing."""
    if settings.redis is not None:
        settings.shared_secret_key  # noqa: B018  said before anybody comes
        from dashapp.jobs.queue_manager import QueueManager  # with Celery, which one machine does without

        return QueueManager(settings.redis, keeps_one_free=settings.is_shared)
    return JobManager(
        settings.cache_dir / "jobs",
        n_jobs=settings.n_jobs,
        limits=Limits(settings.job_timeout_s, settings.job_memory),
        preload=PRELOAD,
        environ=settings.environ() | {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": str(settings.threads_per_job)},
        keeps_worker=may_compute_on_device(settings.device),
        keeps_one_free=settings.is_shared,
    )


def _tell_failure(error: Exception) -> None:
    """A callback raised. Imported only now: what is below `shell` registers in a `Dash`."""
    from dashapp.shell.toasts import tell_failure

    tell_failure(error)


def manager_of(app: Dash) -> Manager:
    """The manager of an app's jobs."""
    from dashapp.shell.callbacks import MANAGER

    found: Manager = app.server.extensions[MANAGER]
    return found


def _install(app: Dash, settings: Settings, source: Source, manager: Manager) -> None:
    """Give an app its pages, callbacks and routes. Pages and shell are imported only now: they register in a `Dash`."""
    from dashapp.shell import (
        callbacks,
        early_tokens,
        layout,
        models,
        plotly_script,
        recipes,
        report,
        run_file,
        strip_attention,
        strip_measures,
        takeaway,
        typed,
        vocabulary,
    )

    for page in PAGES:
        importlib.import_module(page)
    callbacks.register()
    recipes.register()
    clientside.register()
    with app.server.app_context():  # Dash calls it at once, and it asks which model is loaded
        app.layout = layout.layout
    app.server.extensions[callbacks.MANAGER] = manager
    works = app.server.extensions[WORKS] = Works(manager, source.store)
    metrics = app.server.extensions[METRICS] = Metrics(source, manager, works)
    manager.on_outcome = metrics.outcome
    app.server.extensions[callbacks.RECEPTION] = Reception(
        models=source.models,
        dtype=source.dtype,
        store=source.store,
        place=manager.place,
        count=lambda kind: metrics.answers.labels(kind).inc(),
    )
    app.server.extensions[recipes.RECIPES] = open_recipes(settings)
    app.server.extensions[models.MODELS] = ModelList(models=source.models, downloads=Downloads(source.models.fetch))
    early_tokens.add_route(app.server)
    strip_attention.add_route(app.server)
    plotly_script.add_route(app.server)
    strip_measures.add_route(app.server)
    takeaway.add_route(app.server)
    report.add_route(app.server)
    run_file.add_routes(app.server, settings.largest_file, lambda came_to: metrics.files.labels(came_to).inc())
    typed.add_routes(app.server)
    vocabulary.add_route(app.server)
    refuse_made_up_questions(app.server, lambda: app.callback_map)
    metrics.watch(app.server, lambda: app.callback_map)
    _add_health(app.server, source, manager)
    _add_headers(app)


def open_source(settings: Settings) -> Source:
    """Models and store as the settings name them. Raises: UnknownAllowedModel, ModelError, StoreError."""
    try:
        claim_folder(settings.cache_dir)
    except OSError as error:
        raise StoreUnavailable(settings.cache_dir, error.strerror or error) from error
    models = Models.read(settings)
    store = new_store(StoreAddress.of(settings))
    store.check()
    device = settings.device if may_compute_on_device(settings.device) else "cpu"
    return Source(models=models, store=store, dtype=settings.dtype, device=device)


def _new_server(settings: Settings) -> Flask:
    server = Flask("dashapp")
    server.secret_key = settings.secret_key or _kept_secret(settings.cache_dir / "secret_key")
    server.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST
    server.config["COMPRESS_MIMETYPES"] = [
        "text/html",
        "text/css",
        "application/json",
        "application/javascript",
        "text/javascript",
    ]
    _keep_the_door(server, settings)
    return server


def _keep_the_door(server: Flask, settings: Settings) -> None:
    """Name each request; then who may come in, who it is, and how much each may use, before anything else."""

    @server.before_request
    def name_request() -> None:
        REQUEST_ID.set(secrets.token_hex(4))

    @server.after_request
    def tell_name(response: Response) -> Response:
        response.headers["X-Request-Id"] = REQUEST_ID.get()
        return response

    @server.teardown_request
    def forget_name(_error: BaseException | None) -> None:
        REQUEST_ID.set("")  # what the thread does next belongs to no request

    tell_visitors_apart(server, port=settings.port, n_proxies=settings.trusted_proxies)
    if settings.auth_header:
        believe_proxy(server, settings.auth_header)
    if settings.password:
        ask_for_password(server, settings.password)
    if settings.visitor_seconds:
        share_out(server, Shares(settings.visitor_seconds))


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


def _add_health(server: Flask, source: Source, manager: Manager) -> None:
    """`/healthz`: the process answers. `/readyz`: the weights are there, the store can be written, jobs can be reached,
    and the first of them has run.
    """

    @server.get("/healthz")
    def healthz() -> ResponseReturnValue:
        return jsonify(ok=True)

    @server.get("/readyz")
    def readyz() -> ResponseReturnValue:
        parts = {
            "weights": source.weights.folder.is_dir(),
            "store": source.store.is_writable(),
            "queue": manager.is_reachable(),
            "jobs": manager.is_ready(),
        }
        return jsonify(parts), 200 if all(parts.values()) else 503


def _add_headers(app: Dash) -> None:
    server: Flask = app.server
    pages = {page["path"] for page in page_registry.values()}

    @server.before_request
    def compare_files_and_not_compressions() -> None:
        """Flask-Compress adds its encoding to a file's ETag, and Flask would find that none is the file it has."""
        known = request.environ.get("HTTP_IF_NONE_MATCH")
        if known:
            request.environ["HTTP_IF_NONE_MATCH"] = COMPRESSED_ETAG.sub("", known)

    @server.after_request
    def add(response: Response) -> Response:
        if response.mimetype == "text/html" and response.status_code == 200 and request.path not in pages:
            response.status_code = 404  # Dash answers every address with the app, which then says so
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault(
            "Content-Security-Policy", _policy(app, with_scripts=response.mimetype == "text/html")
        )
        if request.path.startswith("/assets/") and "m" in request.args and response.status_code == 200:
            response.headers["Cache-Control"] = f"public, max-age={A_YEAR_S}, immutable"  # another file, another `m`
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
