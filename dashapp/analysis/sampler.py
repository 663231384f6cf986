"""The sampler laid open: what each of its steps leaves of the vocabulary after one token, and where a draw falls.

All steps are asked of `model.sampling`, the one sampler; no model runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dashapp.model.sampling import SamplingSettings, candidates, draw, random_numbers
from dashapp.traces.record import Trace

Fate = Literal["kept", "top-p", "top-k", "temperature"]  # the step that a token does not pass; temperature only at 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerSteps:
    """The whole vocabulary at each step, most likely first, of equal logits the lowest id first.

    ids: int64 [d_vocab]; logits: float32 [d_vocab]; probs, tempered: float64 [d_vocab], softmax at temperature 1 and at
    that of the settings (at 0: all of it on the first). final: float64 [n_top_p], what is drawn with.
    n_tempered, n_top_k, n_top_p: how many tokens pass each step; they are always the first so many.
    came: the place in this order of the token that followed, None after the last. hit: that of the token on which a
    random number falls; None where there is no number.
    """

    settings: SamplingSettings
    ids: np.ndarray
    logits: np.ndarray
    probs: np.ndarray
    tempered: np.ndarray
    final: np.ndarray
    n_tempered: int
    n_top_k: int
    n_top_p: int
    came: int | None
    hit: int | None = None

    def fate(self, place: int) -> Fate:
        """What becomes of the token in a place of the order."""
        return next(fate for fate, end in self.fates if place < end)

    @property
    def fates(self) -> tuple[tuple[Fate, int], ...]:
        """Each fate with the place at which it ends, in the order of the vocabulary."""
        ends = self.n_top_p, self.n_top_k, self.n_tempered, len(self.ids)
        return ("kept", ends[0]), ("top-p", ends[1]), ("top-k", ends[2]), ("temperature", ends[3])


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerRow:
    """One token, or several that share a fate, through the steps.

    n: how many tokens. token: the id of one, None of several. place: of the first in the order. came: it followed.
    hit: the random number falls on it. logit: of one, NaN of
    several. prob, tempered: before the cuts, together; after a cut that they pass, `tempered` is what they still hold.
    final: the probability to be drawn, 0 where cut. interval: the random numbers in [0, 1) that draw one; None of
    several and of what is cut.
    """

    n: int
    token: int | None
    place: int
    came: bool
    hit: bool
    fate: Fate
    logit: float
    prob: float
    tempered: float
    final: float
    interval: tuple[float, float] | None


def sampler_steps(trace: Trace, pos: int, settings: SamplingSettings, *, u: float | None = None) -> SamplerSteps:
    """The sampler's steps after the token `pos`, from the trace's logits. u: see `steps_of`. Raises: WeightsMissing."""
    followed = int(trace.token_ids[pos + 1]) if pos + 1 < trace.n_tokens else None
    return steps_of(trace.logits_at(pos), settings, followed=followed, u=u)


def number_drawn(seed: int, n: int) -> float:
    """The random number in [0, 1) that draws the nth token of a run, n from 0; the same that its `RunStep.u` holds.

    A run takes one number for each token, so the seed alone tells all of them, of a run that was stopped too.
    """
    return float(random_numbers(seed).random(n + 1)[n])


def steps_of(
    logits: np.ndarray, settings: SamplingSettings, *, followed: int | None = None, u: float | None = None
) -> SamplerSteps:
    """The sampler's steps for logits [d_vocab].

    followed: the id of the token that came. u: a random number in [0, 1) that draws one of what is left.
    """
    model = candidates(logits, SamplingSettings())
    warm = candidates(logits, replace(settings, top_k=0, top_p=1.0))
    tempered = np.zeros(len(model.ids))
    tempered[: len(warm.ids)] = warm.probs
    left = candidates(logits, settings)
    return SamplerSteps(
        settings=settings,
        ids=model.ids,
        logits=logits[model.ids],
        probs=model.probs,
        tempered=tempered,
        final=left.probs,
        n_tempered=len(warm.ids),
        n_top_k=len(candidates(logits, replace(settings, top_p=1.0)).ids) if settings.top_k else len(warm.ids),
        n_top_p=len(left.ids),
        came=None if followed is None else int(np.flatnonzero(model.ids == followed)[0]),
        hit=None if u is None else int(np.flatnonzero(model.ids == draw(left, u))[0]),
    )


def sampler_rows(steps: SamplerSteps, *, n_first: int) -> list[SamplerRow]:
    """The whole vocabulary: the first tokens, the one that came and the one that is hit in rows of their own, the
    others in one a fate.

    Rows of one fate stand together, in the order of the fates.
    """
    ends_of_draws = np.cumsum(steps.final)
    rows, start = [], 0
    for _, end in steps.fates:
        alone = list(range(start, min(end, n_first)))
        special = {place for place in (steps.came, steps.hit) if place is not None}
        alone += sorted(place for place in special if max(start, n_first) <= place < end)
        rows += [_one(steps, place, ends_of_draws) for place in alone]
        others = np.setdiff1d(np.arange(start, end), alone)
        if len(others):
            rows.append(_several(steps, others))
        start = end
    return rows


def _one(steps: SamplerSteps, place: int, ends_of_draws: np.ndarray) -> SamplerRow:
    is_kept = place < steps.n_top_p
    before = float(ends_of_draws[place - 1]) if 0 < place <= steps.n_top_p else 0.0
    return SamplerRow(
        n=1,
        token=int(steps.ids[place]),
        place=place,
        came=place == steps.came,
        hit=place == steps.hit,
        fate=steps.fate(place),
        logit=float(steps.logits[place]),
        prob=float(steps.probs[place]),
        tempered=float(steps.tempered[place]),
        final=float(steps.final[place]) if is_kept else 0.0,
        interval=(before, float(ends_of_draws[place])) if is_kept else None,
    )


def _several(steps: SamplerSteps, places: np.ndarray) -> SamplerRow:
    fate = steps.fate(int(places[0]))
    return SamplerRow(
        n=len(places),
        token=None,
        place=int(places[0]),
        came=False,
        hit=False,
        fate=fate,
        logit=np.nan,
        prob=float(steps.probs[places].sum()),
        tempered=float(steps.tempered[places].sum()),
        final=float(steps.final[places].sum()) if fate == "kept" else 0.0,
        interval=None,
    )
