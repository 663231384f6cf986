"""The logit lens of a whole text: at every token and every point of the residual stream.

All its logits would be gigabytes, so they are computed some tokens and one point at a time, and of each distribution a
few numbers are kept. That takes as long as `d_vocab` demands: `jobs.lens_map` does it. With the normaliser kept, the
probability of any token costs one product a state, and is told at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Final

import numpy as np

from dashapp.analysis.logit_lens import Scale, final_norm
from dashapp.traces.record import Trace

ROWS: Final = 64  # tokens at a time: 13 MB of logits in the 124M shape

Progress = Callable[[float], None]
Tokens = slice | np.ndarray  # some positions


@dataclass(frozen=True, slots=True, kw_only=True)
class LensMap:
    """The lens at every token, through every point of the stream, embeddings first: all [point pos] but `followed`.

    top_ids: int32, the likeliest token, of equals the one with the lowest id; top_logprobs: float32, in nats.
    entropy_bits: float32. kl_bits: float32, how far the last point's distribution is from this one's, KL(last ‖ point).
    logsumexp: float32, log Σ exp of the logits. followed: int32 [pos], the token whose `ranks` are told: int32, how
    many tokens are likelier.
    """

    top_ids: np.ndarray
    top_logprobs: np.ndarray
    entropy_bits: np.ndarray
    kl_bits: np.ndarray
    logsumexp: np.ndarray
    ranks: np.ndarray
    followed: np.ndarray

    @property
    def settles_at(self) -> np.ndarray:
        """The first point from which on the likeliest token is the last point's: int [pos]."""
        differs = self.top_ids != self.top_ids[-1]  # [point pos]
        n_point = len(differs)
        return np.where(differs.any(axis=0), n_point - np.argmax(differs[::-1], axis=0), 0)

    def arrays(self) -> dict[str, np.ndarray]:
        """The map as arrays, to be kept."""
        return asdict(self)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> LensMap:
        """The map that `arrays` gave."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def lens_map(trace: Trace, *, scale: Scale, target: int | None, progress: Progress = lambda share: None) -> LensMap:
    """The lens at every token and point, some tokens and one point at a time.

    target: the token whose ranks are told, everywhere; None for each token's own likeliest next one at the last point.
    progress: told the share that is done; may raise to end it. Raises: WeightsMissing.
    """
    starts = range(0, trace.n_tokens, ROWS)
    blocks = []
    for i, start in enumerate(starts):
        where = slice(start, min(start + ROWS, trace.n_tokens))
        blocks.append(_block(trace, where, scale, target, partial(_part_done, progress, i, len(starts))))
    names = [field.name for field in fields(LensMap)]
    return LensMap(**{name: np.concatenate([block[name] for block in blocks], axis=-1) for name in names})


def _part_done(progress: Progress, i: int, n: int, share: float) -> None:
    """Tell the share of the whole when a share of the ith of n parts is done."""
    progress((i + share) / n)


def _block(trace: Trace, where: slice, scale: Scale, target: int | None, progress: Progress) -> dict[str, np.ndarray]:
    """The map at some tokens."""
    n_point = 2 * trace.config.n_layer + 1
    last, _highest = shifted_logits(trace, n_point - 1, where, scale)
    followed = (last.argmax(axis=1) if target is None else np.full(len(last), target)).astype(np.int32)
    probs, log_total = softmax_of(last)
    last_entropy = log_total - row_sums(probs * last)
    rows = []
    for point in range(n_point):
        rows.append(_told(*shifted_logits(trace, point, where, scale), followed, probs, last_entropy))
        progress((point + 1) / n_point)
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]} | {"followed": followed}


def logprobs_of(trace: Trace, found: LensMap, tokens: np.ndarray, *, scale: Scale) -> np.ndarray:
    """Log-probability in nats of a token of one's choice, `tokens` [pos] after each: float64 [point pos].

    scale: that of `found`. Raises: WeightsMissing.
    """
    table = trace.weights.float32("wte.weight", dtype=trace.dtype)
    readers = np.stack([table[token] for token in tokens]).astype(np.float64)  # [pos d_model]
    whole = slice(0, trace.n_tokens)
    logits = np.stack(
        [
            np.einsum("pd,pd->p", _normed(trace, point, whole, scale), readers)
            for point in range(2 * trace.config.n_layer + 1)
        ]
    )
    return np.minimum(logits - found.logsumexp, 0.0)


def _told(
    logits: np.ndarray, highest: np.ndarray, followed: np.ndarray, last: np.ndarray, last_entropy: np.ndarray
) -> dict[str, np.ndarray]:
    """A row of the map: logits [pos d_vocab] less the highest of each token; last: probabilities at the last point."""
    probs, log_total = softmax_of(logits)
    rows = np.arange(len(logits))
    entropy = log_total - row_sums(probs * logits)
    divergence = log_total - row_sums(last * logits) - last_entropy  # Σ p ln p − Σ p (logit − ln Σ exp)
    return {
        "top_ids": logits.argmax(axis=1).astype(np.int32),
        "top_logprobs": (-log_total).astype(np.float32),
        "entropy_bits": (np.maximum(0.0, entropy) / math.log(2)).astype(np.float32),
        "kl_bits": (np.maximum(0.0, divergence) / math.log(2)).astype(np.float32),
        "logsumexp": (highest + log_total).astype(np.float32),
        "ranks": (logits > logits[rows, followed][:, None]).sum(axis=1, dtype=np.int32),
    }


def softmax_of(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, float32 [pos d_vocab], of logits of which the highest is 0; log Σ exp of these, float64 [pos]."""
    weights = np.exp(logits)
    totals = row_sums(weights)
    weights /= totals[:, None].astype(np.float32)
    return weights, np.log(totals)


def row_sums(values: np.ndarray) -> np.ndarray:
    """Sums over the vocabulary, float64 [pos]: NumPy adds a row pairwise, to the seventh digit."""
    return values.sum(axis=1).astype(np.float64)


def shifted_logits(trace: Trace, point: int, where: Tokens, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """The lens's logits at some tokens less the highest of each, float32 [pos d_vocab], and the highest, float64 [pos].

    Those of published models lie around −100: near 0 the sums above keep their digits.
    """
    logits = trace.unembedded(_normed(trace, point, where, scale))
    highest = logits.max(axis=1)
    logits -= highest[:, None]
    return logits, highest.astype(np.float64)


def _normed(trace: Trace, point: int, where: Tokens, scale: Scale) -> np.ndarray:
    """States of some tokens through the final LayerNorm: float64 [pos d_model]."""
    states = trace.read("resid", point)[where].astype(np.float64)
    return final_norm(trace, states, trace.read("ln_scale", -1)[where] if scale == "frozen" else None)
