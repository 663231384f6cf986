"""One computation per key among all machines that share an object store. Knows objects; knows nothing of jobs.

A lock is an object that is written only where there is none, and written anew every few seconds by whoever holds it. A
waiter that has seen no new one for a lease takes it over, in the place of that very version: so a holder that died
costs the others a lease and no more, and no two machines need to agree on the time. Should a holder merely have been
slow, two compute the same; what they write is whole in either case.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from dashapp.errors import ObjectStoreUnavailable
from dashapp.store.objects import Objects, Stamp

logger = logging.getLogger(__name__)

BEAT_S: Final = 3.0
LEASE_S: Final = 12.0  # four beats: a store may be slow for some seconds
LOOK_S: Final = 0.5  # a waiter asks the store so often
POLL_S: Final = 0.05  # and is asked itself so often whether it still waits


@contextmanager
def locked(
    objects: Objects,
    name: str,
    while_waiting: Callable[[], None],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Hold the lock that is the object `name`; one holder at a time among all machines.

    while_waiting: called about 20 times a second as long as another holds it; what it raises ends the waiting.
    Raises: ObjectStoreUnavailable when the lock cannot be asked for.
    """
    held = _Held(objects, name, _wait_for(objects, name, while_waiting, clock))
    beating = threading.Thread(target=held.keep, name="lock", daemon=True)
    beating.start()
    try:
        yield
    finally:
        held.is_over.set()
        beating.join()
        held.let_go()


def _wait_for(objects: Objects, name: str, while_waiting: Callable[[], None], clock: Callable[[], float]) -> Stamp:
    """The lock, once it is ours."""
    seen: Stamp | None = None
    since = clock()
    while True:
        ours = objects.write_if(name, _mark(), etag=None)
        if ours is not None:
            return ours
        theirs = objects.stamp(name)
        if theirs != seen:
            seen, since = theirs, clock()
        elif theirs is not None and clock() - since > LEASE_S:
            ours = objects.write_if(name, _mark(), etag=theirs.etag)
            if ours is not None:
                logger.warning("Took over the lock %s: whoever held it is gone", objects.address(name))
                return ours
        end = clock() + LOOK_S
        while clock() < end:
            while_waiting()
            time.sleep(POLL_S)


@dataclass(slots=True)
class _Held:
    """A lock of ours. stamp: the version that we wrote last; None when another has taken it over."""

    objects: Objects
    name: str
    stamp: Stamp | None
    is_over: threading.Event = field(default_factory=threading.Event)

    def keep(self) -> None:
        """Write it anew until it is over or another's."""
        while self.stamp is not None and not self.is_over.wait(BEAT_S):
            try:
                self.stamp = self.objects.write_if(self.name, _mark(), etag=self.stamp.etag)
            except ObjectStoreUnavailable as error:  # the next beat may reach it
                logger.warning("A lock could not be kept. %s", error)

    def let_go(self) -> None:
        try:
            if self.stamp is not None and self.objects.stamp(self.name) == self.stamp:
                self.objects.remove(self.name)
        except ObjectStoreUnavailable as error:  # its lease ends by itself
            logger.warning("A lock could not be let go. %s", error)


def _mark() -> bytes:
    """What no other version of a lock holds."""
    return secrets.token_hex(16).encode()
