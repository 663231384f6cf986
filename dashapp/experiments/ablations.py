"""Ablation of heads as a question and its answer: what stands in their place, and what the model then holds and says.
NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

Mode = Literal["zero", "bias", "mean", "resample"]

MODES: Final[tuple[Mode, ...]] = get_args(Mode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablated:
    """A run without some heads, after the last token of its prompt.

    logits: float32 or float64 [d_vocab]. z: [layer head d_head], what each head brings there before W_O, the ablated
    ones what stands in their place. ln_scale: 1/σ of the final LayerNorm there.
    """

    logits: np.ndarray
    z: np.ndarray
    ln_scale: float

    def arrays(self) -> dict[str, np.ndarray]:
        """The result as arrays, to be kept."""
        return {"logits": self.logits, "z": self.z, "ln_scale": np.array([self.ln_scale])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Ablated:
        """The result that `arrays` gave."""
        return cls(logits=arrays["logits"], z=arrays["z"], ln_scale=float(arrays["ln_scale"][0]))
