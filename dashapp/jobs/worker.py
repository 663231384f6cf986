"""A worker: `dashapp worker` does what web servers order, on this machine or another.

Two Celery nodes, each with as many processes as jobs run at once: one for requests, for which somebody waits, and one
for works, at a lower priority, so that no text waits for an analysis. A node loads the model once and forks its
processes from that; one that dies or outlives its time is replaced. Nothing that comes from the queue names code: a
request is checked as one from a browser, and a work is of a kind that this version knows. Knows processes and tasks.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any, Final

from celery import Celery, signals
from redis import RedisError

from dashapp.errors import RedisNotSet
from dashapp.jobs.keys import stop_key, told_key
from dashapp.jobs.outcome import Outcome
from dashapp.jobs.places import Kind, Places, named
from dashapp.jobs.queue import PATIENT_TRIES, REQUEST, WORK, Slate, celery_app, connect
from dashapp.jobs.running import JobFunction, Limits, Wire, run_wired
from dashapp.jobs.works import HOMES, KINDS, prepare_home, run_work
from dashapp.settings import Settings, variable
from dashapp.store.contract import StoreAddress

logger = logging.getLogger(__name__)

NODES: Final[tuple[Kind, ...]] = ("requests", "works")
NICENESS: Final = 10  # of processes that do works
ANNOUNCE_S: Final = 2.0
ENDS_S: Final = 30.0  # a node that was asked to end may finish what it does
POLL_S: Final = 0.2


# The worker ----------------------------------------------------------------------------------------------------------


def run_worker(settings: Settings) -> int:
    """Run both nodes until this process is told to end, or one of them ends; the exit status. Raises: RedisNotSet."""
    if settings.redis is None:
        raise RedisNotSet
    connect(settings.redis)  # an address that is none is said here
    with _signals_as_exit():
        nodes = [_start(kind, settings) for kind in NODES]
        try:
            while all(node.poll() is None for node in nodes):
                time.sleep(POLL_S)
            logger.error("A node of this worker ended by itself, so the other is ended too")
            return 1
        except (KeyboardInterrupt, SystemExit):
            return 0
        finally:
            _end(nodes)


def _start(kind: Kind, settings: Settings) -> subprocess.Popen[bytes]:
    environ = {**os.environ, **settings.environ()}
    environ |= {
        variable("redis"): str(settings.redis),
        "OMP_WAIT_POLICY": "passive",
        "OMP_NUM_THREADS": str(settings.threads_per_job),
    }
    command = [sys.executable, "-m", "dashapp", "worker", "--only", kind]
    # A session of its own: Ctrl-C is meant for us. The pipe ends with this process, however that ends.
    return subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, start_new_session=True)


def _end(nodes: list[subprocess.Popen[bytes]]) -> None:
    for node in nodes:
        node.terminate()
    end = time.monotonic() + ENDS_S
    for node in nodes:
        try:
            node.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(node.pid, signal.SIGKILL)


@contextmanager
def _signals_as_exit() -> Iterator[None]:
    def leave(*_: object) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# A node --------------------------------------------------------------------------------------------------------------


def run_node(settings: Settings, kind: Kind) -> int:
    """Take orders of one kind until this process, or the worker that started it, ends; the exit status."""
    assert settings.redis is not None, "the worker has looked"
    if kind == "works":
        os.nice(NICENESS)
    threading.Thread(target=_end_with_worker, name="worker", daemon=True).start()
    from dashapp.jobs import warm  # noqa: F401  the model in memory, for all processes that are forked from this one

    app = celery_app(settings.redis)
    _add_tasks(app, settings)
    node = f"{kind}-{secrets.token_hex(4)}@{socket.gethostname()}"
    _announce(kind, node, settings)
    worker = app.Worker(
        hostname=node,
        queues=[kind],
        concurrency=settings.n_jobs,
        pool="prefork",
        loglevel="WARNING",
        optimization="fair",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _end_with_worker() -> None:
    """Ask this process to end when the one that started it has."""
    while os.read(0, 1):  # not through sys.stdin, whose lock a forked process would wait for
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _announce(kind: Kind, node: str, settings: Settings) -> None:
    """Say, once this node takes orders, that it lives and how many it does at once; and what died in it."""
    assert settings.redis is not None, "the worker has looked"
    places, is_over = Places(connect(settings.redis)), threading.Event()

    def say(n_places: int) -> None:
        try:
            places.announce(kind, node, n_places)
        except RedisError as error:
            logger.warning("Redis does not answer: %s", error)

    def go_on_saying() -> None:
        while not is_over.is_set():
            say(settings.n_jobs)
            is_over.wait(ANNOUNCE_S)
        say(0)

    saying = threading.Thread(target=go_on_saying, name="places", daemon=True)

    def begin(**_: object) -> None:
        saying.start()

    def end(**_: object) -> None:
        is_over.set()

    def bury(task_id: str, **_: object) -> None:  # a process died, or was killed
        with suppress(RedisError):
            places.end(kind, task_id)

    signals.worker_ready.connect(begin, weak=False)
    signals.worker_shutting_down.connect(end, weak=False)
    signals.task_failure.connect(bury, weak=False)


# In a process of a node ----------------------------------------------------------------------------------------------


def _add_tasks(app: Celery, settings: Settings) -> None:
    limits = Limits(settings.job_timeout_s, settings.job_memory)

    @app.task(name=REQUEST)  # type: ignore[untyped-decorator]  # celery has no types
    def request(key: str, progress_key: str, asked: dict[str, Any]) -> None:
        from dashapp.jobs.prompt import run_prompt_in_job

        def tell(state: dict[str, Any]) -> None:
            lines(url).slate.set(progress_key, [state])

        _do("requests", run_prompt_in_job, asked, key=key, tell=tell, url=url, limits=limits)

    @app.task(name=WORK)  # type: ignore[untyped-decorator]
    def work(order: dict[str, Any], home: str | None) -> None:
        kind, key = KINDS[str(order["kind"])], str(order["id"])
        whole = {**order, "function": kind.function, "store": StoreAddress.of(settings).as_json()}
        if home in HOMES:
            _prepared(home)
        tell = partial(lines(url).slate.set, told_key(key))
        _do("works", run_work, whole, key=key, tell=tell, url=url, limits=limits.patient(kind.patience))

    assert settings.redis is not None, "the worker has looked"
    url = settings.redis


class Lines:
    """A process's connections to Redis: one for what may get lost, one that waits until Redis is back."""

    def __init__(self, url: str) -> None:
        self.quick, patient = connect(url), connect(url, tries=PATIENT_TRIES)
        self.slate, self.patient_slate = Slate(self.quick), Slate(patient)
        self.places, self.patient_places = Places(self.quick), Places(patient)


