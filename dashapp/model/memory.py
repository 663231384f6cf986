"""How much memory a model needs and how much is free. Torch-free; knows sizes, nothing of models' contents."""

from __future__ import annotations

from pathlib import Path

import psutil

from dashapp.errors import ModelTooLarge, UnsupportedDtype

BYTES_PER_PARAMETER = {"float64": 8, "float32": 4, "bfloat16": 2}
WORKING_BYTES = 200_000_000  # torch's own pages and the activations of a short prompt; a long one needs more

# How PyTorch's allocators say what Python calls a MemoryError: on a processor, and on a GPU.
TORCH_REFUSALS = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")
GPU_REFUSAL = "out of memory"


def memory_needed(n_params: int, dtype: str) -> int:
    """Bytes that a model takes while it runs: its parameters in `dtype`, and room to work. Raises: UnsupportedDtype."""
    if dtype not in BYTES_PER_PARAMETER:
        raise UnsupportedDtype(dtype, "it is none of these")
    return n_params * BYTES_PER_PARAMETER[dtype] + WORKING_BYTES


def refuse_too_large(name: str, n_params: int, dtype: str, *, available_bytes: int) -> None:
    """Raises: ModelTooLarge, with both numbers, when a model does not fit."""
    needed_bytes = memory_needed(n_params, dtype)
    if needed_bytes > available_bytes:
        raise ModelTooLarge(name, needed_bytes, available_bytes)


def available_memory(*, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that this process can still take: the machine's, or what its control groups leave when that is less.

    `proc` and `cgroups` are where Linux shows them; elsewhere there are none and the machine's number counts.
    """
    return min([int(psutil.virtual_memory().available), *_left_by_groups(proc, cgroups)])


def _left_by_groups(proc: Path, cgroups: Path) -> list[int]:
    """What each control group with a limit, from the process's own up to the root, leaves free."""
    lefts: list[int] = []
    for line in (_text(proc / "self" / "cgroup") or "").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            base, files = cgroups, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = cgroups / "memory"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        own = base / group.lstrip("/")
        lefts += [left for each in (own, *own.parents) if each.is_relative_to(base) for left in _left(each, *files)]
    return lefts


def _left(folder: Path, limit_file: str, usage_file: str, cache_row: str) -> list[int]:
    """What one control group leaves: its limit less what is in use, where file pages that can go are not in use."""
    limit, usage = _text(folder / limit_file), _text(folder / usage_file)
    if limit is None or usage is None or limit == "max":
        return []
    rows = dict(row.split(" ", 1) for row in (_text(folder / "memory.stat") or "").splitlines())
    return [max(0, int(limit) - int(usage) + int(rows.get(cache_row, 0)))]


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return None


def is_refused_memory(error: Exception) -> bool:
    """Whether an error says that memory was refused."""
    return (
        is_refused_by_gpu(error) or isinstance(error, MemoryError) or any(each in str(error) for each in TORCH_REFUSALS)
    )


def is_refused_by_gpu(error: Exception) -> bool:
    """Whether it says that of a GPU's."""
    return not isinstance(error, MemoryError) and GPU_REFUSAL in str(error)
