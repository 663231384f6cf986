"""Dash's background jobs: processes forked from a server that has the model in memory, or tasks of one that stays.

Changed from `DiskcacheManager`: processes come from a fork server (torch may not have run in the process that forks),
what they leave behind is JSON (diskcache would read pickles), a place is needed to start, and one that outlives its
time or its parent ends. Works (`jobs.works`) run beside requests and behind them, some in processes that stay. Knows
processes and keys; knows nothing of what a job computes.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import diskcache
import multiprocess
from dash import DiskcacheManager
from diskcache.core import DBNAME, MODE_RAW, MODE_TEXT, UNKNOWN
from multiprocess import resource_tracker
from multiprocess.connection import wait as wait_for

from dashapp.errors import JobRefused, JobTimedOut
from dashapp.jobs.admission import Admission
from dashapp.jobs.keys import KEPT_S, place_key, stop_key, told_key
from dashapp.jobs.outcome import failure
from dashapp.jobs.resident import Resident
from dashapp.jobs.running import JobFunction, Limits, Wire, run_wired
from dashapp.jobs.works import Seen, prepare_home, run_work
from dashapp.store.folders import private_file, private_folder
from dashapp.store.index import TextKeys

logger = logging.getLogger(__name__)

RETRY_S: Final = 0.5
NICENESS: Final = 10  # of processes that do works
NO_JOB: Final = 0
FIRST_TICKET: Final = 10**9  # jobs are told apart by numbers that no process has
WORKS_ON_DEVICE: Final = "works-on-device"  # the home of works that have none, where processes must stay


class JsonOnly(TextKeys):
    """diskcache's way to the disk with JSON in place of pickle; a row that is anything else is refused."""

    def store(self, value: object, read: bool, key: object = UNKNOWN) -> Any:
        return super().store(json.dumps(value), read, key=key)

    def fetch(self, mode: int, filename: object, value: object, read: bool) -> Any:
        if mode not in (MODE_RAW, MODE_TEXT):
            raise ValueError("a value in the job cache is not JSON")
        return json.loads(super().fetch(mode, filename, value, read))


def open_job_cache(folder: Path) -> diskcache.Cache:
    """What jobs and the web process leave for each other, in a folder that only we can open."""
    private_folder(folder)
    private_file(folder / DBNAME)
    return diskcache.Cache(str(folder), disk=JsonOnly, sqlite_secure_delete=1)  # rows hold prompts


def forget_jobs(folder: Path) -> None:
    """Remove what jobs have left in a job cache, prompts included, so that its files hold no byte of it."""
    if not (folder / DBNAME).exists():
        return
    with open_job_cache(folder) as cache:
        cache.clear()
        for command in ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            cache._sql(command).fetchall()


class Running(Protocol):
    """A job that was started: a process of its own, or a task of one that stays."""

    def is_alive(self) -> bool: ...

    def kill(self) -> None: ...


