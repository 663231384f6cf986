"""One head's attention at each stage, from scores to what is moved: raw, masked, softmax, weighted by value norms.

Also without the first token, in which many heads rest what they do not use (Xiao et al. 2023), and the mean over the
heads of a layer. Reads one trace and, for value norms, the weights of the head; runs nothing.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from dashapp.analysis.attention import Head
from dashapp.traces.record import Trace

Stage = Literal["pattern", "scores", "masked", "norms"]
"""pattern: softmax(q·k/√d_head). scores: q·k/√d_head, the future included. masked: the same without it, NaN there.
norms: the pattern weighted by the lengths of what the values write, rows made to sum to 1."""


def head_stage(trace: Trace, of: Head, stage: Stage) -> np.ndarray:
    """One head at a stage: float32 [query key]. Raises: WeightsMissing, for `norms` alone."""
    match stage:
        case "pattern":
            return trace.head_pattern(of.layer, of.head)
        case "scores":
            return _scores(trace, of)
        case "masked":
            scores = _scores(trace, of)
            scores[~np.tri(len(scores), dtype=bool)] = np.nan
            return scores
        case "norms":
            return norm_weighted(trace.head_pattern(of.layer, of.head), value_norms(trace, of))


def value_norms(trace: Trace, of: Head) -> np.ndarray:
    """How long the vector is that a head writes for each token it looks at, ‖(x W_V + b_V) W_O‖: float64 [pos].

    With the head's value bias, as in the paper's f(x), and without b_O, which no token brings (Kobayashi et al. 2020).
    Raises: WeightsMissing.
    """
    written = values_written(trace, of)
    return np.asarray(np.linalg.norm(written, axis=-1))


def values_written(trace: Trace, of: Head) -> np.ndarray:
    """What a head writes into the stream for each token, if it looked at nothing else: float64 [pos d_model]."""
    d_head = trace.config.d_head
    out = trace.weights.float32(f"h.{of.layer}.attn.c_proj.weight", dtype=trace.dtype)
    values = trace.read("v", of.layer)[of.head].astype(np.float64)
    written: np.ndarray = values @ out[of.head * d_head : (of.head + 1) * d_head].astype(np.float64)
    return written


def norm_weighted(pattern: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """A pattern [query key] times the norms of its keys [key], rows made to sum to 1: float32 [query key].

    A row whose values all have no length stays 0.
    """
    return _summing_to_one(pattern * norms).astype(np.float32)


def without_first(pattern: np.ndarray) -> np.ndarray:
    """A pattern [query key] without the first token, rows made to sum to 1 again: float32 [query key].

    NaN in the first row, which has nothing else to look at. A row that rests on the first token in full, as far as
    float32 tells, stays 0.
    """
    kept = np.array(pattern, dtype=np.float64)
    kept[:, 0] = 0
    kept = _summing_to_one(kept)
    kept[0] = np.nan
    return kept.astype(np.float32)


def layer_mean(trace: Trace, layer: int) -> np.ndarray:
    """The mean pattern of a layer's heads: float32 [query key], rows sum to 1."""
    total = trace.head_pattern(layer, 0)
    for head in range(1, trace.config.n_head):
        total += trace.head_pattern(layer, head)
    total /= np.float32(trace.config.n_head)
    return total


def _scores(trace: Trace, of: Head) -> np.ndarray:
    q, k = trace.read("q", of.layer)[of.head], trace.read("k", of.layer)[of.head]
    scores: np.ndarray = q @ k.T * np.float32(trace.config.attn_scale(of.layer))
    return scores


def _summing_to_one(rows: np.ndarray) -> np.ndarray:
    sums = rows.sum(axis=-1, keepdims=True, dtype=np.float64)
    return np.divide(rows, sums, out=np.zeros_like(rows, dtype=np.float64), where=sums > 0)
