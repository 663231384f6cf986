"""What a job tells while it runs: always the full state, as often as a browser asks and no oftener.

Only the latest state is kept, so one that told what is new would lose what nobody fetched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

EVERY_S = 0.08  # a browser asks every 0.1 s

Send = Callable[[dict[str, Any]], None]


class Reporter:
    """Passes a job's state on. `tell` from the job, `beat` from the thread that watches over it.

    send: takes the whole state. clock: seconds, for the pace.
    """

    def __init__(self, request_id: str, send: Send, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._request_id, self._send, self._clock = request_id, send, clock
        self._state: dict[str, Any] = {}
        self._beats, self._told_at = 0, -EVERY_S
        self._lock = threading.Lock()

    def tell(self, state: Mapping[str, Any], *, now: bool = False) -> None:
        """The job's state; told at once when the last one is old enough, or when asked to."""
        with self._lock:
            self._state = dict(state)
            if now or self._clock() - self._told_at >= EVERY_S:
                self._pass_on()

    def beat(self) -> None:
        """Tell the state again, with a new number: the process is alive."""
        with self._lock:
            self._beats += 1
            self._pass_on()

    def _pass_on(self) -> None:
        self._told_at = self._clock()
        self._send({**self._state, "id": self._request_id, "beat": self._beats})
