"""The queue between web servers and workers: Celery with Redis, JSON only. Knows names and connections.

Celery carries orders to workers. What jobs tell and leave are keys of Redis with a time to live, as in the job cache of
one machine, for Celery's own results cannot be told while a job runs. Nothing that crosses is ever a pickle.
"""

from __future__ import annotations

import json
from typing import Any, Final

from dashapp.errors import ScaleMissing

try:
    from celery import Celery
    from redis import Redis
    from redis.backoff import ExponentialBackoff
    from redis.exceptions import ConnectionError as NoConnection
    from redis.exceptions import TimeoutError as NoAnswer
    from redis.retry import Retry
except ImportError as error:  # an extra that one machine does without
    raise ScaleMissing("A queue of jobs for several machines", error) from error

from dashapp.jobs.keys import KEPT_S
from dashapp.jobs.places import named

REQUEST: Final = "dashapp.request"  # the tasks, by name
WORK: Final = "dashapp.work"
QUICK_TRIES: Final = 2  # for what is asked again soon anyhow
PATIENT_TRIES: Final = 60  # for what must not be lost: about a minute

CONNECT_S: Final = 2
ANSWER_S: Final = 5


def connect(url: str, *, tries: int = QUICK_TRIES) -> Redis:
    """A client, which connects when it is used. tries: how often a broken connection is made anew, a second apart."""
    retry = Retry(ExponentialBackoff(cap=1.0, base=0.05), tries)
    return Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=ANSWER_S,
        retry=retry,
        retry_on_error=[NoConnection, NoAnswer],
        decode_responses=True,
    )


def celery_app(url: str) -> Celery:
    """The app that web servers and workers share."""
    app = Celery("dashapp", broker=url, backend=url)
    connection = {"socket_connect_timeout": CONNECT_S, "socket_timeout": 30}
    app.conf.update(
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        task_ignore_result=True,  # outcomes are ours
        task_default_queue="requests",
        # A worker takes an order only when it has a process for it: the others are for other workers.
        worker_prefetch_multiplier=1,
        task_acks_late=True,
        broker_transport_options=connection,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2},
        worker_cancel_long_running_tasks_on_connection_loss=False,  # a job outlives a Redis that is started again
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
    )
    return app


class Slate:
    """What jobs and web servers leave for each other. Raises redis.RedisError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def get(self, key: str) -> Any:
        """What was left under a key, or None."""
        text: Any = self._redis.get(named(key))
        return None if text is None else json.loads(text)

    def set(self, key: str, value: object) -> None:
        """Leave a value for a day."""
        self._redis.set(named(key), json.dumps(value), ex=KEPT_S)

    def has(self, key: str) -> bool:
        """Whether something lies under a key."""
        return bool(self._redis.exists(named(key)))

    def delete(self, *keys: str) -> None:
        """Forget keys."""
        if keys:
            self._redis.delete(*map(named, keys))
