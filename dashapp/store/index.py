"""diskcache narrowed to one question: which raw file holds which key, and which was used last.

Values are the names of files, never objects: diskcache unpickles rows that say so (CVE-2025-69872, no fixed release),
and `RawFiles` refuses to write or read any such row. Evicting is done here too: diskcache's own removes up to ten rows
at a time, by a clock that may jump, and possibly the row just written. Knows rows and file names; knows nothing of
traces.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import diskcache
from diskcache.core import DBNAME, MODE_BINARY, UNKNOWN

from dashapp.errors import DamagedTrace, TraceTooLarge

DATABASE: Final = DBNAME
SUFFIX: Final = ".safetensors"
FILE_NAME: Final = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}\.safetensors")
BUSY_TIMEOUT_S: Final = 10.0  # transactions take milliseconds; a writer of a large file holds none while it writes

# The row of a key becomes the one used last. A count rather than a time, for a clock that was set back would make every
# new trace the oldest; diskcache fills the column with seconds, so the count goes on from there.
USED_LAST: Final = "UPDATE Cache SET access_time = (SELECT MAX(access_time) FROM Cache) + 1 WHERE key = ? AND raw = 1"
OTHERS: Final = "FROM Cache WHERE NOT (key = ? AND raw = 1)"
# A table of one row beside diskcache's own, for most evicting is done by processes of jobs, which end. It is counted in
# the transaction that evicts.
COUNT: Final = "CREATE TABLE IF NOT EXISTS Evicted (id INTEGER PRIMARY KEY CHECK (id = 0), n INTEGER NOT NULL)"
COUNTED: Final = "INSERT INTO Evicted VALUES (0, ?) ON CONFLICT (id) DO UPDATE SET n = n + excluded.n"


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that lies in the folder whole and has no row yet."""

    name: str
    size_bytes: int


