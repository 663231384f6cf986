"""Jobs in real processes: their outcome, their end, and what may lie in their cache."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dashapp.errors import JobTimedOut
from dashapp.jobs.manager import NO_JOB, JobManager, open_job_cache
from dashapp.jobs.outcome import failure
from dashapp.jobs.progress import EVERY_S
from dashapp.jobs.running import Limits

LIMIT_S = 60


def echo(context: Any, request: dict[str, Any]) -> dict[str, Any]:
    context.tell({"doing": "echo"}, now=True)
    return {"said": request["say"], "pid": os.getpid()}


def fail(context: Any, request: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("unforeseen")


def until_stopped(context: Any, request: dict[str, Any]) -> dict[str, Any]:
    n = 0
    while not context.should_stop():
        n += 1
        context.tell({"n": n})
        time.sleep(0.01)
    return {"n": n}


def takes(context: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Take memory, 10 MB at a time, each page of it written."""
    held = [b"x" * 10_000_000 for _ in range(request["n"])]
    return {"n": len(held)}


def lingers(context: Any, request: dict[str, Any]) -> dict[str, Any]:
    with open_job_cache(Path(request["folder"])) as cache:
        cache.set(request["id"], failure(request["id"], JobTimedOut(3)))
    return until_stopped(context, request)


@pytest.fixture(scope="module", params=["a process each", "one that stays"])
def manager(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobManager]:
    """Two places, or one in a worker as on a GPU; nothing large is preloaded: the fork server starts quickly."""
    folder, keeps_worker = tmp_path_factory.mktemp("jobs"), request.param == "one that stays"
    made = JobManager(
        folder, n_jobs=2, limits=Limits(3, 300_000_000), preload=[__name__], environ={}, keeps_worker=keeps_worker
    )
    yield made
    if made._worker is not None:
        made._worker.end()


def start(manager: JobManager, fn: Any, request_id: str, **request: Any) -> tuple[str, int]:
    """Start a job as Dash does; its key and ticket."""
    assert manager.place(request_id) == 0
    job_fn = manager.make_job_fn(fn, progress=True)
    return request_id, manager.call_job_fn(request_id, job_fn, [{"id": request_id, **request}], {})


def result(manager: JobManager, key: str, ticket: int) -> Any:
    wait_until(lambda: manager.result_ready(key))
    return manager.get_result(key, ticket)


def pid_of(manager: JobManager, ticket: int) -> int:
    running: Any = manager._jobs[ticket]
    return int(getattr(running, "process", running).pid)  # a task's process, or itself


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_job_runs_in_another_process_and_leaves_its_outcome(manager: JobManager) -> None:
    outcome = result(manager, *start(manager, echo, "one", say="hello"))
    assert outcome == {"id": "one", "status": "done", "said": "hello", "pid": outcome["pid"]}
    assert outcome["pid"] != os.getpid()


def test_requests_share_a_process_only_where_it_stays(manager: JobManager) -> None:
    pids = {result(manager, *start(manager, echo, name, say=""))["pid"] for name in ("here", "there")}
    assert len(pids) == (2 if manager._worker is None else 1)


def test_an_unforeseen_failure_is_an_outcome_too(manager: JobManager) -> None:
    outcome = result(manager, *start(manager, fail, "two"))
    assert (outcome["status"], outcome["error"]) == ("failed", "UnexpectedFailure")


def test_a_job_asked_to_stop_ends_with_what_it_has(manager: JobManager) -> None:
    key, pid = start(manager, until_stopped, "three")
    while not manager.get_progress(key):
        time.sleep(EVERY_S)
    asked = time.monotonic()
    manager.ask_to_stop("three")
    assert result(manager, key, pid)["n"] > 0
    assert time.monotonic() - asked < 2  # half a second on a machine of one's own


def test_what_a_job_has_told_is_told_by_its_request_until_its_outcome_is_fetched(manager: JobManager) -> None:
    assert manager.told("aloud") is None
    key, ticket = start(manager, until_stopped, "aloud")
    wait_until(lambda: (manager.told("aloud") or {}).get("n", 0) > 1)
    assert manager.told("another") is None
    manager.ask_to_stop("aloud")
    assert result(manager, key, ticket)["n"] > 1
    assert manager.told("aloud") is None


def test_a_job_that_outlives_its_time_is_ended_and_says_so(manager: JobManager) -> None:
    outcome = result(manager, *start(manager, until_stopped, "four"))
    assert (outcome["error"], "3 s" in outcome["instance"]) == ("JobTimedOut", True)
    assert result(manager, *start(manager, echo, "after four", say="next"))["said"] == "next"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what a process asks for")
