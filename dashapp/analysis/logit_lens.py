"""The logit lens: what the model would say after a token if it stopped at a point of the residual stream.

A state of the stream goes through the final LayerNorm and the unembedding, as only the last one does in the model
(nostalgebraist 2020). Reads one trace, and of the weights the final norm and the token embeddings; runs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dashapp.model.sampling import largest
from dashapp.traces.record import Trace

Scale = Literal["recomputed", "frozen"]
"""recomputed: a state is divided by its own spread, as the model would if it stopped there. frozen: by the spread of
the last state, so that the lens is linear and its steps are what each layer adds (see `attribution`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """The lens at one token, through every point of the stream, embeddings first: 2·n_layer + 1 points.

    top_ids: int32 [point top], likeliest first, equals in the order of their ids; top_probs: float64 [point top].
    entropy_bits: float64 [point]. kl_bits: float64 [point], how far the last point's distribution is from the point's,
    KL(last ‖ point); 0 at the last. settles_at: the first point from which on the likeliest token is the last point's.
    followed: ids asked for; their probs: float64 [followed point], and ranks: int64 [followed point], how many tokens
    are likelier.
    """

    pos: int
    scale: Scale
    top_ids: np.ndarray
    top_probs: np.ndarray
    entropy_bits: np.ndarray
    kl_bits: np.ndarray
    settles_at: int
    followed: tuple[int, ...]
    probs: np.ndarray
    ranks: np.ndarray


def favourite(trace: Trace, pos: int) -> int:
    """The token that the model thinks likeliest after `pos`."""
    return int(trace.read("top_ids")[pos, 0])


def lens_at(trace: Trace, pos: int, *, scale: Scale, follow: Sequence[int] = (), n_top: int = 5) -> Lens:
    """The lens at one token. follow: ids whose probability is told at every point. Raises: WeightsMissing."""
    logits = lens_logits(trace, pos, scale=scale)  # [point d_vocab]
    ranks = [(logits > logits[:, [token]]).sum(axis=1) for token in follow]  # [followed point]
    tops = np.stack([largest(row, n_top) for row in logits]).astype(np.int32)
    logprobs = _log_softmax(logits)
    probs = np.exp(logprobs)
    otherwise = np.flatnonzero(tops[:, 0] != tops[-1, 0])
    return Lens(
        pos=pos,
        scale=scale,
        top_ids=tops,
        top_probs=np.take_along_axis(probs, tops, axis=1),
        entropy_bits=np.maximum(0.0, -np.einsum("pv,pv->p", probs, logprobs)) / math.log(2),
        kl_bits=np.maximum(0.0, _divergences(probs[-1], logprobs)) / math.log(2),
        settles_at=int(otherwise[-1]) + 1 if len(otherwise) else 0,
        followed=tuple(follow),
        probs=probs[:, list(follow)].T,
        ranks=np.array(ranks, dtype=np.int64).reshape(len(follow), len(logits)),
    )


def lens_logits(trace: Trace, pos: int, *, scale: Scale) -> np.ndarray:
    """Logits through the lens at every point of one token: float32 [point d_vocab], the last row the model's own.

    5 MB in the 124M shape. Raises: WeightsMissing.
    """
    points = range(2 * trace.config.n_layer + 1)
    states = np.stack([trace.read("resid", point)[pos] for point in points]).astype(np.float64)  # [point d_model]
    scales = np.full(len(states), trace.read("ln_scale", -1)[pos]) if scale == "frozen" else None
    return trace.unembedded(final_norm(trace, states, scales))


def final_logits(trace: Trace, pos: int) -> np.ndarray:
    """The model's logits after one token, float32 [d_vocab]: the last row of the lens. Raises: WeightsMissing."""
    last = trace.read("resid", -1)[pos : pos + 1].astype(np.float64)
    return trace.unembedded(final_norm(trace, last, trace.read("ln_scale", -1)[pos : pos + 1]))[0]


def final_norm(trace: Trace, states: np.ndarray, scales: np.ndarray | None) -> np.ndarray:
    """States [row d_model] through the final LayerNorm, float64. scales: 1/σ [row], or None for each row's own.

    Raises: WeightsMissing.
    """
    gain, bias = (trace.weights.float32(f"ln_f.{name}", dtype=trace.dtype) for name in ("weight", "bias"))
    centred = states - states.mean(axis=-1, keepdims=True)
    if scales is None:
        variances = np.square(centred).mean(axis=-1, keepdims=True)
        shrink = 1 / np.sqrt(variances + trace.config.layer_norm_epsilon)
    else:
        shrink = scales[:, None].astype(np.float64)
    normed: np.ndarray = centred * shrink * gain + bias
    return normed


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities of each row, float64: in float32 the sum of 50,257 of them is off in the seventh digit."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(axis=-1, keepdims=True))
    return wide


def _divergences(probs: np.ndarray, logprobs: np.ndarray) -> np.ndarray:
    """KL(last ‖ point) in nats, [point]. probs: of the last, [d_vocab]; logprobs: [point d_vocab]."""
    divergences: np.ndarray = (logprobs[-1] - logprobs) @ probs
    return divergences