class JobManager(DiskcacheManager):
    """Starts jobs and fetches what they leave. One to a web process; the bench of its `Works` too.

    folder: of the job cache. n_jobs: how many run at once. limits: what one may take; a work of a patient kind some
    times as long. preload: modules that the fork server imports, the one that holds the model among them. environ:
    variables for the fork server.
    keeps_worker: runs all requests, one after another, in one process that stays, as a GPU wants it. keeps_one_free: as
    in `Admission`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        n_jobs: int,
        limits: Limits,
        preload: Sequence[str],
        environ: Mapping[str, str],
        keeps_worker: bool = False,
        keeps_one_free: bool = False,
    ) -> None:
        # First, for Dash makes the job functions of callbacks that are registered already while it is initialised.
        self.folder, self.limits, self.environ = folder, limits, dict(environ)
        super().__init__(open_job_cache(folder))  # type: ignore[no-untyped-call]  # as in all of Dash's managers
        self.n_jobs = 1 if keeps_worker else n_jobs
        self.admission = Admission(self.n_jobs, keeps_one_free=keeps_one_free)
        self.is_warm = threading.Event()
        self.on_outcome: Callable[[Mapping[str, Any]], None] = lambda _: None  # told what each request came to
        self._context = multiprocess.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self._worker = Resident(self._new_process, _nothing) if keeps_worker else None
        self._homes: dict[str, Resident] = {}
        self._jobs: dict[int, Running] = {}  # requests that run, by what Dash is told instead of a pid
        self._request_ids: dict[int, str] = {}  # of these
        self._works: dict[str, Running] = {}  # works that run, by key
        self._n_starting = 0
        self._tickets = itertools.count(FIRST_TICKET)
        self._lock = threading.Lock()

    # What our own callbacks ask ---------------------------------------------------------------------------------------

    def place(self, request_id: str, visitor: str = "") -> int:
        """0 when this request may start its job now, otherwise its place in the queue. Raises: TooManyWaiting."""
        return self.admission.place(request_id, n_running=self.n_running, now=time.monotonic(), visitor=visitor)

    def ask_to_stop(self, request_id: str) -> None:
        """Tell a job to end with what it has; it looks after each token."""
        self.admission.leave(request_id)
        self.handle.set(stop_key(request_id), True, expire=KEPT_S)

    def told(self, request_id: str) -> dict[str, Any] | None:
        """What the job of a request has told last; None before it has begun and after its outcome was fetched."""
        place = self.handle.get(place_key(request_id))
        told = self.handle.get(place) if place else None
        return told[0] if told else None

    @property
    def n_running(self) -> int:
        """How many requests run. Works are not counted: nobody who waits for text waits for them."""
        with self._lock:
            for ticket in [ticket for ticket, job in self._jobs.items() if not job.is_alive()]:
                self._let_go(ticket)
            return len(self._jobs) + self._n_starting

    @property
    def n_waiting(self) -> int:
        """How many requests wait for a place, or have one and have not begun."""
        return self.admission.n_asking(now=time.monotonic())

    def is_reachable(self) -> bool:
        """Whether jobs and the web process can leave each other anything."""
        try:
            return bool(self.handle.set("reached", True, expire=KEPT_S))
        except (OSError, sqlite3.Error, diskcache.Timeout):
            return False

    def is_ready(self) -> bool:
        """Whether the first job has run, and so the model is in memory."""
        return self.is_warm.is_set()

    def warm_up(self, work: Callable[[], None], *, homes: Collection[str] = ()) -> None:
        """Start the fork server and run `work` in a first job, in the background: the first one pays for imports.

        homes: of works (see `works.Kind`), whose processes are made ready after that.
        """
        threading.Thread(target=self._warm_up, args=(work, homes), name="warm-up", daemon=True).start()

    def _warm_up(self, work: Callable[[], None], homes: Collection[str]) -> None:
        job = self._start(work)[1]
        job.join()
        if job.exitcode:
            logger.error("The first job ended with status %s: see above what went wrong", job.exitcode)
        else:
            self.is_warm.set()
        for home in homes:
            self._home(home).start()

    # What `Works` asks ------------------------------------------------------------------------------------------------

    def has_room(self, home: str | None) -> bool:
        """Whether a work may begin: a place is free, no request waits for it, and the home's process is idle."""
        n_claimed = self.n_running + self.n_waiting
        with self._lock:
            self._works = {key: work for key, work in self._works.items() if work.is_alive()}
            is_home_busy = home in self._homes and self._homes[home].is_busy
            return n_claimed + len(self._works) < self.n_jobs and not is_home_busy

    def begin_work(self, order: Mapping[str, Any], home: str | None) -> None:
        """Begin a work; `see` tells how it fares."""
        key = str(order["id"])
        self._forget(key, told_key(key), stop_key(key))
        do = partial(
            run_job,
            run_work,
            folder=self.folder,
            limits=self.limits.patient(int(order.get("patience", 1))),
            key=key,
            progress_key=told_key(key),
            request=dict(order),
        )
        if home is None and self._worker is None:
            running: Running = self._new_process(_gently, do)
        else:
            running = self._home(home or WORKS_ON_DEVICE).begin(do)
        with self._lock:
            self._works[key] = running

    def see(self, key: str) -> Seen:
        """How a work fares."""
        with self._lock:
            work = self._works.get(key)
        is_alive = work is not None and work.is_alive()  # first, for the outcome comes before the end
        told, outcome = self.handle.get(told_key(key)), self.handle.get(key)
        return Seen(told=told[0] if told else None, outcome=outcome, is_alive=is_alive)

    def end_work(self, key: str) -> None:
        """Kill what does this work, if it still does, and forget what it told."""
        with self._lock:
            work = self._works.get(key)
        if work is not None:
            work.kill()
        self.forget_work(key)

    def forget_work(self, key: str) -> None:
        """Forget what a work told, which has left its outcome and ends by itself."""
        with self._lock:
            self._works.pop(key, None)
        self._forget(key, told_key(key), stop_key(key))

    def _forget(self, *keys: str) -> None:
        for key in keys:
            self.handle.delete(key)

    def _home(self, home: str) -> Resident:
        with self._lock:
            if home not in self._homes:
                prepare = _nothing if home == WORKS_ON_DEVICE else partial(prepare_home, home)
                self._homes[home] = Resident(self._new_process, partial(_gently, prepare))
            return self._homes[home]

    # What Dash asks ---------------------------------------------------------------------------------------------------

    def make_job_fn(self, fn: JobFunction, progress: object, key: object = None) -> Callable[..., None]:  # noqa: ARG002
        """What a job's process runs. `fn(context, request)` is a background callback's function."""
        return partial(run_job, fn, folder=self.folder, limits=self.limits)

    def call_job_fn(self, key: str, job_fn: Callable[..., None], args: Any, *_: object, **__: object) -> int:
        """Start a job for a request that was let in; its ticket, or NO_JOB with a failure as its result."""
        request = args[0] if isinstance(args, list | tuple) and args else args
        request_id = str(request.get("id")) if isinstance(request, dict) else ""
        progress_key = f"{key}-progress"  # where Dash looks for it
        self._forget(key, progress_key)  # a job that nobody fetched would answer in place of this one
        if not self.admission.begin(request_id):
            self.handle.set(key, failure(request_id, JobRefused(request_id)), expire=KEPT_S)
            return NO_JOB
        self.handle.set(place_key(request_id), progress_key, expire=KEPT_S)
        return self._start(partial(job_fn, key=key, progress_key=progress_key, request=request), request_id)[0]

    def get_result(self, key: str, job: object) -> Any:
        """What a job left, once. Unlike Dash's own, it leaves the process alone: it ends by itself, or stays."""
        result = self.handle.get(key, self.UNDEFINED)
        if result is not self.UNDEFINED:
            if result.get("error") == JobTimedOut.__name__:
                self.terminate_job(job)  # it left this before it ends: a process that stays would still take a task
            with self._lock:
                self._let_go(_as_ticket(job))
            self._forget(key, f"{key}-progress", place_key(result["id"]))
            self.on_outcome(result)
        return result

    def terminate_job(self, job: object) -> None:
        """End a job of ours; what we did not start is none of our business."""
        with self._lock:
            running = self._let_go(_as_ticket(job))
        if running is not None:
            running.kill()

    def job_running(self, job: object) -> bool:
        with self._lock:
            running = self._jobs.get(_as_ticket(job))
        return running is not None and running.is_alive()

    def terminate_unhealthy_job(self, job: object) -> bool:  # noqa: ARG002  what Dash passes
        return False  # the fork server leaves no zombies

    def _let_go(self, ticket: int) -> Running | None:
        """With the lock held: a job no longer counts, neither as running nor as its visitor's."""
        self.admission.end(self._request_ids.pop(ticket, ""))
        return self._jobs.pop(ticket, None)

    def _start(self, do: Callable[[], None], request_id: str = "") -> tuple[int, Any]:
        """Start a job: its ticket, and its process or task."""
        with self._lock:
            self._n_starting += 1  # it counts from now on; the first start waits for the fork server's imports
        job: Any = None
        try:
            job = self._worker.begin(do) if self._worker else self._new_process(do)
        finally:
            with self._lock:
                self._n_starting -= 1
                ticket = next(self._tickets)
                self._request_ids[ticket] = request_id
                if job is None:
                    self._let_go(ticket)
                else:
                    self._jobs[ticket] = job
        return ticket, job

    def _new_process(self, target: Callable[..., None], *args: object) -> Any:
        """A process that was forked from the fork server and calls `target`."""
        os.environ.update(self.environ)  # the fork server inherits it; it is started by the first process
        # Ctrl-C reaches every process of a terminal. A fork server that imports would die of it with a traceback; it is
        # meant for this process, with which the fork server ends. What a process blocks is blocked in what it starts,
        # but for the resource tracker, which unblocks it here when it is started: so that comes first.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            try:
                return self._forked(target, args)
            except (OSError, EOFError):  # the fork server died this very moment; another one takes its place
                logger.warning("A process could not be started; trying once more", exc_info=True)
                time.sleep(RETRY_S)
                return self._forked(target, args)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _forked(self, target: Callable[..., None], args: tuple[object, ...]) -> Any:
        process = self._context.Process(target=target, args=args, daemon=True)
        process.start()
        return process


def run_job(
    fn: JobFunction, *, folder: Path, limits: Limits, key: str, progress_key: str, request: dict[str, Any]
) -> None:
    """A job from beginning to end: its outcome lies in the job cache under `key`."""
    cache, request_id = open_job_cache(folder), str(request["id"])
    parent = multiprocess.parent_process().sentinel
    wire = Wire(
        tell=lambda state: cache.set(progress_key, [state], expire=KEPT_S),
        leave=lambda outcome: cache.set(key, outcome, expire=KEPT_S),
        should_stop=lambda: stop_key(request_id) in cache,
        is_abandoned=lambda: bool(wait_for([parent], timeout=0)),  # the web process is gone
    )
    run_wired(fn, wire, request, limits)
    cache.close()


def _gently(do: Callable[..., None], *args: object) -> None:
    """Do what nobody waits for as eagerly as for text."""
    os.nice(max(0, NICENESS - os.nice(0)))  # what the fork server has of it is counted
    do(*args)


def _nothing() -> None:
    """The preparation of a process that needs none."""


def _as_ticket(job: object) -> int:
    return int(str(job)) if str(job).isdecimal() else NO_JOB