def test_a_job_that_wants_too_much_memory_is_told_so_and_the_next_one_runs(manager: JobManager) -> None:
    outcome = result(manager, *start(manager, takes, "greedy", n=60))  # 600 MB of 300
    assert (outcome["error"], "300 MB" in outcome["instance"]) == ("JobOutOfMemory", True)
    assert result(manager, *start(manager, takes, "modest", n=20))["n"] == 20


def test_what_follows_a_job_whose_time_is_over_does_not_go_to_its_process(manager: JobManager) -> None:
    """Between what it leaves and its end there is a moment, here made long, in which its process takes tasks."""
    key, ticket = start(manager, lingers, "late", folder=str(manager.folder))
    assert result(manager, key, ticket)["error"] == "JobTimedOut"
    assert result(manager, *start(manager, echo, "after late", say="next"))["said"] == "next"


def jumps(context: Any, request: dict[str, Any]) -> dict[str, Any]:
    """The clock is set while the job runs: in this process and, by the test, in the other."""
    context.tell({"doing": "waits"}, now=True)
    set_clock(request["by_s"])
    return until_stopped(context, request)


def set_clock(by_s: float) -> None:
    """Set the clock of this process. Times that last are measured with another one."""
    before = time.time
    time.time = lambda: before() + by_s


