"""The logit lens of a whole text: at every token and every point of the residual stream.

All its logits would be gigabytes, so they are computed one point and some tokens at a time, and of each distribution a
few numbers are kept. That takes as long as `d_vocab` demands: `jobs.lens_map` does it. With the normaliser kept, the
probability of any token costs one product a state, and is told at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final

import numpy as np

from dashapp.analysis.logit_lens import Scale, final_norm
from dashapp.traces.record import Trace

ROWS: Final = 64  # tokens at a time: 13 MB of logits in the 124M shape

Progress = Callable[[float], None]
SoFar = Callable[["LensMap"], None]
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

    @property
    def n_missing(self) -> int:
        """How many points, the first ones, are not known yet."""
        return int((self.top_ids[:, 0] < 0).sum())

    def arrays(self) -> dict[str, np.ndarray]:
        """The map as arrays, to be kept."""
        return asdict(self)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> LensMap:
        """The map that `arrays` gave."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def lens_map(
    trace: Trace,
    *,
    scale: Scale,
    target: int | None,
    progress: Progress = lambda share: None,
    so_far: SoFar = lambda found: None,
) -> LensMap:
    """The lens at every token and point, one point at a time from the last to the first, and some tokens of it.

    target: the token whose ranks are told, everywhere; None for each token's own likeliest next one at the last point.
    progress: told the share that is done; may raise to end it. so_far: told the map after each point; where it is not
    known yet ids and ranks are −1 and all else is NaN. Raises: WeightsMissing.
    """
    n_point = 2 * trace.config.n_layer + 1
    parts = [slice(start, min(start + ROWS, trace.n_tokens)) for start in range(0, trace.n_tokens, ROWS)]
    outputs: list[_Output] = []
    rows: list[dict[str, np.ndarray]] = []  # the last point's first
    for point in reversed(range(n_point)):
        told = []
        for i, where in enumerate(parts):
            normed = _normed(trace, point, where, scale)
            logits, highest = _shifted(trace.unembedded(normed))
            if point == n_point - 1:
                outputs.append(_output(trace, logits, target))
            told.append(_told(logits, highest, normed, outputs[i], is_output=point == n_point - 1))
            progress((len(rows) + (i + 1) / len(parts)) / n_point)
        rows.append({name: np.concatenate([part[name] for part in told]) for name in told[0]})
        found = _map_of(rows, n_point, np.concatenate([output.followed for output in outputs]))
        so_far(found)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Output:
    """What the map needs of the last point's distribution p. followed: int32 [pos].

    reader: float64 [pos d_model], Σ p(token) · its embedding: the mean logit of p at any other point is one product
    with the state there, so that p itself, d_vocab numbers a token, need not be kept. mean_logprob: Σ p ln p, [pos].
    """

    followed: np.ndarray
    reader: np.ndarray
    mean_logprob: np.ndarray


def _output(trace: Trace, logits: np.ndarray, target: int | None) -> _Output:
    followed = logits.argmax(axis=1) if target is None else np.full(len(logits), target)
    probs, log_total = softmax_of(logits)
    reader = np.zeros((len(logits), trace.config.d_model))
    for start, rows in trace.embedding_blocks():
        reader += probs[:, start : start + len(rows)] @ rows
    mean_logprob = row_sums(probs * logits) - log_total
    return _Output(followed=followed.astype(np.int32), reader=reader, mean_logprob=mean_logprob)


def _map_of(rows: list[dict[str, np.ndarray]], n_point: int, followed: np.ndarray) -> LensMap:
    """The map of which these rows are known, the last point's first."""
    arrays: dict[str, np.ndarray] = {}
    for name, row in rows[0].items():
        unknown = np.nan if np.issubdtype(row.dtype, np.floating) else -1
        arrays[name] = np.full((n_point, len(row)), unknown, dtype=row.dtype)
        arrays[name][n_point - len(rows) :] = [known[name] for known in reversed(rows)]
    return LensMap(**arrays, followed=followed)


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
    logits: np.ndarray, highest: np.ndarray, normed: np.ndarray, output: _Output, *, is_output: bool
) -> dict[str, np.ndarray]:
    """A row of the map: logits [pos d_vocab] less the highest of each token, of states `normed` [pos d_model]."""
    probs, log_total = softmax_of(logits)
    rows = np.arange(len(logits))
    logsumexp = highest + log_total
    entropy = log_total - row_sums(probs * logits)
    mean_logit = np.einsum("pd,pd->p", output.reader, normed)
    divergence = np.zeros(len(logits)) if is_output else output.mean_logprob - mean_logit + logsumexp
    return {
        "top_ids": logits.argmax(axis=1).astype(np.int32),
        "top_logprobs": (-log_total).astype(np.float32),
        "entropy_bits": (np.maximum(0.0, entropy) / math.log(2)).astype(np.float32),
        "kl_bits": (np.maximum(0.0, divergence) / math.log(2)).astype(np.float32),
        "logsumexp": logsumexp.astype(np.float32),
        "ranks": (logits > logits[rows, output.followed][:, None]).sum(axis=1, dtype=np.int32),
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
    return _shifted(trace.unembedded(_normed(trace, point, where, scale)))


def _shifted(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    highest = logits.max(axis=1)
    logits -= highest[:, None]
    return logits, highest.astype(np.float64)


def _normed(trace: Trace, point: int, where: Tokens, scale: Scale) -> np.ndarray:
    """States of some tokens through the final LayerNorm: float64 [pos d_model]."""
    states = trace.read("resid", point)[where].astype(np.float64)
    return final_norm(trace, states, trace.read("ln_scale", -1)[where] if scale == "frozen" else None)
