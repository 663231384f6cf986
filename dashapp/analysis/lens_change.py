"""What the logit lens says of two prompts: at every layer and aligned token, how far the two distributions are apart.

Of each pair of distributions a few numbers are kept, for all of them would be gigabytes; `jobs.lens_map` does it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final

import numpy as np

from dashapp.analysis.lens_map import row_sums, shifted_logits, softmax_of
from dashapp.analysis.logit_lens import Scale
from dashapp.errors import OtherSizes
from dashapp.traces.record import Trace

ROWS: Final = 32  # pairs of tokens at a time: 26 MB of probabilities in the 124M shape

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LensChange:
    """The lens after each layer at pairs of tokens that stand for each other: all [layer pair].

    js_bits: float32, the Jensen–Shannon divergence of both distributions, 0..1. top_a, top_b: int32, the likeliest
    tokens, of equals the one with the lowest id; prob_a, prob_b: float32, their probabilities, each in its prompt.
    """

    js_bits: np.ndarray
    top_a: np.ndarray
    top_b: np.ndarray
    prob_a: np.ndarray
    prob_b: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """The change as arrays, to be kept."""
        return asdict(self)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> LensChange:
        """The change that `arrays` gave."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def lens_change(
    a: Trace, b: Trace, pairs: np.ndarray, *, scale: Scale, progress: Progress = lambda share: None
) -> LensChange:
    """The lens (nostalgebraist 2020) of both prompts and their divergence (Lin 1991, equation 4.1).

    pairs: int64 [2 pair], as `aligned_pairs` has them. Sums are of float32 over the vocabulary: 1e-5 bits. What is
    equal in both is 0 exactly. progress: told the share that is done; may raise to end it.
    Raises: OtherSizes, WeightsMissing.
    """
    for what in ("n_layer", "d_vocab"):
        sizes = [getattr(trace.config, what) for trace in (a, b)]
        if sizes[0] != sizes[1]:
            raise OtherSizes("layers" if what == "n_layer" else "tokens in the vocabulary", *sizes)
    n_layer, n_pairs = a.config.n_layer, pairs.shape[1]
    starts = range(0, n_pairs, ROWS)
    rows: list[list[dict[str, np.ndarray]]] = []
    for layer in range(n_layer):
        rows.append([])
        for i, start in enumerate(starts):
            some = pairs[:, start : start + ROWS]
            rows[-1].append(_told(a, b, some, 2 * layer + 2, scale))
            progress((layer * len(starts) + i + 1) / (n_layer * len(starts)))
    names = [field.name for field in fields(LensChange)]
    return LensChange(
        **{name: np.stack([np.concatenate([part[name] for part in layer]) for layer in rows]) for name in names}
    )


def _told(a: Trace, b: Trace, pairs: np.ndarray, point: int, scale: Scale) -> dict[str, np.ndarray]:
    """What is kept of some pairs at a point of the stream."""
    p, q = (
        softmax_of(shifted_logits(trace, point, where, scale)[0])[0] for trace, where in zip((a, b), pairs, strict=True)
    )
    rows = np.arange(len(p))
    told: dict[str, np.ndarray] = {}
    for slot, probs in (("a", p), ("b", q)):
        top = probs.argmax(axis=1)
        told |= {f"top_{slot}": top.astype(np.int32), f"prob_{slot}": probs[rows, top]}
    return told | {"js_bits": _js_bits(p, q)}


def _js_bits(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen–Shannon divergence of rows of probabilities, float32 [row]: H((p + q) / 2) − (H(p) + H(q)) / 2."""
    middle = (p + q) * np.float32(0.5)
    nats = (_negative_entropy(p) + _negative_entropy(q)) / 2 - _negative_entropy(middle)
    bits: np.ndarray = np.clip(nats / math.log(2), 0, 1).astype(np.float32)
    return bits


def _negative_entropy(probs: np.ndarray) -> np.ndarray:
    """Σ p ln p of each row: float64 [row]."""
    logs = np.log(np.maximum(probs, np.finfo(np.float32).tiny))
    logs *= probs
    return row_sums(logs)
