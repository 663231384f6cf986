"""The logit lens of a whole text, in a job's process."""

from __future__ import annotations

import numpy as np

from dashapp.analysis.lens_map import Progress, lens_map
from dashapp.analysis.logit_lens import Scale
from dashapp.errors import WeightsMissing
from dashapp.model.opened import Models
from dashapp.traces.record import Trace


def lens_of_trace(trace: Trace, progress: Progress, *, scale: Scale, target: int | None) -> dict[str, np.ndarray]:
    """`LensMap.arrays` of a trace, by its own weights. Raises: WeightsMissing."""
    from dashapp.jobs import warm  # it loads the model when it is imported: only a job's process may

    return lens_arrays(trace, progress, scale=scale, target=target, models=warm.models)


def lens_arrays(
    trace: Trace, progress: Progress, *, scale: Scale, target: int | None, models: Models
) -> dict[str, np.ndarray]:
    """The same with the weights of these models. Raises: WeightsMissing."""
    weights = models.of(trace.fingerprint, name=trace.model_name)
    if weights is None:
        raise WeightsMissing(trace.model_name, trace.fingerprint, "they are not on this machine")
    return lens_map(trace.use_weights(weights), scale=scale, target=target, progress=progress).arrays()
