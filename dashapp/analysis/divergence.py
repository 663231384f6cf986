"""How far two next-token distributions are from each other, over the whole vocabulary. Knows traces; runs nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from dashapp.model.sampling import largest
from dashapp.traces.record import Trace

Run = TypeVar("Run")  # whatever names one


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """What separates the distributions a and b, in bits; all are 0 for two that are equal, and never below.

    js: the Jensen–Shannon divergence, 0..1, the same both ways. a_from_b: Kullback–Leibler D(a‖b), what a person loses
    a token who expects b while a is true; b_from_a: D(b‖a). The last two have no upper bound.
    """

    js: float
    a_from_b: float
    b_from_a: float


def next_token_divergence(a: Trace, pos_a: int, b: Trace, pos_b: int) -> Divergence:
    """Between what a model expects after one token of a and what a model expects after one of b.

    The logits are recomputed in float32 from the stored residual stream; from there on it is float64. Rounding of the
    logits by 1e-6 leaves about 1e-12 bits between what should be equal.
    Raises: WeightsMissing. ValueError where the vocabularies are not of one size.
    """
    if a.config.d_vocab != b.config.d_vocab:
        raise ValueError(f"vocabularies of {a.config.d_vocab:,} and {b.config.d_vocab:,} tokens cannot be compared")
    return divergence(a.logits_at(pos_a), b.logits_at(pos_b))


def divergence(a: np.ndarray, b: np.ndarray) -> Divergence:
    """Between softmax of the logits a and of b: [d_vocab] each.

    Kullback & Leibler 1951; Lin 1991, Divergence measures based on the Shannon entropy, equation 4.1: the mean of how
    far each is from the middle between them.
    """
    log_a, log_b = log_softmax(a), log_softmax(b)
    log_middle = np.logaddexp(log_a, log_b) - math.log(2)
    js = (_relative_entropy(log_a, log_middle) + _relative_entropy(log_b, log_middle)) / 2
    return Divergence(
        js=min(js, 1.0),  # sums of 50,257 terms round past it by 1e-15
        a_from_b=_relative_entropy(log_a, log_b),
        b_from_a=_relative_entropy(log_b, log_a),
    )


def _relative_entropy(log_p: np.ndarray, log_q: np.ndarray) -> float:
    """Σ p log₂(p / q) of logs of probabilities."""
    return max(0.0, float((np.exp(log_p) * (log_p - log_q)).sum()) / math.log(2))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities, float64 [d_vocab], of the logits [d_vocab] of one distribution."""
    shifted = logits.astype(np.float64) - float(logits.max())
    return shifted - math.log(float(np.exp(shifted).sum()))


def likeliest_in_any(logits: Mapping[Run, np.ndarray], n: int) -> tuple[np.ndarray, dict[Run, np.ndarray]]:
    """The n tokens that are likeliest in any of some runs, and their probabilities in each: int64 [n], float64 [n].

    logits: [d_vocab] of each run. A token counts by the highest of its probabilities.
    """
    probs = {run: np.exp(log_softmax(each)) for run, each in logits.items()}
    ids = largest(np.max([*probs.values()], axis=0), n)
    return ids, {run: each[ids] for run, each in probs.items()}
