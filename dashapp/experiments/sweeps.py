"""Activation patching as a question and its answer: where, between which tokens, and what came of it. NumPy only.

`patching` runs the model; what draws, stores, counts and explains needs no torch. The *target* run is the one that is
patched, the *source* run the one that activations are taken from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from dashapp.analysis.alignment import NO_PINS, NONE, Pins, align
from dashapp.experiments.orders import Order

Site = Literal["resid_pre", "attn_out", "mlp_out", "resid_mid", "z", "q", "k", "v", "pattern", "z_pos"]
Metric = Literal["logit_diff", "logprob", "kl"]

SITES: Final[tuple[Site, ...]] = get_args(Site)
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
POSITION_SITES: Final = ("resid_pre", "attn_out", "mlp_out", "resid_mid")  # a row a layer, a column a token
HEAD_SITES: Final = ("z", "q", "k", "v", "pattern")  # a row a layer, a column a head; z_pos: a head, a token

LEAST_GAP: Final = 0.1  # nats between the two runs, below which no share of it is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Which positions of the source run stand for which of the target run, and where both are read.

    source_of: int32 [pos of target], −1 where a token has no counterpart. n_shared: so many tokens both prompts begin
    with that stand for each other; a patch among them puts in what is there already. read_source, read_target: the
    metric looks at what each run expects after these positions.
    """

    source_of: np.ndarray
    n_shared: int
    read_source: int
    read_target: int

    @classmethod
    def between(
        cls, source: np.ndarray, target: np.ndarray, pins: Pins = NO_PINS, *, read_source: int, read_target: int
    ) -> Places:
        """The places of two prompts' token ids [pos], aligned by what the tokens are.

        pins: what is decided of the alignment, of target and source in this order. Raises: BadPins, as `align`.
        """
        n = min(len(source), len(target))
        source_of = align(target, source, pins).b_of_a
        is_elsewhere = (source_of[:n] != np.arange(n)) & (source_of[:n] != NONE)
        differs = np.flatnonzero((np.asarray(source[:n]) != np.asarray(target[:n])) | is_elsewhere)
        return cls(
            source_of=source_of,
            n_shared=int(differs[0]) if len(differs) else n,
            read_source=read_source,
            read_target=read_target,
        )

    @classmethod
    def of_ends(cls, source: np.ndarray, target: np.ndarray, pins: Pins = NO_PINS) -> Places:
        """The same, where both are read after their last token."""
        return cls.between(source, target, pins, read_source=len(source) - 1, read_target=len(target) - 1)

    @property
    def changing(self) -> np.ndarray:
        """Positions of the target where a patch can change what is read: int64 [place].

        They have a counterpart, lie at or after the first token that differs, and not after the position that is read.
        """
        places = np.arange(self.n_shared, self.read_target + 1)
        return places[self.source_of[places] != NONE]

    @property
    def is_straight(self) -> bool:
        """Whether each position up to the one that is read stands for the same position of the source."""
        return bool(np.array_equal(self.source_of[: self.read_target + 1], np.arange(self.read_target + 1)))

    def check(self, site: Site) -> None:
        """Raise ValueError for a site whose activations do not fit between these prompts: patterns, if not straight."""
        if site == "pattern" and not self.is_straight:
            raise ValueError("a pattern fits only where every token stands in the same place in both prompts")

    @property
    def refused(self) -> np.ndarray:
        """Positions of the target without a counterpart: int64 [place]."""
        return np.flatnonzero(self.source_of == NONE)


