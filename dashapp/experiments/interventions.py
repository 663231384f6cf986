"""Interventions in a trace's run by its model: patching from another prompt, all cells or one, and ablation.

Each takes a question as a work has it, in lists and words, and gives the arrays that a work keeps. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dashapp.analysis.alignment import Pins
from dashapp.experiments.ablation import ablate as ablate_parts
from dashapp.experiments.ablations import Mode, parts_in
from dashapp.experiments.cells import Cell
from dashapp.experiments.estimate import estimate
from dashapp.experiments.one_cell import patch_cell
from dashapp.experiments.patching import sweep
from dashapp.experiments.sweeps import Places, Site
from dashapp.model.examples import reference_prompts
from dashapp.model.gpt2 import GPT2
from dashapp.model.memory import is_refused_memory
from dashapp.traces.record import Trace


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
    pins: str = "",
) -> dict[str, np.ndarray]:
    """`Sweep.arrays` of patches into a trace's run by its model, read at the end of both prompts, and under "estimate"
    what gradients foretell of it, if there is memory for them.

    source: token ids of the prompt that activations are taken from. n_target: how many of the trace's tokens are its
    prompt; what was generated after it is left out. pins: as `Pins.read` takes them, of target and source in this
    order. The rest as in `sweep`. Raises: BadPins.
    """
    prompts, asked = _sweep_of(trace, source, n_target, pins, site=site, layer=layer, tokens=tokens)
    found = sweep(model, *prompts, **asked, progress=progress)
    try:
        beside = estimate(model, *prompts, **asked, progress=lambda _: progress(1.0))  # where a job may be stopped
    except (MemoryError, RuntimeError) as error:
        if not is_refused_memory(error):
            raise
        return found.arrays()  # gradients hold every layer's activations, a sweep does not: the exact map stands
    return found.arrays() | {"estimate": beside.values}


def estimate_patches(
    model: GPT2,
    trace: Trace,
    progress: Callable[[float], None],
    *,
    source: Sequence[int],
    n_target: int,
    site: Site,
    layer: int,
    tokens: Sequence[int],
    pins: str = "",
) -> dict[str, np.ndarray]:
    """`Sweep.arrays` of what `patch` would find, to first order (attribution patching); all as `patch` has it."""
    prompts, asked = _sweep_of(trace, source, n_target, pins, site=site, layer=layer, tokens=tokens)
    return estimate(model, *prompts, **asked, progress=progress).arrays()


def _sweep_of(
    trace: Trace, source: Sequence[int], n_target: int, pins: str, *, site: Site, layer: int, tokens: Sequence[int]
) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Any]]:
    """Both prompts' token ids, and how they are patched."""
    source_ids, target_ids = np.array(source, dtype=np.int32), trace.token_ids[:n_target]
    answer, other = tokens
    places = Places.of_ends(source_ids, target_ids, Pins.read(pins))
    return (source_ids, target_ids), {"site": site, "places": places, "tokens": (answer, other), "layer": layer}


def patch_one(
    model: GPT2,
    trace: Trace,
    progress: Callable[[float], None],
    *,
    source: Sequence[int],
    n_target: int,
    cell: Mapping[str, Any],
    pins: str = "",
) -> dict[str, np.ndarray]:
    """`CellPatch.arrays` of one patch. source, n_target, pins: as `patch` has them. cell: the fields of a `Cell`."""
    source_ids, target_ids = np.array(source, dtype=np.int32), trace.token_ids[:n_target]
    places = Places.of_ends(source_ids, target_ids, Pins.read(pins))
    return patch_cell(model, source_ids, target_ids, cell=Cell(**cell), places=places, progress=progress).arrays()


def ablate(
    model: GPT2,
    trace: Trace,
    progress: Callable[[float], None],
    *,
    source: Sequence[int],
    n_target: int,
    parts: Sequence[str],
    mode: Mode,
    is_end_only: bool,
    pins: str = "",
) -> dict[str, np.ndarray]:
    """`Ablated.arrays` of a trace's prompt. source, n_target, pins: as in `patch`. parts: as `parts_in` reads them.

    The rest as in `ablation.ablate`.
    """
    found = ablate_parts(
        model,
        trace.token_ids[:n_target],
        parts_in(" ".join(parts), model.config, n_target),
        mode=mode,
        is_end_only=is_end_only,
        source_ids=np.array(source, dtype=np.int32),
        pins=Pins.read(pins),
        reference=reference_prompts(model.config.n_ctx) if mode == "reference" else (),
        progress=progress,
    )
    return found.arrays()
