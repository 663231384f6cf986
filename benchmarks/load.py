"""`python -m benchmarks.load`: fifty people at once on one server, counted by Locust: `pip install '.[load]'`.

Starts the app with the demo model and a cache of its own, on this machine and reachable from it alone. People open
pages, change heads and generate, with seconds between; two more do nothing but generate, so that two jobs run all the
time. Those who ask share the processor with the server: people with machines of their own would wait less.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import psutil
from locust import HttpUser, between, constant, task
from locust.env import Environment
from locust.stats import StatsEntry

from benchmarks.served import served
from benchmarks.table import machine, write_into
from benchmarks.visitor import Visitor, asked_for, view_of

PAGE: Final = Path(__file__).parents[1] / "docs/performance.md"
COMMAND: Final = "python -m benchmarks.load"
PANELS: Final = ("head-pattern", "token-attention")  # of those that a change of head draws anew, what a window shows
LIMIT_S: Final = 600.0
TEXT, PANEL, OPENED, ASKED = "text", "panel", "page", "question"
WHAT: Final = {
    TEXT: "a text, from Generate to its trace",
    PANEL: "a figure after a change of head",
    OPENED: "a page and its layout",
    ASKED: "a question how a text fares",
}
WORDS: Final = "Once upon a time there was a little girl who had one red ball and wanted to find the other".split()


class Browser(HttpUser):
    """Somebody with a browser, who has a text before all else."""

    abstract = True
    n_new = 20

    def on_start(self) -> None:
        self.asking = OPENED
        self.shown: Any = None
        self.visitor = Visitor(self.send)
        self.visitor.open("/attention")
        self.generate()

    def send(self, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"}
        response = self.client.request("POST" if body else "GET", path, data=body, headers=headers, name=self.asking)
        return response.status_code, response.content or b""  # where there was no answer, Locust has counted a failure

    def generate(self) -> None:
        """Press Generate and wait; what is lost or refused is a failure."""
        prompt = " ".join(random.choices(WORDS, k=random.randint(4, 24)))
        self.asking, began = ASKED, time.monotonic()
        failed: Exception | None = None
        try:
            self.shown = self.visitor.run(asked_for(prompt, model="demo", max_new_tokens=self.n_new), limit_s=LIMIT_S)
            if "trace" not in self.shown:
                failed = RuntimeError(f"{self.shown['rule']} {self.shown['instance']}")
        except (OSError, TimeoutError) as error:
            failed = error
        took_ms = 1000 * (time.monotonic() - began)
        told = {"request_type": "", "name": TEXT, "response_time": took_ms, "response_length": 0, "exception": failed}
        self.environment.events.request.fire(**told)


class Person(Browser):
    """Looks at heads, sometimes at another page, and once in a while generates."""

    wait_time = between(1, 5)

    @task(12)
    def change_head(self) -> None:
        self.asking = PANEL
        head = {"layer": random.randrange(self.shown["n_layer"]), "head": random.randrange(self.shown["n_head"])}
        for panel in PANELS:
            self.visitor.draw(panel, view_of(panel, self.shown, **head))

    @task(2)
    def change_page(self) -> None:
        self.asking = OPENED
        self.visitor.open(random.choice(("/", "/embeddings", "/activations")))

    @task(1)
    def generate_again(self) -> None:
        self.generate()


class Writer(Browser):
    """Generates without a rest."""

    wait_time, fixed_count, n_new = constant(0), 2, 200

    @task
    def generate_again(self) -> None:
        self.generate()


class Memory:
    """The most that the web process kept to itself, watched once a second."""

    def __init__(self) -> None:
        ours = psutil.Process().children(recursive=True)
        serves = [each for each in ours if "serve" in each.cmdline()]
        (self._web,) = [each for each in serves if each.parent() in serves]
        self.first = self.most = self._web.memory_full_info().uss
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while self._web.is_running():
            self.most = max(self.most, self._web.memory_full_info().uss)
            time.sleep(1)


def measure(folder: Path, *, n_people: int, seconds: int) -> str:
    """What came of it, as lines and a table."""
    with served(folder, "--trusted-proxies", "1") as base:
        memory = Memory()
        environment = Environment(user_classes=[Person, Writer], host=base)
        runner = environment.create_local_runner()
        runner.start(n_people + Writer.fixed_count, spawn_rate=5)
        time.sleep(seconds)
        runner.stop()
        text = told(environment.stats.entries, seconds)
        errors = "".join(
            f"\n- {each.occurrences} × {each.name}: {each.error}" for each in environment.stats.errors.values()
        )
        runner.quit()
    kept = f"Memory of the web process's own: {memory.first / 1e6:.0f} MB before, {memory.most / 1e6:.0f} MB at most."
    who = f"{n_people} people and {Writer.fixed_count} who generate without a rest, {seconds} s."
    return f"{machine()}. {who} {kept}\n\n{text}{errors}"


def told(entries: Any, seconds: int) -> str:
    """A row for each kind of question."""
    rows = [
        "| what | answered | failed | median | 95 % within | slowest | each second |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, what in WHAT.items():
        for entry in (each for (named, _), each in entries.items() if named == name and each.num_requests):
            rows.append(_row(entry, what, seconds))
    return "\n".join(rows)


def _row(entry: StatsEntry, what: str, seconds: int) -> str:
    within = [f"{entry.get_response_time_percentile(share):,.0f} ms" for share in (0.5, 0.95, 1.0)]
    counts = [f"{entry.num_requests:,}", f"{entry.num_failures:,}"]
    return "| " + " | ".join([what, *counts, *within, f"{entry.num_requests / seconds:.1f}"]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.partition("\n")[0])
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = measure(Path(folder), n_people=chosen.people, seconds=chosen.seconds)
    print(text)
    if chosen.write:
        write_into(PAGE, text, by=COMMAND)


if __name__ == "__main__":
    main()
