"""A process that stays: prepared once, one thing at a time, replaced when it died, gone when its parent is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import multiprocess
import psutil
import pytest

from dashapp.jobs import resident
from dashapp.jobs.resident import Resident, may_compute_on_device

LIMIT_S = 60


def new_process(target: Callable[..., None], *args: object) -> Any:
    process = multiprocess.get_context("forkserver").Process(target=target, args=args, daemon=True)
    process.start()
    return process


def note(path: Path, text: str = "") -> None:
    with path.open("a") as file:
        file.write(f"{text}{os.getpid()}\n")


def die() -> None:
    os._exit(1)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Resident]:
    made = Resident(new_process, partial(note, tmp_path / "prepared"))
    yield made
    made.end()


def test_it_prepares_once_and_does_all_in_one_process(kept: Resident, tmp_path: Path) -> None:
    for i in range(3):
        kept.begin(partial(note, tmp_path / "done", f"{i} ")).join()
    assert lines(tmp_path / "prepared") == [str(kept.pid)]
    assert lines(tmp_path / "done") == [f"{i} {kept.pid}" for i in range(3)]


def test_it_starts_when_it_is_needed_or_told_to(kept: Resident, tmp_path: Path) -> None:
    assert (kept.pid, kept.is_busy) == (None, False)
    kept.start()
    wait_until((tmp_path / "prepared").exists)
    before = kept.pid
    kept.start()
    assert kept.pid == before
    assert not kept.is_busy


def test_it_is_busy_while_it_does_something(kept: Resident) -> None:
    task = kept.begin(partial(time.sleep, LIMIT_S))
    assert kept.is_busy
    assert task.is_alive()
    task.kill()
    assert not kept.is_busy
    assert not task.is_alive()


def test_a_task_that_ended_cannot_be_killed_and_the_next_goes_on(kept: Resident) -> None:
    first = kept.begin(partial(time.sleep, 0))
    first.join()
    second = kept.begin(partial(time.sleep, LIMIT_S))
    first.kill()
    assert second.is_alive()
    assert first.exitcode == 0


def test_a_process_that_died_ends_its_task_and_another_takes_its_place(kept: Resident, tmp_path: Path) -> None:
    task = kept.begin(die)
    task.join()
    assert task.exitcode == 1
    kept.begin(partial(note, tmp_path / "done")).join()
    assert lines(tmp_path / "done") == [str(kept.pid)]
    assert len(lines(tmp_path / "prepared")) == 2


def test_it_is_replaced_though_nobody_had_noticed_its_death(kept: Resident, tmp_path: Path) -> None:
    kept.begin(partial(time.sleep, 0)).join()
    assert kept.pid is not None
    process = psutil.Process(kept.pid)
    process.kill()
    wait_until(lambda: not process.is_running())
    kept.begin(partial(note, tmp_path / "done")).join()
    wait_until((tmp_path / "done").exists)
    assert lines(tmp_path / "done") == [str(kept.pid)]


PARENT = """
import sys, time
from functools import partial
from tests.jobs.test_resident import new_process
from dashapp.jobs.resident import Resident

if __name__ == "__main__":
    busy, idle = (Resident(new_process, partial(time.sleep, 0)) for _ in range(2))
    busy.begin(partial(time.sleep, 60))
    idle.start()
    print(busy.pid, idle.pid, flush=True)
    time.sleep(60)
"""


def test_it_dies_with_its_parent_busy_or_idle(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")], stdout=subprocess.PIPE, env=environ, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(psutil.pid_exists(pid) for pid in pids)
        parent.kill()
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids))


@pytest.mark.parametrize(
    ("device", "is_installed", "expected"),
    [
        ("cpu", True, False),
        ("auto", True, True),
        ("auto", False, False),
        ("cuda", False, True),
        ("mps", False, True),
    ],
)
def test_a_device_is_expected_where_it_is_named_or_its_driver_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, is_installed: bool, expected: bool
) -> None:
    monkeypatch.setattr(resident, "NVIDIA", tmp_path / "version")
    monkeypatch.setattr(resident, "AMD", tmp_path / "none")
    monkeypatch.setattr(sys, "platform", "linux")
    if is_installed:
        (tmp_path / "version").touch()
    assert may_compute_on_device(device) is expected


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)
