"""The store of traces, runs and results on this machine's disk, under a size limit. Knows keys, no models.

    folder/traces/   cache.db and one safetensors file a trace; the least recently used goes first
    folder/runs/     the same for runs, so that a run outlives its trace, which is computed again from its tokens
    folder/results/  the same for what analysis jobs computed, so that a large trace does not push out many of them
    folder/files/    the same for traces that people brought as files: no other question is answered with them
    folder/locks/    one file for each key that is being computed at this moment

What is damaged is removed and logged, and then it is simply not here: whoever asked computes it again.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from dashapp.errors import DamagedTrace, NotATrace, StoreUnavailable, TraceTooLarge
from dashapp.store import locks
from dashapp.store.contract import COPIES, StoreAddress, StoreStats, checked
from dashapp.store.files import FileCache
from dashapp.store.index import SUFFIX
from dashapp.traces.metadata import FILE
from dashapp.traces.record import Heal, Trace
from dashapp.traces.result import Result
from dashapp.traces.run import Run

logger = logging.getLogger(__name__)

LARGEST_DEFAULT_BYTES: Final = 8 * 10**9
RUN_SHARE: Final = 4  # runs take at most a quarter of the limit; a few KB each, they hardly come near it
RESULT_SHARE: Final = 4  # so do results
FILE_SHARE: Final = 4  # and files that people brought, which push out each other and no more
ROOMS: Final = ("traces", "runs", "results", "files")
ORPHAN_AGE_S: Final = 600.0  # a writer that wrote nothing for ten minutes is taken for dead

Kept = TypeVar("Kept", Trace, Run, Result)


class TraceStore:
    """Traces, runs and results by key. Threads share one object; processes each open the folder for themselves.

    folder: made if absent. size_limit_bytes: of all files together, see `default_size_limit`.
    Raises: StoreUnavailable when the folder cannot be used.
    """

    def __init__(self, folder: Path | str, *, size_limit_bytes: int) -> None:
        self.folder = Path(folder).absolute()
        self.size_limit_bytes = size_limit_bytes
        if os.path.expandvars(self.folder) != str(self.folder):  # diskcache would go where the variable points
            raise StoreUnavailable(self.folder, "its name holds a variable")
        self._traces, self._runs, self._results, self._files = self._rooms = [
            FileCache(self.folder / room) for room in ROOMS
        ]
        self._locks = self.folder / "locks"

    @property
    def address(self) -> StoreAddress:
        """What another process opens it by."""
        return StoreAddress(folder=self.folder, size_limit_bytes=self.size_limit_bytes)

    def get_trace(self, key: str, *, heal: Heal | None = None) -> Trace | None:
        """The trace of a key, memory-mapped, or None when it is not here or was damaged.

        Damage in a slice shows when that slice is read: the file is removed, and what `heal` returns is read instead.
        Without `heal` the reader gets DamagedTrace, and the next `get_trace` None.
        """
        return self._get(
            self._traces, key, lambda path: Trace.open(path, heal=self._healing(self._traces, key, path, heal))
        )

    def put_trace(self, trace: Trace) -> None:
        """Keep a trace, in place of the least recently used ones. Raises: TraceTooLarge, StoreUnavailable."""
        limit_bytes = self._limit_for_traces()
        self._traces.put(checked(trace.key), trace.chunks, size_bytes=trace.size_bytes, limit_bytes=limit_bytes)

    def get_file(self, key: str) -> Trace | None:
        """The trace that somebody brought as a file, memory-mapped; damage shows as for `get_trace` without heal."""
        return self._get(
            self._files, key, lambda path: Trace.open(path, heal=self._healing(self._files, key, path, None))
        )

    def put_file(self, trace: Trace, key: str) -> None:
        """Keep a trace that came as a file, in place of the least recently used. Raises as `put_trace`."""
        metadata, limit_bytes = {**trace.metadata, FILE: checked(key)}, self.size_limit_bytes // FILE_SHARE
        size_bytes = trace.size_with(metadata)
        self._files.put(key, lambda: trace.chunks(metadata), size_bytes=size_bytes, limit_bytes=limit_bytes)
        self._traces.make_room(self._limit_for_traces())

    def get_run(self, key: str) -> Run | None:
        """The run of a key, or None when it is not here or was damaged."""
        return self._get(self._runs, key, Run.open)

    def put_run(self, run: Run) -> None:
        """Keep a run. Raises: TraceTooLarge, StoreUnavailable."""
        limit_bytes = self.size_limit_bytes // RUN_SHARE
        self._runs.put(checked(run.key), run.chunks, size_bytes=run.size_bytes, limit_bytes=limit_bytes)
        self._traces.make_room(self._limit_for_traces())

    def get_result(self, key: str) -> Mapping[str, np.ndarray] | None:
        """The arrays of an analysis by name, memory-mapped and read-only; None when not here or damaged."""
        result = self._get(self._results, key, Result.open)
        return result.arrays if result else None

    def put_result(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep the arrays of an analysis. Raises: TraceTooLarge, StoreUnavailable."""
        result = Result.of(checked(key), arrays)
        limit_bytes = self.size_limit_bytes // RESULT_SHARE
        self._results.put(key, result.chunks, size_bytes=result.size_bytes, limit_bytes=limit_bytes)
        self._traces.make_room(self._limit_for_traces())

    def refuse_too_large(self, size_bytes: int) -> None:
        """Raise TraceTooLarge if a trace of this size could not be kept, before anything is computed."""
        if size_bytes > self._limit_for_traces():
            raise TraceTooLarge(size_bytes, self._limit_for_traces())

    @contextmanager
    def computing(self, key: str, *, while_waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Be the only one on this machine who computes a key; others wait here, then find it in the store.

        while_waiting: called about 20 times a second meanwhile (a heartbeat); what it raises ends the waiting.
        """
        with locks.locked(self._locks, checked(key), while_waiting):
            yield

    def discard(self, key: str) -> None:
        """Remove the trace, run, result or file of a key, if it is here."""
        for room in self._rooms:
            room.discard(checked(key))

    def clear(self) -> None:
        """Remove all traces, runs, results and files; who reads one at this moment goes on reading."""
        for room in self._rooms:
            room.clear()

    def stats(self) -> StoreStats:
        """What the store holds now."""
        (n_traces, n_runs, n_results, n_files), sizes = zip(*(room.totals() for room in self._rooms), strict=True)
        return StoreStats(
            n_traces=n_traces,
            n_runs=n_runs,
            n_results=n_results,
            n_files=n_files,
            size_bytes=sum(sizes),
            limit_bytes=self.size_limit_bytes,
            n_evicted=sum(room.n_evicted() for room in self._rooms),
        )

    def check(self, *, older_than_s: float = ORPHAN_AGE_S) -> int:
        """Remove what processes that died have left: half-written files, lost rows, locks. How many were removed.

        Safe while others write: their files are younger than `older_than_s`, and their locks are held.
        """
        before = time.time() - older_than_s
        n_removed = sum(room.reconcile(before=before) for room in self._rooms)
        return n_removed + locks.remove_abandoned(self._locks)

    def is_writable(self) -> bool:
        """Whether a file can be written there now: modes say nothing of a disk that is full or became read-only."""
        try:
            with tempfile.TemporaryFile(dir=self.folder) as file:
                file.write(b"x")
                file.flush()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close this thread's connections."""
        for room in self._rooms:
            room.close()

    # Below: reading what may be damaged --------------------------------------------------------------------------

    def _limit_for_traces(self) -> int:
        return max(0, self.size_limit_bytes - sum(room.totals()[1] for room in self._rooms if room is not self._traces))

    def _get(self, cache: FileCache, key: str, read: Callable[[Path], Kept]) -> Kept | None:
        path = cache.find(checked(key))
        if path is None:
            return None
        try:
            found = read(path)
            if found.key == key:
                return found
            _remove(cache, key, path, "it is that of another key")
        except FileNotFoundError:  # evicted this very moment, or deleted by hand
            _remove(cache, key, path, "it is gone")
        except (DamagedTrace, NotATrace) as error:
            _remove(cache, key, path, error)
        except OSError as error:  # too many open files, no memory: the file may be sound
            logger.warning("Could not read %s: %s", path, error)
        return None

    def _healing(self, room: FileCache, key: str, path: Path, heal: Heal | None) -> Heal:
        def heal_after_removal() -> Trace:
            _remove(room, key, path, "a checksum does not match")
            if heal is None:
                raise DamagedTrace(path, "a part of it is not what was written")
            return heal()

        return heal_after_removal


def default_size_limit(folder: Path | str) -> int:
    """8 GB, or a quarter of the free disk where the folder is (or will be), whichever is less.

    What the cache holds already counts as free, for it would be without it: otherwise each start would find less free
    disk than the one before and throw away traces that fitted. Raises: StoreUnavailable.
    """
    folder = Path(folder).absolute()
    try:
        disk = next(place for place in (folder, *folder.parents) if place.exists())
        free_bytes = shutil.disk_usage(disk).free
    except OSError as error:
        raise StoreUnavailable(folder, error.strerror or error) from error
    held_bytes = sum(_size_of(path) for room in (*ROOMS, COPIES) for path in (folder / room).glob(f"*{SUFFIX}"))
    return min(LARGEST_DEFAULT_BYTES, (free_bytes + held_bytes) // 4)


def _remove(cache: FileCache, key: str, path: Path, problem: object) -> None:
    logger.warning("Removed %s from the cache: %s", path, problem)
    with suppress(StoreUnavailable):  # then it is found again, and removed then
        cache.drop(key, path)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
