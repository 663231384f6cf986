"""What differs inside two runs: where heads look, the residual stream, and what neurons write.

Tokens are compared with the ones that stand for them; a difference is a − b. Reads two traces; runs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from dashapp.analysis.activations import gelu, output_norms
from dashapp.errors import OtherSizes
from dashapp.traces.record import Trace

At = Literal["pre", "mid", "post"]

POINTS: Final[dict[At, int]] = {"pre": 0, "mid": 1, "post": 2}  # of the stream, from two a layer on
MOST_ROWS: Final = 48  # of a pattern in each head: 0.7 s for 1,024 tokens of the 124M shape


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionChange:
    """How differently heads look from the same tokens. js_bits: float64 [layer head], 0..1.

    alone_a, alone_b: float64 [layer head], 0..1: how much weight of the rows lies on tokens without a counterpart.
    n_rows: tokens that these are means over; n_possible: those that could be.
    """

    js_bits: np.ndarray
    alone_a: np.ndarray
    alone_b: np.ndarray
    n_rows: int
    n_possible: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamChange:
    """How far the residual streams are apart, float64 [layer pair] each, NaN where a vector has no length.

    cosines: between the two vectors, −1..1. distances: the length of their difference over the mean of their lengths,
    0 for equal ones, 2 for opposite ones.
    """

    cosines: np.ndarray
    distances: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronChange:
    """Neurons that differ most, of all layers, strongest first. places: int64 [neuron 2], layer and number.

    in_a, in_b: float64 [neuron], activations after GELU. moved: float64 [neuron], by how much further it moves the
    stream in a: each activation times the length of the neuron's row of W_out. left_out: |moved| of the strongest that
    is not among them.
    """

    places: np.ndarray
    in_a: np.ndarray
    in_b: np.ndarray
    moved: np.ndarray
    left_out: float


def attention_change(a: Trace, b: Trace, pairs: np.ndarray, *, at: tuple[int, int] | None = None) -> AttentionChange:
    """Jensen–Shannon divergence of the rows of two tokens that stand for each other, in every head (Lin 1991).

    pairs: int64 [2 pair], as `aligned_pairs` has them. at: the tokens of a and b whose rows are compared; None for the
    mean over all pairs but the first, which can only look at itself, or over `MOST_ROWS` of these evenly spread. Rows
    are compared over the aligned tokens that both can see, where each is made to sum to 1; the weight that lies on
    others is told beside. Raises: OtherSizes.
    """
    _check_sizes(a, b, "n_layer", "n_head")
    possible = pairs[:, min(1, pairs.shape[1] - 1) :] if at is None else np.array(at)[:, None]
    n_possible = possible.shape[1]
    spread = np.linspace(0, n_possible - 1, min(n_possible, MOST_ROWS)).round().astype(int)
    rows = possible[:, spread]  # [2 row]
    is_seen: np.ndarray = np.all(pairs[:, None] <= rows[..., None], axis=0)  # [row pair]
    js, alone_a, alone_b = (np.empty((a.config.n_layer, a.config.n_head)) for _ in range(3))
    for layer in range(a.config.n_layer):
        in_a, outside_a = _aligned_rows(a, layer, rows[0], pairs[0], is_seen)
        in_b, outside_b = _aligned_rows(b, layer, rows[1], pairs[1], is_seen)
        js[layer] = js_bits(in_a, in_b).mean(axis=-1)
        alone_a[layer], alone_b[layer] = outside_a.mean(axis=-1), outside_b.mean(axis=-1)
    return AttentionChange(js_bits=js, alone_a=alone_a, alone_b=alone_b, n_rows=rows.shape[1], n_possible=n_possible)


def stream_change(a: Trace, b: Trace, pairs: np.ndarray, *, at: At) -> StreamChange:
    """The streams of all aligned tokens, before each layer, within it after attention, or after it.

    Raises: OtherSizes.
    """
    _check_sizes(a, b, "n_layer", "d_model")
    cosines, distances = (np.empty((a.config.n_layer, pairs.shape[1])) for _ in range(2))
    for layer in range(a.config.n_layer):
        point = 2 * layer + POINTS[at]
        x, y = (trace.read("resid", point)[of].astype(np.float64) for trace, of in zip((a, b), pairs, strict=True))
        lengths = np.linalg.norm(x, axis=-1), np.linalg.norm(y, axis=-1)
        product, mean = lengths[0] * lengths[1], (lengths[0] + lengths[1]) / 2
        cosines[layer] = _over((x * y).sum(axis=-1), product)
        distances[layer] = _over(np.linalg.norm(x - y, axis=-1), mean)
    return StreamChange(cosines=np.clip(cosines, -1, 1), distances=distances)


def neuron_change(a: Trace, pos_a: int, b: Trace, pos_b: int, *, n: int) -> NeuronChange:
    """The n neurons of all layers that move the stream most differently at two tokens. Raises: WeightsMissing,
    OtherSizes."""
    _check_sizes(a, b, "n_layer", "d_mlp")
    layers = range(a.config.n_layer)
    in_a, in_b = (
        np.stack([gelu(trace.read("mlp_pre", layer)[pos].astype(np.float64)) for layer in layers])
        for trace, pos in ((a, pos_a), (b, pos_b))
    )  # [layer neuron]
    norms_a, norms_b = (
        np.stack([output_norms(trace.weights, layer, dtype=trace.dtype) for layer in layers]).astype(np.float64)
        for trace in (a, b)
    )
    moved = in_a * norms_a - in_b * norms_b
    order = np.argsort(-np.abs(moved), axis=None, kind="stable")
    top = order[:n]
    return NeuronChange(
        places=np.column_stack(np.unravel_index(top, moved.shape)),
        in_a=in_a.flat[top],
        in_b=in_b.flat[top],
        moved=moved.flat[top],
        left_out=float(abs(moved.flat[order[n]])) if len(order) > n else 0.0,
    )


def _aligned_rows(
    trace: Trace, layer: int, rows: np.ndarray, keys: np.ndarray, is_seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the pattern over those of the tokens `keys` that are seen [row key], each made to sum to 1: float64
    [head row key]; and the weight that lay on all other tokens, [head row]."""
    q, k = (trace.read(name, layer).astype(np.float64) for name in ("q", "k"))
    scores = q[:, rows] @ k.swapaxes(-1, -2) * trace.config.attn_scale(layer)  # [head row pos]
    scores[:, np.arange(k.shape[1]) > rows[:, None]] = -np.inf
    among = scores[:, :, keys]
    among[:, ~is_seen] = -np.inf
    _weights, _sums, of_all = _exponentials(scores)
    # Of the scores themselves: the weights among all tokens may be too small to divide by their sum.
    kept, sums, of_kept = _exponentials(among)
    kept /= sums
    return kept, np.maximum(0.0, -np.expm1(of_kept - of_all))


