"""Downloads of models: one for each model however many ask, told as it goes, stopped and gone on with. Torch-free.

A download waits on the network and computes next to nothing: it is a thread of the web process and takes no place of a
job. What has arrived stays on the disk whatever ends it, and the next one goes on from there.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from dashapp.errors import JobStopped
from dashapp.jobs.outcome import outcome_of
from dashapp.model.download import Progress

PACE_S: Final = 10.0  # the speed is that of the last ten seconds

Fetch = Callable[[str, Progress], None]  # name, and whom to tell; raises a ModelError, or what it is told to stop with
Phase = Literal["running", "checking", "stopping", "stopped", "failed", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """How a download stands. done_bytes of total_bytes are here; both are 0 until the hub has answered.

    checking: all bytes are here and are being looked at. seconds_left: at the present speed; None while that is not
    known. failure: rule, instance, remedy.
    """

    phase: Phase
    done_bytes: int = 0
    total_bytes: int = 0
    seconds_left: float | None = None
    failure: Mapping[str, Any] | None = None


class Downloads:
    """All downloads of a server, the running ones and how the last of each model ended. Threads share one object.

    fetch: brings a model here. clock: seconds, for the speed.
    """

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._attempts: dict[str, _Attempt] = {}
        self._lock = threading.Lock()

    def start(self, name: str) -> None:
        """Download a model, unless that is under way."""
        with self._lock:
            before = self._attempts.get(name)
            if before is None or before.is_over:
                self._attempts[name] = _Attempt(name, self._fetch, self._clock)

    def stop(self, name: str) -> None:
        """Stop a download when its next bytes arrive; nothing happens when there is none."""
        with self._lock:
            if name in self._attempts:
                self._attempts[name].stop()

    def state(self, name: str) -> Download | None:
        """How the last download of a model stands; None when nobody has asked for one."""
        with self._lock:
            attempt = self._attempts.get(name)
        return attempt.state() if attempt else None


class _Attempt:
    """One download, in a thread of its own."""

    def __init__(self, name: str, fetch: Fetch, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()  # when, and how many bytes were here
        self._total_bytes = 0
        self._stopped = threading.Event()
        self._outcome: Mapping[str, Any] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, args=(name, fetch), name=f"download {name}", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return self._outcome is not None

    def stop(self) -> None:
        self._stopped.set()

    def state(self) -> Download:
        with self._lock:
            done_bytes = self._seen[-1][1] if self._seen else 0
            speed = _bytes_per_s(self._seen, now=self._clock())
        left_bytes = self._total_bytes - done_bytes
        phase = self._phase(is_all=bool(self._total_bytes) and not left_bytes)
        return Download(
            phase=phase,
            done_bytes=done_bytes,
            total_bytes=self._total_bytes,
            seconds_left=left_bytes / speed if phase == "running" and speed else None,
            failure=self._outcome if phase == "failed" else None,
        )

    def _phase(self, *, is_all: bool) -> Phase:
        if self._outcome is not None:
            return "failed" if self._outcome["status"] == "failed" else self._outcome["came_to"]
        if is_all:
            return "checking"
        return "stopping" if self._stopped.is_set() else "running"

    def _run(self, name: str, fetch: Fetch) -> None:
        def work() -> Mapping[str, Any]:
            try:
                fetch(name, self._tell)
            except JobStopped:
                return {"came_to": "stopped"}
            return {"came_to": "done"}

        self._outcome = outcome_of(f"download of {name}", work)

    def _tell(self, done_bytes: int, total_bytes: int) -> None:
        if self._stopped.is_set() and done_bytes < total_bytes:  # what is here whole is kept, and looked at
            raise JobStopped
        now = self._clock()
        with self._lock:
            self._total_bytes = total_bytes
            self._seen.append((now, done_bytes))
            while now - self._seen[0][0] > PACE_S:
                self._seen.popleft()


def _bytes_per_s(seen: deque[tuple[float, int]], *, now: float) -> float | None:
    """The speed since the first of these moments; what was here before it does not count, a pause since does."""
    if len(seen) < 2:
        return None
    (first, had), (_, has) = seen[0], seen[-1]
    return (has - had) / (now - first) if now > first and has > had else None
