"""Dash's background jobs on several machines: Celery carries them to workers, and Redis what they tell and leave.

The same to pages, panels and job bodies as `manager.JobManager`. A web process remembers nothing of a job: what one has
started another asks for. Changed from Dash's `CeleryManager`: a place is needed to start, a task is named rather than
made of a callback's function, fetching a result ends nothing, and where Redis does not answer a job is not over. Knows
keys and tasks; knows nothing of what a job computes.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from dash import CeleryManager
from kombu.exceptions import OperationalError
from redis import RedisError

from dashapp.errors import JobRefused, NoWorker, QueueUnavailable
from dashapp.jobs.keys import place_key, stop_key, told_key
from dashapp.jobs.outcome import failure
from dashapp.jobs.places import ALIVE_S, NO_WORKER, Kind, Places, named
from dashapp.jobs.queue import REQUEST, WORK, Slate, celery_app, connect
from dashapp.jobs.works import PATIENCE_S, Seen

logger = logging.getLogger(__name__)

NO_JOB: Final = "none"


class QueueManager(CeleryManager):
    """Starts jobs on workers and fetches what they leave; the bench of a web process's `Works` too.

    url: of Redis. The first call that needs it connects. keeps_one_free: as in `Admission`.
    """

    def __init__(self, url: str, *, keeps_one_free: bool = False) -> None:
        self._keeps_one_free = keeps_one_free
        self.on_outcome: Callable[[Mapping[str, Any]], None] = lambda _: None  # told what each request came to
        self._redis = connect(url)
        self._slate, self._places = Slate(self._redis), Places(self._redis)
        self._desk = secrets.token_hex(8)  # this web process, among those who may want the same work
        super().__init__(celery_app(url))  # type: ignore[no-untyped-call]  # as in all of Dash's managers

    # What our own callbacks ask ---------------------------------------------------------------------------------------

    def place(self, request_id: str, visitor: str = "") -> int:
        """0 when this request may start its job now, otherwise its place in the queue.

        Raises: QueueUnavailable, NoWorker, TooManyWaiting.
        """
        with self._saying_why():
            place = self._places.place(request_id, visitor, keeps_one_free=self._keeps_one_free)
        if place == NO_WORKER:
            raise NoWorker
        return place

    def ask_to_stop(self, request_id: str) -> None:
        """Tell a job to end with what it has; it looks after each token. Raises: QueueUnavailable.

        A work goes on while the desk of another web process wants it.
        """
        with self._saying_why():
            self._places.leave(request_id)
            self._redis.zrem(named(f"wanted:{request_id}"), self._desk)
            if not self._is_wanted(request_id):
                self._slate.set(stop_key(request_id), True)

    def told(self, request_id: str) -> dict[str, Any] | None:
        """What the job of a request has told last; None before it has begun and after its outcome was fetched."""
        with self._saying_why():
            place = self._slate.get(place_key(request_id))
            told = self._slate.get(place) if place else None
        return told[0] if told else None

    def warm_up(self, work: Callable[[], None], *, homes: Collection[str] = ()) -> None:
        """Nothing: workers have the model in memory before they say that they live."""

    def is_ready(self) -> bool:
        """Whether some worker takes requests."""
        with self._as_if_nothing():
            return self._places.n_places("requests") > 0
        return False

    def is_reachable(self) -> bool:
        """Whether jobs and web processes can leave each other anything."""
        with self._as_if_nothing():
            return bool(self._redis.ping())
        return False

    @property
    def n_running(self) -> int:
        """How many requests run. Raises: QueueUnavailable."""
        with self._saying_why():
            return self._places.n_running("requests")

    @property
    def n_waiting(self) -> int:
        """How many requests wait for a place, or have one and have not begun. Raises: QueueUnavailable."""
        with self._saying_why():
            return self._places.n_waiting()

    # What `Works` asks ------------------------------------------------------------------------------------------------

    def has_room(self, home: str | None) -> bool:  # noqa: ARG002  a worker's processes stay, whatever they do
        """Whether a work may begin: a place is free, and no request waits for it. Raises: QueueUnavailable."""
        with self._saying_why():
            return self._places.n_room() > 0

    def begin_work(self, order: Mapping[str, Any], home: str | None) -> None:
        """Begin a work, unless another web process did: then this one wants it too. Raises: QueueUnavailable."""
        key = str(order["id"])
        with self._saying_why():
            self._want(key)
            if self._places.begin_work(key):
                self._slate.delete(key, told_key(key), stop_key(key))
                sent = {name: order[name] for name in ("id", "kind", "patience", "trace", "arguments")}
                self._send(WORK, "works", key, [sent, home])

    def see(self, key: str) -> Seen:
        """How a work fares. Raises: QueueUnavailable."""
        with self._saying_why():
            self._want(key)
            is_alive = self._places.is_alive(key)  # first, for the outcome comes before the end
            told, outcome = self._slate.get(told_key(key)), self._slate.get(key)
        return Seen(told=told, outcome=outcome, is_alive=is_alive and outcome is None)

    def end_work(self, key: str) -> None:
        """Kill what does this work, if it still does and nobody else wants it. Raises: QueueUnavailable."""
        with self._saying_why():
            self._redis.zrem(named(f"wanted:{key}"), self._desk)
            if not self._is_wanted(key):
                self._kill("works", key)
                self._slate.delete(key, told_key(key), stop_key(key))

    def forget_work(self, key: str) -> None:
        """Want a work no more, which has left its outcome. Others may still look at that. Raises: QueueUnavailable."""
        with self._saying_why():
            self._redis.zrem(named(f"wanted:{key}"), self._desk)
            self._redis.expire(named(key), ALIVE_S)

    def _want(self, key: str) -> None:
        self._redis.zadd(named(f"wanted:{key}"), {self._desk: self._now()})
        self._redis.expire(named(f"wanted:{key}"), 10 * int(PATIENCE_S))

    def _is_wanted(self, key: str) -> bool:
        """Whether the desk of some web process has asked for a work lately."""
        since = self._now() - PATIENCE_S
        return bool(self._redis.zcount(named(f"wanted:{key}"), since, "+inf"))

    # What Dash asks ---------------------------------------------------------------------------------------------------

    def make_job_fn(self, fn: object, progress: object, key: object = None) -> None:
        """Nothing: the task has a name that workers know."""

    def call_job_fn(self, key: str, job_fn: object, args: Any, context: object) -> str:  # noqa: ARG002  what Dash passes
        """Start a job for a request that was let in; its id, or NO_JOB with a failure as its result.

        Raises: QueueUnavailable.
        """
        request = args[0] if isinstance(args, list | tuple) and args else args
        request_id = str(request.get("id")) if isinstance(request, dict) else ""
        progress_key = _progress_key(key)
        with self._saying_why():
            self._slate.delete(key, progress_key)  # a job that nobody fetched would answer in place of this one
            if not self._places.begin(request_id):
                self._slate.set(key, failure(request_id, JobRefused(request_id)))
                return NO_JOB
            self._slate.set(place_key(request_id), progress_key)
            self._send(REQUEST, "requests", request_id, [key, progress_key, request])
        return request_id

    def get_progress(self, key: str) -> Any:
        """What a job has told last. None while Redis does not answer."""
        with self._as_if_nothing():
            return self._slate.get(_progress_key(key))
        return None

    def result_ready(self, key: str) -> bool:
        with self._as_if_nothing():
            return self._slate.has(key)
        return False

    def get_result(self, key: str, job: object) -> Any:
        """What a job left, once. It leaves the process alone, which stays."""
        with self._as_if_nothing():
            result = self._slate.get(key)
            if result is not None:
                self._places.end("requests", str(job))
                self._slate.delete(key, _progress_key(key), place_key(str(result["id"])))
                self.on_outcome(result)
                return result
        return self.UNDEFINED

    def job_running(self, job: object) -> bool:
        """Whether a job lives, or this cannot be known now: a job outlives a Redis that is started again."""
        if job is None or job == NO_JOB:
            return False
        with self._as_if_nothing():
            return self._places.is_alive(str(job))
        return True

    def terminate_job(self, job: object) -> None:
        """End a job, and with it the process that runs it; what has ended stays ended."""
        if job is None or job == NO_JOB:
            return
        with self._as_if_nothing():
            self._kill("requests", str(job))

    def terminate_unhealthy_job(self, job: object) -> bool:  # noqa: ARG002  what Dash passes
        return False  # a worker replaces its processes itself

    def clear_cache_entry(self, key: str) -> None:
        with self._as_if_nothing():
            self._slate.delete(key)

    def get_updated_props(self, key: str) -> dict[str, Any]:  # noqa: ARG002  what Dash passes
        return {}  # jobs set none

    # Below: Redis and Celery ------------------------------------------------------------------------------------------

    def _send(self, task: str, queue: str, task_id: str, arguments: list[Any]) -> None:
        self.handle.send_task(task, args=arguments, queue=queue, task_id=task_id)

    def _now(self) -> float:
        """Redis's clock, the same for all."""
        seconds, _ = self._redis.time()
        return float(seconds)

    def _kill(self, kind: Kind, job_id: str) -> None:
        if self._redis.exists(named(f"alive:{job_id}")):
            self.handle.control.revoke(job_id, terminate=True, signal="SIGKILL")
        self._places.end(kind, job_id)

    @contextmanager
    def _saying_why(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OperationalError) as error:
            raise QueueUnavailable(error) from error

    @contextmanager
    def _as_if_nothing(self) -> Iterator[None]:
        """Where Redis does not answer, what is asked each tenth of a second is not known yet."""
        try:
            yield
        except (RedisError, OperationalError) as error:
            logger.warning("Redis does not answer: %s", error)


def _progress_key(key: str) -> str:
    """Where Dash looks for what a job tells."""
    return f"{key}-progress"
