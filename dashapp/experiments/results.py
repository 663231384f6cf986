"""What experiments find, as numbers: NumPy only, so that what draws and stores them needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

ParityDtype = Literal["float32", "float64"]

# The largest difference that rounding may make, as a share of the largest value: see `docs/numerics.md`. A wrong GELU,
# a missing bias or a variance with n − 1 makes more in either, a wrong epsilon or scale in float64 without any doubt.
PARITY_TOLERANCE: Final[dict[ParityDtype, float]] = {"float32": 1e-4, "float64": 1e-11}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far two computations of the same model are apart on one prompt of n_tokens tokens.

    resid, resid_scale: float64 [place], the largest absolute difference of the residual stream at any token and
    component, and the largest absolute value there; place 0 is the embeddings, then after each layer. pattern:
    float64 [layer], the largest difference of any attention weight. logits, logits_scale: the same of the logits.
    n_same_top: positions at which both hold the same next token for the likeliest. dtype: both computed in.
    seconds: loading the other model and both passes.
    """

    dtype: ParityDtype
    n_tokens: int
    resid: np.ndarray
    resid_scale: np.ndarray
    pattern: np.ndarray
    logits: float
    logits_scale: float
    n_same_top: int
    seconds: float

    @property
    def tolerance(self) -> float:
        """The largest share of the largest value that a difference may be."""
        return PARITY_TOLERANCE[self.dtype]

    @property
    def shares(self) -> dict[str, np.ndarray]:
        """Each difference as a share of the largest value in its place: residual stream, patterns, logits."""
        return {
            "resid": self.resid / self.resid_scale,
            "pattern": self.pattern,  # weights are at most 1
            "logits": np.array([self.logits / self.logits_scale]),
        }

    @property
    def is_same(self) -> bool:
        """Whether all differences are within the tolerance; a NaN is not."""
        return all(bool(np.all(share <= self.tolerance)) for share in self.shares.values())

    def arrays(self) -> dict[str, np.ndarray]:
        """The result as arrays, to be kept."""
        numbers = [self.logits, self.logits_scale, self.seconds]
        return {
            "resid": self.resid,
            "resid_scale": self.resid_scale,
            "pattern": self.pattern,
            "numbers": np.array(numbers),
            "counts": np.array([get_args(ParityDtype).index(self.dtype), self.n_tokens, self.n_same_top]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Parity:
        """The result that `arrays` gave."""
        logits, logits_scale, seconds = (float(number) for number in arrays["numbers"])
        dtype, n_tokens, n_same_top = (int(count) for count in arrays["counts"])
        return cls(
            dtype=get_args(ParityDtype)[dtype],
            n_tokens=n_tokens,
            resid=arrays["resid"],
            resid_scale=arrays["resid_scale"],
            pattern=arrays["pattern"],
            logits=logits,
            logits_scale=logits_scale,
            n_same_top=n_same_top,
            seconds=seconds,
        )
