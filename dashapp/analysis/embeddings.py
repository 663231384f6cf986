"""The vectors of a prompt: embeddings and residual stream, their dimensions, their map, and how alike they are.

Reads one trace, and of the weights the two embedding tables; runs nothing. The first token behaves differently in
trained models (its vector becomes many times longer than any other), so what is said of all tokens together leaves it
out where there are others: see `told`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from dashapp.traces.record import Trace

Of = Literal["token", "position", "sum"] | int
"""Which vectors: the token's embedding, the position's, their sum, or the residual stream at a point, 0 to 2·n_layer.

The sum is what enters layer 0, so it is point 0."""

# Vectors that differ by less than this share of their length are told as equal: float32 rounds at 6e-8.
SAME: Final = 1e-6


def vectors(trace: Trace, of: Of) -> np.ndarray:
    """One vector a token: float32 [pos d_model], as the model computed with them.

    In float32 token and position add up to the sum exactly. A bfloat16 model rounds the sum.
    Raises: WeightsMissing, for the embeddings themselves, which a trace does not store.
    """
    if of == "sum":
        return trace.read("resid", 0)
    if isinstance(of, int):
        return trace.read("resid", of)
    name, rows = ("wte.weight", trace.token_ids) if of == "token" else ("wpe.weight", np.arange(trace.n_tokens))
    # Indexing copies: published files may start a tensor at any byte, and NumPy is slow with such arrays.
    return trace.weights.float32(name, dtype=trace.dtype)[rows]


def told(values: np.ndarray) -> np.ndarray:
    """The rows that what is said of all tokens is taken from: all but the first, or all when there are one or two."""
    return values[1:] if len(values) > 2 else values


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimensions:
    """The dimensions of a prompt's vectors, over the tokens of `told`.

    by_variance: int64 [d_model], the most variable first, equal ones in the order of their numbers. variances, sizes:
    float64 [d_model]; a size is a root mean square, so a dimension that is large at every token is large too.
    """

    by_variance: np.ndarray
    variances: np.ndarray
    sizes: np.ndarray

    def largest(self, n: int) -> np.ndarray:
        """The n dimensions of the largest size, largest first: int64 [n]."""
        return np.argsort(-self.sizes, kind="stable")[:n]


def dimensions(values: np.ndarray) -> Dimensions:
    """Which dimensions vary and which are large, of vectors [pos d_model]."""
    rows = told(values).astype(np.float64)
    variances = rows.var(axis=0)
    return Dimensions(
        by_variance=np.argsort(-variances, kind="stable"),
        variances=variances,
        sizes=np.sqrt(np.square(rows).mean(axis=0)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PCA:
    """Vectors seen along the directions in which they vary most.

    points: float64 [pos component]. axes: float64 [component d_model], of length 1; mean: float64 [d_model]. So
    points @ axes + mean comes back to the vectors, exactly when all components are kept. shares: float64 [component],
    of the variance, 0..1. Where nothing is left to vary an axis, its points and its share are 0.
    """

    points: np.ndarray
    axes: np.ndarray
    mean: np.ndarray
    shares: np.ndarray


def pca(values: np.ndarray, *, n_components: int = 2, without_first: bool = False) -> PCA:
    """Principal components of vectors [pos d_model] (Pearson 1901): eigenvectors of their covariance.

    An axis has no sign of its own; it is turned so that its largest entry is positive. So the same vectors give the
    same map, whatever library computed it. without_first: the axes are those of the tokens of `told`; the first token
    is placed on them all the same.
    """
    values = values.astype(np.float64)
    fitted = told(values) if without_first else values
    mean = fitted.mean(axis=0)
    centred = fitted - mean
    variances, axes = _eigen(centred, n_components)
    total = float(np.square(centred).sum())
    varies = variances > SAME**2 * float(np.square(fitted).sum())
    axes[~varies] = 0
    shares = np.where(varies, variances, 0) / total if varies.any() else np.zeros(n_components)
    return PCA(points=(values - mean) @ axes.T, axes=axes, mean=mean, shares=shares)


def _eigen(centred: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues [component] of centredᵀ centred and their eigenvectors [component d_model].

    From the smaller of the two Gram matrices, which share their eigenvalues: 0.1 s for 1,024 tokens where a singular
    value decomposition takes 0.3 s. Components that do not exist are 0.
    """
    n_rows, d_model = centred.shape
    if d_model <= n_rows:
        return largest_of_gram(centred.T @ centred, n_components)
    variances, sides = _largest(centred @ centred.T, n_components)
    return variances, _turned(sides @ centred)


def largest_of_gram(gram: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues [component] of a matrix xᵀ x and its eigenvectors [component d_model], as `pca` has them.

    Components that do not exist are 0.
    """
    variances, axes = _largest(gram, n_components)
    return variances, _turned(axes)


def _largest(square: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    found, sides = np.linalg.eigh(square)
    n_found = min(n_components, len(found))
    variances, directions = np.zeros(n_components), np.zeros((n_components, len(found)))
    variances[:n_found] = np.maximum(found[::-1][:n_found], 0)
    directions[:n_found] = sides[:, ::-1][:, :n_found].T
    return variances, directions


def _turned(axes: np.ndarray) -> np.ndarray:
    """Axes of length 1, each turned so that its largest entry is positive; 0 stays 0."""
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    axes = axes / np.where(lengths > 0, lengths, 1)
    largest = np.abs(axes).argmax(axis=1)
    return axes * np.where(np.take_along_axis(axes, largest[:, None], axis=1) < 0, -1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """How alike the directions of vectors are.

    cosines: float32 [pos pos], −1..1, symmetric, 1 on the diagonal; NaN in the row and the column of a vector of length
    0, which has no direction. n_without: how many of those. mean: over pairs of different tokens of `told`, NaN where
    there is no pair.
    """

    cosines: np.ndarray
    n_without: int
    mean: float


def similarity(values: np.ndarray, *, centred: bool) -> Similarity:
    """Cosine similarity of each vector [pos d_model] with each: x·y / (‖x‖ ‖y‖), computed in float64.

    centred: the mean over the tokens of `told` is taken off first. A few dimensions that are large at every token make
    all vectors look alike; that goes with the mean (Mu & Viswanath 2018; Timkey & van Schijndel 2021).
    """
    rows = values.astype(np.float64)
    lengths_before = np.linalg.norm(rows, axis=1)
    if centred:
        rows = rows - told(rows).mean(axis=0)
    lengths = np.linalg.norm(rows, axis=1)
    has_direction = lengths > SAME * lengths_before.mean()
    lengths[~has_direction] = math.nan
    rows /= lengths[:, None]
    cosines = np.clip(rows @ rows.T, -1, 1)
    return Similarity(
        cosines=cosines.astype(np.float32), n_without=int((~has_direction).sum()), mean=_mean_of_pairs(cosines)
    )


def _mean_of_pairs(cosines: np.ndarray) -> float:
    start = 1 if len(cosines) > 2 else 0
    pairs = cosines[start:, start:][~np.eye(len(cosines) - start, dtype=bool)]
    pairs = pairs[~np.isnan(pairs)]
    return float(pairs.mean()) if pairs.size else math.nan