@pytest.mark.parametrize("hours", [-24 * 365, -1, 12, 24 * 365 * 50])
def test_a_clock_that_is_set_while_a_job_runs_loses_nothing(
    hours: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a machine that slept, or whose clock was wrong until it heard of a better one."""
    manager = JobManager(tmp_path, n_jobs=1, limits=Limits(60), preload=[__name__], environ={})
    key, ticket = start(manager, jumps, "jump", by_s=3600 * hours)
    wait_until(lambda: manager.get_progress(key) is not None)
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", time.time)  # given back at the end
        set_clock(3600 * hours)
        wait_until(lambda: "n" in (manager.get_progress(key) or [{}])[0])
        assert manager.job_running(ticket)
        assert manager.place("behind it") == 1
        manager.ask_to_stop(key)
        assert result(manager, key, ticket)["status"] == "done"
        wait_until(lambda: manager.place("behind it") == 0)
    assert result(manager, *start(manager, echo, "behind it", say="next"))["said"] == "next"


def test_a_machine_that_slept_for_a_night_still_has_the_outcome(
    manager: JobManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, ticket = start(manager, echo, "slept", say="good morning")
    wait_until(lambda: manager.result_ready(key))
    monkeypatch.setattr(time, "time", time.time)
    set_clock(3600 * 12)
    assert manager.get_result(key, ticket)["said"] == "good morning"


def test_a_killed_job_leaves_no_outcome_and_no_process(manager: JobManager) -> None:
    key, ticket = start(manager, until_stopped, "five")
    pid = pid_of(manager, ticket)
    assert manager.job_running(ticket)
    manager.terminate_job(ticket)
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert not manager.job_running(ticket)
    assert not manager.result_ready(key)
    assert result(manager, *start(manager, echo, "after five", say="next"))["said"] == "next"


def test_a_process_killed_by_another_is_noticed_and_the_next_job_runs(manager: JobManager) -> None:
    key, ticket = start(manager, until_stopped, "killed")
    while not manager.get_progress(key):
        time.sleep(EVERY_S)
    psutil.Process(pid_of(manager, ticket)).kill()
    wait_until(lambda: not manager.job_running(ticket))
    assert not manager.result_ready(key)
    assert result(manager, *start(manager, echo, "after killed", say="next"))["said"] == "next"


@pytest.mark.parametrize("manager", ["one that stays"], indirect=True)
def test_fetching_a_result_does_not_end_a_process_that_stays(manager: JobManager) -> None:
    """Fetched before the process had said that it was done, it would have been killed."""
    assert manager._worker is not None
    key, ticket = start(manager, echo, "at once", say="")
    pid = manager._worker.pid
    while not manager.result_ready(key):
        pass
    manager.get_result(key, ticket)
    manager.terminate_job(ticket)
    assert result(manager, *start(manager, echo, "after it", say=""))["pid"] == pid


def test_fetching_a_result_does_not_end_the_job_that_came_after(manager: JobManager) -> None:
    """Dash ends a job once it has its result: in a process that stays, the next one may run there by then."""
    first = start(manager, echo, "first", say="")
    wait_until(lambda: manager.result_ready("first") and not manager.job_running(first[1]))
    second = start(manager, until_stopped, "second")
    result(manager, *first)
    assert manager.job_running(second[1])
    manager.ask_to_stop("second")
    assert result(manager, *second)["status"] == "done"


def test_a_job_counts_for_its_visitor_until_it_ends(manager: JobManager) -> None:
    for name, end in (("ended by its outcome", manager.ask_to_stop), ("killed", None)):
        assert manager.place(name, "ada") == 0
        key, ticket = name, manager.call_job_fn(name, manager.make_job_fn(until_stopped, True), [{"id": name}], {})
        assert manager.admission._begun == {name}
        if end:
            end(name)
            result(manager, key, ticket)
        else:
            manager.terminate_job(ticket)
        assert manager.admission._begun == set()
        wait_until(lambda: manager.n_running == 0)


def test_a_job_cache_that_cannot_be_used_is_out_of_reach(manager: JobManager, monkeypatch: pytest.MonkeyPatch) -> None:
    assert manager.is_reachable()

    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(manager.handle, "set", full)
    assert not manager.is_reachable()


def test_a_place_is_taken_while_a_job_runs_and_free_after(manager: JobManager) -> None:
    names = ("six", "seven")[: manager.n_jobs]
    jobs = [start(manager, until_stopped, name) for name in names]
    assert manager.place("eight") == 1
    for key, ticket in jobs:
        manager.ask_to_stop(key)
        result(manager, key, ticket)
    wait_until(lambda: manager.place("eight") == 0)
    manager.admission.leave("eight")


def test_without_a_place_no_process_starts(manager: JobManager) -> None:
    before = manager.n_running
    job_fn = manager.make_job_fn(echo, progress=True)
    assert manager.call_job_fn("nine", job_fn, [{"id": "nine", "say": ""}], {}) == NO_JOB
    assert manager.get_result("nine", NO_JOB)["error"] == "JobRefused"
    assert manager.n_running == before


def test_a_leftover_of_the_same_key_does_not_answer_for_a_new_job(manager: JobManager) -> None:
    manager.handle.set("ten", {"status": "done", "said": "stale"})
    assert result(manager, *start(manager, echo, "ten", say="fresh"))["said"] == "fresh"


BUSY_SERVER = """
import signal, sys, time
from pathlib import Path
from dashapp.jobs.manager import JobManager
from dashapp.jobs.running import Limits

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    manager = JobManager(
        Path(sys.argv[1]), n_jobs=1, limits=Limits(60), preload=["slow_import"], environ={}, keeps_worker=True
    )
    manager.warm_up(time.sleep)
    print("started", flush=True)
    for _ in range(600):  # a signal that comes just before one long sleep begins would wait for its end
        time.sleep(0.1)
"""


def test_ctrl_c_while_the_fork_server_imports_prints_nothing_of_it(tmp_path: Path) -> None:
    """Issue 3: within the first second of `dashapp serve` it printed a traceback of the import."""
    (tmp_path / "slow_import.py").write_text(
        "import os, time\nopen('importing', 'w').write(str(os.getpid()))\ntime.sleep(2)\n"
    )
    (tmp_path / "busy_server.py").write_text(BUSY_SERVER)
    environ = {"PYTHONPATH": f"{Path(__file__).parents[2]}:{tmp_path}"}
    server = subprocess.Popen(
        [sys.executable, "busy_server.py", str(tmp_path / "jobs")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        cwd=tmp_path,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: (tmp_path / "importing").exists() and bool((tmp_path / "importing").read_text()))
    pid = int((tmp_path / "importing").read_text())
    os.killpg(server.pid, signal.SIGINT)  # as a terminal does
    _, said = server.communicate(timeout=LIMIT_S)
    assert "slow_import" not in said, said
    wait_until(lambda: not psutil.pid_exists(pid))


@pytest.mark.parametrize("job", [0, 1, "1", None, "x", -1])
def test_processes_that_are_not_our_jobs_are_never_ended(manager: JobManager, job: object) -> None:
    manager.terminate_job(job)
    manager.terminate_job(os.getpid())
    assert manager.job_running(job) is False


def test_the_cache_takes_json_and_gives_it_back(tmp_path: Path) -> None:
    cache = open_job_cache(tmp_path / "jobs")
    value = {"tokens": ["·" * 100_000, None, 1.5], "n": 3}
    cache.set("key", value)
    assert cache["key"] == value
    assert (tmp_path / "jobs").stat().st_mode & 0o777 == 0o700


def test_a_planted_pickle_is_refused(tmp_path: Path) -> None:
    cache = open_job_cache(tmp_path / "jobs")
    cache.set("key", 1)
    cache.close()
    planted = sqlite3.connect(tmp_path / "jobs" / "cache.db")
    with planted:
        planted.execute("UPDATE Cache SET mode = 4, value = ?", (pickle.dumps({"a": 1}),))
    planted.close()
    with pytest.raises(ValueError, match="not JSON"):
        open_job_cache(tmp_path / "jobs").get("key")


def test_the_cache_takes_no_object_that_json_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        open_job_cache(tmp_path / "jobs").set("key", object())
