"""Rollout and flow of a trace, where they take long. NumPy alone: the model need not run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dashapp.analysis.rollout import attention_flow, rollout
from dashapp.traces.record import Trace

Progress = Callable[[float], None]


def rollout_of_trace(trace: Trace, progress: Progress, *, is_first_out: bool) -> dict[str, np.ndarray]:
    """`rollout` and `mean`: float32 [query key] each."""
    return rollout(trace, is_first_out=is_first_out, progress=progress)


def flow_of_token(trace: Trace, progress: Progress, *, pos: int, is_first_out: bool) -> dict[str, np.ndarray]:
    """`flow`: float64 [pos + 1]."""
    return {"flow": attention_flow(trace, pos, is_first_out=is_first_out, progress=progress)}
