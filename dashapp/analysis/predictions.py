"""What the model expected at each token: the distribution over the next one, and how surprising each token was.

Reads what the tracing job kept at each position; runs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dashapp.traces.record import Trace


@dataclass(frozen=True, slots=True)
class NextToken:
    """The model's expectation after one token.

    pos: the token it follows. ids: int32 [top], most likely first; probs: float64 [top]. tail: what all other tokens
    together hold, so that probs and tail sum to 1. entropy_bits: of the whole distribution.
    actual: the id of the token that came, None after the last; actual_prob, actual_rank: its probability and how many
    tokens were more likely.
    """

    pos: int
    ids: np.ndarray
    probs: np.ndarray
    tail: float
    n_others: int
    entropy_bits: float
    actual: int | None
    actual_prob: float
    actual_rank: int


@dataclass(frozen=True, slots=True)
class Surprisals:
    """How surprising each token was to the model: bits [pos] = −log2 of its probability given those before it.

    NaN for the first token, for which there is no expectation. mean_bits: over the others; perplexity = 2 to that.
    """

    bits: np.ndarray
    ranks: np.ndarray
    mean_bits: float

    def mean_over(self, first: int, end: int) -> float:
        """Mean bits of the tokens from `first` up to, not with, `end`; the first of all has none. NaN for no token."""
        counted = self.bits[max(1, first) : end]
        return float(counted.mean()) if len(counted) else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMeasures:
    """Each token by the prediction in whose place it stands: that after the token before. Nothing for the first.

    logprobs: float32 [pos], of the token, nats; entropies: float32 [pos], of that prediction, nats; both NaN for the
    first. ranks: int32 [pos], how many tokens were likelier; −1 for the first. other_ids: int32 [pos − 1 other], the
    likeliest in the place of tokens 1, 2, …, most likely first, the token itself among them where it belongs;
    other_probs: float64, their probabilities.
    """

    logprobs: np.ndarray
    entropies: np.ndarray
    ranks: np.ndarray
    other_ids: np.ndarray
    other_probs: np.ndarray


def next_token(trace: Trace, pos: int) -> NextToken:
    """The distribution over the token after `pos`, from the stored top predictions."""
    probs = np.exp(trace.read("top_logprobs")[pos].astype(np.float64))
    follows = pos + 1 < trace.n_tokens
    return NextToken(
        pos=pos,
        ids=trace.read("top_ids")[pos],
        probs=probs,
        tail=max(0.0, 1.0 - float(probs.sum())),  # rounding of float32 log-probabilities may pass 1 by 1e-6
        n_others=trace.config.d_vocab - len(probs),
        entropy_bits=float(trace.read("entropy")[pos]) / math.log(2),
        actual=int(trace.token_ids[pos + 1]) if follows else None,
        actual_prob=math.exp(float(trace.read("logprob")[pos + 1])) if follows else math.nan,
        actual_rank=int(trace.read("rank")[pos + 1]) if follows else -1,
    )


def token_measures(trace: Trace, *, n_others: int = 5) -> TokenMeasures:
    """Probability, rank, entropy and alternatives of every token, from what the trace stores."""
    entropies = np.full(trace.n_tokens, np.nan, dtype=np.float32)
    entropies[1:] = trace.read("entropy")[:-1]
    return TokenMeasures(
        logprobs=trace.read("logprob"),
        entropies=entropies,
        ranks=trace.read("rank"),
        other_ids=trace.read("top_ids")[:-1, :n_others],
        other_probs=np.exp(trace.read("top_logprobs")[:-1, :n_others].astype(np.float64)),
    )


def surprisals(trace: Trace) -> Surprisals:
    """Surprisal of each token of a trace."""
    bits = -trace.read("logprob").astype(np.float64) / math.log(2)
    mean_bits = float(bits[1:].mean()) if len(bits) > 1 else math.nan
    return Surprisals(bits=bits, ranks=trace.read("rank"), mean_bits=mean_bits)
