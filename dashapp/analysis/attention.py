"""Where heads look: one token's attention in a head or on average, and what each head does over a whole prompt.

A query's row and a key's column of the pattern are linear in the prompt, so they are computed from q, k and the stored
log-sum-exp of each row; no pattern is built. Reads one trace; runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dashapp.traces.record import Trace

Direction = Literal["looks_at", "looked_at_by"]
"""looks_at: the token is the query, a row of the pattern. looked_at_by: it is the key, a column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One head of the model, counted from 0."""

    layer: int
    head: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadScores:
    """What each head does at one query, or on average over a prompt's: float64 [layer head].

    entropy_nats: of a query's row. distance_tokens: how far back it looks. first, previous: weight on the first token
    and on the token before, 0..1. A mean leaves out the first query, which can only look at itself, unless the prompt
    has no other.
    """

    entropy_nats: np.ndarray
    distance_tokens: np.ndarray
    first: np.ndarray
    previous: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAttention:
    """One token's attention to or from every token.

    weights: float64 [pos], 0..1: pos is the key when the token looks, the query when it is looked at. A row sums to 1,
    a column to anything up to the number of queries that can see the token. of: the head, None for the mean over all.
    """

    pos: int
    direction: Direction
    of: Head | None
    weights: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Strongest:
    """The largest weights of one token. positions: int64 [top], largest weight first; weights: float64 [top].

    rest: the sum of all other weights; n_rest: how many tokens that are.
    """

    positions: np.ndarray
    weights: np.ndarray
    rest: float
    n_rest: int


def head_scores(trace: Trace) -> HeadScores:
    """The mean over queries of what the trace keeps of each row (Vig & Belinkov 2019; Xiao et al. 2023)."""
    start = min(1, trace.n_tokens - 1)
    return _scores_at(trace, slice(start, None))


def token_scores(trace: Trace, pos: int) -> HeadScores:
    """The same of one query's row in every head."""
    return _scores_at(trace, slice(pos, pos + 1))


def _scores_at(trace: Trace, queries: slice) -> HeadScores:
    def mean(name: str) -> np.ndarray:
        return trace.read(name)[..., queries].mean(axis=-1, dtype=np.float64)  # [layer head]

    return HeadScores(
        entropy_nats=mean("attn_entropy"),
        distance_tokens=mean("attn_distance"),
        first=mean("attn_first"),
        previous=mean("attn_previous"),
    )


def head_to_begin_with(trace: Trace) -> Head:
    """The head shown before a person selects one: that which looks most at the token before, easily seen to be so."""
    previous = head_scores(trace).previous
    layer, head = np.unravel_index(int(previous.argmax()), previous.shape)
    return Head(layer=int(layer), head=int(head))


def looks_at(trace: Trace, layer: int, pos: int) -> np.ndarray:
    """A query's row in every head of a layer: float64 [head key], sums to 1, zero after `pos`."""
    q, k = trace.read("q", layer), trace.read("k", layer)
    weights = np.zeros(k.shape[:2])  # [head key]
    scores = _scores(k[:, : pos + 1], q[:, pos], trace.config.attn_scale(layer))
    weights[:, : pos + 1] = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def looked_at_by(trace: Trace, layer: int, pos: int) -> np.ndarray:
    """A key's column in every head of a layer: float64 [head query], zero before `pos`.

    exp(score − log Σ exp of the query's row), which the trace keeps in float32: what rounding took from it, some 1e-6
    where scores are about 10, is the relative error of a weight.
    """
    q, k = trace.read("q", layer), trace.read("k", layer)
    weights = np.zeros(q.shape[:2])  # [head query]
    scores = _scores(q[:, pos:], k[:, pos], trace.config.attn_scale(layer))
    weights[:, pos:] = np.exp(scores - trace.read("attn_logsumexp", layer)[:, pos:])
    return np.minimum(weights, 1.0, out=weights)  # a weight of 1 may round to more


def token_attention(trace: Trace, pos: int, *, direction: Direction, of: Head | None) -> TokenAttention:
    """A token's attention in one head, or the mean over all heads of all layers."""
    measure = looks_at if direction == "looks_at" else looked_at_by
    if of is not None:
        weights = measure(trace, of.layer, pos)[of.head]
    else:
        layers = range(trace.config.n_layer)
        weights = sum((measure(trace, layer, pos).mean(axis=0) for layer in layers), np.zeros(trace.n_tokens))
        weights /= trace.config.n_layer
    return TokenAttention(pos=pos, direction=direction, of=of, weights=weights)


def strongest(found: TokenAttention, n: int) -> Strongest:
    """The n largest weights among the tokens that can be seen, or can see: those up to `pos`, or from it on."""
    can = np.arange(found.pos + 1) if found.direction == "looks_at" else np.arange(found.pos, len(found.weights))
    order = can[np.argsort(-found.weights[can], kind="stable")]
    top, others = order[:n], order[n:]
    return Strongest(
        positions=top, weights=found.weights[top], rest=float(found.weights[others].sum()), n_rest=len(others)
    )


def _scores(many: np.ndarray, one: np.ndarray, scale: float) -> np.ndarray:
    """Scaled scores in float64, [head pos], of many vectors [head pos d_head] with one [head d_head].

    The exponential turns a score's absolute error into a weight's relative one, so the sum is not left in float32.
    """
    return np.einsum("hpd,hd->hp", many.astype(np.float64), one.astype(np.float64)) * scale
