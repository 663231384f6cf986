from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dashapp.store.locks import locked, remove_abandoned

KEY, OTHER_KEY = "a" * 64, "b" * 64

HOLD = """
import sys, time
from pathlib import Path
from dashapp.store.locks import locked
with locked(Path(sys.argv[1]), sys.argv[2], lambda: None):
    print("held", flush=True)
    sys.stdin.readline()
"""

# Reads a counter and writes it back later: two at once would lose a count.
COUNT = """
import sys, time
from pathlib import Path
from dashapp.store.locks import locked
counter = Path(sys.argv[3])
for _ in range(20):
    with locked(Path(sys.argv[1]), sys.argv[2], lambda: None):
        n = int(counter.read_text())
        time.sleep(0.001)
        counter.write_text(str(n + 1))
"""


class TiredOfWaiting(Exception):
    pass


def test_one_process_at_a_time_holds_a_key(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", COUNT, str(tmp_path / "locks"), KEY, str(counter)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert counter.read_text() == "60"
    assert list((tmp_path / "locks").iterdir()) == []


def test_one_thread_at_a_time_holds_a_key(tmp_path: Path) -> None:
    holders: list[int] = []
    most: list[int] = []

    def hold() -> None:
        for _ in range(10):
            with locked(tmp_path, KEY, lambda: None):
                holders.append(1)
                most.append(len(holders))
                time.sleep(0.001)
                holders.pop()

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 40


def test_another_key_is_not_waited_for(tmp_path: Path) -> None:
    with locked(tmp_path, KEY, lambda: None), locked(tmp_path, OTHER_KEY, never):
        pass


def test_what_the_waiting_hook_raises_ends_the_waiting(tmp_path: Path) -> None:
    with locked(tmp_path, KEY, lambda: None), pytest.raises(TiredOfWaiting), locked(tmp_path, KEY, never):
        pass


def test_a_killed_holder_lets_go_and_its_file_is_removed(tmp_path: Path) -> None:
    with held_by_another(tmp_path) as holder:
        with pytest.raises(TiredOfWaiting), locked(tmp_path, KEY, never):
            pass
        assert remove_abandoned(tmp_path) == 0
        holder.kill()
        holder.wait()
    assert len(list(tmp_path.iterdir())) == 1
    assert remove_abandoned(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path, KEY, never):
        pass


def test_an_error_in_the_computation_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path, KEY, lambda: None):
        raise ZeroDivisionError
    with locked(tmp_path, KEY, never):
        pass


def test_a_lock_whose_folder_was_deleted_leaves_the_next_one_alone(tmp_path: Path) -> None:
    with locked(tmp_path, KEY, lambda: None):
        (tmp_path / f"{KEY}.lock").unlink()
        next_holder = locked(tmp_path, KEY, never)
        next_holder.__enter__()
    with pytest.raises(TiredOfWaiting), locked(tmp_path, KEY, never):
        pass
    next_holder.__exit__(None, None, None)


def test_a_lock_on_a_file_that_was_just_removed_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, flock = tmp_path / f"{KEY}.lock", fcntl.flock
    removed: list[bool] = []

    def after_the_holder_left(descriptor: int, operation: int) -> None:
        if not removed:
            removed.append(True)
            path.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", after_the_holder_left)
    with locked(tmp_path, KEY, lambda: None):
        assert path.exists()
        with pytest.raises(TiredOfWaiting), locked(tmp_path, KEY, never):
            pass


def never() -> None:
    raise TiredOfWaiting


@contextmanager
def held_by_another(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(folder), KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()
