"""What the web process counts, told to Prometheus at /metrics: jobs, the queue, works, runs, answers, the store, times.

Numbers of this process since it started, and no other's: several web processes are several targets to ask. No label
holds what a visitor wrote: routes, panels, callbacks and models are those that the app knows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from dashapp.door.questions import PATH as CALLBACKS
from dashapp.door.questions import is_asked_by_a_page, is_too_large
from dashapp.errors import DashappError
from dashapp.jobs.works import Works
from dashapp.panels.catalogue import PAIR_PANELS, PANELS
from dashapp.panels.source import Source
from dashapp.traces.names import trace_bytes

PATH: Final = "/metrics"
OTHER: Final = "other"
ANSWER_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10)
RUN_S: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 600)
TRACE_BYTES: Final = (1e5, 1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9, 3e9)


class Counted(Protocol):
    """Of a manager of jobs: what is counted."""

    @property
    def n_running(self) -> int: ...

    @property
    def n_waiting(self) -> int: ...


class Metrics:
    """The numbers of one web process."""

    def __init__(self, source: Source, manager: Counted, works: Works) -> None:
        self._source = source
        self.registry = registry = CollectorRegistry()
        self.answers = Counter(
            "dashapp_answers",
            "Answers to a press of Generate; known: found in the cache. Who waits is answered once a second.",
            ["kind"],
            registry=registry,
        )
        self.jobs = Counter(
            "dashapp_jobs_ended", "Jobs of texts whose outcome was fetched.", ["status", "error"], registry=registry
        )
        self.run_seconds = Histogram(
            "dashapp_run_seconds",
            "From the start of a job to its text and complete trace.",
            ["model"],
            buckets=RUN_S,
            registry=registry,
        )
        self.run_bytes = Histogram(
            "dashapp_trace_bytes", "Size of the trace of a run.", ["model"], buckets=TRACE_BYTES, registry=registry
        )
        self.seconds = Histogram(
            "dashapp_answer_seconds",
            "Time that an answer took, by route, and for callbacks by panel or output.",
            ["route", "of"],
            buckets=ANSWER_S,
            registry=registry,
        )
        self._gauge("dashapp_jobs_running", "Jobs of texts that run.", lambda: manager.n_running)
        self._gauge("dashapp_jobs_waiting", "Requests in the queue, or about to begin.", lambda: manager.n_waiting)
        self._gauge("dashapp_works_running", "Analyses that run.", lambda: works.n_in("running"))
        self._gauge("dashapp_works_waiting", "Analyses that wait for a place.", lambda: works.n_in("queued"))
        self._gauge("dashapp_store_bytes", "What the cache holds.", lambda: source.store.stats().size_bytes)
        self._gauge(
            "dashapp_store_limit_bytes", "Most that it may hold.", lambda: source.store.stats().limit_bytes or math.inf
        )
        self._gauge("dashapp_store_traces", "Traces that it holds.", lambda: source.store.stats().n_traces)
        self._gauge(
            "dashapp_store_evicted",
            "Traces, runs, results and files that had to go for others, since the cache began.",
            lambda: source.store.stats().n_evicted,
        )
        self._gauge("dashapp_store_files", "Runs that people brought as files.", lambda: source.store.stats().n_files)
        self.files = Counter(
            "dashapp_files_brought",
            "Files of runs that people brought; refused: by which error.",
            ["came_to"],
            registry=registry,
        )

    def _gauge(self, name: str, says: str, value: Callable[[], float]) -> None:
        def found() -> float:
            try:
                return value()
            except DashappError:  # of the store, which says so where it is used
                return math.nan

        Gauge(name, says, registry=self.registry).set_function(found)

    def outcome(self, outcome: Mapping[str, Any]) -> None:
        """A browser fetched what a job left."""
        self.jobs.labels(str(outcome["status"]), str(outcome.get("error", ""))).inc()
        if outcome["status"] == "done" and "seconds" in outcome:
            weights = self._source.weights_named(outcome["model"])
            self.run_seconds.labels(outcome["model"]).observe(outcome["seconds"])
            if weights is not None:
                n_tokens = len(outcome["tokens"])
                self.run_bytes.labels(outcome["model"]).observe(trace_bytes(weights.config, n_tokens))

    def watch(self, server: Flask, outputs: Callable[[], Mapping[str, object]]) -> None:
        """Time every answer of a server, and tell all numbers at `PATH`. outputs: of the callbacks that there are."""

        @server.before_request
        def begin() -> None:
            g.dashapp_asked_at = time.perf_counter()

        @server.after_request
        def end(response: Response) -> Response:
            if "dashapp_asked_at" in g:  # not where the door refused before
                of = said_of(outputs()) if request.path == CALLBACKS else ""
                route = request.url_rule.rule if request.url_rule else OTHER
                self.seconds.labels(route, of).observe(time.perf_counter() - g.dashapp_asked_at)
            return response

        @server.get(PATH)
        def metrics() -> Response:
            return Response(generate_latest(self.registry), content_type=CONTENT_TYPE_LATEST)


def said_of(outputs: Mapping[str, object]) -> str:
    """Which callback a request is for: a panel's name, an output, "poll" for a job that is asked after, or "other"."""
    if "cacheKey" in request.args:
        return "poll"
    asked = None if is_too_large() else request.get_json(silent=True)
    if not isinstance(asked, dict) or not is_asked_by_a_page(asked, outputs):
        return OTHER
    told = asked["outputs"]
    first = told[0] if isinstance(told, list) else told
    panel = first["id"].get("panel") if isinstance(first, dict) and isinstance(first["id"], dict) else None
    if isinstance(panel, str) and (panel in PANELS or panel in PAIR_PANELS):
        return panel
    return str(asked["output"]).strip(".").split("...")[0].split("@")[0]
