"""How much memory a job may take: what it asks for beyond that is refused, and the refusal is told in words.

Without a bound the system would end some process of the machine, perhaps the web server, and nobody would know why.
Knows Linux's limits; elsewhere there are none to set, and only the translation of refusals remains.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dashapp.errors import JobOutOfMemory
from dashapp.model.memory import WORKING_BYTES, available_memory, is_refused_by_gpu, is_refused_memory

STATUS: Final = Path("/proc/self/status")


@contextmanager
def bounded_memory(limit_bytes: int | None) -> Iterator[None]:
    """Within, this process may take `limit_bytes` more than it has; None is what the machine has free.

    Counted is memory of the process's own, as it is asked for; mapped files, such as weights, are not.
    Raises: JobOutOfMemory in place of what a refused allocation raises.
    """
    allowed_bytes = limit_bytes or max(WORKING_BYTES, available_memory())
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    held_bytes = _held_bytes()
    if held_bytes is not None:
        bound = held_bytes + allowed_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (bound if hard == resource.RLIM_INFINITY else min(bound, hard), hard))
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_refused_memory(error):
            raise
        raise JobOutOfMemory(None if is_refused_by_gpu(error) else allowed_bytes) from error
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _held_bytes() -> int | None:
    """What the limit would count now; None where it is not told."""
    try:
        rows = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(row.split()[1]) * 1024 for row in rows if row.startswith("VmData:")), None)
