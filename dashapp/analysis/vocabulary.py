"""The vocabulary as directions: which tokens' embeddings point the way that a vector points.

Of a trace it reads the weights' token embeddings, all of them; runs nothing. What costs a pass over the whole table and
belongs to the weights alone is computed once and kept in memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dashapp.analysis.embeddings import SAME, Of, largest_of_gram, told, vectors
from dashapp.traces.record import Trace, WeightsLike, embedding_blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEmbeddings:
    """What is the same for every question. mean: float64 [d_model], over the vocabulary. lengths, centred_lengths:
    float64 [d_vocab], of each embedding, and of what is left of it without the mean."""

    mean: np.ndarray
    lengths: np.ndarray
    centred_lengths: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The tokens whose embeddings point most the way of a vector.

    ids: int64 [top], nearest first, of equals the lower id first. cosines: float64 [top]. mean: over all tokens that
    have a direction; how much a cosine says depends on it. n_tokens: how many those are. has_direction: False where
    the vector, or what is left of it without a mean, is zero: then there are no ids.
    """

    ids: np.ndarray
    cosines: np.ndarray
    mean: float
    n_tokens: int
    has_direction: bool


def token_embeddings(trace: Trace) -> TokenEmbeddings:
    """Mean and lengths of the token embeddings of a trace's weights. Raises: WeightsMissing."""
    return _measured(trace.weights, trace.dtype)


@lru_cache(maxsize=4)  # 0.8 MB each; the weights are compared by identity, and held
def _measured(weights: WeightsLike, dtype: str) -> TokenEmbeddings:
    sums = [(len(block), block.sum(axis=0, dtype=np.float64)) for _, block in embedding_blocks(weights, dtype=dtype)]
    mean = np.sum([row for _, row in sums], axis=0) / sum(n for n, _ in sums)
    lengths, centred = [], []
    for _, block in embedding_blocks(weights, dtype=dtype):  # again, for the whole table in float64 would be 300 MB
        wide = block.astype(np.float64)
        lengths.append(np.linalg.norm(wide, axis=1))
        centred.append(np.linalg.norm(wide - mean, axis=1))
    return TokenEmbeddings(mean=mean, lengths=np.concatenate(lengths), centred_lengths=np.concatenate(centred))


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabularyPCA:
    """All token embeddings along the two directions in which they vary most.

    points: float32 [d_vocab 2]. axes: float64 [2 d_model], of length 1; mean: float64 [d_model]. shares: float64 [2],
    of the variance. A vector of another kind has its place at `place`, however far from the tokens that is.
    """

    points: np.ndarray
    axes: np.ndarray
    mean: np.ndarray
    shares: np.ndarray

    def place(self, rows: np.ndarray) -> np.ndarray:
        """Where vectors [row d_model] fall: float64 [row 2]."""
        return (rows.astype(np.float64) - self.mean) @ self.axes.T


def vocabulary_pca(trace: Trace) -> VocabularyPCA:
    """Principal components of the token embeddings of a trace's weights (Pearson 1901). Raises: WeightsMissing."""
    return _components(trace.weights, trace.dtype)


@lru_cache(maxsize=4)  # 0.4 MB each
def _components(weights: WeightsLike, dtype: str) -> VocabularyPCA:
    """From the covariance, summed block by block: products float32, sums float64. 1 s in GPT-2's shape."""
    mean = _measured(weights, dtype).mean
    blocks = [block for _, block in embedding_blocks(weights, dtype=dtype)]
    gram = np.zeros((len(mean), len(mean)))
    for block in blocks:
        centred = block - mean.astype(np.float32)
        gram += centred.T @ centred
    variances, axes = largest_of_gram(gram, 2)
    total = float(np.trace(gram))
    points = np.concatenate([(block - mean) @ axes.T for block in blocks]).astype(np.float32)
    shares = variances / total if total > 0 else np.zeros(2)
    return VocabularyPCA(points=points, axes=axes, mean=mean, shares=shares)


def cosines_with_tokens(trace: Trace, vector: np.ndarray, *, centred: bool) -> np.ndarray:
    """Cosine of one vector [d_model] with the embedding of every token: float64 [d_vocab], NaN without a direction.

    centred: the embeddings are taken without their mean; the vector is the caller's to centre, for its mean is that of
    its own kind. The products are float32, so a cosine is off by 1e-6 at most in GPT-2's shape, and one pass over
    50,257 embeddings of 768 dimensions is all it takes. Raises: WeightsMissing.
    """
    known = token_embeddings(trace)
    length = float(np.linalg.norm(vector))
    if not length:
        return np.full(len(known.lengths), math.nan)
    direction = vector / length
    narrow = direction.astype(np.float32)
    dots = np.concatenate([block @ narrow for _, block in trace.embedding_blocks()]).astype(np.float64)
    lengths = known.lengths
    if centred:
        dots -= float(direction @ known.mean)
        lengths = np.where(known.centred_lengths > SAME * known.lengths.mean(), known.centred_lengths, math.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(np.where(lengths > 0, dots / lengths, math.nan), -1, 1)


def nearest_tokens(trace: Trace, vector: np.ndarray, n: int, *, centred: bool) -> Nearest:
    """The n tokens of the highest cosine with a vector [d_model]; see `cosines_with_tokens`. Raises: WeightsMissing."""
    cosines = cosines_with_tokens(trace, vector, centred=centred)
    known = ~np.isnan(cosines)
    n_tokens = int(known.sum())
    if not n_tokens:
        nothing = np.zeros(0, dtype=np.int64)
        return Nearest(ids=nothing, cosines=np.zeros(0), mean=math.nan, n_tokens=0, has_direction=False)
    ids = np.argsort(-np.where(known, cosines, -math.inf), kind="stable")[: min(n, n_tokens)]
    return Nearest(
        ids=ids, cosines=cosines[ids], mean=float(cosines[known].mean()), n_tokens=n_tokens, has_direction=True
    )


def vector_of(trace: Trace, pos: int, of: Of, *, centred: bool) -> np.ndarray:
    """The vector of one token, float64 [d_model]; centred: without the mean of its kind, 0 where nothing is left.

    The mean of token embeddings is that of the vocabulary, any other that of the prompt's tokens of `told`.
    Raises: WeightsMissing.
    """
    rows = vectors(trace, of).astype(np.float64)
    if not centred:
        return rows[pos]
    mean = token_embeddings(trace).mean if of == "token" else told(rows).mean(axis=0)
    left = rows[pos] - mean
    return left if np.linalg.norm(left) > SAME * np.linalg.norm(rows[pos]) else np.zeros_like(left)


def sum_of_tokens(trace: Trace, terms: Sequence[tuple[int, int]], *, centred: bool) -> np.ndarray:
    """Token embeddings added and taken off, float64 [d_model] (Mikolov et al. 2013, without scaling them first).

    terms: sign, 1 or −1, and token. centred: each is taken without the mean of the vocabulary. Raises: WeightsMissing.
    """
    table = trace.weights.float32("wte.weight", dtype=trace.dtype)
    mean = token_embeddings(trace).mean if centred else np.float64(0)
    rows = [sign * (table[token].astype(np.float64) - mean) for sign, token in terms]
    total = np.sum(rows, axis=0)
    longest = max(float(np.linalg.norm(row)) for row in rows)
    return total if np.linalg.norm(total) > SAME * longest else np.zeros_like(total)
