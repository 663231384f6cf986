"""One patch as a question and its answer: which activation, and what the model then says. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final

import numpy as np

from dashapp.experiments.sweeps import HEAD_SITES, Site

N_NEW: Final = 20  # tokens of a continuation


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a sweep. pos: of the target, where the site is of a token; head: where it is of a head; else both 0."""

    site: Site
    layer: int
    head: int = 0
    pos: int = 0

    @property
    def is_of_head(self) -> bool:
        return self.site in HEAD_SITES or self.site == "z_pos"

    @property
    def is_of_token(self) -> bool:
        return self.site not in HEAD_SITES


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPatch:
    """What the target run says with one activation of the source run in its place.

    logits: float32 or float64 [d_vocab], after the position that is read. patched, source, target: int32 [token], how
    each of the three runs goes on where the likeliest token is always taken; shorter where the text or the context
    ends. looks, looks_patched: float32 [layer head key], where the last token of the prompt looks in the target run as
    it is, and patched.
    """

    logits: np.ndarray
    patched: np.ndarray
    source: np.ndarray
    target: np.ndarray
    looks: np.ndarray
    looks_patched: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """The result as arrays, to be kept."""
        return asdict(self)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> CellPatch:
        """The result that `arrays` gave."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})
