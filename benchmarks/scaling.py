"""What one text costs each part of an app on several machines: the numbers that docs/scaling.md computes with.

    python -m benchmarks.scaling                     # the demo model
    python -m benchmarks.scaling --model FOLDER      # another one, see benchmarks.make_model

A trace is timed in this process, on one thread. Then a web server, a worker, Redis and a bucket are started on loopback
as in the tests, somebody asks for texts one after another, and what each part has used is divided by the texts. Knows
processes and counters; knows nothing of how many people there are.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psutil
import torch
from redis import Redis

import dashapp
from benchmarks.table import machine
from dashapp.jobs.queue_manager import QueueManager
from dashapp.model.gpt2 import GPT2
from tests.buckets import Bucket, new_bucket, serving
from tests.machines import Browser, Machine, RedisServer, free_port, request_of, until

LENGTHS: Final = (64, 256, 1024)
N_NEW: Final = 40
N_TEXTS: Final = 5
REPEATS: Final = 3


@dataclass(frozen=True, slots=True)
class TraceCost:
    """One trace. core_s: processor seconds, the least of some. slice_bytes: what one head's panel fetches of it."""

    n_tokens: int
    core_s: float
    size_bytes: int
    slice_bytes: int


@dataclass(frozen=True, slots=True)
class Used:
    """What each part has used since it was started, or for one text."""

    web_s: float
    worker_s: float
    redis_commands: float
    store_requests: float
    store_bytes: float

    def for_each(self, before: Used, n: int) -> Used:
        """The difference to before, divided by so many texts."""
        names = self.__slots__
        return Used(*((getattr(self, name) - getattr(before, name)) / n for name in names))


def trace_cost(model: GPT2, n_tokens: int) -> TraceCost:
    """A trace of random tokens, computed on one thread."""
    ids = np.random.default_rng(0).integers(model.config.d_vocab, size=n_tokens)
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        trace = dashapp.trace(model, ids, cache=False)
        seconds.append(time.process_time() - start)
    return TraceCost(n_tokens, min(seconds), trace.size_bytes, 2 * trace.read("q", 0).nbytes)


@contextmanager
def started(model: str, folder: Path) -> Iterator[tuple[str, Machine, Machine, RedisServer, Bucket]]:
    """A web server's address, its process, a worker, Redis and a bucket."""
    redis = RedisServer(folder)
    with serving() as relay, new_bucket(relay, "scaling") as bucket:
        environ = {"DASHAPP_REDIS": redis.url, "DASHAPP_STORE": bucket.url, "DASHAPP_STORE_ENDPOINT": bucket.endpoint}
        environ |= {"DASHAPP_MODEL": model, "DASHAPP_VISITOR_SECONDS": "0"}
        port = free_port()
        machines = [
            Machine("web", ["serve", "--port", str(port)], environ, folder),
            Machine("worker", ["worker"], environ, folder),
        ]
        try:
            until(QueueManager(redis.url).is_ready)
            until(lambda: "http" in machines[0].said())
            yield f"http://127.0.0.1:{port}", machines[0], machines[1], redis, bucket
        finally:
            for each in machines:
                each.end()
            redis.end()


def text_cost(model: str, folder: Path) -> Used:
    """What a text of some new tokens costs, its progress asked for as a page does, one trace looked at afterwards."""
    with started(model, folder) as (url, web, worker, redis, bucket):
        browser, name = Browser(), Path(model).name
        browser.open(url)
        read(browser, url, request_of(0, "The first pays for imports", N_NEW) | {"model": name})
        before = used(web, worker, redis, bucket)
        for n in range(1, N_TEXTS + 1):
            read(browser, url, request_of(n, f"Text number {n} of this benchmark", N_NEW) | {"model": name})
        return used(web, worker, redis, bucket).for_each(before, N_TEXTS)


def read(browser: Browser, url: str, request: dict[str, object]) -> None:
    """Ask for a text, wait for it and look at its trace."""
    until(lambda: browser.ask(url, request, again=True)["kind"] == "admitted")
    outcome = browser.result(url, request, browser.begin(url, request))
    assert browser.trace_of(url, outcome["trace"])["ids"]


def used(web: Machine, worker: Machine, redis: RedisServer, bucket: Bucket) -> Used:
    """What each part has used so far."""
    with Redis.from_url(redis.url) as client:
        commands = client.info("stats")["total_commands_processed"]
    return Used(core_s(web), core_s(worker), commands, bucket.relay.n_requests, bucket.relay.n_bytes)


def core_s(machine: Machine) -> float:
    """Processor seconds of a process and all below it."""
    processes = [psutil.Process(machine.process.pid), *machine.children()]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo", help="Name of a model, or its folder.")
    model = parser.parse_args().model
    torch.set_num_threads(1)
    logging.getLogger("werkzeug").setLevel("WARNING")  # moto's server tells every request
    loaded = dashapp.load(model)
    print("| tokens | core-seconds | trace | one head's slice |\n|---|---|---|---|")
    for cost in (trace_cost(loaded, n) for n in LENGTHS):
        sizes = f"{cost.size_bytes / 1e6:,.1f} MB | {cost.slice_bytes / 1e6:,.2f} MB"
        print(f"| {cost.n_tokens:,} | {cost.core_s:.2f} | {sizes} |")
    with tempfile.TemporaryDirectory() as folder:
        each = text_cost(model, Path(folder))
    print(f"\nOne text of {N_NEW} new tokens: web {each.web_s:.2f} core-seconds, worker {each.worker_s:.2f}, ", end="")
    print(f"Redis {each.redis_commands:,.0f} commands, store {each.store_requests:,.0f} requests ", end="")
    print(f"and {each.store_bytes / 1e6:,.2f} MB read. {machine()}.")


if __name__ == "__main__":
    main()
