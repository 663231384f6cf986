"""All checks of a trace and its weights: identities, parity, and for GPT-2 small the published numbers. Needs torch."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from dashapp.analysis.heads import GPT2_SMALL_TEXT, has_gpt2_small_shape, is_gpt2_small_loss
from dashapp.analysis.identities import identities
from dashapp.experiments.checks import Applies, Checks, Depth
from dashapp.experiments.head_probe import probe_heads
from dashapp.experiments.parity import parity_of
from dashapp.experiments.reproduction import loss, reproduce, reproduce_patching
from dashapp.model.checkpoint import load_model
from dashapp.model.tokenizer import encode
from dashapp.model.weights import Weights
from dashapp.traces.record import Trace

Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work


def check(weights: Weights, trace: Trace, progress: Progress, *, depth: Depth) -> Checks:
    """All checks of a trace and the weights that made it, in float32 whatever it was computed in.

    The published numbers are computed only where shape and loss are those of GPT-2 small.
    Raises: WeightsMissing, TransformersMissing.
    """
    since, steps = time.monotonic(), _Steps(progress, depth)
    trace.use_weights(weights)
    found = {str(name): np.array(share) for name, share in identities(trace, progress=steps.next(2)).items()}
    if depth == "all":
        parity = parity_of(weights, trace.token_ids, dtype="float32", progress=steps.next(2))
        found |= {f"parity-{kind}": np.array(share.max()) for kind, share in parity.shares.items()}
    applies, loss, values = _published(weights, trace, depth, steps)
    return Checks(
        depth=depth,
        dtype=trace.dtype,
        applies=applies,
        loss=loss,
        seconds=time.monotonic() - since,
        found=found | values,
    )


def _published(
    weights: Weights, trace: Trace, depth: Depth, steps: _Steps
) -> tuple[Applies, float, dict[str, np.ndarray]]:
    """Whether the weights are the published ones, their loss, and if so what they compute."""
    if not has_gpt2_small_shape(trace):
        return "other shape", float("nan"), {}
    model = load_model(weights, dtype="float32", device="cpu")
    greeted = loss(model, encode(GPT2_SMALL_TEXT, bos=True))
    if not is_gpt2_small_loss(greeted):
        return "other loss", greeted, {"hello-loss": np.array(greeted)}
    probe = probe_heads(model, weights, progress=steps.next(2))
    values = reproduce(model, weights, probe, progress=steps.next(1))
    if depth == "all":
        values |= reproduce_patching(model, progress=steps.next(20))
    return "yes", greeted, values


class _Steps:
    """Progress along steps of about these lengths."""

    def __init__(self, progress: Progress, depth: Depth) -> None:
        self._progress, self._whole, self._done = progress, 27 if depth == "all" else 5, 0

    def next(self, length: int) -> Progress:
        """Progress within the next step."""
        start, self._done = self._done, self._done + length
        return lambda share: self._progress((start + share * length) / self._whole)
