"""A folder of raw files by key: written whole or not at all, the least recently used going first when it is full.

Several threads and processes use one folder at once. What was lost is rebuilt: a folder that was deleted while the app
runs, an index that is no longer a database, a file without a row or a row without a file. A file that somebody has
memory-mapped may be evicted: its bytes live until the last reader lets go. Knows keys, files and limits; knows nothing
of traces.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import diskcache

from dashapp.errors import DamagedTrace, StoreUnavailable, TraceTooLarge
from dashapp.store.folders import claim_folder, new_private_file, private_file, private_folder
from dashapp.store.index import DATABASE, Index, WrittenFile, new_file_name

logger = logging.getLogger(__name__)

Chunks = Callable[[], Iterable[bytes | memoryview]]  # the bytes of a file, from the beginning at each call

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class FileCache:
    """Files by key in one folder: a room of its own (mode 0700) in the folder that a person named.

    Raises StoreUnavailable when the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._reopening = threading.Lock()
        self._index: Index | None = None
        self._identity: tuple[int, int] | None = None
        with self._saying_why():
            self._opened()

    def find(self, key: str) -> Path | None:
        """The file of a key, if it is here; being found counts as use. None, and a line in the log, if unreadable."""
        try:
            with self._saying_why():
                index = self._opened()
                try:
                    return index.find(key)
                except DamagedTrace as error:
                    logger.warning("Removed a row of the cache: %s", error)
                    index.delete(key)
                    return None
        except StoreUnavailable as error:
            logger.warning("The cache cannot be read: %s", error)
            return None

    def put(self, key: str, chunks: Chunks, *, size_bytes: int, limit_bytes: int) -> None:
        """Write a file in pieces and make it the value of a key, evicting others until all fit in `limit_bytes`.

        size_bytes: about how large it will be. Room is made before writing, so that the disk never holds more than the
        limit; and again with the row, so that another writer's file counts.
        Raises: TraceTooLarge, StoreUnavailable; after any error neither row nor file is left.
        """
        if size_bytes > limit_bytes:
            raise TraceTooLarge(size_bytes, limit_bytes)
        with self._saying_why():
            index = self._opened()
            index.make_room(limit_bytes - size_bytes, keep=key)
            try:
                written = self._write(key, chunks)
            except OSError as error:
                # The limit may be more than the disk has: then the oldest files give way to the newest.
                if error.errno not in FULL or not index.give_back(size_bytes, keep=key):
                    raise
                written = self._write(key, chunks)
            try:
                index.record(key, written, limit_bytes=limit_bytes)
            except BaseException:
                index.disk.remove(written.name)
                raise

    def make_room(self, limit_bytes: int) -> None:
        """Evict the least recently used until the rest fit."""
        with self._saying_why():
            self._opened().make_room(limit_bytes)

    def drop(self, key: str, path: Path) -> None:
        """Remove a file found to be bad, unless its key has another by now."""
        with self._saying_why():
            self._opened().drop(key, path)

    def discard(self, key: str) -> None:
        """Remove a key and its file; nothing happens when it is not here."""
        with self._saying_why():
            self._opened().delete(key)

    def clear(self) -> None:
        """Remove every key and its file."""
        with self._saying_why():
            self._opened().clear()

    def totals(self) -> tuple[int, int]:
        """How many files there are, and their bytes."""
        with self._saying_why():
            return self._opened().totals()

    def n_evicted(self) -> int:
        """How many files have had to go for others since the index began."""
        with self._saying_why():
            return self._opened().n_evicted()

    def reconcile(self, *, before: float) -> int:
        """Remove files that a dead writer left `before` a moment, and rows whose file is gone; how many."""
        with self._saying_why():
            return self._opened().reconcile(before=before)

    def close(self) -> None:
        """Close this thread's connection."""
        if self._index is not None:
            self._index.close()

    # Opening, and opening again ------------------------------------------------------------------------------------

    def _opened(self) -> Index:
        """The index of the folder as it is now.

        A connection to a deleted database goes on without a word, writing to nowhere. So each use compares the file
        with the one that was opened. (An old connection keeps its inode from being given to a new file.)
        """
        if self._index is None or self._identity != _identity(self.folder / DATABASE):
            with self._reopening:
                if self._index is None or self._identity != _identity(self.folder / DATABASE):
                    self._reopen()
        assert self._index is not None
        return self._index

    def _reopen(self) -> None:
        self.close()
        claim_folder(self.folder.parent)
        private_folder(self.folder)
        private_file(self.folder / DATABASE)
        identity = _identity(self.folder / DATABASE)
        try:
            self._index = Index(self.folder)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            self._remove_index(error, identity)
            private_file(self.folder / DATABASE)
            self._index = Index(self.folder)
        self._identity = _identity(self.folder / DATABASE)

    def _remove_index(self, error: sqlite3.DatabaseError, identity: tuple[int, int] | None) -> None:
        """Give up an index that is no longer a database; `reconcile` removes its files."""
        logger.warning("The index of the cache in %s was damaged (%s) and is begun anew.", self.folder, error)
        if identity == _identity(self.folder / DATABASE):  # otherwise another process has begun a new one already
            for suffix in ("", "-wal", "-shm"):  # a log left behind would be played into the new database
                (self.folder / f"{DATABASE}{suffix}").unlink(missing_ok=True)

    @contextmanager
    def _saying_why(self) -> Iterator[None]:
        """Turn what stands between us and the disk into StoreUnavailable."""
        try:
            yield
        except diskcache.Timeout as error:
            raise StoreUnavailable(self.folder, "its index is locked or cannot be written") from error
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                self._remove_index(error, self._identity)  # the next use begins a new one
            raise StoreUnavailable(self.folder, error) from error
        except OSError as error:
            raise StoreUnavailable(self.folder, error.strerror or error) from error

    def _write(self, key: str, chunks: Chunks) -> WrittenFile:
        # Not synced: after a power failure a file may be short or blank, which its checksums find when it is read.
        path = self.folder / new_file_name(key)
        descriptor = new_private_file(path)
        try:
            with os.fdopen(descriptor, "wb") as file:
                size_bytes = sum(file.write(chunk) for chunk in chunks())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return WrittenFile(path.name, size_bytes)


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells one file from another that took its name: device and inode; None when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    # Python raises this very class for "not a database" and "malformed", and subclasses for everything else.
    return type(error) is sqlite3.DatabaseError