def order_of(site: Site, places: Places, *, n_layer: int, n_head: int, d_model: int, d_vocab: int) -> Order:
    """How much a sweep of a site is; of z_pos, in a layer in the middle."""
    changing, read = places.changing, places.read_target
    n_ends = int(read in changing)
    if site in HEAD_SITES:
        depths = [n_layer - layer - 1 for layer in range(n_layer) for _head in range(n_head if len(changing) else 0)]
        lengths = [read - int(changing[0]) + 1] * len(depths) if len(changing) else []
    else:
        rows = [n_layer // 2] * n_head if site == "z_pos" else list(range(n_layer))
        steps = [(n_layer - _entered(site, layer), _starts(site, layer, changing, n_layer, n_ends)) for layer in rows]
        depths = [depth for depth, starts in steps for _start in starts]
        lengths = [read - int(start) + 1 for _depth, starts in steps for start in starts]
        if site in POSITION_SITES and len(changing):  # all positions at once
            depths += [n_layer - _entered(site, layer) for layer in rows]
            lengths += [read - int(changing[0]) + 1] * n_layer
    # A row of a layer takes 12 d_model²; in the last one 3 of them, and the rest is done for the row that is read.
    again = sum(
        12 * (depth - 1) * length + 3 * length + 9 for depth, length in zip(depths, lengths, strict=True) if depth
    )
    whole = 12 * n_layer * (read + 1 + places.read_source + 1)  # both prompts
    return Order(
        n_passes=len(depths) + 2,
        multiplications=d_model**2 * (again + whole) + d_model * d_vocab * (len(depths) + 2),
    )


def _entered(site: Site, layer: int) -> int:
    """The layer that a patched row of the residual stream then enters."""
    return layer if site == "resid_pre" else layer + 1


def _starts(site: Site, layer: int, changing: np.ndarray, n_layer: int, n_ends: int) -> np.ndarray:
    """Where patches in a layer begin to change something: after the last layer, only where the run is read."""
    return changing if _entered(site, layer) < n_layer else changing[len(changing) - n_ends :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What a metric was, in nats, with each patch of a site in turn.

    values: float64 [metric row column]. Rows are layers, or heads for z_pos; columns the target's positions, or heads
    for sites by layer and head. NaN where a position has no counterpart. together: float64 [metric layer], with all
    positions that have one patched at once; empty for other than position sites. source, target: float64 [metric],
    without any patch; what moves from target to source moves the whole way. n_passes: times the model ran on.
    """

    site: Site
    values: np.ndarray
    together: np.ndarray
    source: np.ndarray
    target: np.ndarray
    n_passes: int
    seconds: float

    def is_normalised(self, metric: Metric) -> bool:
        """Whether the runs are far enough apart for shares of their distance."""
        place = METRICS.index(metric)
        return bool(abs(self.source[place] - self.target[place]) >= LEAST_GAP)

    def effects(self, metric: Metric) -> np.ndarray:
        """What each patch moved: float64 [row column], see `effect`."""
        return self._effect(self.values, metric)

    def effects_together(self, metric: Metric) -> np.ndarray:
        """What all positions moved at once: float64 [layer]; empty for other than position sites."""
        return self._effect(self.together, metric) if len(self.together[0]) else self.together[0]

    def _effect(self, values: np.ndarray, metric: Metric) -> np.ndarray:
        place = METRICS.index(metric)
        return effect(values[place], source=float(self.source[place]), target=float(self.target[place]))

    def arrays(self) -> dict[str, np.ndarray]:
        """The result as arrays, to be kept."""
        return {
            "values": self.values,
            "together": self.together,
            "source": self.source,
            "target": self.target,
            "numbers": np.array([SITES.index(self.site), self.n_passes, self.seconds]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Sweep:
        """The result that `arrays` gave."""
        site, n_passes, seconds = (float(number) for number in arrays["numbers"])
        parts = {name: arrays[name] for name in ("values", "together", "source", "target")}
        return cls(site=SITES[int(site)], n_passes=int(n_passes), seconds=seconds, **parts)


def effect(values: np.ndarray, *, source: float, target: float) -> np.ndarray:
    """How far a metric moved from the target run's to the source run's: 0 not at all, 1 the whole way; beyond, too.

    (patched − target) / (source − target); where the two are less than `LEAST_GAP` apart, the difference patched −
    target itself, in nats (Zhang & Nanda 2024, section 2; Wang et al. 2022). Patching a clean run into a corrupted one
    is called denoising and tells what suffices, the other way round noising, which tells what is necessary.
    """
    gap = source - target
    moved: np.ndarray = values - target
    return moved / gap if abs(gap) >= LEAST_GAP else moved


def telling_tokens(source: np.ndarray, target: np.ndarray) -> tuple[int, int]:
    """The token that the source run expects more than the target run, by most, and the reverse.

    source, target: logits [d_vocab]. Where the two expect the same, the favourite and the runner-up.
    """
    gained = _probabilities(source) - _probabilities(target)
    most, least = int(gained.argmax()), int(gained.argmin())
    if most != least:
        return most, least
    second, first = np.argsort(source, kind="stable")[-2:]
    return int(first), int(second)


def _probabilities(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - float(logits.max()))
    probabilities: np.ndarray = shifted / shifted.sum()
    return probabilities
