"""The app in a process of its own, as a person starts it: for benchmarks, pictures and browser tests."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

START_LIMIT_S: Final = 120  # torch's import alone takes long on a busy machine


@contextmanager
def served(folder: Path, *flags: str) -> Iterator[str]:
    """The app with the demo model on a free port, all that it writes in `folder`; its address once it answers.

    flags: more of `dashapp serve`.
    """
    port, log = free_port(), folder / "server.log"
    command = [
        sys.executable,
        "-m",
        "dashapp",
        "serve",
        "--port",
        str(port),
        "--cache-dir",
        str(folder / "cache"),
        *flags,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        base = f"http://127.0.0.1:{port}"
        wait_until_answers(f"{base}/healthz", process, log)
        yield base
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_answers(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once an address of the app answers that all is well.

    Raises: RuntimeError with what the app printed, when it ends or takes too long.
    """
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end and process.poll() is None:
        if answers(address):
            return
        time.sleep(0.02)
    how = f"not well after {START_LIMIT_S} s" if process.poll() is None else f"ended with status {process.returncode}"
    raise RuntimeError(f"The app should answer {address}. It is {how}. What it printed:\n{log.read_text()}")


def answers(address: str) -> bool:
    """Whether something answers there with status 200."""
    try:
        with urllib.request.urlopen(address, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
