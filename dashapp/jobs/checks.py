"""All checks of a trace and its weights, in a job's process."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dashapp.errors import WeightsMissing
from dashapp.experiments.checking import check
from dashapp.experiments.checks import Depth
from dashapp.jobs.parity import N_MODELS
from dashapp.model.memory import available_memory, refuse_too_large
from dashapp.model.opened import Models
from dashapp.traces.record import Trace

Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work


def check_trace(trace: Trace, progress: Progress, *, depth: Depth) -> dict[str, np.ndarray]:
    """`Checks.arrays` for a trace and its own weights. Raises: as `check_among`."""
    from dashapp.jobs import warm  # it loads the model when it is imported: only a job's process may

    return check_among(trace, progress, depth=depth, models=warm.models)


def check_among(trace: Trace, progress: Progress, *, depth: Depth, models: Models) -> dict[str, np.ndarray]:
    """The same among these models. Raises: WeightsMissing, ModelTooLarge, TransformersMissing."""
    weights = models.of(trace.fingerprint, name=trace.model_name)
    if weights is None:
        raise WeightsMissing(trace.model_name, trace.fingerprint, "they are not on this machine")
    n_params = (N_MODELS if depth == "all" else 1) * weights.config.n_params
    refuse_too_large(trace.model_name, n_params, "float32", available_bytes=available_memory())
    return check(weights, trace, progress, depth=depth).arrays()
