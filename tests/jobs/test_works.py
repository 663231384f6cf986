"""The desk: one computation however many ask, given up when nobody does, told when it failed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from dashapp.errors import JobStopped, StoreUnavailable
from dashapp.jobs import works
from dashapp.jobs.manager import JobManager
from dashapp.jobs.running import Limits
from dashapp.jobs.works import (
    GRACE_S,
    KINDS,
    MEMORY_S,
    PART_S,
    PATIENCE_S,
    STOP_S,
    Kind,
    Progress,
    Seen,
    Work,
    Works,
    WorkState,
)
from dashapp.store.disk import TraceStore
from dashapp.traces.record import Trace
from tests.store.made import made_trace

LIMIT_S = 60


@dataclass
class FakeBench:
    """A bench that does nothing by itself and remembers what it was told. n_places: how many works it takes."""

    n_places: int = 1
    begun: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)

    def has_room(self, home: str | None) -> bool:
        return sum(each.is_alive for each in self.seen.values()) < self.n_places

    def begin_work(self, order: Mapping[str, Any], home: str | None) -> None:
        self.begun.append(order["id"])
        self.seen[order["id"]] = Seen(told=None, outcome=None, is_alive=True)

    def see(self, key: str) -> Seen:
        return self.seen[key]

    def ask_to_stop(self, request_id: str) -> None:
        self.stopped.append(request_id)

    def end_work(self, key: str) -> None:
        self.ended.append(key)
        del self.seen[key]

    def forget_work(self, key: str) -> None:
        del self.seen[key]

    def leave(self, work: Work, **outcome: str) -> None:
        self.seen[work.key] = Seen(told=None, outcome=outcome, is_alive=False)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def bench() -> FakeBench:
    return FakeBench()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> TraceStore:
    return TraceStore(tmp_path, size_limit_bytes=10**7)


@pytest.fixture
def desk(bench: FakeBench, clock: Clock, store: TraceStore, monkeypatch: pytest.MonkeyPatch) -> Works:
    monkeypatch.setattr(works, "TICK_S", LIMIT_S)  # nothing happens here but what a test does
    return Works(bench, store, clock=clock)


def work(n: int = 0) -> Work:
    return Work(kind="umap", trace="a" * 64, arguments={"n": n})


FAILURE = {"status": "failed", "rule": "Rule.", "instance": "Instance.", "remedy": "Remedy."}


@pytest.mark.parametrize(("error", "n_ended"), [("JobTimedOut", 1), ("UnexpectedFailure", 0)])
def test_what_did_a_work_whose_time_is_over_is_ended(desk: Works, bench: FakeBench, error: str, n_ended: int) -> None:
    """It says so before it ends; the next work must not be given to it meanwhile."""
    desk.ask(work(), "a")
    bench.leave(work(), error=error, **FAILURE)
    assert desk.ask(work(), "a").phase == "failed"
    assert bench.ended == [work().key] * n_ended


def test_a_works_key_tells_apart_kind_version_trace_and_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [work().key, work(1).key, Work(kind="umap", trace="b" * 64, arguments={"n": 0}).key]
    monkeypatch.setitem(KINDS, "umap", Kind(title="U", function="a:b", version=KINDS["umap"].version + 1))
    keys.append(work().key)
    monkeypatch.setitem(KINDS, "other", KINDS["umap"])
    keys.append(Work(kind="other", trace="a" * 64, arguments={"n": 0}).key)
    assert len(set(keys)) == 5
    one, other = ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert len({Work(kind="umap", trace="a" * 64, arguments=each).key for each in (one, other)}) == 1


def test_however_many_ask_it_is_begun_once(desk: Works, bench: FakeBench) -> None:
    assert [desk.ask(work(), who).phase for who in ("a", "b", "a")] == ["running"] * 3
    assert bench.begun == [work().key]


def test_what_is_in_the_store_is_done_and_begins_nothing(desk: Works, bench: FakeBench, store: TraceStore) -> None:
    store.put_result(work().key, {"points": np.zeros(2)})
    assert desk.ask(work(), "a") == WorkState(phase="done")
    assert bench.begun == []


def test_the_rest_wait_in_the_order_of_coming(desk: Works, bench: FakeBench) -> None:
    assert [desk.ask(work(n), str(n)).place for n in range(3)] == [0, 1, 2]
    bench.leave(work(0), status="done")
    assert desk.ask(work(2), "2") == WorkState(phase="queued", place=1)
    assert bench.begun == [work(0).key, work(1).key]


def test_one_visitors_works_wait_behind_the_first_of_others(desk: Works, bench: FakeBench) -> None:
    for n in range(4):
        desk.ask(work(n), f"panel {n}", "ada")
    assert desk.ask(work(4), "panel 0", "bob") == WorkState(phase="queued", place=1)
    assert desk.ask(work(1), "panel 1", "ada") == WorkState(phase="queued", place=2)
    bench.leave(work(0), status="done")
    assert desk.ask(work(4), "panel 0", "bob") == WorkState(phase="queued", place=1)
    assert bench.begun == [work(0).key, work(1).key], "ada had none that ran, and came first"
    assert desk.ask(work(3), "panel 3", "cy") == WorkState(phase="queued", place=1), "wanted by two, in the turn of one"


def test_nobody_cancels_for_another_visitor(desk: Works) -> None:
    desk.ask(work(), "panel", "ada")
    desk.cancel(work(), "panel", "bob")
    assert len(desk._entries[work().key].askers) == 1


def test_what_a_work_tells_is_passed_on(desk: Works, bench: FakeBench) -> None:
    assert desk.ask(work(), "a").doing == ""
    bench.seen[work().key] = Seen(told={"doing": "computing", "share": 0.4}, outcome=None, is_alive=True)
    assert desk.ask(work(), "a") == WorkState(phase="running", doing="computing", share=0.4)


def test_a_failure_is_told_to_all_and_not_tried_again_unasked(desk: Works, bench: FakeBench, clock: Clock) -> None:
    desk.ask(work(), "a")
    bench.leave(work(), **FAILURE)
    expected = WorkState(phase="failed", rule="Rule.", instance="Instance.", remedy="Remedy.")
    assert desk.ask(work(), "a") == desk.ask(work(), "b") == expected
    clock.now += MEMORY_S / 2
    assert desk.ask(work(), "c") == expected
    assert len(bench.begun) == 1
    assert desk.retry(work(), "c").phase == "running"
    assert len(bench.begun) == 2


def test_a_process_that_ended_without_a_word_is_a_failure(desk: Works, bench: FakeBench, clock: Clock) -> None:
    desk.ask(work(), "a")
    bench.seen[work().key] = Seen(told=None, outcome=None, is_alive=False)
    assert desk.ask(work(), "a").phase == "running", "its outcome may be on its way"
    clock.now += GRACE_S + 0.1
    state = desk.ask(work(), "a")
    assert (state.phase, "without a word" in state.instance) == ("failed", True)


def test_what_nobody_asks_for_any_more_is_stopped_and_then_ended(desk: Works, bench: FakeBench, clock: Clock) -> None:
    desk.ask(work(), "a")
    clock.now += PATIENCE_S - 1
    desk.ask(work(1), "b")
    assert bench.stopped == []
    clock.now += 2
    desk.ask(work(1), "b")
    assert (bench.stopped, bench.ended) == ([work().key], [])
    clock.now += STOP_S + 1
    desk.ask(work(1), "b")
    assert bench.ended == [work().key]
    assert desk.ask(work(1), "b").phase == "running"


def test_who_waits_and_stops_asking_loses_the_turn(desk: Works, bench: FakeBench, clock: Clock) -> None:
    desk.ask(work(0), "a")
    desk.ask(work(1), "b")
    clock.now += PATIENCE_S / 2
    desk.ask(work(0), "a")
    clock.now += PATIENCE_S / 2 + 1
    assert desk.ask(work(2), "c").place == 1
    assert bench.begun == [work(0).key]


def test_cancelling_ends_it_for_one_and_stops_it_with_the_last(desk: Works, bench: FakeBench) -> None:
    desk.ask(work(), "a")
    desk.ask(work(), "b")
    desk.cancel(work(), "a")
    assert bench.stopped == []
    desk.cancel(work(), "b")
    assert bench.stopped == [work().key]


def test_asking_for_another_is_to_want_the_one_before_no_more(desk: Works, bench: FakeBench) -> None:
    """Otherwise each turn of a knob would leave a work behind that others wait for."""
    desk.ask(work(0), "a")
    assert desk.ask(work(1), "a").place == 1
    assert bench.stopped == [work(0).key]


def test_what_is_wanted_again_while_it_stops_is_begun_again(desk: Works, bench: FakeBench) -> None:
    desk.ask(work(), "a")
    desk.cancel(work(), "a")
    desk.ask(work(), "b")
    bench.leave(work(), status="failed", error="JobStopped", **dict.fromkeys(("rule", "instance", "remedy"), "…"))
    assert desk.ask(work(), "b").phase == "running"
    assert bench.begun == [work().key] * 2


def test_nobody_needs_to_ask_for_what_is_abandoned_to_be_stopped(
    bench: FakeBench, store: TraceStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(works, "TICK_S", 0.01)
    desk = Works(bench, store, clock=clock)
    desk.ask(work(), "a")
    clock.now += PATIENCE_S + 1
    wait_until(lambda: bench.stopped == [work().key])
    bench.leave(work(), status="done")
    wait_until(lambda: not bench.seen)
    assert bench.ended == [], "what ended by itself is not killed: its process may stay"


# What a work tells -------------------------------------------------------------------------------------------------


@dataclass
class FakeContext:
    """A job's context that keeps what it is told."""

    told: list[Mapping[str, Any]] = field(default_factory=list)
    is_stopped: bool = False

    def tell(self, state: Mapping[str, Any]) -> None:
        self.told.append(state)

    def should_stop(self) -> bool:
        return self.is_stopped


