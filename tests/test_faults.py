"""What may befall a server, with real processes: what was done is not lost, nobody waits for ever, nothing remains."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.visitor import Visitor, asked_for, over_http, view_of
from dashapp.store.disk import TraceStore
from tests.browser.conftest import SMALL, Served, serving
from tests.doubles import save_model_folder

LIMIT_S = 120  # of what takes seconds, on a machine that does other things too


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    save_model_folder(folder / "small", SMALL)
    return folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Served]:
    with serving(home, home / "small") as served:
        yield served


def visitor(served: Served, *, cookies: bool = True) -> Visitor:
    arrived = Visitor(over_http(served.base, cookies=cookies))
    assert arrived.open() == 200
    return arrived


def text(prompt: str, **settings: Any) -> dict[str, Any]:
    return asked_for(prompt, model="small", **({"max_new_tokens": 3} | settings))


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_two_servers_share_one_cache_and_one_may_be_killed_in_the_middle(server: Served, home: Path) -> None:
    """The second stands for the first one restarted, too: it has the same cache and other processes."""
    with serving(home, home / "small") as other:
        first = visitor(other)
        done = first.run(text("Shared by two"), limit_s=LIMIT_S)
        assert done["status"] == "done"
        second = visitor(server)
        assert second.answer(text("Shared by two"))["kind"] == "known"

        long = text("Cut off in the middle", max_new_tokens=400)
        assert first.answer(long)["kind"] == "admitted"
        handles = first.begin(long)
        assert first.look(long, handles) is None
        master = psutil.Process(other.process.pid)
        everything = master.children(recursive=True)
        for process in (master, *master.children()):  # gunicorn's two; nobody tells those that they started
            process.kill()
        wait_until(lambda: not any(_lives(process) for process in everything))
        with pytest.raises(OSError, match=r"refused|reset|closed"):
            first.look(long, handles)

    outcome = second.run(long, limit_s=LIMIT_S)
    assert (outcome["status"], len(outcome["tokens"])) == ("done", outcome["n_prompt"] + 400)
    store = TraceStore(home / "cache", size_limit_bytes=10**9)
    wait_until(lambda: store.check(older_than_s=0) == 0)  # what the dead have left is tidied


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):  # a job that ended this very moment
        return ""


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_cache_that_is_deleted_costs_what_was_in_it_and_no_more(server: Served, home: Path) -> None:
    person = visitor(server)
    before = person.run(text("Here today"), limit_s=LIMIT_S)
    for room in ("traces", "runs", "results", "locks"):
        shutil.rmtree(home / "cache" / room, ignore_errors=True)
    gone = person.draw("surprisal", view_of("surprisal", before))
    assert any("no longer in the cache" in str(part) for part in gone.values())
    after = person.run(text("Here today"), limit_s=LIMIT_S)
    assert (after["status"], after["tokens"]) == ("done", before["tokens"])
    drawn = person.draw("surprisal", view_of("surprisal", after))
    assert any(part.get("figure") for part in drawn.values())


def test_a_fork_server_that_is_killed_is_replaced(server: Served) -> None:
    person = visitor(server)
    assert person.run(text("Before"), limit_s=LIMIT_S)["status"] == "done"
    below = psutil.Process(server.process.pid).children(recursive=True)
    forked = {each.pid: each for each in below if "multiprocess.forkserver" in _command(each)}
    (fork_server,) = [each for each in forked.values() if each.ppid() not in forked]
    fork_server.kill()
    assert person.run(text("After"), limit_s=LIMIT_S)["status"] == "done"


def test_a_job_killed_at_any_point_costs_itself_and_no_more(server: Served, home: Path) -> None:
    """From its first moment to its last: the same text asked for again is whole, and nothing is left of the dead."""
    person, store = visitor(server), TraceStore(home / "cache", size_limit_bytes=10**9)
    began = time.monotonic()
    whole = person.run(text("Killed somewhere 0", max_new_tokens=100), limit_s=LIMIT_S)
    took_s = time.monotonic() - began
    n_killed = 0
    for share in (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9):
        request = text(f"Killed somewhere {share}", max_new_tokens=100)
        idle = _below(server)
        assert person.answer(request)["kind"] == "admitted"
        person.begin(request)
        time.sleep(share * took_s)
        for process in _below(server) - idle:
            process.kill()
            n_killed += 1
        again = person.run(request, limit_s=LIMIT_S)
        assert again.get("status", again.get("kind")) in {"done", "known"}, again
        assert len(again["tokens"]) == again["n_prompt"] + 100
        wait_until(lambda: not _below(server) - idle)  # noqa: B023  each round waits for its own
    assert n_killed >= 4  # the shares are of one measured time; the last ones may find it done
    assert whole["status"] == "done"
    wait_until(lambda: store.check(older_than_s=0) == 0)


def _below(server: Served) -> set[psutil.Process]:
    """The living processes that a server has started."""
    return {each for each in psutil.Process(server.process.pid).children(recursive=True) if _lives(each)}


def test_who_refuses_cookies_is_served_too(server: Served) -> None:
    outcome = visitor(server, cookies=False).run(text("No cookies"), limit_s=LIMIT_S)
    assert outcome["status"] == "done"


def test_who_was_away_for_long_finds_the_text_that_was_done_meanwhile(server: Served) -> None:
    """A laptop that sleeps asks nobody; what it asked for goes on, and is known to whoever asks again."""
    asleep, other = visitor(server), visitor(server)
    request = text("Asleep", max_new_tokens=50)
    assert asleep.answer(request)["kind"] == "admitted"
    asleep.begin(request)
    assert "failed" not in other.run(text("Asleep", max_new_tokens=50), limit_s=LIMIT_S).values()
    assert asleep.answer(request)["kind"] == "known"
