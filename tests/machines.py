"""Several machines on loopback: Redis, servers and workers in processes of their own, and a browser without a window.

Each server and worker has a cache folder of its own, as on a machine of its own: they share Redis and a bucket alone.
"""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
from redis import Redis, RedisError

from dashapp import ids
from dashapp.jobs.request import EXAMPLE

ROOT = Path(__file__).parents[1]
LIMIT_S = 240
SECRET = "a key that all servers share"


def until(is_so: Callable[[], Any], *, limit_s: float = LIMIT_S) -> Any:
    """What a condition comes to, once it is true."""
    end = time.monotonic() + limit_s
    while not (found := is_so()):
        assert time.monotonic() < end, "this took too long"
        time.sleep(0.1)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """Debian's Redis, which keeps nothing when it ends."""

    def __init__(self, folder: Path) -> None:
        self.port, self._folder = free_port(), folder
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command = ["redis-server", *options, "--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self.answers)

    def answers(self) -> bool:
        with Redis.from_url(self.url, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


class Machine:
    """A process of ours with a log; `environ` are its settings."""

    def __init__(self, name: str, arguments: list[str], environ: dict[str, str], folder: Path) -> None:
        self.log = folder / f"{name}.log"
        settings = {"DASHAPP_CACHE_DIR": str(folder / name), "DASHAPP_SECRET_KEY": SECRET, "DASHAPP_JOBS": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dashapp", *arguments],
                env={**os.environ, **settings, **environ, "PYTHONWARNINGS": "ignore"},
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def children(self) -> list[psutil.Process]:
        """All processes below it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> None:
        """End it; nothing below it may remain."""
        below = self.children() if self.process.poll() is None else []
        self.process.terminate()
        try:
            self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        _, left = psutil.wait_procs(below, timeout=LIMIT_S)
        for process in left:
            process.kill()
        assert not left, f"{left} outlived {self.log.stem}"

    def said(self) -> str:
        return self.log.read_text(errors="replace")


class Browser:
    """Somebody without a window at one or several web servers, as a proxy would lead him. Cookies go with him."""

    def __init__(self) -> None:
        jar = http.cookiejar.CookieJar()  # a cookie is of a host, whatever the port
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        self._end_id = ""

    def open(self, url: str) -> None:
        """Load the page: what Dash signs belongs to it."""
        page = self._opener.open(url, timeout=LIMIT_S).read().decode()
        config = re.search(r'id="_dash-config"[^>]*>(.*?)</script>', page, re.DOTALL)
        assert config
        self._end_id = json.loads(config[1])["end_id"]

    def post(self, url: str, body: object) -> Any:
        """What a route answers; None where there is nothing."""
        asked = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with self._opener.open(asked, timeout=LIMIT_S) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def callback(self, url: str, output: str, inputs: dict[str, object], **query: str) -> Any:
        """What Dash answers to a callback, whose inputs are all `data`."""
        sent = [{"id": name, "property": "data", "value": value} for name, value in inputs.items()]
        changed = next(name for name, value in inputs.items() if value is not None)
        body = {
            "output": f"{output}.data",
            "outputs": {"id": output, "property": "data"},
            "inputs": sent,
            "changedPropIds": [f"{changed}.data"],
        }
        return self.post(f"{url}/_dash-update-component?{urlencode({'endId': self._end_id, **query})}", body)

    def ask(self, url: str, request: dict[str, Any], *, again: bool = False) -> dict[str, Any]:
        """The answer to a request: known, refused, waiting or admitted."""
        of = ids.of(ids.ANSWER, "a")
        first, later = (None, request) if again else (request, None)
        answered = self.callback(url, of, {ids.of(ids.REQUEST, "a"): first, ids.of(ids.ASK, "a"): later})
        found: dict[str, Any] = answered["response"][of]["data"]
        return found

    def begin(self, url: str, request: dict[str, Any]) -> dict[str, str]:
        """Start the job of a request that was admitted; what to ask by how it fares."""
        of = ids.of(ids.JOB_RESULT, "a")
        found: dict[str, str] = self.callback(url, of, {ids.of(ids.ADMITTED, "a"): request})
        return {"cacheKey": found["cacheKey"], "job": found["job"]}

    def look(self, url: str, request: dict[str, Any], handles: dict[str, str]) -> dict[str, Any]:
        """How a job fares: {"result": …} at its end, {"progress": …} before it, {"is_over": True} if it was lost."""
        of = ids.of(ids.JOB_RESULT, "a")
        told = self.callback(url, of, {ids.of(ids.ADMITTED, "a"): request}, **handles)
        if told is None:
            return {"is_over": True}
        if "response" in told:
            return {"result": told["response"][of]["data"]}
        return {"progress": next(iter((told.get("progress") or {}).values()), None)}

    def result(self, url: str, request: dict[str, Any], handles: dict[str, str]) -> Any:
        """What a job came to; None when it was lost."""
        seen = until(lambda: _ended(self.look(url, request, handles)))
        return seen.get("result")

    def stop(self, url: str, request: dict[str, Any]) -> None:
        self.callback(url, ids.of(ids.STOPPED, "a"), {ids.of(ids.STOP, "a"): request["id"]})

    def trace_of(self, url: str, key: str) -> dict[str, Any]:
        """What the token strip is told of a trace."""
        found: dict[str, Any] = self.post(f"{url}/strip-measures", {"key": key})
        return found


def _ended(seen: dict[str, Any]) -> dict[str, Any] | None:
    return seen if "result" in seen or "is_over" in seen else None


def request_of(n: int, prompt: str, max_new_tokens: int = 5) -> dict[str, Any]:
    """A request to the demo model as the prompt bar sends it; n tells it from others."""
    asked = {"id": f"{n:032x}", "prompt": prompt, "max_new_tokens": max_new_tokens, "temperature": 0}
    return EXAMPLE.as_json() | asked | {"stop_at_end": False}


def kill(process: psutil.Process) -> None:
    process.send_signal(signal.SIGKILL)
