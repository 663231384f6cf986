"""Jobs in real processes: their outcome, their end, and what may lie in their cache."""

from __future__ import annotations

import os
import pickle
import sqlite3
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from dashapp.jobs.manager import NO_PROCESS, JobManager, open_job_cache
from dashapp.jobs.progress import EVERY_S

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


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> JobManager:
    """Two places; nothing is preloaded, so that the fork server starts quickly."""
    folder = tmp_path_factory.mktemp("jobs")
    return JobManager(folder, n_jobs=2, timeout_s=3, preload=[__name__], environ={})


def start(manager: JobManager, fn: Any, request_id: str, **request: Any) -> tuple[str, int]:
    """Start a job as Dash does; its key and pid."""
    assert manager.place(request_id) == 0
    job_fn = manager.make_job_fn(fn, progress=True)
    return request_id, manager.call_job_fn(request_id, job_fn, [{"id": request_id, **request}], {})


def result(manager: JobManager, key: str, pid: int) -> Any:
    end = time.monotonic() + LIMIT_S
    while not manager.result_ready(key):
        assert time.monotonic() < end
        time.sleep(0.05)
    return manager.get_result(key, pid)


def test_a_job_runs_in_another_process_and_leaves_its_outcome(manager: JobManager) -> None:
    key, pid = start(manager, echo, "one", say="hello")
    outcome = result(manager, key, pid)
    assert outcome == {"id": "one", "status": "done", "said": "hello", "pid": pid}
    assert pid != os.getpid()


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


def test_a_job_that_outlives_its_time_is_ended_and_says_so(manager: JobManager) -> None:
    outcome = result(manager, *start(manager, until_stopped, "four"))
    assert (outcome["error"], "3 s" in outcome["instance"]) == ("JobTimedOut", True)


def test_a_killed_job_leaves_no_outcome_and_no_process(manager: JobManager) -> None:
    key, pid = start(manager, until_stopped, "five")
    assert manager.job_running(pid)
    manager.terminate_job(pid)
    end = time.monotonic() + LIMIT_S
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not manager.job_running(pid)
    assert not manager.result_ready(key)


def test_a_place_is_taken_while_a_job_runs_and_free_after(manager: JobManager) -> None:
    jobs = [start(manager, until_stopped, name) for name in ("six", "seven")]
    assert manager.place("eight") == 1
    for key, pid in jobs:
        manager.ask_to_stop(key)
        result(manager, key, pid)
    assert manager.place("eight") == 0
    manager.admission.leave("eight")


def test_without_a_place_no_process_starts(manager: JobManager) -> None:
    before = manager.n_running
    job_fn = manager.make_job_fn(echo, progress=True)
    assert manager.call_job_fn("nine", job_fn, [{"id": "nine", "say": ""}], {}) == NO_PROCESS
    assert manager.get_result("nine", NO_PROCESS)["error"] == "JobRefused"
    assert manager.n_running == before


def test_a_leftover_of_the_same_key_does_not_answer_for_a_new_job(manager: JobManager) -> None:
    manager.handle.set("ten", {"status": "done", "said": "stale"})
    assert result(manager, *start(manager, echo, "ten", say="fresh"))["said"] == "fresh"


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