def test_parts_of_a_result_are_shown_at_a_pace_and_taken_away_at_the_end(store: TraceStore, clock: Clock) -> None:
    context = FakeContext()
    progress = Progress(context, store, work().key, clock=clock)
    progress(0.25)
    progress.show({"rows": np.arange(1)})  # too soon after the beginning: who is done in a second shows none
    assert store.get_result(work().part_key) is None
    clock.now += PART_S
    progress.show({"rows": np.arange(2)})
    progress.show({"rows": np.arange(3)})
    found = store.get_result(work().part_key)
    assert found is not None
    assert found["rows"].tolist() == [0, 1]
    assert store.get_result(work().key) is None
    assert context.told == [{"doing": "computing", "share": 0.25, "part": part} for part in (0, 1)]
    progress.close()
    assert store.get_result(work().part_key) is None
    context.is_stopped = True
    with pytest.raises(JobStopped):
        progress(0.5)


def test_a_part_that_cannot_be_kept_is_left_out(
    store: TraceStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(key: str, arrays: Mapping[str, np.ndarray]) -> None:
        raise StoreUnavailable("/cache", "No space left on device")

    context = FakeContext()
    progress = Progress(context, store, work().key, clock=clock)
    clock.now += PART_S
    monkeypatch.setattr(store, "put_result", refuse)
    progress.show({"rows": np.arange(2)})
    assert context.told == []


# With processes ------------------------------------------------------------------------------------------------------

TURNS = 3


def doubled(trace: Trace, progress: Callable[[float], None], *, times: int) -> dict[str, np.ndarray]:
    """The trace's tokens, many times over, and the process that says so."""
    return {"tokens": trace.token_ids * times, "pid": np.array([os.getpid()])}


def endless(trace: Trace, progress: Callable[[float], None]) -> dict[str, np.ndarray]:
    while True:
        progress(0.5)
        time.sleep(0.02)


def failing(trace: Trace, progress: Callable[[float], None]) -> dict[str, np.ndarray]:
    raise RuntimeError("unforeseen")


def get_ready() -> None:
    """What the resident process of these kinds does first."""


HOME = f"{__name__}:get_ready"


@pytest.fixture(params=["a process each", "a process that stays", "a worker's device"])
def real(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Works]:
    """Works in processes, with a trace at hand."""
    home = HOME if request.param == "a process that stays" else None
    on_device = request.param == "a worker's device"
    with real_works(tmp_path, monkeypatch, home, n_jobs=2, limits=Limits(4), keeps_worker=on_device) as desk:
        yield desk


@contextmanager
def real_works(folder: Path, patch: pytest.MonkeyPatch, home: str | None, **options: Any) -> Iterator[Works]:
    """A desk whose kinds are those of this file; its works are dropped at the end."""
    for function in (doubled, endless, failing):
        kind = Kind(title="T", function=f"{__name__}:{function.__name__}", version=1, home=home)
        patch.setitem(KINDS, function.__name__, kind)
    store = TraceStore(folder / "cache", size_limit_bytes=10**7)
    store.put_trace(made_trace())
    bench = JobManager(folder / "jobs", preload=[__name__], environ={}, **options)
    desk = Works(bench, store)
    try:
        yield desk
    finally:
        with desk._lock:
            desk._entries.clear()
        for key in list(bench._works):
            bench.end_work(key)
        for resident in bench._homes.values():
            resident.end()


def of(kind: str, **arguments: object) -> Work:
    return Work(kind=kind, trace=made_trace().key, arguments=arguments)


def ended(desk: Works, wanted: Work) -> WorkState:
    """How a work ends."""
    wait_until(lambda: desk.ask(wanted, "a").phase in ("done", "failed"))
    return desk.ask(wanted, "a")


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def result(desk: Works, wanted: Work) -> dict[str, np.ndarray]:
    assert ended(desk, wanted).phase == "done"
    found = desk._store.get_result(wanted.key)
    assert found is not None
    return dict(found)


def manager_of(desk: Works) -> JobManager:
    assert isinstance(desk._bench, JobManager)
    return desk._bench


def test_a_work_is_done_in_another_process_and_kept(real: Works) -> None:
    found = result(real, of("doubled", times=2))
    np.testing.assert_array_equal(found["tokens"], made_trace().token_ids * 2)
    assert found["pid"] != os.getpid()


def test_an_unforeseen_failure_is_told_with_an_id_and_the_next_work_is_done(real: Works) -> None:
    assert "has the id" in ended(real, of("failing")).instance
    assert ended(real, of("doubled", times=2)).phase == "done"


def test_a_work_whose_trace_is_gone_says_so(real: Works) -> None:
    real._store.discard(made_trace().key)
    assert "no longer there" in ended(real, of("doubled", times=2)).instance


def test_a_killed_process_is_told_and_replaced(real: Works) -> None:
    wait_until(lambda: real.ask(of("endless"), "a").doing == "computing")
    running = manager_of(real)._works[of("endless").key]
    process = getattr(running, "process", running)  # a task's, or itself
    psutil.Process(process.pid).kill()
    assert "without a word" in ended(real, of("endless")).instance
    found = result(real, of("doubled", times=3))
    assert found["pid"] != process.pid


def test_a_work_that_outlives_its_time_is_ended_and_the_next_is_done(real: Works) -> None:
    assert "after 4 s" in ended(real, of("endless")).instance
    assert ended(real, of("doubled", times=2)).phase == "done"


def test_a_work_of_a_patient_kind_may_take_longer(real: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "endless", replace(KINDS["endless"], patience=2))
    assert "after 8 s" in ended(real, of("endless")).instance


def test_a_cancelled_work_ends_and_leaves_room(real: Works) -> None:
    wait_until(lambda: real.ask(of("endless"), "a").doing == "computing")
    real.cancel(of("endless"), "a")
    assert ended(real, of("doubled", times=2)).phase == "done"
    wait_until(lambda: not manager_of(real)._works)
    assert real._store.get_result(of("endless").key) is None


def test_works_of_one_home_are_done_by_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with real_works(tmp_path, monkeypatch, HOME, n_jobs=4, limits=Limits(60)) as desk:
        pids = {int(result(desk, of("doubled", times=n))["pid"][0]) for n in range(TURNS)}
        assert len(pids) == 1


def test_nobody_who_waits_for_text_waits_for_a_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with real_works(tmp_path, monkeypatch, None, n_jobs=1, limits=Limits(60)) as desk:
        manager = manager_of(desk)
        wait_until(lambda: desk.ask(of("endless"), "a").doing == "computing")
        assert manager.place("text") == 0, "though the one place is taken by a work"
        desk.cancel(of("endless"), "a")
        wait_until(lambda: not desk._entries)
        assert desk.ask(of("endless"), "a") == WorkState(phase="queued", place=1), "the place is claimed for text"
        manager.admission.leave("text")
        assert desk.ask(of("endless"), "a").phase == "running"


def test_what_belongs_to_weights_is_kept_for_all_of_their_prompts() -> None:
    one, other = (Work(kind="heads", trace=trace, arguments={}, weights="f" * 64) for trace in ("1" * 64, "2" * 64))
    assert one.key == other.key
    assert one.key != Work(kind="heads", trace="1" * 64, arguments={}, weights="e" * 64).key
    assert one.key != Work(kind="heads", trace="f" * 64, arguments={}).key  # a trace is no weights
