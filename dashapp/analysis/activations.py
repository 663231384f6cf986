"""What the neurons and the residual stream held: activations after GELU, the strongest neurons, norms.

Reads one trace, and of the weights only how strongly a neuron writes; runs nothing. A bfloat16 model rounds after each
step, so what is recomputed here in float32 from its stored pre-activations may differ from it in the third digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from dashapp.traces.record import Trace, WeightsLike

Of = Literal["token", "neuron", "layer"]

FLAT_BELOW: Final = -3.0  # here GELU is within 0.004 of 0 …
STRAIGHT_ABOVE: Final = 3.0  # … and here within 0.004 of its input

_SLOPE: Final = math.sqrt(2 / math.pi)
_CUBIC: Final = 0.044715


def gelu(x: np.ndarray) -> np.ndarray:
    """GELU in the tanh form that GPT-2 computes: ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), same shape and dtype as x.

    Source: Hendrycks & Gimpel 2016, section 2. The exact form x·Φ(x) differs from it by at most 5e-4.
    """
    slope, cubic, half = (x.dtype.type(number) for number in (_SLOPE, _CUBIC, 0.5))
    activation: np.ndarray = half * x * (1 + np.tanh(slope * (x + cubic * x * x * x)))
    return activation


def gelu_exact(x: np.ndarray) -> np.ndarray:
    """GELU in its exact form, x·Φ(x), float64, same shape as x. Source: Hendrycks & Gimpel 2016, section 2."""
    wide = x.astype(np.float64)
    exact: np.ndarray = wide * _phi(wide)
    return exact


def gelu_slope(x: np.ndarray) -> np.ndarray:
    """Derivative of the tanh form: ½·(1 + tanh u) + ½·x·(1 − tanh² u)·u′, float64, same shape as x."""
    wide = x.astype(np.float64)
    tanh = np.tanh(_SLOPE * (wide + _CUBIC * wide**3))
    slope: np.ndarray = 0.5 * (1 + tanh) + 0.5 * wide * (1 - tanh**2) * _SLOPE * (1 + 3 * _CUBIC * wide**2)
    return slope


def gelu_exact_slope(x: np.ndarray) -> np.ndarray:
    """Derivative of the exact form: Φ(x) + x·φ(x), float64, same shape as x."""
    wide = x.astype(np.float64)
    slope: np.ndarray = _phi(wide) + wide * np.exp(-0.5 * wide**2) / math.sqrt(2 * math.pi)
    return slope


def _phi(x: np.ndarray) -> np.ndarray:
    """The normal distribution Φ, float64; from erfc, which keeps its digits far below 0."""
    return np.vectorize(lambda each: 0.5 * math.erfc(-each / math.sqrt(2)), otypes=[np.float64])(x)


@dataclass(frozen=True, slots=True)
class PreActivations:
    """What neurons got. of: "token", all neurons of a layer at one token; "neuron", one neuron at all tokens; "layer",
    all neurons at all tokens. pre, post: float32 [value], before and after GELU.

    counts: int [bin], edges: float64 [bin + 1], a histogram of pre with edges at −3 and 3, so that no bin is on both
    sides. n_flat: below −3; n_straight: above 3; n_bent: the rest. The three sum to the number of values.
    """

    layer: int
    pos: int
    pre: np.ndarray
    post: np.ndarray
    counts: np.ndarray
    edges: np.ndarray
    n_flat: int
    n_bent: int
    n_straight: int
    of: Of = "token"
    neuron: int | None = None


def pre_activations(
    trace: Trace, *, layer: int, pos: int, neuron: int | None = None, of: Of = "token"
) -> PreActivations:
    """A layer's neurons at a token, one of them at all tokens, or all at all, before and after GELU."""
    table = trace.read("mlp_pre", layer)  # [pos d_mlp]
    pre = np.array(table[pos] if of == "token" else table[:, neuron] if of == "neuron" else table.ravel())
    edges = _bin_edges(float(pre.min()), float(pre.max()))
    n_flat, n_straight = int((pre < FLAT_BELOW).sum()), int((pre > STRAIGHT_ABOVE).sum())
    return PreActivations(
        layer=layer,
        pos=pos,
        pre=pre,
        post=gelu(pre),
        counts=np.histogram(pre, edges)[0],
        edges=edges,
        n_flat=n_flat,
        n_bent=len(pre) - n_flat - n_straight,
        n_straight=n_straight,
        of=of,
        neuron=neuron,
    )


