"""The positional embeddings, and what they and the tokens bring to the vectors that enter layer 0.

Reads the weights' tables, and of a trace which tokens stand where; runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashapp.analysis.embeddings import vectors
from dashapp.traces.record import Trace


def position_table(trace: Trace) -> np.ndarray:
    """The embedding of every position that the model has, not only the prompt's: float32 [n_ctx d_model].

    A copy, for published files may start a tensor at any byte, and NumPy is slow with such arrays.
    Raises: WeightsMissing.
    """
    return np.array(trace.weights.float32("wpe.weight", dtype=trace.dtype))


@dataclass(frozen=True, slots=True, kw_only=True)
class SumParts:
    """What makes the squared length of each token's sum: ‖t + p‖² = ‖t‖² + ‖p‖² + 2 t·p.

    token, position, both: float64 [pos], the three terms; both is negative where the two point apart.
    """

    token: np.ndarray
    position: np.ndarray
    both: np.ndarray

    @property
    def whole(self) -> np.ndarray:
        """‖t + p‖²: float64 [pos]."""
        return self.token + self.position + self.both

    @property
    def position_shares(self) -> np.ndarray:
        """‖p‖² / (‖t‖² + ‖p‖²): float64 [pos], 0..1, NaN where both are zero."""
        alone = self.token + self.position
        return np.divide(self.position, alone, out=np.full_like(alone, np.nan), where=alone > 0)


def sum_parts(trace: Trace) -> SumParts:
    """The parts of each token's squared length in the sum of its embeddings, in float64. Raises: WeightsMissing."""
    token, position = (vectors(trace, of).astype(np.float64) for of in ("token", "position"))
    return SumParts(
        token=np.square(token).sum(axis=1),
        position=np.square(position).sum(axis=1),
        both=2 * (token * position).sum(axis=1),
    )