@cache
def lines(url: str) -> Lines:
    """Those of this process, made after it was forked."""
    return Lines(url)


@cache
def _prepared(home: str) -> None:
    prepare_home(home)


def _do(
    kind: Kind,
    fn: JobFunction,
    request: Mapping[str, Any],
    *,
    key: str,
    tell: Callable[[dict[str, Any]], None],
    url: str,
    limits: Limits,
) -> None:
    """A job from beginning to end, unless nobody waits for it any more: its order came late, or a second time."""
    job_id, line = str(request["id"]), lines(url)
    if not line.quick.exists(named(f"alive:{job_id}")):
        logger.warning("Left out job %s, which was given up before it began", job_id[:8])
        return

    def tell_if_possible(state: dict[str, Any]) -> None:
        with suppress(RedisError):
            line.places.beat(kind, job_id)
            tell(state)

    def leave(outcome: Outcome) -> None:
        line.patient_slate.set(key, outcome)
        line.patient_places.free(kind, job_id)

    def should_stop() -> bool:
        try:
            return line.slate.has(stop_key(job_id))
        except RedisError:
            return False

    wire = Wire(tell=tell_if_possible, leave=leave, should_stop=should_stop, is_abandoned=lambda: False)
    run_wired(fn, wire, dict(request), limits)
