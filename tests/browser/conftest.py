"""A served app with a small model, a Chromium, and a page whose console must stay empty."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from benchmarks.served import free_port, wait_until_answers
from dashapp.model.config import GPT2Config
from tests.doubles import save_model_folder

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
# What Chromium itself says of WebGL that it computes on the processor, as it does without a graphics card.
DRIVER = re.compile(r"^\[\.WebGL-\w+\]GL Driver Message \(OpenGL, Performance|^Canvas2D: Multiple readback operations")
PATIENCE_MS = 30_000  # for one step of a page, on a busy machine

expect.set_options(timeout=PATIENCE_MS)  # the default of 5 s is for a machine that does nothing else

# Quick enough for a test and, over a thousand tokens, slow enough to be stopped. Reads real text.
SMALL = GPT2Config(n_layer=3, n_head=2, d_model=10, d_mlp=11, n_ctx=1024)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip = pytest.mark.skip(reason="Chromium is not installed (Debian: chromium)")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(skip)


@dataclass(frozen=True)
class Served:
    """A server under test."""

    base: str
    process: subprocess.Popen[bytes]
    log: Path

    def jobs(self) -> list[psutil.Process]:
        """Processes of requests that run now: forked from the fork server, and not as gentle as those of works."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        fork_servers = [each for each in below if "multiprocess.forkserver" in " ".join(each.cmdline())]
        return [job for server in fork_servers for job in server.children() if job.nice() == server.nice()]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app as `python -m dashapp serve` starts it, on a free port, with a cache of its own."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, save_model_folder(folder / "small", SMALL)) as served:
        yield served


@contextmanager
def serving(folder: Path, model: Path, *, port: int | None = None, **variables: str) -> Iterator[Served]:
    """A server with two places and all that it writes in `folder`; `variables` are added to its environment.

    port: one that is free by itself for None.
    """
    port, log = port or free_port(), folder / "server.log"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DASHAPP_")} | variables
    command = [sys.executable, "-m", "dashapp", "serve", "--port", str(port), "--model", str(model)]
    command += ["--cache-dir", str(folder / "cache"), "--models-dir", str(folder / "models"), "--jobs", "2"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_until_answers(f"http://127.0.0.1:{port}/readyz", process, log)
        yield Served(f"http://127.0.0.1:{port}", process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@dataclass
class Complaints:
    """What a page must not do: write to the console, throw, or ask anybody but our server."""

    base: str
    found: list[str]

    def watch(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.found.append(f"thrown: {error}"))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if DRIVER.search(message.text) and message.type == "warning":
            return
        self.found.append(f"console {message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if urlsplit(request.url).scheme in ("http", "https") and not request.url.startswith(self.base):
            self.found.append(f"left the machine: {request.url}")


@pytest.fixture
def complaints(served: Served) -> Iterator[Complaints]:
    """Collects what pages complain of; a test that provokes some empties `found` itself."""
    kept = Complaints(served.base, [])
    yield kept
    assert kept.found == []


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh browser: nothing stored, the content policy in force."""
    fresh = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    fresh.set_default_timeout(PATIENCE_MS)
    yield fresh
    fresh.close()


@pytest.fixture
def page(context: BrowserContext, complaints: Complaints) -> Page:
    """A blank page of a fresh browser, watched."""
    opened = context.new_page()
    complaints.watch(opened)
    return opened
