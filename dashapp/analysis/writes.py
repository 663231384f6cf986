"""What attention and MLP of each layer wrote into the residual stream, and where in it the stream is largest.

Point p of the stream is point p − 1 and what was written between them, so the parts of a model are counted as its
points: 0 the embeddings, 2·layer + 1 a layer's attention, 2·layer + 2 its MLP. Reads one trace; runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dashapp.traces.record import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Writes:
    """What each part wrote at each token: float64 [part pos], parts counted as points.

    lengths: ‖w‖ of the vector w that it wrote. along: w·r / ‖r‖ with the stream r that w was added to: by how much it
    reached along it, below 0 where it took away; NaN for the embeddings, which were added to nothing. shares:
    w·r / ‖r‖² with the last stream r, which is the sum of all w: at each token they sum to 1. NaN where that is 0.
    """

    lengths: np.ndarray
    along: np.ndarray
    shares: np.ndarray

    @property
    def attention(self) -> slice:
        """The parts that are a layer's attention, in order of the layers."""
        return slice(1, None, 2)

    @property
    def mlp(self) -> slice:
        """The parts that are a layer's MLP."""
        return slice(2, None, 2)


def writes(trace: Trace) -> Writes:
    """What attention and MLP wrote, from the differences of neighbouring points.

    A difference of two float32 points is what the model added up to the rounding of the sum: half a unit in the last
    place of the stream. Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits; the projection
    on the sum as a share of it is the law of cosines.
    """
    final = trace.read("resid", -1).astype(np.float64)
    squared = _or_nan((final * final).sum(axis=-1))
    lengths, along, shares = [], [], []
    for before, wrote in _parts(trace):
        lengths.append(np.linalg.norm(wrote, axis=-1))
        along.append((wrote * before).sum(axis=-1) / _or_nan(np.linalg.norm(before, axis=-1)))
        shares.append((wrote * final).sum(axis=-1) / squared)
    return Writes(lengths=np.stack(lengths), along=np.stack(along), shares=np.stack(shares))


def _parts(trace: Trace) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The stream before each part, and what the part wrote: float64 [pos d_model] each."""
    before = np.zeros((trace.n_tokens, trace.config.d_model))
    for point in range(2 * trace.config.n_layer + 1):
        after = trace.read("resid", point).astype(np.float64)
        yield before, after - before
        before = after


def _or_nan(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestDimensions:
    """The dimensions in which a stream is largest.

    dimensions: int [shown], the largest first. values: float32 [shown point], the stream in them. shares: float64
    [shown point], each value's square as a share of the squared length of the stream at its point. together: float64
    [point], of all that are shown. peaks: int [shown], the point at which a dimension's share is largest. n_tokens:
    of how many tokens the stream is the mean; 1 for a token's own.
    """

    dimensions: np.ndarray
    values: np.ndarray
    shares: np.ndarray
    together: np.ndarray
    peaks: np.ndarray
    n_tokens: int


def largest_dimensions(trace: Trace, *, at: int | None, n_shown: int) -> LargestDimensions:
    """The dimensions that have the largest share of the stream's squared length at any point, of equals the first.

    at: of one token's stream; without it, of the mean over all tokens but the first (unless it is alone), for position
    0 is often many times longer than all others together. In trained models a few dimensions are large at every token
    (Kovaleva et al. 2021, BERT Busters; Timkey & van Schijndel 2021); they are found here, not named beforehand.
    """
    told = slice(at, at + 1) if at is not None else slice(1 if trace.n_tokens > 1 else 0, None)
    points = range(2 * trace.config.n_layer + 1)
    stream = np.stack([trace.read("resid", point)[told].mean(axis=0, dtype=np.float64) for point in points], axis=1)
    squares = np.square(stream)  # [d_model point]
    shares = np.nan_to_num(squares / _or_nan(squares.sum(axis=0)))
    shown = np.argsort(-shares.max(axis=1), kind="stable")[:n_shown]
    return LargestDimensions(
        dimensions=shown,
        values=stream[shown].astype(np.float32),
        shares=shares[shown],
        together=shares[shown].sum(axis=0),
        peaks=shares[shown].argmax(axis=1),
        n_tokens=1 if at is not None else trace.n_tokens - (told.start or 0),
    )
