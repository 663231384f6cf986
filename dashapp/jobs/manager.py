"""Dash's background jobs, each a fresh process forked from a server that has the model in memory.

Changed from `DiskcacheManager`: processes come from a fork server (torch may not have run in the process that forks),
what they leave behind is JSON (diskcache would read pickles), a place is needed to start, and one that outlives its
time or its parent ends. Knows processes and keys; knows nothing of what a job computes.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import diskcache
import multiprocess
from dash import DiskcacheManager
from diskcache.core import DBNAME, MODE_RAW, MODE_TEXT, UNKNOWN
from multiprocess.connection import wait as wait_for

from dashapp.errors import JobRefused, JobTimedOut
from dashapp.jobs.admission import Admission
from dashapp.jobs.outcome import Outcome, failure, outcome_of
from dashapp.jobs.progress import Reporter
from dashapp.store.folders import private_file, private_folder

logger = logging.getLogger(__name__)

KEPT_S: Final = 3600  # what nobody fetched (the tab was closed) is forgotten after an hour
BEAT_S: Final = 1.0
NO_PROCESS: Final = 0

JobFunction = Callable[..., Mapping[str, Any]]


class JsonOnly(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """diskcache's way to the disk with JSON in place of pickle; a row that is anything else is refused."""

    def put(self, key: object) -> tuple[str, bool]:
        if not isinstance(key, str):
            raise TypeError(f"keys are strings, not {type(key).__name__}")
        return key, True

    def get(self, key: object, raw: object) -> str:
        if raw and isinstance(key, str):
            return key
        raise ValueError("a key in the job cache is not text")

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


class JobManager(DiskcacheManager):
    """Starts jobs and fetches what they leave. One to a web process.

    folder: of the job cache. n_jobs: how many run at once. timeout_s: how long one may take. preload: modules that the
    fork server imports, the one that holds the model among them. environ: variables for the fork server.
    """

    def __init__(
        self, folder: Path, *, n_jobs: int, timeout_s: int, preload: Sequence[str], environ: Mapping[str, str]
    ) -> None:
        # First, for Dash makes the job functions of callbacks that are registered already while it is initialised.
        self.folder, self.timeout_s, self.environ = folder, timeout_s, dict(environ)
        super().__init__(open_job_cache(folder))  # type: ignore[no-untyped-call]  # as in all of Dash's managers
        self.admission = Admission(n_jobs)
        self.is_warm = threading.Event()
        self._context = multiprocess.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self._processes: dict[int, Any] = {}
        self._lock = threading.Lock()

    # What our own callbacks ask ---------------------------------------------------------------------------------------

    def place(self, request_id: str) -> int:
        """0 when this request may start its job now, otherwise its place in the queue."""
        return self.admission.place(request_id, n_running=self.n_running, now=time.monotonic())

    def ask_to_stop(self, request_id: str) -> None:
        """Tell a job to end with what it has; it looks after each token."""
        self.admission.leave(request_id)
        self.handle.set(_stop_key(request_id), True, expire=KEPT_S)

    @property
    def n_running(self) -> int:
        with self._lock:
            self._processes = {pid: process for pid, process in self._processes.items() if process.is_alive()}
            return len(self._processes)

    def warm_up(self, work: Callable[[], None]) -> None:
        """Start the fork server and run `work` in a first job, in the background: the first one pays for imports."""
        threading.Thread(target=self._warm_up, args=(work,), name="warm-up", daemon=True).start()

    def _warm_up(self, work: Callable[[], None]) -> None:
        process = self._start(work)
        process.join()
        if process.exitcode:
            logger.error("The first job ended with status %s: see above what went wrong", process.exitcode)
        else:
            self.is_warm.set()

    # What Dash asks ---------------------------------------------------------------------------------------------------

    def make_job_fn(self, fn: JobFunction, progress: object, key: object = None) -> Callable[..., None]:  # noqa: ARG002
        """What a job's process runs. `fn(context, request)` is a background callback's function."""
        return partial(run_job, fn, folder=self.folder, timeout_s=self.timeout_s)

    def call_job_fn(self, key: str, job_fn: Callable[..., None], args: Any, *_: object, **__: object) -> int:
        """Start a job for a request that was let in; the pid, or NO_PROCESS with a failure as its result."""
        request = args[0] if isinstance(args, list | tuple) and args else args
        request_id = str(request.get("id")) if isinstance(request, dict) else ""
        progress_key = f"{key}-progress"  # where Dash looks for it
        for leftover in (key, progress_key):
            self.handle.delete(leftover)  # a job that nobody fetched would answer in place of this one
        if not self.admission.begin(request_id):
            self.handle.set(key, failure(request_id, JobRefused(request_id)), expire=KEPT_S)
            return NO_PROCESS
        return int(self._start(partial(job_fn, key=key, progress_key=progress_key, request=request)).pid)

    def terminate_job(self, job: object) -> None:
        """End a job of ours; a process that we did not start is none of our business."""
        with self._lock:
            process = self._processes.pop(_as_pid(job), None)
        if process is not None:
            process.kill()

    def job_running(self, job: object) -> bool:
        with self._lock:
            process = self._processes.get(_as_pid(job))
        return process is not None and process.is_alive()

    def terminate_unhealthy_job(self, job: object) -> bool:  # noqa: ARG002  what Dash passes
        return False  # the fork server leaves no zombies

    def _start(self, target: Callable[[], None]) -> Any:
        os.environ.update(self.environ)  # the fork server inherits it; it is started by the first process
        process = self._context.Process(target=target, daemon=True)
        with self._lock:
            process.start()
            self._processes[process.pid] = process
        return process


class JobContext:
    """What a job's function is given: a way to tell its state, and whether it should stop."""

    def __init__(self, reporter: Reporter, should_stop: Callable[[], bool]) -> None:
        self.tell, self.should_stop = reporter.tell, should_stop


def run_job(
    fn: JobFunction, *, folder: Path, timeout_s: int, key: str, progress_key: str, request: dict[str, Any]
) -> None:
    """A job's process from beginning to end: its outcome lies in the job cache under `key`."""
    cache, request_id = open_job_cache(folder), str(request["id"])
    reporter = Reporter(request_id, lambda state: cache.set(progress_key, [state], expire=KEPT_S))

    def leave(outcome: Outcome) -> None:
        cache.set(key, outcome, expire=KEPT_S)

    def give_up() -> None:
        leave(failure(request_id, JobTimedOut(timeout_s)))

    watch = threading.Thread(target=_watch_over, args=(reporter.beat, give_up, timeout_s), daemon=True)
    watch.start()
    context = JobContext(reporter, lambda: _stop_key(request_id) in cache)
    leave(outcome_of(request_id, lambda: fn(context, request)))


def _watch_over(beat: Callable[[], None], give_up: Callable[[], None], timeout_s: int) -> None:
    """Say each second that the process lives; end it when its time is over or the web process is gone."""
    parent, end = multiprocess.parent_process().sentinel, time.monotonic() + timeout_s
    while time.monotonic() < end:
        if wait_for([parent], timeout=BEAT_S):
            os._exit(1)
        beat()
    give_up()
    os._exit(1)


def _stop_key(request_id: str) -> str:
    return f"stop-{request_id}"


def _as_pid(job: object) -> int:
    return int(str(job)) if str(job).isdecimal() else NO_PROCESS
