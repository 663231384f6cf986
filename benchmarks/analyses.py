"""The lens of a whole text and a patching sweep, beside the least that they must compute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.engine import Works
from benchmarks.interleaved import Clock, Timings, time_in_turn
from benchmarks.table import Row
from dashapp.analysis.lens_map import lens_map
from dashapp.experiments.patching import ROWS_AT_ONCE, sweep
from dashapp.experiments.sweeps import Places, Site
from dashapp.model.checkpoint import load_model
from dashapp.model.gpt2 import GPT2
from dashapp.model.weights import Weights
from dashapp.traces.capture import capture
from dashapp.traces.record import Trace, trace_metadata

N_LENS, N_SWEEP = 256, 32  # tokens
SITES: Final[tuple[Site, ...]] = ("resid_pre", "resid_mid")


def analysis_rows(folder: Path, *, n_runs: int, clock: Clock) -> Iterator[Row]:
    """Rows of both, for the model in a folder."""
    weights = Weights.open(folder)
    model = load_model(weights, device="cpu")
    yield from lens_rows(time_in_turn(lens_works(trace_of(model, weights, N_LENS)), n_runs=n_runs, clock=clock))
    with torch.inference_mode():
        yield from sweep_rows(time_in_turn(sweep_works(model, N_SWEEP), n_runs=n_runs, clock=clock))


def trace_of(model: GPT2, weights: Weights, n_tokens: int) -> Trace:
    """A trace of random tokens."""
    metadata = trace_metadata(model.config, fingerprint=weights.fingerprint, model="benchmark", dtype="float32")
    return capture(model, ids_of(model, n_tokens, seed=0), metadata).use_weights(weights)


def ids_of(model: GPT2, n_tokens: int, *, seed: int) -> np.ndarray:
    """Random token ids, int32 [pos]."""
    return np.random.default_rng(seed).integers(model.config.d_vocab, size=n_tokens).astype(np.int32)


def lens_works(trace: Trace) -> Works:
    """The lens at every point of the stream, and the products of as many states with the unembedding."""
    states = trace.read("resid", 0).astype(np.float32)
    n_point = 2 * trace.config.n_layer + 1

    def products() -> None:
        for _point in range(n_point):
            trace.unembedded(states)

    return {"lens": lambda: lens_map(trace, scale="recomputed", target=None), "products": products}


def lens_rows(timings: Timings) -> Iterator[Row]:
    yield Row(
        what=f"logit lens of {N_LENS} tokens at every point of the stream",
        beside="its products with the unembedding",
        value=timings.ratio("lens", "products"),
        target=2.0,
    )


def sweep_works(model: GPT2, n_tokens: int) -> Works:
    """Patches of every layer and token at both sites of the residual stream, and as many runs of whole prompts."""
    source, target = (ids_of(model, n_tokens, seed=seed) for seed in (1, 2))
    places = Places.of_ends(source, target)
    n_passes = len(SITES) * model.config.n_layer * (len(places.changing) + 1)  # a layer's tokens together, too
    n_batch = max(1, ROWS_AT_ONCE // n_tokens)
    batch = torch.from_numpy(target.astype(np.int64)).expand(n_batch, -1)

    def sweeps() -> None:
        for site in SITES:
            sweep(model, source, target, site=site, places=places, tokens=(5, 7))

    def in_full() -> None:
        for start in range(0, n_passes, n_batch):
            model.unembed(model.body(batch[: min(n_batch, n_passes - start)])[:, -1])

    return {"sweep": sweeps, "in full": in_full}


def sweep_rows(timings: Timings) -> Iterator[Row]:
    yield Row(
        what=f"every patched run of {N_SWEEP} tokens in full, in batches as large",
        beside="a sweep of the residual stream, both sites, every layer and token",
        value=timings.ratio("in full", "sweep"),
        target=3.0,
        better="above",
    )
