"""Is a trace what these weights compute? A trace of unknown origin beside our own of the same tokens, number by number.

Everything that a trace stores is compared, not only what follows from it: activations and statistics as they are, the
favourite tokens and ranks through our own logits, for tokens that are nearly as likely may change places. NumPy only.
Two traces that agree here may still come from other weights that compute the same on this prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from dashapp.traces.names import TENSORS, n_slices, tensor_shapes
from dashapp.traces.record import Trace

# The largest difference that rounding may make, as a share of the largest value of its tensor: other processors add in
# another order. Float32 as for Hugging Face's model; bfloat16 has 8 bits, of which a dozen layers lose three.
TOLERANCE: Final[Mapping[str, float]] = {"float32": 1e-4, "bfloat16": 0.1}
NUMBERS: Final = tuple(name for name, row in TENSORS.items() if row.dtype == np.float32)
POSITIONS_AT_ONCE: Final = 32  # rows of logits: 6 MB of the published vocabulary
STEP: Final = 1 / 255  # of a thumbnail


@dataclass(frozen=True, slots=True, kw_only=True)
class SameTrace:
    """How far a trace is from our own.

    logits: float64 [pos], the largest difference of any logit after each token; logits_scale: our largest logit.
    numbers: float64 [tensor], in the order of `NUMBERS`, the largest difference as a share of the tensor's largest
    value. n_top, n_ranks: favourites and ranks that our logits do not allow. thumbnail: largest difference, 0 to 1.
    """

    dtype: str
    logits: np.ndarray
    logits_scale: float
    numbers: np.ndarray
    n_top: int
    n_ranks: int
    thumbnail: float

    @property
    def tolerance(self) -> float:
        """The largest share of the largest value that a difference may be."""
        return TOLERANCE[self.dtype]

    @property
    def farthest(self) -> str:
        """The tensor that differs most, of those that hold numbers."""
        return NUMBERS[int(np.argmax(self.numbers))]

    @property
    def is_same(self) -> bool:
        """Whether all differences are within the tolerance; a NaN is not."""
        shares = [self.logits.max() / self.logits_scale, self.numbers.max()]
        is_close = all(bool(share <= self.tolerance) for share in shares)
        return is_close and not self.n_top and not self.n_ranks and self.thumbnail <= self.tolerance + 1.5 * STEP

    def arrays(self) -> dict[str, np.ndarray]:
        """The result as arrays, to be kept."""
        place = [*TOLERANCE].index(self.dtype)
        other = np.array([place, self.logits_scale, self.n_top, self.n_ranks, self.thumbnail])
        return {"logits": self.logits, "numbers": self.numbers, "other": other}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> SameTrace:
        """The result that `arrays` gave."""
        place, scale, n_top, n_ranks, thumbnail = (float(value) for value in arrays["other"])
        return cls(
            dtype=[*TOLERANCE][int(place)],
            logits=arrays["logits"],
            logits_scale=scale,
            numbers=arrays["numbers"],
            n_top=int(n_top),
            n_ranks=int(n_ranks),
            thumbnail=thumbnail,
        )


def same_trace(trace: Trace, own: Trace, progress: Callable[[float], None] = lambda share: None) -> SameTrace:
    """A trace beside our own of the same tokens, both with weights at hand. Raises: WeightsMissing."""
    assert np.array_equal(trace.token_ids, own.token_ids), "our own was made from the tokens of the other"
    numbers = np.array([_share(trace, own, name) for name in NUMBERS])
    thumbnail = max(float(np.abs(one.astype(int) - other).max()) for one, other in _pairs(trace, own, "thumbnails"))
    logits, scale = np.empty(trace.n_tokens), 0.0
    wrong = np.zeros(2, dtype=int)
    for start in range(0, trace.n_tokens, POSITIONS_AT_ONCE):
        where = slice(start, start + POSITIONS_AT_ONCE)
        ours = own.logits_in(where)
        logits[where] = np.abs(trace.logits_in(where) - ours).max(axis=-1)
        scale = max(scale, float(np.abs(ours).max()))
        wrong += _n_impossible(trace, own, ours, start)
        progress(min(1.0, (start + POSITIONS_AT_ONCE) / trace.n_tokens))
    n_top, n_ranks = (int(n) for n in wrong)
    return SameTrace(
        dtype=own.dtype,
        logits=logits,
        logits_scale=scale,
        numbers=numbers,
        n_top=n_top,
        n_ranks=n_ranks,
        thumbnail=thumbnail * STEP,
    )


def _pairs(trace: Trace, own: Trace, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    n_parts = n_slices(name, tensor_shapes(own.config, own.n_tokens)[name])
    parts = range(n_parts) if n_parts > 1 else [None]
    return [(trace.read(name, part), own.read(name, part)) for part in parts]


def _share(trace: Trace, own: Trace, name: str) -> float:
    """The largest difference of a tensor as a share of its largest value; of an activation slice by slice."""
    shares = [0.0]
    first = 1 if name == "logprob" else 0  # NaN for the first token
    for theirs, ours in _pairs(trace, own, name):
        if len(ours) > first:
            difference = float(np.abs(theirs[first:] - ours[first:]).max())
            shares.append(difference / max(float(np.abs(ours[first:]).max()), 1.0))
    return max(shares)


def _n_impossible(trace: Trace, own: Trace, ours: np.ndarray, start: int) -> tuple[int, int]:
    """How many favourites and ranks of some tokens our logits [pos d_vocab] do not give, rounding allowed for."""
    allowed = TOLERANCE[own.dtype] * max(float(np.abs(ours).max()), 1.0)
    where = slice(start, start + len(ours))
    favourites = np.take_along_axis(ours, trace.read("top_ids")[where], axis=-1) - own.read("logsumexp")[where, None]
    n_top = int((np.abs(favourites - trace.read("top_logprobs")[where]) > 2 * allowed).sum())
    rank, n_ranks = trace.read("rank"), 0
    for pos in range(start + 1, min(start + len(ours), trace.n_tokens - 1) + 1):  # told by the logits before it
        row = ours[pos - 1 - start]
        logit = row[trace.token_ids[pos]]
        n_ranks += not int((row > logit + allowed).sum()) <= rank[pos] <= int((row > logit - allowed).sum())
    return n_top, n_ranks
