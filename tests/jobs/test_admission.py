"""Places: so many at once, in the order of coming, and nobody who left keeps one."""

from __future__ import annotations

import pytest

from dashapp.errors import TooManyWaiting
from dashapp.jobs.admission import MOST_WAITING, PATIENCE_S, Admission


def test_so_many_are_let_in_and_the_rest_wait_in_order() -> None:
    admission = Admission(2)
    places = [admission.place(each, n_running=0, now=0.0) for each in "abcd"]
    assert places == [0, 0, 1, 2]


def test_asking_again_keeps_the_answer() -> None:
    admission = Admission(1)
    assert [admission.place("a", n_running=0, now=float(i)) for i in range(3)] == [0, 0, 0]
    assert [admission.place("b", n_running=0, now=float(i)) for i in range(3)] == [1, 1, 1]


def test_a_free_place_goes_to_who_came_first() -> None:
    admission = Admission(1)
    admission.place("a", n_running=0, now=0)
    assert admission.begin("a")
    assert admission.place("b", n_running=1, now=0) == 1
    assert admission.place("c", n_running=1, now=0) == 2
    assert admission.place("c", n_running=0, now=1) == 2
    assert admission.place("b", n_running=0, now=1) == 0


def test_nobody_begins_without_having_been_let_in() -> None:
    admission = Admission(1)
    assert not admission.begin("a")
    admission.place("a", n_running=0, now=0)
    assert admission.begin("a")
    assert not admission.begin("a")


def test_who_stops_asking_loses_the_turn() -> None:
    admission = Admission(1)
    assert admission.place("a", n_running=1, now=0) == 1
    assert admission.place("b", n_running=1, now=PATIENCE_S / 2) == 2
    assert admission.place("b", n_running=1, now=PATIENCE_S) == 1


def test_who_is_let_in_and_does_not_begin_frees_the_place() -> None:
    admission = Admission(1)
    assert admission.place("a", n_running=0, now=0) == 0
    assert admission.place("b", n_running=0, now=1) == 1
    assert admission.place("b", n_running=0, now=PATIENCE_S) == 0
    assert not admission.begin("a")


def test_who_leaves_makes_room() -> None:
    admission = Admission(1)
    assert [admission.place(each, n_running=1, now=0) for each in "ab"] == [1, 2]
    admission.leave("a")
    assert admission.place("b", n_running=1, now=0) == 1


# Fair by visitor -----------------------------------------------------------------------------------------------------


def places(admission: Admission, asked: list[tuple[str, str]], *, n_running: int = 1) -> dict[str, int]:
    """The places of (request, visitor) after all have asked, in this order."""
    for request_id, visitor in asked:
        admission.place(request_id, visitor=visitor, n_running=n_running, now=0)
    return {each: admission.place(each, visitor=visitor, n_running=n_running, now=0) for each, visitor in asked}


def test_the_first_of_each_visitor_goes_before_the_second_of_any() -> None:
    asked = [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c"), ("b2", "b")]
    assert places(Admission(1), asked) == {"a1": 1, "b1": 2, "c1": 3, "a2": 4, "b2": 5, "a3": 6}


def test_who_has_a_place_goes_behind_who_has_none() -> None:
    admission = Admission(1)
    assert admission.place("a1", visitor="a", n_running=0, now=0) == 0
    assert admission.begin("a1")
    assert places(admission, [("a2", "a"), ("b1", "b")]) == {"b1": 1, "a2": 2}
    admission.end("a1")
    assert places(admission, [("a2", "a"), ("b1", "b")]) == {"a2": 1, "b1": 2}


def test_a_visitor_behind_forty_others_waits_for_forty_texts_however_many_each_has() -> None:
    flood = [(f"{visitor}-{i}", str(visitor)) for visitor in range(40) for i in range(5)]
    assert places(Admission(1), [*flood, ("late", "somebody")])["late"] == 41


def test_one_place_is_kept_for_somebody_else() -> None:
    admission = Admission(3, keeps_one_free=True)
    assert [admission.place(each, visitor="a", n_running=0, now=0) for each in ("a1", "a2", "a3")] == [0, 0, 1]
    assert admission.place("b1", visitor="b", n_running=0, now=0) == 0
    for request_id in ("a1", "a2", "b1"):
        assert admission.begin(request_id)
    assert admission.place("a3", visitor="a", n_running=3, now=0) == 1
    assert admission.place("a3", visitor="a", n_running=2, now=0) == 1, "b1 has ended, but both others are still a's"
    admission.end("a1")
    assert admission.place("a3", visitor="a", n_running=1, now=0) == 0


def test_the_only_place_is_for_everybody() -> None:
    assert Admission(1, keeps_one_free=True).place("a1", visitor="a", n_running=0, now=0) == 0


def test_a_place_that_one_may_not_have_goes_to_the_next() -> None:
    admission = Admission(2, keeps_one_free=True)
    assert admission.place("a1", visitor="a", n_running=0, now=0) == 0
    assert admission.place("a2", visitor="a", n_running=0, now=0) == 1
    assert admission.place("b1", visitor="b", n_running=0, now=0) == 0


def test_only_so_many_of_one_visitor_wait() -> None:
    admission = Admission(1)
    flood = [(str(i), "a") for i in range(MOST_WAITING)]
    assert places(admission, flood)["0"] == 1
    with pytest.raises(TooManyWaiting, match="at most 100 texts"):
        admission.place("one more", visitor="a", n_running=1, now=0)
    assert admission.place("0", visitor="a", n_running=1, now=0) == 1, "those that wait go on waiting"
    assert admission.place("b", visitor="b", n_running=1, now=0) == 2
