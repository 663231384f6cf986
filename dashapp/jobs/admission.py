"""Who may start a job: so many at once, and the rest in turn. Knows ids, visitors and times.

Nobody holds a process while waiting: a browser asks again each second, and one that stops asking loses its turn. Turns
are fair by visitor: the request of somebody who has fewer before it goes first, then the one that came first. So twenty
requests of one visitor wait behind the first of everybody else.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

from dashapp.errors import TooManyWaiting

PATIENCE_S = 10.0  # without a word for so long, a waiting browser is taken to be gone
MOST_WAITING: Final = 100  # of one visitor, who may be a class behind one address without cookies


class Admission:
    """The places of one server. Safe to be asked by several threads.

    keeps_one_free: no visitor gets all places, where there are two or more: who comes next need not wait.
    """

    def __init__(self, n_places: int, *, keeps_one_free: bool = False) -> None:
        self.n_places, self._keeps_one_free = n_places, keeps_one_free
        self._waiting: dict[str, float] = {}  # id → when it last asked, in the order of first asking
        self._admitted: dict[str, float] = {}  # id → when it was let in; it has not begun yet
        self._begun: set[str] = set()
        self._visitors: dict[str, str] = {}  # id → who asked, of all of these
        self._lock = threading.Lock()

    def place(self, request_id: str, *, n_running: int, now: float, visitor: str = "") -> int:
        """0: this request may start a job now. Otherwise its place in the queue, from 1.

        n_running: jobs that run at this moment. now: seconds of a clock that only goes forward. visitor: who asks.
        Raises: TooManyWaiting.
        """
        with self._lock:
            self._forget_who_left(now)
            if request_id in self._admitted:
                return 0
            self._refuse_too_many(request_id, visitor)
            self._waiting[request_id] = now  # keeps its place when it is there already
            self._visitors.setdefault(request_id, visitor)
            turns = self._turns()
            n_free = self.n_places - n_running - len(self._admitted)
            may_start = [each for each, n_before in turns.items() if n_before < self._most_each]
            if request_id not in may_start[: max(0, n_free)]:
                return list(turns).index(request_id) + 1
            del self._waiting[request_id]
            self._admitted[request_id] = now
            return 0

    def n_asking(self, *, now: float) -> int:
        """How many wait for a place, or have one and have not begun."""
        with self._lock:
            self._forget_who_left(now)
            return len(self._waiting) + len(self._admitted)

    def begin(self, request_id: str) -> bool:
        """Whether this request was let in; once asked, the place counts as taken by its job, until `end`."""
        with self._lock:
            if self._admitted.pop(request_id, None) is None:
                return False
            self._begun.add(request_id)
            return True

    def end(self, request_id: str) -> None:
        """The job of this request has ended: the place is no longer its visitor's."""
        with self._lock:
            self._begun.discard(request_id)

    def leave(self, request_id: str) -> None:
        """A person who waited does not want it any more."""
        with self._lock:
            self._waiting.pop(request_id, None)
            self._admitted.pop(request_id, None)

    # Below: with the lock held ----------------------------------------------------------------------------------------

    @property
    def _most_each(self) -> float:
        return self.n_places - 1 if self._keeps_one_free and self.n_places > 1 else float("inf")

    def _turns(self) -> dict[str, int]:
        """Who waits, the next first → how many places and turns its visitor has before it."""
        n_before = Counter(self._visitors[each] for each in (*self._admitted, *self._begun))
        turns = {}
        for each in self._waiting:
            turns[each] = n_before[self._visitors[each]]
            n_before[self._visitors[each]] += 1
        return dict(sorted(turns.items(), key=lambda turn: turn[1]))  # stable: among equals, who came first

    def _refuse_too_many(self, request_id: str, visitor: str) -> None:
        n_waiting = sum(self._visitors[each] == visitor for each in self._waiting)
        if request_id not in self._waiting and n_waiting >= MOST_WAITING:
            raise TooManyWaiting(n_waiting)

    def _forget_who_left(self, now: float) -> None:
        self._waiting = {each: asked for each, asked in self._waiting.items() if now - asked < PATIENCE_S}
        self._admitted = {each: let_in for each, let_in in self._admitted.items() if now - let_in < PATIENCE_S}
        here = self._waiting.keys() | self._admitted.keys() | self._begun
        self._visitors = {each: visitor for each, visitor in self._visitors.items() if each in here}
