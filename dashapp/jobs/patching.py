"""Interventions in a trace's run, in a job's process: patching from another prompt, all cells or one; ablation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dashapp.errors import WeightsMissing
from dashapp.experiments.interventions import ablate, estimate_patches, patch, patch_one
from dashapp.model.checkpoint import weights_of
from dashapp.model.gpt2 import GPT2
from dashapp.traces.record import Trace


def patch_trace(trace: Trace, progress: Callable[[float], None], **question: object) -> dict[str, np.ndarray]:
    """`Sweep.arrays` of patches into a trace's run, by its own model. question: of `patch`. Raises: as `model_of`."""
    return patch(model_of(trace), trace, progress, **question)  # type: ignore[arg-type]


def estimate_trace(trace: Trace, progress: Callable[[float], None], **question: object) -> dict[str, np.ndarray]:
    """`Sweep.arrays` of what `patch_trace` would find, to first order. Raises: as `model_of`."""
    return estimate_patches(model_of(trace), trace, progress, **question)  # type: ignore[arg-type]


def patch_cell_of_trace(trace: Trace, progress: Callable[[float], None], **question: object) -> dict[str, np.ndarray]:
    """`CellPatch.arrays` of one patch into a trace's run, by its own model. question: of `patch_one`.

    Raises: as `model_of`.
    """
    return patch_one(model_of(trace), trace, progress, **question)  # type: ignore[arg-type]


def ablate_trace(trace: Trace, progress: Callable[[float], None], **question: object) -> dict[str, np.ndarray]:
    """`Ablated.arrays` of a trace's prompt, by its own model. question: of `ablate`. Raises: as `model_of`."""
    return ablate(model_of(trace), trace, progress, **question)  # type: ignore[arg-type]


def model_of(trace: Trace) -> GPT2:
    """The model that made a trace, ready in this process. Raises: WeightsMissing, ModelError."""
    from dashapp.jobs import warm  # it loads the model when it is imported: only a job's process may

    return same_model(warm.ready_model(trace.model_name), trace)


def same_model(model: GPT2, trace: Trace) -> GPT2:
    """The model, where it is the one that made the trace: its name may mean other weights by now.

    Raises: WeightsMissing.
    """
    if weights_of(model).fingerprint != trace.fingerprint:
        problem = "the model of that name has other weights now"
        raise WeightsMissing(trace.model_name, trace.fingerprint, problem)
    return model