def _exponentials(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """exp(score − largest) along the last axis, their sum with that axis kept, and the log of the sum of exp(score)."""
    most = scores.max(axis=-1, keepdims=True)
    weights = scores - most
    np.exp(weights, out=weights)
    sums = weights.sum(axis=-1, keepdims=True)
    return weights, sums, (most + np.log(sums))[..., 0]


def js_bits(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen–Shannon divergence of distributions over the last axis: H(m) − ½ H(p) − ½ H(q), bits."""
    from scipy.special import entr  # imported here, for it takes a fifth of the server's start

    apart = entr((p + q) / 2).sum(axis=-1) - (entr(p).sum(axis=-1) + entr(q).sum(axis=-1)) / 2
    bits: np.ndarray = np.clip(apart / math.log(2), 0, 1)
    return bits


def _over(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    """values / by, NaN where that is 0."""
    shares: np.ndarray = np.divide(values, by, out=np.full_like(values, math.nan), where=by > 0)
    return shares


def _check_sizes(a: Trace, b: Trace, *names: str) -> None:
    """Raises: OtherSizes, where the two models do not share one of these sizes."""
    words = {"n_layer": "layers", "n_head": "heads", "d_model": "dimensions", "d_mlp": "neurons in a layer"}
    for name in names:
        of_a, of_b = getattr(a.config, name), getattr(b.config, name)
        if of_a != of_b:
            raise OtherSizes(words[name], of_a, of_b)
