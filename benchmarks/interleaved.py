"""Works timed in turn, so that whatever else a machine does meets all of them alike. Knows functions and clocks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Clock = Literal["wall", "cpu"]
CLOCKS: Mapping[Clock, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
N_RUNS_LEAST = 5


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some runs, and the least and the largest of them."""

    median: float
    least: float
    largest: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds by work, a run after the other: run i of all works lies together in time."""

    seconds: Mapping[str, list[float]]

    def spread(self, work: str) -> Spread:
        return Spread.of(self.seconds[work])

    def ratio(self, work: str, to: str) -> Spread:
        """How many times as long `work` took as `to`, run by run."""
        return Spread.of([a / b for a, b in zip(self.seconds[work], self.seconds[to], strict=True)])


def time_in_turn(works: Mapping[str, Callable[[], object]], *, n_runs: int, clock: Clock = "wall") -> Timings:
    """Each work once to warm up, then all of them in turn, `n_runs` times.

    clock: "wall" on a quiet machine; "cpu" counts the seconds in which this process ran, and its threads together, so
    that with one thread what others do on the machine is left out (but for caches and memory, which are shared).
    Raises: ValueError for fewer than five runs, of which a spread says little.
    """
    if n_runs < N_RUNS_LEAST:
        raise ValueError(f"a spread needs at least {N_RUNS_LEAST} runs, got {n_runs}")
    now = CLOCKS[clock]
    for work in works.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(n_runs):
        for name, work in works.items():
            start = now()
            work()
            seconds[name].append(now() - start)
    return Timings(seconds)
