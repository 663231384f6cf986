"""The paths of all tokens through the layers, in a job's process: one basis for all states takes a second or more."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dashapp.analysis.layers import paths, states_between_layers
from dashapp.traces.record import Trace


def paths_of_trace(trace: Trace, progress: Callable[[float], None], *, without_first: bool) -> dict[str, np.ndarray]:
    """`points`: float32 [state pos 2], and `shares`: float64 [2], as `layers.paths` finds them."""
    progress(0.0)
    return paths(states_between_layers(trace), without_first=without_first).arrays()