class TextKeys(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """diskcache's way to the disk with keys that are text: it would pickle any other."""

    def put(self, key: object) -> tuple[str, bool]:
        if not isinstance(key, str):
            raise TypeError(f"keys are strings, not {type(key).__name__}")
        return key, True

    def get(self, key: object, raw: object) -> str:
        if raw and isinstance(key, str):
            return key
        raise DamagedTrace(Path(self._directory) / DATABASE, "it has a key that is not text")


class RawFiles(TextKeys):
    """Values are `WrittenFile` going in and a path coming out."""

    def store(self, value: object, read: bool, key: object = UNKNOWN) -> tuple[int, int, str, None]:  # noqa: ARG002
        if not isinstance(value, WrittenFile):
            raise TypeError(f"values are files, not {type(value).__name__}")
        return value.size_bytes, MODE_BINARY, value.name, None

    def fetch(self, mode: int, filename: object, value: object, read: bool) -> Path:  # noqa: ARG002
        if mode != MODE_BINARY or not is_file_name(filename):
            raise DamagedTrace(Path(self._directory) / DATABASE, "it has a row that is not a raw file")
        return Path(self._directory) / str(filename)

    def remove(self, file_path: object) -> None:
        # diskcache's own also removes every folder that became empty, upwards without end.
        if is_file_name(file_path):
            with contextlib.suppress(OSError):
                (Path(self._directory) / str(file_path)).unlink()


class Index(diskcache.Cache):  # type: ignore[misc]  # diskcache has no types
    """The table of a folder of raw files. Each thread has a connection; each change is one transaction."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            str(folder),
            timeout=BUSY_TIMEOUT_S,
            disk=RawFiles,
            eviction_policy="least-recently-used",  # for its index on access_time
            cull_limit=0,  # diskcache evicts nothing by itself
            sqlite_mmap_size=0,  # a mapped database that somebody cuts short would kill the process
        )
        self._sql(COUNT)

    def find(self, key: str) -> Path | None:
        """The file of a key, which thereby becomes the one used last. Raises: DamagedTrace for a foreign row."""
        columns = "mode, filename, value, access_time = (SELECT MAX(access_time) FROM Cache)"
        rows = self._sql(f"SELECT {columns} FROM Cache WHERE key = ? AND raw = 1", (key,)).fetchall()
        if not rows:
            return None
        ((mode, filename, value, is_last_used),) = rows
        path: Path = self.disk.fetch(mode, filename, value, read=False)
        if not is_last_used:
            # Reading goes on when the table is busy or the disk is full; only the order of eviction suffers.
            with contextlib.suppress(diskcache.Timeout, sqlite3.OperationalError), self._transact() as (sql, _):
                sql(USED_LAST, (key,))
        return path

    def record(self, key: str, written: WrittenFile, *, limit_bytes: int) -> None:
        """Make a written file the value of a key, evicting what no longer fits with it; all or nothing."""
        if written.size_bytes > limit_bytes:
            raise TraceTooLarge(written.size_bytes, limit_bytes)
        with self._transact() as (sql, remove_later):
            _evict(sql, remove_later, limit_bytes - written.size_bytes, keep=key)
            self.set(key, written)
            sql(USED_LAST, (key,))

    def make_room(self, limit_bytes: int, *, keep: str = "") -> None:
        """Evict the least recently used until the others than `keep` take at most `limit_bytes`."""
        with self._transact() as (sql, remove_later):
            _evict(sql, remove_later, limit_bytes, keep=keep)

    def give_back(self, size_bytes: int, *, keep: str) -> int:
        """Evict the least recently used until the others than `keep` take `size_bytes` less; how many went."""
        with self._transact() as (sql, remove_later):
            return _evict(sql, remove_later, _size_of_others(sql, keep) - size_bytes, keep=keep)

    def drop(self, key: str, path: Path) -> None:
        """Remove a key while it still names this file: another process may have written it anew by now."""
        with self._transact() as (sql, remove_later):
            sql("DELETE FROM Cache WHERE key = ? AND raw = 1 AND filename = ?", (key, path.name))
            remove_later(path.name)

    def totals(self) -> tuple[int, int]:
        """How many files there are, and their bytes."""
        ((n_files, size_bytes),) = self._sql("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM Cache").fetchall()
        return n_files, size_bytes

    def n_evicted(self) -> int:
        """How many files have had to go for others since the table began."""
        rows = self._sql("SELECT n FROM Evicted").fetchall()
        return int(rows[0][0]) if rows else 0

    def reconcile(self, *, before: float) -> int:
        """Remove files without a row that were last written `before` (seconds since 1970), and rows without a file.

        Returns how many were removed. Younger files may belong to a writer that is still at work.
        """
        folder = Path(self.directory)
        with self._transact() as (sql, remove_later):  # no row can appear while files are compared with rows
            present = {path.name for path in folder.glob(f"*{SUFFIX}")}
            rows = {name: rowid for rowid, name in sql("SELECT rowid, filename FROM Cache").fetchall()}
            lost = [rowid for name, rowid in rows.items() if name not in present]
            for rowid in lost:
                sql("DELETE FROM Cache WHERE rowid = ?", (rowid,))
            orphans = [name for name in present - set(rows) if _written_before(folder / name, before)]
            for name in orphans:
                remove_later(name)
        return len(lost) + len(orphans)


def is_file_name(name: object) -> bool:
    """Whether a row's file is one that we name, and so lies in our folder."""
    return isinstance(name, str) and FILE_NAME.fullmatch(name) is not None


def new_file_name(key: str) -> str:
    """A name that no other writer of the same key takes."""
    return f"{key[:16]}-{secrets.token_hex(8)}{SUFFIX}"


def _evict(sql: Callable[..., Any], remove_later: Callable[[str], None], limit_bytes: int, *, keep: str) -> int:
    total, n_evicted = _size_of_others(sql, keep), 0
    while total > max(limit_bytes, 0):
        oldest = f"SELECT rowid, size, filename {OTHERS} ORDER BY access_time, rowid LIMIT 1"
        ((rowid, size, name),) = sql(oldest, (keep,)).fetchall()
        sql("DELETE FROM Cache WHERE rowid = ?", (rowid,))
        remove_later(name)
        total, n_evicted = total - size, n_evicted + 1
    if n_evicted:
        sql(COUNTED, (n_evicted,))
    return n_evicted


def _size_of_others(sql: Callable[..., Any], key: str) -> int:
    ((total,),) = sql(f"SELECT COALESCE(SUM(size), 0) {OTHERS}", (key,)).fetchall()
    return int(total)


def _written_before(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime < moment
    except FileNotFoundError:
        return False
