"""How much of the server one visitor may use: seconds of its processor. Knows names and seconds.

Seconds are counted and not requests, for a click is ten requests on one page and two on another, and a figure of 1,024
tokens costs as much as fifty questions how a job fares. Who clicks as fast as the server answers uses what it takes to
answer; who asks without end is told to wait. What was used comes back with time.
"""

from __future__ import annotations

import threading
from typing import Final

COMES_BACK: Final = 0.25  # seconds each second: a quarter of a processor core may be used without end
MOST_KEPT: Final = 10_000  # visitors


class Shares:
    """What each has used. full_s: so much may be used at once. Safe to be asked by several threads."""

    def __init__(self, full_s: float, *, comes_back: float = COMES_BACK) -> None:
        self.full_s, self.comes_back = full_s, comes_back
        self._used: dict[str, tuple[float, float]] = {}  # who → seconds used, and when that was so
        self._lock = threading.Lock()

    def wait_s(self, who: str, *, now: float) -> float:
        """0 while this visitor may go on, otherwise the seconds until then. now: of a clock that only goes forward."""
        with self._lock:
            over_s = self._used_by(who, now) - self.full_s
        return over_s / self.comes_back if over_s > 0 else 0.0

    def charge(self, who: str, seconds: float, *, now: float) -> None:
        """This visitor has used so much."""
        with self._lock:
            self._used[who] = self._used_by(who, now) + seconds, now
            if len(self._used) > MOST_KEPT:
                self._forget_those_who_used_least(now)

    def _used_by(self, who: str, now: float) -> float:
        used, then = self._used.get(who, (0.0, now))
        return max(0.0, used - (now - then) * self.comes_back)

    def _forget_those_who_used_least(self, now: float) -> None:
        by_use = sorted(self._used, key=lambda who: self._used_by(who, now))
        for who in by_use[: MOST_KEPT // 2]:
            del self._used[who]
