"""One computation per key, however many ask, in however many processes of a machine. Knows keys; knows nothing of jobs.

A lock is flock on a file named for the key: the kernel lets go of it when its process dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dashapp.errors import StoreUnavailable
from dashapp.store.folders import private_folder

POLL_S: Final = 0.05  # a waiter looks so often, instead of sleeping in the kernel where it could not be cancelled
SUFFIX: Final = ".lock"


@contextmanager
def locked(folder: Path, key: str, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a key; one holder at a time among all threads and processes.

    while_waiting: called about 20 times a second as long as another holds it; what it raises ends the waiting.
    """
    path = folder / f"{key}{SUFFIX}"
    while (descriptor := _try_lock(path)) is None:
        while_waiting()
        time.sleep(POLL_S)
    try:
        yield
    finally:
        _unlock(path, descriptor)


def remove_abandoned(folder: Path) -> int:
    """Remove the lock files of processes that died; how many. Those that are held stay."""
    n_removed = 0
    for path in folder.glob(f"*{SUFFIX}"):
        descriptor = _try_lock(path)
        if descriptor is not None:
            _unlock(path, descriptor)
            n_removed += 1
    return n_removed


def _try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock, or None while another does. Raises: StoreUnavailable."""
    try:
        private_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreUnavailable(path.parent, error.strerror or error) from error
    is_held = False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The holder before us may have removed the file between our opening and locking it: that lock locks nothing.
        is_held = _is_at(path, descriptor)
    except BlockingIOError:
        pass
    finally:
        if not is_held:
            os.close(descriptor)
    return descriptor if is_held else None


def _unlock(path: Path, descriptor: int) -> None:
    if _is_at(path, descriptor):  # not if the folder was deleted meanwhile and the name is another's by now
        path.unlink(missing_ok=True)  # while it is locked, so that nobody else can be holding it
    os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
