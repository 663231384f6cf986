"""What whoever keeps traces promises, wherever they lie. Jobs, panels and pages know this and no more.

`disk.TraceStore` keeps them in a folder of this machine, `remote.ObjectStore` in a bucket that many machines share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from dashapp.settings import Settings
from dashapp.traces.keys import is_key
from dashapp.traces.record import Heal, Trace
from dashapp.traces.run import Run

COPIES: Final = "slices"  # the folder of what was fetched from a bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStats:
    """What a store holds: size_bytes of n_traces, n_runs, n_results and n_files together, of at most limit_bytes.

    limit_bytes: None where the store sets none itself. n_evicted: how many have had to go for others since it began.
    is_all: whether all was counted, or there is more.
    """

    n_traces: int
    n_runs: int
    n_results: int
    n_files: int
    size_bytes: int
    limit_bytes: int | None
    n_evicted: int = 0
    is_all: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAddress:
    """Which store: all that a process needs to open it. folder: on this machine. url: of a bucket, and where it is."""

    folder: Path
    size_limit_bytes: int | None = None
    url: str | None = None
    endpoint: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> StoreAddress:
        """The store that settings name."""
        return cls(
            folder=settings.cache_dir,
            size_limit_bytes=settings.cache_size,
            url=settings.store,
            endpoint=settings.store_endpoint,
        )

    def as_json(self) -> list[Any]:
        """What `from_json` reads."""
        return [str(self.folder), self.size_limit_bytes, self.url, self.endpoint]

    @classmethod
    def from_json(cls, told: list[Any]) -> StoreAddress:
        folder, size_limit_bytes, url, endpoint = told
        return cls(folder=Path(folder), size_limit_bytes=size_limit_bytes, url=url, endpoint=endpoint)


class Store(Protocol):
    """Traces, runs and results by key. Threads share one object; processes each open the store for themselves."""

    @property
    def address(self) -> StoreAddress:
        """What another process opens it by."""

    @property
    def folder(self) -> Path:
        """On this machine: of everything, or of the copies of what was looked at."""

    def get_trace(self, key: str, *, heal: Heal | None = None) -> Trace | None:
        """The trace of a key, of which only what is looked at is read; None when it is not here or was damaged.

        Damage in a slice shows when that slice is read: the trace is removed, and what `heal` returns is read instead.
        Without `heal` the reader gets DamagedTrace, and the next `get_trace` None. Raises: ObjectStoreUnavailable.
        """

    def put_trace(self, trace: Trace) -> None:
        """Keep a trace. Raises: TraceTooLarge, StoreUnavailable."""

    def get_file(self, key: str) -> Trace | None:
        """The trace that somebody brought as a file, by the file's key; None when it is not here or was damaged.

        It is kept apart: no other question to a store is answered with it.
        """

    def put_file(self, trace: Trace, key: str) -> None:
        """Keep a trace that came as a file. Raises: TraceTooLarge, StoreUnavailable."""

    def get_run(self, key: str) -> Run | None:
        """The run of a key, or None when it is not here or was damaged. Raises: ObjectStoreUnavailable."""

    def put_run(self, run: Run) -> None:
        """Keep a run. Raises: TraceTooLarge, StoreUnavailable."""

    def get_result(self, key: str) -> Mapping[str, np.ndarray] | None:
        """The arrays of an analysis by name, read-only; None when not here or damaged.

        Raises: ObjectStoreUnavailable.
        """

    def put_result(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep the arrays of an analysis. Raises: TraceTooLarge, StoreUnavailable."""

    def refuse_too_large(self, size_bytes: int) -> None:
        """Raise TraceTooLarge if a trace of this size could not be kept, before anything is computed."""

    def computing(self, key: str, *, while_waiting: Callable[[], None] = lambda: None) -> AbstractContextManager[None]:
        """Be the only one who computes a key; others wait here, then find it in the store.

        while_waiting: called about 20 times a second meanwhile (a heartbeat); what it raises ends the waiting.
        """

    def discard(self, key: str) -> None:
        """Remove the trace, run, result or file of a key, if it is here."""

    def clear(self) -> None:
        """Remove all traces, runs, results and files."""

    def stats(self) -> StoreStats:
        """What the store holds now."""

    def check(self) -> int:
        """Remove what processes that died have left. How many were removed."""

    def is_writable(self) -> bool:
        """Whether something could be kept now."""

    def close(self) -> None:
        """Close this thread's connections."""


class Recipes(Protocol):
    """Texts of long links by key; see `recipes`."""

    def put(self, text: str, *, secret: str) -> str: ...

    def get(self, key: str) -> str: ...

    def clear(self) -> None: ...

    def totals(self) -> tuple[int, int]: ...


def find_trace(store: Store, key: str) -> Trace | None:
    """The trace to look at under a key: one that was computed here, or one that somebody brought as a file.

    For what is looked at alone. What is computed for others asks `get_trace`, which knows no files.
    Raises: ObjectStoreUnavailable.
    """
    return store.get_trace(key) or store.get_file(key)


def checked(key: str) -> str:
    """A key, which is one. Raises: ValueError."""
    if not is_key(key):
        raise ValueError(f"a key is 64 hexadecimal digits, not {key!r}")
    return key
