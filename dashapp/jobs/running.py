"""A job from beginning to end in a worker's process, whoever started it: it tells, it is watched, it leaves an outcome.

Knows times and functions; knows nothing of what a job computes, or of what lies between it and the web process.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from dashapp.errors import JobTimedOut
from dashapp.jobs.bounds import bounded_memory
from dashapp.jobs.outcome import Outcome, failure, outcome_of
from dashapp.jobs.progress import Reporter
from dashapp.logs import JOB_ID

BEAT_S: Final = 1.0

JobFunction = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What lies between a job and the web process.

    tell: the state of a job, each second at least; it may get lost. leave: its outcome, which may not. should_stop:
    whether it was asked to. is_abandoned: whether it should end without a word, for nobody is left to hear one.
    """

    tell: Callable[[dict[str, Any]], None]
    leave: Callable[[Outcome], None]
    should_stop: Callable[[], bool]
    is_abandoned: Callable[[], bool]


class JobContext:
    """What a job's function is given: a way to tell its state, and whether it should stop."""

    def __init__(self, reporter: Reporter, should_stop: Callable[[], bool]) -> None:
        self.tell, self.should_stop = reporter.tell, should_stop


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job may take: seconds, after which it is ended, and bytes of memory; None is what is free."""

    timeout_s: int
    memory_bytes: int | None = None

    def patient(self, times: int) -> Limits:
        """The same with so many times as long."""
        return replace(self, timeout_s=times * self.timeout_s)


def run_wired(fn: JobFunction, wire: Wire, request: dict[str, Any], limits: Limits) -> None:
    """Run `fn(context, request)` and leave what it came to, or that it wanted more than its limits."""
    request_id = str(request["id"])
    JOB_ID.set(request_id)
    reporter = Reporter(request_id, wire.tell)

    def give_up() -> None:
        wire.leave(failure(request_id, JobTimedOut(limits.timeout_s)))

    is_over = threading.Event()
    arguments = (reporter.beat, give_up, wire.is_abandoned, limits.timeout_s, is_over)
    watch = threading.Thread(target=_watch_over, args=arguments, daemon=True)
    watch.start()
    context = JobContext(reporter, wire.should_stop)

    def work() -> Mapping[str, Any]:
        with bounded_memory(limits.memory_bytes):
            return fn(context, request)

    outcome = outcome_of(request_id, work)
    is_over.set()
    watch.join()  # in a process that stays, it would go on telling that this job lives
    wire.leave(outcome)


def _watch_over(
    beat: Callable[[], None],
    give_up: Callable[[], None],
    is_abandoned: Callable[[], bool],
    timeout_s: int,
    is_over: threading.Event,
) -> None:
    """Say each second that the process lives; end it when its time is over or nobody is left."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if is_over.wait(BEAT_S):
            return
        if is_abandoned():
            os._exit(1)
        beat()
    give_up()
    os._exit(1)
