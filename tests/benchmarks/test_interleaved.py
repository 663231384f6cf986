from __future__ import annotations

import pytest

from benchmarks.interleaved import Spread, Timings, time_in_turn


def test_works_run_in_turn_after_one_of_each_that_is_not_counted() -> None:
    ran: list[str] = []
    timings = time_in_turn({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, n_runs=5)
    assert "".join(ran) == "ab" * 6
    assert {name: len(seconds) for name, seconds in timings.seconds.items()} == {"a": 5, "b": 5}


def test_a_ratio_is_taken_run_by_run() -> None:
    """A machine that is twice as slow for a while is so for both."""
    timings = Timings({"a": [1.0, 2.0, 8.0], "b": [2.0, 4.0, 4.0]})
    assert timings.ratio("a", "b") == Spread(median=0.5, least=0.5, largest=2.0)
    assert timings.spread("a") == Spread(median=2.0, least=1.0, largest=8.0)


def test_fewer_than_five_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 5 runs, got 4"):
        time_in_turn({}, n_runs=4)


def test_processor_time_leaves_out_what_a_work_only_waits_for() -> None:
    from time import sleep

    timings = time_in_turn({"waits": lambda: sleep(0.05)}, n_runs=5, clock="cpu")
    assert timings.spread("waits").least < 0.04, "one of five waits without working"
    assert time_in_turn({"waits": lambda: sleep(0.05)}, n_runs=5).spread("waits").least >= 0.05
