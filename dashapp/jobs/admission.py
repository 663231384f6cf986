"""Who may start a job: so many at once, the rest in the order in which they came. Knows ids and times.

Nobody holds a process while waiting: a browser asks again each second, and one that stops asking loses its turn.
"""

from __future__ import annotations

import threading

PATIENCE_S = 10.0  # without a word for so long, a waiting browser is taken to be gone


class Admission:
    """The places of one server. Safe to be asked by several threads."""

    def __init__(self, n_places: int) -> None:
        self.n_places = n_places
        self._waiting: dict[str, float] = {}  # id → when it last asked, in the order of first asking
        self._admitted: dict[str, float] = {}  # id → when it was let in; it has not begun yet
        self._lock = threading.Lock()

    def place(self, request_id: str, *, n_running: int, now: float) -> int:
        """0: this request may start a job now. Otherwise its place in the queue, from 1.

        n_running: jobs that run at this moment. now: seconds of a clock that only goes forward.
        """
        with self._lock:
            self._forget_who_left(now)
            if request_id in self._admitted:
                return 0
            self._waiting[request_id] = now  # keeps its place when it is there already
            n_free = self.n_places - n_running - len(self._admitted)
            place = list(self._waiting).index(request_id) + 1
            if place > n_free:
                return place
            del self._waiting[request_id]
            self._admitted[request_id] = now
            return 0

    def n_asking(self, *, now: float) -> int:
        """How many wait for a place, or have one and have not begun."""
        with self._lock:
            self._forget_who_left(now)
            return len(self._waiting) + len(self._admitted)

    def begin(self, request_id: str) -> bool:
        """Whether this request was let in; once asked, the place counts as taken by its job."""
        with self._lock:
            return self._admitted.pop(request_id, None) is not None

    def leave(self, request_id: str) -> None:
        """A person who waited does not want it any more."""
        with self._lock:
            self._waiting.pop(request_id, None)
            self._admitted.pop(request_id, None)

    def _forget_who_left(self, now: float) -> None:
        self._waiting = {each: asked for each, asked in self._waiting.items() if now - asked < PATIENCE_S}
        self._admitted = {each: let_in for each, let_in in self._admitted.items() if now - let_in < PATIENCE_S}
