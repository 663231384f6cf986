"""The store of traces, runs and results in a bucket with the S3 interface, which many machines share.

    s3://bucket/prefix/traces/<key>    one safetensors file a trace; also runs/, results/ and files/
    s3://bucket/prefix/locks/<key>     one object for each key that is being computed at this moment
    s3://bucket/prefix/recipes/<key>   one text for each long link
    folder/slices/                     on this machine: copies of what was looked at, the least recently used goes first

A panel fetches its slice of a trace and no more. Each look at a key asks the bucket for the object's version first, so
that what another machine removed is gone here too. How long the bucket keeps things is its own rule, not ours. Knows
keys, no models.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from dashapp.errors import (
    DamagedFile,
    DamagedTrace,
    NotATrace,
    ObjectStoreUnavailable,
    RecipeGone,
    StoreUnavailable,
    TraceTooLarge,
)
from dashapp.store import remote_locks
from dashapp.store.contract import COPIES, StoreAddress, StoreStats, checked
from dashapp.store.disk import ORPHAN_AGE_S, ROOMS
from dashapp.store.files import FileCache
from dashapp.store.objects import Objects, Stamp
from dashapp.store.recipes import KEY, recipe_content, recipe_key
from dashapp.store.remote_file import Copies, RemoteFile
from dashapp.traces.metadata import FILE
from dashapp.traces.record import Heal, Trace
from dashapp.traces.result import Result
from dashapp.traces.run import Run

logger = logging.getLogger(__name__)

LARGEST_BYTES: Final = 5 * 10**9  # of one object, written at once
IN_MEMORY_BYTES: Final = 8 * 10**6  # what is larger is written to a file before it is sent
COUNTED_S: Final = 60.0  # metrics are asked for every few seconds
N_COUNTED: Final = 10_000  # of each kind: a listing of all would take as long as there are many

Kept = TypeVar("Kept", Trace, Run, Result)


class ObjectStore:
    """Traces, runs and results by key in a bucket, as `contract.Store` says.

    folder: of copies on this machine, made if absent. size_limit_bytes: of these copies.
    Raises: StoreUnavailable when the folder cannot be used. The bucket is asked when something is wanted of it.
    """

    def __init__(self, objects: Objects, folder: Path | str, *, size_limit_bytes: int) -> None:
        self.folder = Path(folder).absolute()
        self._objects, self._size_limit_bytes = objects, size_limit_bytes
        self._counted: tuple[float, StoreStats] | None = None
        self._copies = Copies(objects, FileCache(self.folder / COPIES), limit_bytes=size_limit_bytes)

    @property
    def address(self) -> StoreAddress:
        """What another process opens it by."""
        where = self._objects
        limit_bytes = self._size_limit_bytes
        return StoreAddress(folder=self.folder, size_limit_bytes=limit_bytes, url=where.url, endpoint=where.endpoint)

    def get_trace(self, key: str, *, heal: Heal | None = None) -> Trace | None:
        """The trace of a key, of which a slice is fetched when it is read."""
        return self._get_trace(f"traces/{checked(key)}", key, heal)

    def put_trace(self, trace: Trace) -> None:
        """Keep a trace. Raises: TraceTooLarge, StoreUnavailable."""
        self._put(f"traces/{checked(trace.key)}", trace.chunks(), trace.size_bytes)

    def get_file(self, key: str) -> Trace | None:
        """The trace that somebody brought as a file, of which a slice is fetched when it is read."""
        return self._get_trace(f"files/{checked(key)}", key, None)

    def put_file(self, trace: Trace, key: str) -> None:
        """Keep a trace that came as a file. Raises: TraceTooLarge, StoreUnavailable."""
        metadata = {**trace.metadata, FILE: checked(key)}
        self._put(f"files/{key}", trace.chunks(metadata), trace.size_with(metadata))

    def get_run(self, key: str) -> Run | None:
        """The run of a key, or None when it is not here or was damaged."""
        return self._get(f"runs/{checked(key)}", key, lambda file, _: Run.of_tensors(file))

    def put_run(self, run: Run) -> None:
        """Keep a run. Raises: TraceTooLarge, StoreUnavailable."""
        self._put(f"runs/{checked(run.key)}", run.chunks(), run.size_bytes)

    def get_result(self, key: str) -> Mapping[str, np.ndarray] | None:
        """The arrays of an analysis by name, read-only; None when not here or damaged."""
        result = self._get(f"results/{checked(key)}", key, lambda file, _: Result.of_tensors(file))
        return result.arrays if result else None

    def put_result(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep the arrays of an analysis. Raises: TraceTooLarge, StoreUnavailable."""
        result = Result.of(checked(key), arrays)
        self._put(f"results/{key}", result.chunks(), result.size_bytes)

    def refuse_too_large(self, size_bytes: int) -> None:
        """Raise TraceTooLarge if a trace of this size could not be kept, before anything is computed."""
        if size_bytes > LARGEST_BYTES:
            raise TraceTooLarge(size_bytes, LARGEST_BYTES)

    def computing(self, key: str, *, while_waiting: Callable[[], None] = lambda: None) -> AbstractContextManager[None]:
        """Be the only one on all machines who computes a key; others wait here, then find it in the store."""
        return remote_locks.locked(self._objects, f"locks/{checked(key)}", while_waiting)

    def discard(self, key: str) -> None:
        """Remove the trace, run, result or file of a key, if it is here."""
        for room in ROOMS:
            self._objects.remove(f"{room}/{checked(key)}")

    def clear(self) -> None:
        """Remove all traces, runs, results and files, and this machine's copies.

        Copies on other machines are never read again, and go when these need the room.
        """
        for room in ROOMS:
            self._objects.remove_all(room)
        self._counted = None
        self._copies.files.clear()

    def stats(self) -> StoreStats:
        """What the store holds, of each kind at most the first ten thousand; counted again after a minute."""
        if self._counted is None or time.monotonic() - self._counted[0] > COUNTED_S:
            self._counted = time.monotonic(), self._count()
        return self._counted[1]

    def check(self) -> int:
        """Remove half-written copies on this machine; in the bucket nothing is ever half-written. How many."""
        return self._copies.files.reconcile(before=time.time() - ORPHAN_AGE_S)

    def is_writable(self) -> bool:
        """Whether the bucket answers. Nothing is written to it for that."""
        try:
            self._objects.stamp("traces/none")
        except ObjectStoreUnavailable as error:
            logger.warning("%s", error)
            return False
        return True

    def close(self) -> None:
        """Close this thread's connections."""
        self._copies.files.close()

    # Below: reading what may be damaged, and writing -----------------------------------------------------------------

    def _count(self) -> StoreStats:
        sizes = [[size for _, size in islice(self._objects.listed(room), N_COUNTED + 1)] for room in ROOMS]
        n_traces, n_runs, n_results, n_files = (min(len(room), N_COUNTED) for room in sizes)
        return StoreStats(
            n_traces=n_traces,
            n_runs=n_runs,
            n_results=n_results,
            n_files=n_files,
            size_bytes=sum(sum(room[:N_COUNTED]) for room in sizes),
            limit_bytes=None,
            is_all=all(len(room) <= N_COUNTED for room in sizes),
        )

    def _get_trace(self, name: str, key: str, heal: Heal | None) -> Trace | None:
        def opened(file: RemoteFile, stamp: Stamp) -> Trace:
            return Trace.of_tensors(file, heal=self._healing(name, stamp, heal))

        return self._get(name, key, opened)

    def _get(self, name: str, key: str, read: Callable[[RemoteFile, Stamp], Kept]) -> Kept | None:
        stamp = self._objects.stamp(name)
        if stamp is None:
            return None
        problem: object = "it is that of another key"
        for _ in range(2):  # the second time without copies of this machine
            try:
                file = RemoteFile(self._copies, name, stamp)
            except DamagedFile as error:
                self._copies.forget_beginning(name, stamp)
                problem = error
                continue
            try:
                found = read(file, stamp)
                if found.key == key:
                    return found
            except (DamagedFile, DamagedTrace, NotATrace) as error:
                problem = error
            file.give_up_copies()
        self._remove(name, stamp, problem)
        return None

    def _put(self, name: str, chunks: Iterable[bytes | memoryview], size_bytes: int) -> None:
        self.refuse_too_large(size_bytes)
        try:
            with tempfile.SpooledTemporaryFile(
                IN_MEMORY_BYTES, dir=str(self.folder)
            ) as file:  # it has no name on the disk
                for chunk in chunks:
                    file.write(chunk)
                file.seek(0)
                self._objects.write(name, file)
        except OSError as error:
            raise StoreUnavailable(self.folder, error.strerror or error) from error

    def _healing(self, name: str, stamp: Stamp, heal: Heal | None) -> Heal:
        def heal_after_removal() -> Trace:
            self._remove(name, stamp, "a checksum does not match")
            if heal is None:
                raise DamagedTrace(self._objects.address(name), "a part of it is not what was written")
            return heal()

        return heal_after_removal

    def _remove(self, name: str, stamp: Stamp, problem: object) -> None:
        """Remove an object found to be bad, unless its name has another by now."""
        logger.warning("Removed %s: %s", self._objects.address(name), problem)
        if self._objects.stamp(name) == stamp:
            self._objects.remove(name)


