"""Two web servers, two workers, Redis and a bucket, all real and on loopback: what one starts another goes on with."""

from __future__ import annotations

import itertools
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from dashapp.jobs.queue_manager import QueueManager
from dashapp.jobs.works import Work, Works
from dashapp.store.contract import StoreAddress
from dashapp.store.opened import new_store
from tests.buckets import Bucket, new_bucket
from tests.machines import Browser, Machine, RedisServer, free_port, kill, request_of, until
from tests.relay import Relay

LONG = 900  # tokens: seconds of work
NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Machines:
    redis: RedisServer
    bucket: Bucket
    webs: tuple[str, str]  # their addresses
    workers: tuple[Machine, Machine]

    def children_that_take_requests(self) -> list[psutil.Process]:
        """The processes that run jobs of texts."""
        nodes = [each for worker in self.workers for each in psutil.Process(worker.process.pid).children()]
        return [child for node in nodes if "requests" in node.cmdline() for child in node.children()]


@pytest.fixture(scope="module")
def machines(bucket_server: Relay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    folder = tmp_path_factory.mktemp("machines")
    redis, started = RedisServer(folder), []
    with new_bucket(bucket_server, "machines") as bucket:
        environ = {
            "DASHAPP_REDIS": redis.url,
            "DASHAPP_STORE": bucket.url,
            "DASHAPP_STORE_ENDPOINT": bucket.endpoint,
            "DASHAPP_MODELS_DIR": str(folder / "models"),
        }
        ports = free_port(), free_port()
        try:
            for port in ports:
                started.append(Machine(f"web-{port}", ["serve", "--port", str(port)], environ, folder))
            workers = tuple(Machine(f"worker-{n}", ["worker"], environ, folder) for n in (1, 2))
            started += workers
            webs = tuple(f"http://127.0.0.1:{port}" for port in ports)
            manager = QueueManager(redis.url)
            until(lambda: manager._places.n_places("requests") == manager._places.n_places("works") == 2)
            for web in webs:
                until(lambda web=web: is_ready(web))  # type: ignore[misc]
            yield Machines(redis, bucket, webs, workers)  # type: ignore[arg-type]
        finally:
            for machine in started:
                machine.end()
            redis.end()
            for machine in started:
                print(machine.log.name, machine.said()[-2000:])


def is_ready(web: str) -> bool:
    try:
        with urllib.request.urlopen(f"{web}/readyz", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def browser(machines: Machines) -> Browser:
    browser = Browser()
    browser.open(machines.webs[0])
    return browser


def admitted(browser: Browser, web: str, prompt: str, n_new: int = 5) -> tuple[dict[str, Any], dict[str, str]]:
    """A request whose job was started."""
    request = request_of(next(NUMBERS), prompt, n_new)
    until(lambda: browser.ask(web, request, again=True)["kind"] == "admitted")
    return request, browser.begin(web, request)


def began(browser: Browser, web: str, request: dict[str, Any], handles: dict[str, str], *, more_than: int = 0) -> int:
    """Wait until a job has drawn more than so many tokens; how many they are."""

    def n_drawn() -> int:
        progress = browser.look(web, request, handles).get("progress")
        if not progress or "tokens" not in progress:  # a beat, before the job has said anything
            return 0
        n = len(progress["tokens"]) - progress["n_prompt"]
        return n if n > more_than else 0

    return int(until(n_drawn))


def test_a_prompt_started_at_one_server_is_read_at_the_other(machines: Machines, browser: Browser) -> None:
    one, other = machines.webs
    request, handles = admitted(browser, one, "Once upon a time", LONG)
    began(browser, other, request, handles)
    told = browser.post(f"{other}/early-tokens", {"id": request["id"]})
    assert len(told["tokens"]) > told["n_prompt"]
    browser.stop(other, request)
    outcome = browser.result(other, request, handles)
    assert (outcome["status"], outcome["stop"]) == ("done", "person")
    measures = [browser.trace_of(web, outcome["trace"]) for web in machines.webs]
    assert measures[0] == measures[1]
    assert len(measures[0]["ids"]) == len(outcome["tokens"])


def test_what_is_known_at_one_server_is_known_at_the_other(machines: Machines, browser: Browser) -> None:
    one, other = machines.webs
    outcome = browser.result(one, *admitted(browser, one, "The cat sat"))
    known = browser.ask(other, request_of(next(NUMBERS), "The cat sat"))
    assert (known["kind"], known["trace"], known["tokens"]) == ("known", outcome["trace"], outcome["tokens"])


def test_who_waits_holds_no_worker_and_sees_the_same_queue_at_both_servers(
    machines: Machines, browser: Browser
) -> None:
    one, other = machines.webs
    running = [admitted(browser, web, f"A long story of {web}", LONG) for web in machines.webs]
    first, second = (request_of(next(NUMBERS), f"Waiting {n}") for n in range(2))
    assert [browser.ask(one, first)["place"], browser.ask(other, second)["place"]] == [1, 2]
    assert [browser.ask(other, first, again=True)["place"], browser.ask(one, second, again=True)["place"]] == [1, 2]
    for request, handles in running:
        browser.stop(one, request)
        assert browser.result(other, request, handles)["status"] == "done"
    until(lambda: browser.ask(other, first, again=True)["kind"] == "admitted")
    assert browser.result(one, first, browser.begin(other, first))["status"] == "done"


def test_a_job_whose_process_is_killed_is_known_to_be_lost_and_the_next_one_runs(
    machines: Machines, browser: Browser
) -> None:
    one, other = machines.webs
    request, handles = admitted(browser, one, "Once there was a dog", LONG)
    began(browser, one, request, handles)
    for child in machines.children_that_take_requests():  # one of them runs it
        kill(child)
    assert browser.result(other, request, handles) is None
    outcome = browser.result(other, *admitted(browser, other, "After that", 3))
    assert outcome["status"] == "done"


def test_a_job_outlives_a_redis_that_is_started_again(machines: Machines, browser: Browser) -> None:
    one, other = machines.webs
    request, handles = admitted(browser, one, "Once there was a bird", LONG)
    n_drawn = began(browser, one, request, handles)
    machines.redis.end()
    assert browser.look(other, request, handles) == {"progress": None}  # not over, as far as anybody can know
    refused = browser.ask(one, request_of(next(NUMBERS), "Meanwhile"))
    assert (refused["kind"], refused["error"]) == ("refused", "QueueUnavailable")
    machines.redis.start()
    n_later = began(browser, other, request, handles, more_than=n_drawn)
    browser.stop(other, request)
    outcome = browser.result(one, request, handles)
    assert outcome["status"] == "done"
    assert len(outcome["tokens"]) - outcome["n_prompt"] >= n_later
    assert browser.result(other, *admitted(browser, other, "After that too", 3))["status"] == "done"


def test_an_object_store_that_is_gone_is_said_in_words_and_all_goes_on_when_it_is_back(
    machines: Machines, browser: Browser
) -> None:
    one, other = machines.webs
    known = browser.result(one, *admitted(browser, one, "A fish swam"))
    machines.bucket.relay.is_gone = True
    refused = browser.ask(other, request_of(next(NUMBERS), "A fish swam"))
    assert (refused["kind"], refused["error"]) == ("refused", "ObjectStoreUnavailable")
    assert "must answer" in browser.trace_of(one, known["trace"])["fault"]
    machines.bucket.relay.is_gone = False
    assert browser.ask(other, request_of(next(NUMBERS), "A fish swam"))["trace"] == known["trace"]
    assert browser.trace_of(one, known["trace"])["ids"]


def test_a_work_that_two_desks_want_is_computed_once(machines: Machines, browser: Browser, tmp_path: Path) -> None:
    outcome = browser.result(machines.webs[0], *admitted(browser, machines.webs[0], "Two desks want this", 20))
    bucket = machines.bucket
    stores = [
        new_store(StoreAddress(folder=tmp_path / name, url=bucket.url, endpoint=bucket.endpoint)) for name in "ab"
    ]
    desks = [Works(QueueManager(machines.redis.url), store) for store in stores]
    work = Work(kind="paths", trace=outcome["trace"], arguments={"without_first": False})
    bucket.relay.reset()
    until(lambda: sum(desk.ask(work, "panel").phase == "done" for desk in desks) == 2)
    assert sum(line.startswith("PUT") and "/results/" in line for line in bucket.relay.asked) == 1
    results = [store.get_result(work.key) for store in stores]
    assert results[0] is not None
    assert results[0].keys() == results[1].keys()  # type: ignore[union-attr]


def test_a_worker_that_is_killed_whole_is_missed_and_the_other_goes_on(machines: Machines, browser: Browser) -> None:
    """As when its machine loses its power: no process of it is left to say anything. The last test with two workers."""
    one, other = machines.webs
    running = [admitted(browser, web, f"A worker falls, says {web}", LONG) for web in machines.webs]
    for request, handles in running:
        began(browser, one, request, handles)
    victim = machines.workers[0]
    below = victim.children()
    victim.process.kill()
    for process in below:
        kill(process)
    victim.process.wait()
    for request, _handles in running:  # whichever is left
        browser.stop(other, request)
    outcomes = [browser.result(other, request, handles) for request, handles in running]
    lost, kept = sorted(outcomes, key=lambda outcome: outcome is not None)
    assert lost is None
    assert (kept["status"], kept["stop"]) == ("done", "person")
    for n in range(2):  # and its place is nobody's
        assert browser.result(one, *admitted(browser, one, f"After the fall {n}", 3))["status"] == "done"


def test_servers_that_share_jobs_need_a_key_and_workers_need_redis() -> None:
    for arguments, says in (
        (["serve", "--redis", "redis://127.0.0.1:1/0"], "DASHAPP_SECRET_KEY is 'auto'"),
        (["worker"], "DASHAPP_REDIS is 'auto'"),
    ):
        command = [
            sys.executable,
            "-m",
            "dashapp",
            *arguments,
            *(["--port", str(free_port())] * ("serve" in arguments)),
        ]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert (ran.returncode, says in ran.stderr) == (2, True), ran.stderr
