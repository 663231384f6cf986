"""Whether a run that somebody brought as a file is what the weights here compute, in a job's process."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dashapp.analysis.same_trace import same_trace
from dashapp.errors import WeightsMissing
from dashapp.model.checkpoint import load_model
from dashapp.model.memory import available_memory, refuse_too_large
from dashapp.model.opened import Models
from dashapp.traces.capture import capture
from dashapp.traces.record import Trace, trace_metadata

RUN_SHARE = 0.6  # of the time: then all is compared


def check_of_file(trace: Trace, progress: Callable[[float], None]) -> dict[str, np.ndarray]:
    """`SameTrace.arrays` of a trace and our own of its tokens. Raises: as `check_among`."""
    from dashapp.jobs import warm  # it loads the model when it is imported: only a job's process may

    return check_among(trace, progress, models=warm.models)


def check_among(trace: Trace, progress: Callable[[float], None], *, models: Models) -> dict[str, np.ndarray]:
    """The same with the weights of these models. Raises: WeightsMissing, ModelTooLarge."""
    weights = models.of(trace.fingerprint, name=trace.model_name)
    if weights is None or not trace.fits(weights.config):
        raise WeightsMissing(trace.model_name, trace.fingerprint, "they are not on this machine")
    refuse_too_large(weights.name, weights.config.n_params, trace.dtype, available_bytes=available_memory())
    model = load_model(weights, dtype="bfloat16" if trace.dtype == "bfloat16" else "float32", device="cpu")
    named = trace_metadata(weights.config, fingerprint=weights.fingerprint, model=weights.name, dtype=trace.dtype)
    own = capture(model, trace.token_ids, named, weights=weights, progress=lambda share: progress(RUN_SHARE * share))
    trace.use_weights(weights)
    return same_trace(trace, own, lambda share: progress(RUN_SHARE + (1 - RUN_SHARE) * share)).arrays()