class ObjectRecipes:
    """The texts of long links in the same bucket, under the keys of `recipes.RecipeStore`."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def put(self, text: str, *, secret: str) -> str:
        """Keep a text; its key. secret: of all servers. Raises: RecipeTooLarge, ObjectStoreUnavailable."""
        content = recipe_content(text)
        key = recipe_key(content, secret)
        self._objects.write(f"recipes/{key}", content)  # again too, so that the bucket's rules count it as new
        return key

    def get(self, key: str) -> str:
        """The text of a key that came from anywhere. Raises: RecipeGone, ObjectStoreUnavailable."""
        stamp = self._objects.stamp(f"recipes/{key}") if KEY.fullmatch(key) else None
        part = self._objects.read(f"recipes/{key}", 0, stamp.size_bytes) if stamp and stamp.size_bytes else None
        if stamp is None:
            raise RecipeGone(key)
        try:
            return part.content.decode() if part else ""
        except UnicodeDecodeError as error:
            raise RecipeGone(key) from error

    def clear(self) -> None:
        """Remove all of them. Raises: ObjectStoreUnavailable."""
        self._objects.remove_all("recipes")

    def totals(self) -> tuple[int, int]:
        """How many there are, and their bytes; at most the first ten thousand."""
        sizes = [size for _, size in islice(self._objects.listed("recipes"), N_COUNTED)]
        return len(sizes), sum(sizes)