def _bin_edges(low: float, high: float, *, n_at_most: int = 80) -> np.ndarray:
    """Equal bins over [low, high], of a width that divides 3, so that −3, 0 and 3 are edges (up to bins of 3)."""
    width = 0.1
    while (high - low) / width > n_at_most - 2:
        width = {0.1: 0.25, 0.25: 0.5, 0.5: 1.0, 1.0: 3.0}.get(width, 2 * width)
    first, last = math.floor(low / width), math.floor(high / width) + 1
    return np.arange(first, last + 1) * width


@dataclass(frozen=True, slots=True)
class StrongestNeurons:
    """The neurons of a layer that wrote most, strongest first, and after them one that was asked for.

    neurons: int [shown], their numbers. activations: float32 [shown pos], after GELU. strengths: float32 [shown], the
    largest |activation| × output norm among the tokens that the order looks at. n_left_out: neurons not shown, and
    left_out_strength: of the strongest of them (0 where none is left out). pinned_place: how many of the layer are
    stronger than the last one shown, where that is there because it was asked for; None where no such one is.
    """

    layer: int
    neurons: np.ndarray
    activations: np.ndarray
    strengths: np.ndarray
    n_left_out: int
    left_out_strength: float
    pinned_place: int | None = None


def output_norms(weights: WeightsLike, layer: int, *, dtype: str = "float32") -> np.ndarray:
    """How far a neuron of activation 1 moves the residual stream: the norm of its row of W_out, float32 [d_mlp]."""
    rows = weights.float32(f"h.{layer}.mlp.c_proj.weight", dtype=dtype)  # [d_mlp d_model]
    norms: np.ndarray = np.linalg.norm(rows, axis=1)
    return norms


def strongest_neurons(
    trace: Trace, *, layer: int, n_shown: int, at: int | None = None, pinned: int | None = None
) -> StrongestNeurons:
    """A layer's neurons by |activation| × output norm, at token `at`, or by their largest at any but the first.

    pinned: a neuron that is shown after them if it is not one of them.
    Without `at` the first token has no say (unless it is alone): what happens at position 0 is often many times
    larger than anywhere else and says little about the text. Equal strengths stand in the order of their numbers.
    Raises: WeightsMissing.
    """
    post = gelu(trace.read("mlp_pre", layer))  # [pos d_mlp]
    told = post[at : at + 1] if at is not None else post[1:] if len(post) > 1 else post
    strengths = np.abs(told).max(axis=0) * output_norms(trace.weights, layer, dtype=trace.dtype)  # [d_mlp]
    order = np.argsort(-strengths, kind="stable")
    shown, others = order[:n_shown], order[n_shown:]
    place = int(np.flatnonzero(order == pinned)[0]) if pinned in others else None
    if place is not None:
        shown, others = np.append(shown, order[place]), others[others != pinned]
    return StrongestNeurons(
        layer=layer,
        neurons=shown,
        activations=np.ascontiguousarray(post[:, shown].T),
        strengths=strengths[shown],
        n_left_out=len(others),
        left_out_strength=float(strengths[others[0]]) if len(others) else 0.0,
        pinned_place=place,
    )


@dataclass(frozen=True, slots=True)
class ResidualNorms:
    """Length of the residual stream. norms: float32 [point pos], 2·n_layer + 1 points, L2 over d_model.

    growth: how many times longer the stream leaves a layer than it entered, on average over layers (a geometric mean
    of ratios of means over tokens), without position 0; NaN for a single token.
    """

    norms: np.ndarray
    growth: float


def residual_norms(trace: Trace) -> ResidualNorms:
    """Norms of the residual stream at every point and token.

    Growth as in Heimersheim & Turner 2023, who found about 1.045 a layer in GPT-2 XL. Position 0 is left out of it.
    """
    points = range(2 * trace.config.n_layer + 1)
    norms = np.stack([np.linalg.norm(trace.read("resid", point), axis=-1) for point in points])  # [point pos]
    means = norms[:, 1:].astype(np.float64).mean(axis=1) if trace.n_tokens > 1 else np.full(len(points), math.nan)
    growth = float((means[-1] / means[0]) ** (1 / trace.config.n_layer))
    return ResidualNorms(norms=norms, growth=growth)
