"""A pair of tokens: how much every head looks from one to the other, why one head does, and what it would write.

The query is the token that looks, the key the one looked at. Reads one trace and some weights; runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashapp.analysis.attention import Head, looks_at
from dashapp.model.sampling import largest
from dashapp.traces.record import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A token that a head looks at from the chosen one. weight: 0..1."""

    of: Head
    key: int
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The strongest weights from one token over all heads, largest first. rest: the sum of all others of n_head heads;
    n_rest: how many these are."""

    pos: int
    strongest: tuple[Source, ...]
    rest: float
    n_rest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How a query and a key fit in one head. query, key: float64 [d_head]. weight: after the softmax, 0..1.

    products: float64 [d_head], the elementwise product of the two over √d_head, which sums to `score`.
    """

    query: np.ndarray
    key: np.ndarray
    products: np.ndarray
    score: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Writes:
    """What a head would add to the logits after a token if it looked at one key alone, in nats over the mean of all.

    promoted, suppressed: int32 [top], ids, most first; their effects: float64 [top]. target: on a chosen token, over
    another or over the mean. norm: how long the written vector is. All without the value bias, which the head brings
    wherever it looks.
    """

    promoted: np.ndarray
    promoted_by: np.ndarray
    suppressed: np.ndarray
    suppressed_by: np.ndarray
    target: float
    norm: float


def pair_weights(trace: Trace, pos: int, key: int) -> np.ndarray:
    """How much each head looks from `pos` at `key`: float64 [layer head], 0 where the key is later."""
    return np.stack([looks_at(trace, layer, pos)[:, key] for layer in range(trace.config.n_layer)])


def sources(trace: Trace, pos: int, n: int, *, is_first_out: bool) -> Sources:
    """The n strongest weights from a token over all heads. is_first_out: those to the first token are not listed."""
    weights = np.stack([looks_at(trace, layer, pos)[:, : pos + 1] for layer in range(trace.config.n_layer)])
    listed = weights.copy()
    if is_first_out:
        listed[..., 0] = -1.0
    order = np.argsort(-listed, axis=None, kind="stable")[:n]
    order = order[listed.flat[order] >= 0]
    places = np.column_stack(np.unravel_index(order, weights.shape))
    strongest = tuple(
        Source(of=Head(layer=int(layer), head=int(head)), key=int(key), weight=float(weights[layer, head, key]))
        for layer, head, key in places
    )
    return Sources(
        pos=pos,
        strongest=strongest,
        rest=float(weights.sum() - weights.flat[order].sum()),
        n_rest=weights.size - len(order),
    )


def key_to_begin_with(trace: Trace, pos: int, of: Head | None) -> int:
    """The second token before a person selects one: what the head, or all on average, look at most besides the token
    itself and the first; the first where there is no other."""
    layers = range(trace.config.n_layer) if of is None else [of.layer]
    rows = [looks_at(trace, layer, pos) for layer in layers]
    row = np.mean([each.mean(axis=0) for each in rows], axis=0) if of is None else rows[0][of.head]
    return int(row[1:pos].argmax()) + 1 if pos > 1 else 0


def match(trace: Trace, of: Head, pos: int, key: int) -> Match:
    """Why a head looks from `pos` at `key` as much as it does."""
    query = trace.read("q", of.layer)[of.head, pos].astype(np.float64)
    looked_at = trace.read("k", of.layer)[of.head, key].astype(np.float64)
    products = query * looked_at * trace.config.attn_scale(of.layer)
    weight = float(looks_at(trace, of.layer, pos)[of.head, key])
    return Match(query=query, key=looked_at, products=products, score=float(products.sum()), weight=weight)


def writes(trace: Trace, of: Head, pos: int, key: int, *, target: int, against: int | None, n: int) -> Writes:
    """What the head would write at `pos` for `key` alone, straight to the logits at the run's own scale.

    The sum over the keys of the pattern times `target` is the head's direct attribution. Raises: WeightsMissing.
    """
    written = written_for(trace, of, key)
    gain = trace.weights.float32("ln_f.weight", dtype=trace.dtype)
    normed = (written - written.mean()) * float(trace.read("ln_scale", -1)[pos]) * gain
    logits = trace.unembedded(normed[None])[0].astype(np.float64)
    logits -= logits.mean()
    promoted, suppressed = largest(logits, n), largest(-logits, n)
    return Writes(
        promoted=promoted,
        promoted_by=logits[promoted],
        suppressed=suppressed,
        suppressed_by=logits[suppressed],
        target=float(logits[target] - (0.0 if against is None else logits[against])),
        norm=float(np.linalg.norm(written)),
    )


def written_for(trace: Trace, of: Head, key: int) -> np.ndarray:
    """(v − b_V) W_O of one key in one head: float64 [d_model]. Raises: WeightsMissing."""
    config, name = trace.config, f"h.{of.layer}.attn"
    part = slice(of.head * config.d_head, (of.head + 1) * config.d_head)
    bias = trace.weights.float32(f"{name}.c_attn.bias", dtype=trace.dtype)[-config.d_model :][part]
    out = trace.weights.float32(f"{name}.c_proj.weight", dtype=trace.dtype)[part].astype(np.float64)
    value = trace.read("v", of.layer)[of.head, key].astype(np.float64)
    written: np.ndarray = (value - bias) @ out
    return written
