"""Interventions in a trace's run, in a job's process: patching from another prompt, all cells or one; ablation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dashapp.errors import WeightsMissing
from dashapp.experiments.ablation import ablate_heads
from dashapp.experiments.ablations import Mode
from dashapp.experiments.cells import Cell
from dashapp.experiments.one_cell import patch_cell
from dashapp.experiments.patching import sweep
from dashapp.experiments.sweeps import Places, Site
from dashapp.model.checkpoint import weights_of
from dashapp.model.gpt2 import GPT2
from dashapp.traces.record import Trace


def patch_trace(trace: Trace, progress: Callable[[float], None], **question: object) -> dict[str, np.ndarray]:
    """`Sweep.arrays` of patches into a trace's run, by its own model. question: of `patch`. Raises: as `model_of`."""
    return patch(model_of(trace), trace, progress, **question)  # type: ignore[arg-type]


def patch(
    model: GPT2,
    trace: Trace,
    progress: Callable[[float], None],
    *,
    source: Sequence[int],
    n_target: int,
    site: Site,
    layer: int,
    tokens: Sequence[int],
) -> dict[str, np.ndarray]:
    """The same by a model, read at the end of both prompts.

    source: token ids of the prompt that activations are taken from. n_target: how many of the trace's tokens are its
    prompt; what was generated after it is left out. The rest as in `sweep`.
    """
    source_ids, target_ids = np.array(source, dtype=np.int32), trace.token_ids[:n_target]
    answer, other = tokens
    found = sweep(
        model,
        source_ids,
        target_ids,
        site=site,
        places=Places.of_ends(source_ids, target_ids),
        tokens=(answer, other),
        layer=layer,
        progress=progress,
    )
    return found.arrays()


def patch_cell_of_trace(trace: Trace, progress: Callable[[float], None], **question: object) -> dict[str, np.ndarray]:
    """`CellPatch.arrays` of one patch into a trace's run, by its own model. question: of `patch_one`.

    Raises: as `model_of`.
    """
    return patch_one(model_of(trace), trace, progress, **question)  # type: ignore[arg-type]


def patch_one(
    model: GPT2,
    trace: Trace,
    progress: Callable[[float], None],
    *,
    source: Sequence[int],
    n_target: int,
    cell: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """The same by a model. source, n_target: as `patch` has them. cell: the fields of a `Cell`."""
    source_ids, target_ids = np.array(source, dtype=np.int32), trace.token_ids[:n_target]
    places = Places.of_ends(source_ids, target_ids)
    return patch_cell(model, source_ids, target_ids, cell=Cell(**cell), places=places, progress=progress).arrays()


def ablate_trace(trace: Trace, progress: Callable[[float], None], **question: object) -> dict[str, np.ndarray]:
    """`Ablated.arrays` of a trace's prompt, by its own model. question: of `ablate`. Raises: as `model_of`."""
    return ablate(model_of(trace), trace, progress, **question)  # type: ignore[arg-type]


def ablate(
    model: GPT2,
    trace: Trace,
    progress: Callable[[float], None],
    *,
    source: Sequence[int],
    n_target: int,
    layer: int,
    heads: Sequence[int],
    mode: Mode,
    is_end_only: bool,
) -> dict[str, np.ndarray]:
    """The same by a model. source, n_target: as `patch` has them; the rest as `ablate_heads`."""
    found = ablate_heads(
        model,
        trace.token_ids[:n_target],
        layer=layer,
        heads=heads,
        mode=mode,
        is_end_only=is_end_only,
        source_ids=np.array(source, dtype=np.int32),
        progress=progress,
    )
    return found.arrays()


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
