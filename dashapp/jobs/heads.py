"""The probe of a trace's own weights, in a job's process. What it finds belongs to the weights, not to the prompt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dashapp.errors import WeightsMissing
from dashapp.experiments.head_probe import probe_heads
from dashapp.model.checkpoint import load_model
from dashapp.model.memory import available_memory, refuse_too_large
from dashapp.model.opened import Models
from dashapp.traces.record import Trace


def probe_of_weights(trace: Trace, progress: Callable[[float], None]) -> dict[str, np.ndarray]:
    """`HeadProbe.arrays` for the weights of a trace, in float32 whatever jobs compute in. Raises: as `probe_among`."""
    from dashapp.jobs import warm  # it loads the model when it is imported: only a job's process may

    return probe_among(trace, progress, models=warm.models)


def probe_among(trace: Trace, progress: Callable[[float], None], *, models: Models) -> dict[str, np.ndarray]:
    """The same among these models. Raises: WeightsMissing, ModelTooLarge."""
    weights = models.of(trace.fingerprint, name=trace.model_name)
    if weights is None:
        raise WeightsMissing(trace.model_name, trace.fingerprint, "they are not on this machine")
    refuse_too_large(trace.model_name, weights.config.n_params, "float32", available_bytes=available_memory())
    return probe_heads(load_model(weights, dtype="float32", device="cpu"), weights, progress=progress).arrays()
