"""How alike the residual stream is at two layers, by all tokens of a prompt together.

Reads one trace, runs nothing. The first token is left out where there are others (`embeddings.told`): in trained models
it is many times longer than they are, and would be all that is compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dashapp.analysis.embeddings import SAME, pca, told
from dashapp.traces.record import Trace

FEWEST: Final = 4  # tokens that the unbiased estimator needs
ROWS_AT_ONCE: Final = 128  # of the Gram matrices; with all rows of 13 points they would be 54 MB


def states_between_layers(trace: Trace) -> np.ndarray:
    """The stream into layer 0 and out of each layer: float32 [n_layer+1 pos d_model]."""
    return trace.read("resid")[0::2]


def unbiased_cka(states: np.ndarray) -> np.ndarray:
    """Linear CKA of each two of some states [state pos d_model], over the tokens of `told`: float64 [state state].

    Kornblith et al. 2019 define it with HSIC; here with the estimator of HSIC that has no bias (Song et al. 2012,
    equation 5; used for CKA by Nguyen et al. 2021), for the biased one comes near 1 for anything when there are fewer
    tokens than dimensions. 1 on the diagonal, at most 1; not at all alike is around 0, also a little below. It does not
    change when all vectors of a state are turned, shifted or scaled. NaN for fewer than 4 tokens, and for a state whose
    tokens are all equal.

    The estimator is the inner product of the Gram matrices without diagonal, rows and columns centred in the way that
    leaves the off-diagonal entries unbiased (Székely & Rizzo 2014). Products are float32, sums over pairs float64.
    """
    rows = np.stack([told(state) for state in states])  # [state pos d_model]
    n_states, n_tokens, _ = rows.shape
    if n_tokens < FEWEST:
        return np.full((n_states, n_states), math.nan)
    rows, varies = _centred(rows)
    to_all = -np.square(rows.astype(np.float64)).sum(axis=2)  # [state pos]: row sums without the diagonal, once centred
    mean = to_all / (n_tokens - 2)
    level = to_all.sum(axis=1) / ((n_tokens - 1) * (n_tokens - 2))
    products = np.zeros((n_states, n_states))
    for start in range(0, n_tokens, ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, n_tokens)
        gram = rows[:, start:stop] @ rows[:, start:].swapaxes(1, 2)  # [state row column]: right of here, and the corner
        gram -= (mean[:, start:stop, None] + mean[:, None, start:] - level[:, None, None]).astype(np.float32)
        gram[:, np.arange(stop - start), np.arange(stop - start)] = 0
        corner, rest = (
            gram[:, :, : stop - start].reshape(n_states, -1),
            gram[:, :, stop - start :].reshape(n_states, -1),
        )
        products += corner @ corner.T + 2.0 * (rest @ rest.T)  # the rest stands below the diagonal too
    sizes = np.sqrt(np.where(varies, products.diagonal(), math.nan))
    return _with_exact_diagonal(products / sizes[:, None] / sizes[None, :])


def centred_cosines(states: np.ndarray, pos: int | None = None) -> np.ndarray:
    """Cosine of a token's vector in each two states [state pos d_model], each without the mean over the tokens.

    float64 [state state]. pos: of one token; None: the mean over those of `told` that have a direction in both.
    The mean of each state is that over the tokens of `told`. NaN where there is no direction.
    """
    rows = states.astype(np.float64)
    lengths_before = np.linalg.norm(rows, axis=2)
    rows = rows - np.stack([told(state) for state in rows]).mean(axis=1)[:, None]
    lengths = np.linalg.norm(rows, axis=2)
    lengths[lengths <= SAME * lengths_before.mean(axis=1, keepdims=True)] = math.nan
    rows /= lengths[:, :, None]
    start = 1 if rows.shape[1] > 2 else 0
    where = slice(start, None) if pos is None else slice(pos, pos + 1)
    cosines = np.einsum("ipd,jpd->pij", rows[:, where], rows[:, where], optimize=True)  # [pos state state]
    known = ~np.isnan(cosines)
    n_known = known.sum(axis=0)
    means = np.divide(
        np.where(known, cosines, 0).sum(axis=0), n_known, out=np.full(n_known.shape, math.nan), where=n_known > 0
    )
    return _with_exact_diagonal(np.clip(means, -1, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The states of every token in one basis. points: float32 [state pos component]. shares: float64 [component], of
    the variance of all states together."""

    points: np.ndarray
    shares: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """The same as arrays, to be kept."""
        return {"points": self.points, "shares": self.shares}


def paths(states: np.ndarray, *, without_first: bool, n_components: int = 2) -> Paths:
    """All states [state pos d_model] along the principal components of all of them together.

    One basis for all layers, so that a token's points are a path; bases of single layers would turn against each other.
    without_first: the components are those of the tokens of `told`, and the first token is placed on them all the same.
    """
    fitted = np.concatenate([told(state) if without_first else state for state in states])
    found = pca(fitted, n_components=n_components)
    points = (states.astype(np.float64) - found.mean) @ found.axes.T
    return Paths(points=points.astype(np.float32), shares=found.shares)


def _centred(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows [state pos d_model] without their mean and at a mean length of 1, float32; and which states vary."""
    rows = rows.astype(np.float64)
    size_before = np.sqrt(np.square(rows).sum(axis=2).mean(axis=1))
    rows = rows - rows.mean(axis=1, keepdims=True)
    size = np.sqrt(np.square(rows).sum(axis=2).mean(axis=1))
    varies = size > SAME * size_before
    return (rows / np.where(varies, size, 1)[:, None, None]).astype(np.float32), varies


def _with_exact_diagonal(square: np.ndarray) -> np.ndarray:
    """The same without the rounding of what is like itself."""
    places = np.arange(len(square))
    square[places, places] = np.where(np.isnan(square.diagonal()), math.nan, 1.0)
    return square
