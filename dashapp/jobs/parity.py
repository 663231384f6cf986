"""The comparison with Hugging Face's model on a trace's tokens, in a job's process."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dashapp.errors import WeightsMissing
from dashapp.experiments.parity import parity_of
from dashapp.experiments.results import ParityDtype
from dashapp.model.memory import available_memory, refuse_too_large
from dashapp.model.opened import Models
from dashapp.traces.record import Trace

N_MODELS = 2  # ours and Hugging Face's are in memory together


def parity_of_trace(trace: Trace, progress: Callable[[float], None], *, dtype: ParityDtype) -> dict[str, np.ndarray]:
    """`Parity.arrays` for a trace's tokens and its own weights. Raises: as `compare_trace`."""
    from dashapp.jobs import warm  # it loads the model when it is imported: only a job's process may

    return compare_trace(trace, progress, dtype=dtype, models=warm.models)


def compare_trace(
    trace: Trace, progress: Callable[[float], None], *, dtype: ParityDtype, models: Models
) -> dict[str, np.ndarray]:
    """The same among these models. Raises: WeightsMissing, ModelTooLarge, TransformersMissing."""
    weights = models.of(trace.fingerprint, name=trace.model_name)
    if weights is None:
        raise WeightsMissing(trace.model_name, trace.fingerprint, "they are not on this machine")
    n_params = N_MODELS * weights.config.n_params
    refuse_too_large(trace.model_name, n_params, dtype, available_bytes=available_memory())
    return parity_of(weights, trace.token_ids, dtype=dtype, progress=progress).arrays()
