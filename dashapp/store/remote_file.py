"""A safetensors file in an object store: its header is fetched once, and of its tensors only what is read.

What was fetched is kept on this machine's disk, in a `FileCache` under a size limit, named for the object's version: a
copy of a version that is no more is never read. Knows layouts, ranges and copies; knows nothing of traces.
"""

from __future__ import annotations

import hashlib
import io
import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

import numpy as np

from dashapp.errors import DamagedFile, StoreError
from dashapp.model.tensorfile import DTYPES, TensorEntry, TensorLayout, widen_bfloat16
from dashapp.store.files import FileCache
from dashapp.store.objects import Objects, Stamp

logger = logging.getLogger(__name__)

FIRST_BYTES: Final = 16_384  # the header of a trace takes 4,096, and its checksums and other small tensors follow
IN_MEMORY_BYTES: Final = 64 * 10**6  # of one file; who reads all of it needs each part once, and copies are on the disk
N_REMEMBERED: Final = 256  # beginnings of files, at most 4 MB together

Range = tuple[int, int]


class Copies:
    """What of an object store lies on this machine: beginnings of files in memory, ranges of them on the disk."""

    def __init__(self, objects: Objects, files: FileCache, *, limit_bytes: int) -> None:
        self.objects, self.files, self.limit_bytes = objects, files, limit_bytes
        self._beginnings: OrderedDict[tuple[str, str], tuple[TensorLayout, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def beginning(self, name: str, stamp: Stamp) -> tuple[TensorLayout, bytes]:
        """The layout of a version of a file, and its first bytes. Raises: DamagedFile, ObjectStoreUnavailable."""
        place = name, stamp.etag
        with self._lock:
            if place in self._beginnings:
                self._beginnings.move_to_end(place)
                return self._beginnings[place]
        content = self._first_bytes(name, stamp)
        found = TensorLayout.read(self.objects.address(name), io.BytesIO(content), stamp.size_bytes), content
        with self._lock:
            self._beginnings[place] = found
            while len(self._beginnings) > N_REMEMBERED:
                self._beginnings.popitem(last=False)
        return found

    def forget_beginning(self, name: str, stamp: Stamp) -> None:
        """Fetch the header again the next time."""
        with self._lock:
            self._beginnings.pop((name, stamp.etag), None)

    def content(self, name: str, stamp: Stamp, span: Range) -> bytes:
        """The bytes `start..stop` of a version of a file: the copy that is here, or fetched and kept.

        Raises: DamagedFile when that version is no more; ObjectStoreUnavailable.
        """
        start, stop = span
        kept = self._kept(name, stamp, span)
        if kept is not None:
            return kept
        content = self._fetched(name, stamp, start, stop)
        key = _key(name, stamp, span)
        try:
            self.files.put(key, lambda: [content], size_bytes=len(content), limit_bytes=self.limit_bytes)
        except StoreError as error:  # who reads has what was asked for
            logger.warning("A copy of %s could not be kept. %s", self.objects.address(name), error)
        return content

    def drop(self, name: str, stamp: Stamp, span: Range) -> None:
        """Fetch a range again the next time."""
        try:
            self.files.discard(_key(name, stamp, span))
        except StoreError as error:
            logger.warning("A damaged copy of %s could not be removed. %s", self.objects.address(name), error)

    def _kept(self, name: str, stamp: Stamp, span: Range) -> bytes | None:
        path = self.files.find(_key(name, stamp, span))
        try:
            content = path.read_bytes() if path else None
        except OSError:  # evicted this very moment, or unreadable
            return None
        return content if content is not None and len(content) == span[1] - span[0] else None

    def _first_bytes(self, name: str, stamp: Stamp) -> bytes:
        content = self._fetched(name, stamp, 0, min(FIRST_BYTES, stamp.size_bytes))
        n_header = 8 + int.from_bytes(content[:8], "little")
        if len(content) < n_header <= stamp.size_bytes:
            content += self._fetched(name, stamp, len(content), n_header)
        return content

    def _fetched(self, name: str, stamp: Stamp, start: int, stop: int) -> bytes:
        part = self.objects.read(name, start, stop, etag=stamp.etag) if stop > start else None
        if part is None or len(part.content) != stop - start:
            raise DamagedFile(self.objects.address(name), "it is no longer what it was")
        return part.content


class RemoteFile:
    """One version of a safetensors file, read as `tensorfile.Tensors` says. Raises: DamagedFile when it is none."""

    def __init__(self, copies: Copies, name: str, stamp: Stamp) -> None:
        self._copies, self._name, self._stamp = copies, name, stamp
        self.path = copies.objects.address(name)
        self._layout, self._first = copies.beginning(name, stamp)
        self._arrays: OrderedDict[tuple[str, int | None], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        self._again: set[tuple[str, int | None]] = set()

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._layout.metadata

    @property
    def entries(self) -> Mapping[str, TensorEntry]:
        return self._layout.entries

    def array(self, name: str, index: int | None = None) -> np.ndarray:
        """A tensor, or a slice of it, which is all that is fetched. Raises: DamagedFile, ObjectStoreUnavailable."""
        place = name, index
        with self._lock:
            array = self._arrays.pop(place, None)
        if array is None:
            array = self._read(name, index)
        with self._lock:
            self._arrays[place] = array
            while len(self._arrays) > 1 and sum(each.nbytes for each in self._arrays.values()) > IN_MEMORY_BYTES:
                self._arrays.popitem(last=False)
        return array

    def is_whole(self) -> bool:
        """Yes: what is read was fetched whole."""
        return True

    def fetch_again(self, name: str, index: int | None) -> bool:
        """Give up the copy of a part, once; a part that is damaged again is so in the object store."""
        if (name, index) in self._again:
            return False
        self._again.add((name, index))
        with self._lock:
            self._arrays.pop((name, index), None)
        self._copies.drop(self._name, self._stamp, self._span(name, index))
        return True

    def give_up_copies(self) -> None:
        """Give up the copies of all that was read."""
        for name, index in list(self._arrays):
            self.fetch_again(name, index)
        self._copies.forget_beginning(self._name, self._stamp)

    def _read(self, name: str, index: int | None) -> np.ndarray:
        start, stop = span = self._span(name, index)
        entry = self.entries[name]
        shape = entry.shape if index is None else entry.shape[1:]
        if start == stop:
            return np.empty(shape, DTYPES[entry.code])
        is_first = stop <= len(self._first)
        content = self._first[start:stop] if is_first else self._copies.content(self._name, self._stamp, span)
        array = np.frombuffer(content, dtype=np.uint8).view(DTYPES[entry.code]).reshape(shape)
        return widen_bfloat16(array) if entry.code == "BF16" else array

    def _span(self, name: str, index: int | None) -> Range:
        """Where a tensor or its slice lies in the file."""
        entry, start = self.entries[name], self._layout.data_start
        if index is None:
            return start + entry.start, start + entry.stop
        n_bytes = (entry.stop - entry.start) // entry.shape[0]
        first = start + entry.start + index * n_bytes
        return first, first + n_bytes


def _key(name: str, stamp: Stamp, span: Range) -> str:
    return hashlib.sha256(f"{name}\n{stamp.etag}\n{span[0]}-{span[1]}".encode()).hexdigest()
