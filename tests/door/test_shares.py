"""Seconds of the server: what was used comes back with time, and one visitor's use is no other's."""

from __future__ import annotations

import pytest

from dashapp.door.shares import MOST_KEPT, Shares


def test_who_has_used_nothing_need_not_wait() -> None:
    assert Shares(10).wait_s("a", now=0) == 0


def test_who_used_more_than_the_share_waits_until_that_came_back() -> None:
    shares = Shares(10, comes_back=0.5)
    shares.charge("a", 10, now=0)
    assert shares.wait_s("a", now=0) == 0
    shares.charge("a", 3, now=0)
    assert shares.wait_s("a", now=0) == 6
    assert shares.wait_s("a", now=4) == 2
    assert shares.wait_s("a", now=6) == 0
    shares.charge("a", 1, now=6)
    assert shares.wait_s("a", now=6) == 2, "the share itself is not back yet"


def test_what_was_used_long_ago_is_forgotten() -> None:
    shares = Shares(10, comes_back=0.5)
    shares.charge("a", 100, now=0)
    shares.charge("a", 10, now=1000)
    assert shares.wait_s("a", now=1000) == 0


def test_what_one_used_is_not_counted_for_another() -> None:
    shares = Shares(10)
    shares.charge("a", 100, now=0)
    assert shares.wait_s("b", now=0) == 0


def test_a_clock_that_stands_gives_nothing_back() -> None:
    shares = Shares(10)
    for _ in range(12):
        shares.charge("a", 1, now=5)
    assert shares.wait_s("a", now=5) == pytest.approx(8)


def test_of_very_many_those_who_used_most_are_remembered() -> None:
    shares = Shares(10)
    shares.charge("much", 100, now=0)
    for i in range(MOST_KEPT):
        shares.charge(str(i), 0.001, now=0)
    assert len(shares._used) <= MOST_KEPT
    assert shares.wait_s("much", now=0) > 0
