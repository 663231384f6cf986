"""Places: so many at once, in the order of coming, and nobody who left keeps one."""

from __future__ import annotations

from dashapp.jobs.admission import PATIENCE_S, Admission


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
