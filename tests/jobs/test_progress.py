"""A job tells its whole state, not too often, and that it lives."""

from __future__ import annotations

from typing import Any

from dashapp.jobs.progress import EVERY_S, Reporter


class Told:
    """A reporter with a clock that a test moves."""

    def __init__(self) -> None:
        self.now, self.states = 0.0, list[dict[str, Any]]()
        self.reporter = Reporter("r", self.states.append, clock=lambda: self.now)


def test_states_are_told_no_oftener_than_a_browser_asks() -> None:
    told = Told()
    for moment in (0, 0.5, 0.9, 1.1, 1.6, 2.2, 2.3):
        told.now = moment * EVERY_S
        told.reporter.tell({"moment": moment})
    assert [state["moment"] for state in told.states] == [0, 1.1, 2.2]


def test_what_must_be_seen_at_once_is_told_at_once() -> None:
    told = Told()
    told.reporter.tell({"i": 0})
    told.reporter.tell({"i": 1}, now=True)
    assert [state["i"] for state in told.states] == [0, 1]


def test_a_beat_tells_the_latest_state_again_under_a_new_number() -> None:
    told = Told()
    told.reporter.tell({"i": 0})
    told.reporter.tell({"i": 1})  # too soon: kept
    told.reporter.beat()
    assert told.states[-1] == {"i": 1, "id": "r", "beat": 1}
