"""A process that stays: it prepares once, then does one task at a time, and ends with its parent.

For what a process per job would pay again and again: UMAP's compiled functions, a GPU's context and the weights on it.
Knows processes and pipes; knows nothing of what a task computes.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import multiprocess
from multiprocess.connection import wait as wait_for

POLL_S: Final = 0.05
NVIDIA: Final = Path("/proc/driver/nvidia/version")
AMD: Final = Path("/dev/kfd")  # torch for AMD calls its device cuda too

Do = Callable[[], None]  # what a process is given to do; it crosses a pipe, so it must be picklable


class Resident:
    """One process, started when it is first needed and again when it has died. Safe to be used by several threads.

    new_process: starts a process that calls a function with arguments. prepare: called first in it.
    """

    def __init__(self, new_process: Callable[..., Any], prepare: Do) -> None:
        self._new_process, self._prepare = new_process, prepare
        self._process: Any = None
        self._pipe: Any = None
        self._n_begun = self._n_ended = 0
        self._lock = threading.RLock()

    def start(self) -> None:
        """Start the process, unless it is there, and have it prepare."""
        with self._lock:
            if self._process is not None and self._process.is_alive():
                return
            ours, theirs = multiprocess.Pipe()
            self._process, self._pipe = self._new_process(serve, theirs, self._prepare), ours
            self._n_begun = self._n_ended = 0
            theirs.close()  # so that a process which died is an end of file here, and this one's death one there

    def begin(self, do: Do) -> Task:
        """Have something done; who calls makes sure that the process is not busy, for otherwise it waits its turn."""
        with self._lock:
            self.start()
            self._n_begun += 1
            try:
                self._pipe.send(do)
            except OSError:  # it died this very moment
                self.end()
                return self.begin(do)
            return Task(self, self._process, self._n_begun)

    @property
    def is_busy(self) -> bool:
        """Whether it is doing something for somebody; preparing is not."""
        with self._lock:
            return self._n_begun > self._ended()

    @property
    def pid(self) -> int | None:
        """The process's id; None before the first is started."""
        return self._process.pid if self._process is not None else None

    def end(self) -> None:
        """Kill the process, whatever it is doing; the next task starts another."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.join()

    def _is_doing(self, task: Task) -> bool:
        with self._lock:
            return task.process is self._process and self._ended() < task.number

    def _ended(self) -> int:
        """How many of its tasks this process has ended; all of them when it is dead."""
        is_alive = self._process is not None and self._process.is_alive()  # first: what it said last is in the pipe
        try:
            while self._pipe is not None and self._pipe.poll():
                self._n_ended = self._pipe.recv()
        except (EOFError, OSError):
            pass  # it died
        return self._n_ended if is_alive else self._n_begun


@dataclass(frozen=True, slots=True)
class Task:
    """Something that a resident process was given to do: as a process of its own, for who asks how it fares."""

    resident: Resident
    process: Any
    number: int

    def is_alive(self) -> bool:
        """Whether it waits or runs."""
        return self.resident._is_doing(self)

    def kill(self) -> None:
        """End it, and the process with it; nothing happens when it has ended."""
        with self.resident._lock:
            if self.is_alive():
                self.resident.end()

    def join(self) -> None:
        """Wait for its end."""
        while self.is_alive():
            time.sleep(POLL_S)

    @property
    def exitcode(self) -> int:
        """0, or 1 if its process died, in this task or a later one."""
        return 0 if self.process.is_alive() else 1


def serve(pipe: Any, prepare: Do) -> None:
    """A resident process from beginning to end."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    prepare()
    n_ended = 0
    while True:
        try:
            do: Do = pipe.recv()
        except EOFError:
            return
        do()
        n_ended += 1
        pipe.send(n_ended)


def end_with_parent() -> None:
    """Wait for the end of the process that started this one, and end."""
    wait_for([multiprocess.parent_process().sentinel])
    os._exit(1)


def may_compute_on_device(device: str) -> bool:
    """Whether models may run on another device than the processor: known without torch, so only by what is installed.

    device: as the settings name it. If it turns out that torch cannot use the device, a resident process serves too.
    """
    has_one = NVIDIA.exists() or AMD.exists() or sys.platform == "darwin"
    return device in ("cuda", "mps") or (device == "auto" and has_one)
