"""Rows of one table: what was measured, beside what is wanted. Knows numbers and text."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from benchmarks.interleaved import Spread

CPU_FACTS = Path("/proc/cpuinfo")
START, END = "<!-- measured: written by `{by}` -->", "<!-- end of what `{by}` writes -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line. what: the work; beside: what it is compared with; value: the ratio (or a number with its `unit`).

    target: the number to reach, None where there is none; better: on which side of it.
    """

    what: str
    beside: str
    value: Spread
    unit: str = "×"
    target: float | None = None
    better: Literal["below", "above"] = "below"

    @property
    def is_reached(self) -> bool | None:
        """Whether the median is on the target's good side; None without a target."""
        if self.target is None:
            return None
        return self.value.median <= self.target if self.better == "below" else self.value.median >= self.target


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | beside | median | least – largest | target | reached |", "|---|---|---|---|---|---|"]
    for row in rows:
        value, bound = row.value, {"below": "at most", "above": "at least"}[row.better]
        target = "" if row.target is None else f"{bound} {row.target:g} {row.unit}"
        reached = {None: "", True: "yes", False: "no"}[row.is_reached]
        spread = f"{value.least:.3g} – {value.largest:.3g}"
        lines.append(f"| {row.what} | {row.beside} | {value.median:.3g} {row.unit} | {spread} | {target} | {reached} |")
    return "\n".join(lines)


def machine() -> str:
    """The day, the machine and how busy it is, as the beginning of a sentence."""
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {_processor()}, {os.cpu_count()} cores, load average {load:.1f} at the end, "
        f"Python {platform.python_version()}"
    )


def engine_machine(n_threads: int, clock: str) -> str:
    """One sentence that names the machine, the versions and how was timed."""
    import torch  # the page that knows only numbers need not wait for it
    import transformers

    clocks = {"wall": "wall-clock time", "cpu": "processor time"}
    return (
        f"{machine()}, {n_threads} thread{'s' if n_threads > 1 else ''}, {clocks[clock]}, "
        f"{torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}."
    )


def write_into(page: Path, text: str, *, by: str = "make bench") -> None:
    """Put `text` between the page's two marks for what a command writes. Raises: ValueError when it has none."""
    first, last = (mark.format(by=by) for mark in (START, END))
    before, start, rest = page.read_text(encoding="utf-8").partition(first)
    _, end, after = rest.partition(last)
    if not start or not end:
        raise ValueError(f"{page} has no place for measurements: it needs the lines {first!r} and {last!r}")
    page.write_text(f"{before}{first}\n\n{text}\n\n{last}{after}", encoding="utf-8")


def _processor() -> str:
    if CPU_FACTS.exists():
        for line in CPU_FACTS.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
