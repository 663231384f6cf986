"""What a job may take: refused memory is told as such, whoever refuses it, and the limit ends with the job."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from dashapp.errors import JobOutOfMemory
from dashapp.jobs.bounds import bounded_memory

LIMIT_BYTES = 100_000_000
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what a process asks for")


@needs_linux
@pytest.mark.parametrize(
    "take",
    [
        lambda n_bytes: torch.zeros(n_bytes, dtype=torch.uint8),
        lambda n_bytes: np.zeros(n_bytes, dtype=np.uint8),
        bytearray,
    ],
    ids=["torch", "numpy", "python"],
)
def test_more_than_the_limit_is_refused_in_words_and_less_is_given(take: Callable[[int], object]) -> None:
    with bounded_memory(LIMIT_BYTES):
        assert take(LIMIT_BYTES // 2) is not None
    with pytest.raises(JobOutOfMemory, match="100 MB"), bounded_memory(LIMIT_BYTES):
        take(2 * LIMIT_BYTES)
    assert take(2 * LIMIT_BYTES) is not None  # the limit is gone with the job


def test_other_errors_pass_and_the_limits_of_before_are_back() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(RuntimeError, match="no such thing"), bounded_memory(None):
        raise RuntimeError("no such thing")
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_gpu_that_is_full_is_told_as_memory_too() -> None:
    with pytest.raises(JobOutOfMemory, match="than the GPU has free") as told, bounded_memory(LIMIT_BYTES):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    assert "DASHAPP_JOB_MEMORY" not in str(told.value)  # which bounds another memory
