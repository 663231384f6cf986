"""What differs between two runs: the next token, surprisals, attention, the residual stream, neurons.

Every difference is a − b: above 0 there is more in a, below 0 more in b. Tokens are compared with the ones that stand
for them; tokens without a counterpart are left out. Reads two traces; runs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dashapp.analysis.alignment import NONE, Alignment
from dashapp.analysis.divergence import Divergence, divergence, log_softmax
from dashapp.analysis.predictions import surprisals
from dashapp.errors import OtherSizes
from dashapp.model.sampling import largest
from dashapp.traces.record import Trace

Choice = Literal["change", "likeliest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTokenChange:
    """Some next tokens in both distributions. ids: int64 [token]; in_a, in_b: float64 [token], probabilities.

    apart: the two whole distributions. is_equal: no token's probability differs at all. favourites: the likeliest token
    of a and of b, and its probability there.
    """

    ids: np.ndarray
    in_a: np.ndarray
    in_b: np.ndarray
    apart: Divergence
    is_equal: bool
    favourites: tuple[tuple[int, float], tuple[int, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SurprisalChange:
    """The surprisal of every token of a and of its counterpart. of_a, of_b: float64 [pos of a], bits.

    b_of_a: int32 [pos of a], positions in b. NaN where there is no counterpart, and for the first token of a prompt,
    which nothing stands before. is_same: bool [pos of a], whether the two are one token.
    """

    of_a: np.ndarray
    of_b: np.ndarray
    b_of_a: np.ndarray
    is_same: np.ndarray

    @property
    def differences(self) -> np.ndarray:
        """float64 [pos of a], bits more in a."""
        differences: np.ndarray = self.of_a - self.of_b
        return differences


def aligned_pairs(aligned: Alignment) -> np.ndarray:
    """The pairs in the order of both prompts, int64 [2 pair]: positions in a, positions in b."""
    of_a = np.flatnonzero(aligned.b_of_a != NONE)
    return np.stack([of_a, aligned.b_of_a[of_a].astype(np.int64)])


def next_token_change(a: Trace, pos_a: int, b: Trace, pos_b: int, *, n: int, choice: Choice) -> NextTokenChange:
    """The next tokens that tell what two models expect apart, after one token of a and one of b.

    change: the n whose probability is higher in a by most, most first, then the n of b, most last; tokens that do not
    differ are in neither. likeliest: the 2n that are likeliest in either, as also where no token differs.
    Raises: WeightsMissing, OtherSizes.
    """
    if a.config.d_vocab != b.config.d_vocab:
        raise OtherSizes("tokens in the vocabulary", a.config.d_vocab, b.config.d_vocab)
    logits = a.logits_at(pos_a), b.logits_at(pos_b)
    in_a, in_b = (np.exp(log_softmax(each)) for each in logits)
    more = in_a - in_b
    is_equal = not more.any()
    if is_equal or choice == "likeliest":
        ids = largest(np.maximum(in_a, in_b), 2 * n)
    else:
        gains, losses = largest(more, n), largest(-more, n)[::-1]
        ids = np.concatenate([gains[more[gains] > 0], losses[more[losses] < 0]])
    first_a, first_b = ((int(probs.argmax()), float(probs.max())) for probs in (in_a, in_b))
    return NextTokenChange(
        ids=ids,
        in_a=in_a[ids],
        in_b=in_b[ids],
        apart=divergence(*logits),
        is_equal=is_equal,
        favourites=(first_a, first_b),
    )


def surprisal_change(a: Trace, b: Trace, aligned: Alignment) -> SurprisalChange:
    """How surprising each aligned token was in both runs."""
    of_a, found = surprisals(a).bits.copy(), surprisals(b).bits
    of_b = np.full(a.n_tokens, math.nan)
    pairs = aligned_pairs(aligned)
    of_b[pairs[0]] = found[pairs[1]]
    return SurprisalChange(of_a=of_a, of_b=of_b, b_of_a=aligned.b_of_a, is_same=aligned.is_same)
