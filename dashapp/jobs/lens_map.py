"""The logit lens of a whole text, or of two texts, in a job's process."""

from __future__ import annotations

import numpy as np

from dashapp.analysis.alignment import Pins, align
from dashapp.analysis.changes import aligned_pairs
from dashapp.analysis.lens_change import lens_change
from dashapp.analysis.lens_map import LensMap, Progress, SoFar, lens_map
from dashapp.analysis.logit_lens import Scale
from dashapp.errors import TraceGone, WeightsMissing
from dashapp.jobs.works import Progress as WorkProgress
from dashapp.model.opened import Models
from dashapp.store.contract import find_trace
from dashapp.traces.record import Trace


def lens_of_trace(trace: Trace, progress: WorkProgress, *, scale: Scale, target: int | None) -> dict[str, np.ndarray]:
    """`LensMap.arrays` of a trace, by its own weights; shown row by row as they come. Raises: WeightsMissing."""
    from dashapp.jobs import warm  # it loads the model when it is imported: only a job's process may

    def so_far(found: LensMap) -> None:
        progress.show(found.arrays())

    return lens_arrays(trace, progress, scale=scale, target=target, models=warm.models, so_far=so_far)


def lens_arrays(
    trace: Trace,
    progress: Progress,
    *,
    scale: Scale,
    target: int | None,
    models: Models,
    so_far: SoFar = lambda found: None,
) -> dict[str, np.ndarray]:
    """`LensMap.arrays` of a trace with the weights of these models; so_far as in `lens_map`. Raises: WeightsMissing."""
    return lens_map(_readable(trace, models), scale=scale, target=target, progress=progress, so_far=so_far).arrays()


def lens_change_of_traces(
    trace: Trace, progress: Progress, *, other: str, scale: Scale, pins: str = ""
) -> dict[str, np.ndarray]:
    """`LensChange.arrays` of a trace and another one, whose key is `other`. pins: as `Pins.read` takes them.

    Raises: TraceGone, WeightsMissing, OtherSizes, BadPins.
    """
    from dashapp.jobs import warm

    found = find_trace(warm.ready_store(), other)
    if found is None:
        raise TraceGone
    return change_arrays(trace, found, progress, scale=scale, pins=pins, models=warm.models)


def change_arrays(
    trace: Trace, other: Trace, progress: Progress, *, scale: Scale, models: Models, pins: str = ""
) -> dict[str, np.ndarray]:
    """The same of two traces with the weights of these models."""
    pairs = aligned_pairs(align(trace.token_ids, other.token_ids, Pins.read(pins)))
    a, b = (_readable(each, models) for each in (trace, other))
    return lens_change(a, b, pairs, scale=scale, progress=progress).arrays()


def _readable(trace: Trace, models: Models) -> Trace:
    """A trace that can read its model's weights. Raises: WeightsMissing."""
    weights = models.of(trace.fingerprint, name=trace.model_name)
    if weights is None:
        raise WeightsMissing(trace.model_name, trace.fingerprint, "they are not on this machine")
    return trace.use_weights(weights)
