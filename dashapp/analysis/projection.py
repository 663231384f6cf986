"""UMAP: points in the plane whose near neighbours were near among vectors. Knows umap; knows no processes.

Leland McInnes, John Healy and James Melville, 2018, arXiv:1802.03426. Where it misleads: distances between far points,
and sizes and densities of clusters, mean nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from dashapp.analysis.embeddings import Of, vectors
from dashapp.analysis.vocabulary import vocabulary_pca
from dashapp.traces.record import Trace

FEWEST_TOKENS: Final = 5  # among fewer points there are no neighbourhoods to keep
NEIGHBOUR_SHARE: Final = 0.1  # of the time, for want of a better guess: UMAP tells nothing before it lays points out

SEARCH: Final = 0.6  # of the time, for the vocabulary: the search for neighbours
SAMPLED: Final = 16
ROWS_AT_ONCE: Final = 512  # of the vocabulary: 100 MB of distances

Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work


def umap_of_trace(trace: Trace, progress: Progress, *, of: Of, **settings: object) -> dict[str, np.ndarray]:
    """`points`: float32 [pos 2], the UMAP map of a prompt's vectors. settings: as in `umap_points`."""
    return {"points": umap_points(vectors(trace, of), progress=progress, **settings)}  # type: ignore[arg-type]


def umap_of_vocabulary(
    trace: Trace, progress: Progress, *, n_neighbors: int, min_dist: float, metric: str, seed: int, dtype: str
) -> dict[str, np.ndarray]:
    """`points`: float32 [d_vocab 2], the UMAP map of all token embeddings of a trace's weights, as computed in `dtype`.

    Neighbours are found exactly and points begin at their principal components: 4 minutes for 50,257 embeddings of 768
    dimensions on one core, where UMAP's own search and spectral start take 12. Raises: WeightsMissing.
    """
    UMAP = _umap()
    rows = np.require(trace.weights.float32("wte.weight", dtype=dtype), requirements=["ALIGNED"])
    rows = unit_rows(rows) if metric == "cosine" else rows
    near, distances = exact_neighbours(rows, min(n_neighbors, len(rows) - 1), lambda share: progress(SEARCH * share))
    told = Told(lambda share: progress(SEARCH + (1 - SEARCH) * share))
    reducer = UMAP(
        n_components=2,
        n_neighbors=near.shape[1],
        min_dist=min_dist,
        random_state=seed,
        n_jobs=1,
        precomputed_knn=(near, distances, None),
        init=vocabulary_pca(trace).points,
        tqdm_kwds=told.as_terminal(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that new points could not be placed, which nobody asks for
        points = reducer.fit_transform(rows)
    return {"points": np.asarray(points, dtype=np.float32)}


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows at a length of 1, or 0: of these the nearest by distance are the nearest by angle."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def exact_neighbours(rows: np.ndarray, n: int, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """The n nearest rows of each row [row d_model], itself first: int32 [row n], and their distances, float32 [row n].

    By |a|² − 2 a·b + |b|² in float32, so a distance is off by some 1e-3 of a row's length at most; a row's own is 0.
    """
    squares = np.square(rows).sum(axis=1)
    near = np.empty((len(rows), n), dtype=np.int32)
    distances = np.empty((len(rows), n), dtype=np.float32)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        progress(start / len(rows))
        block = rows[start : start + ROWS_AT_ONCE]
        which = slice(start, start + len(block))
        apart = squares - 2 * (block @ rows.T)  # without |a|², which is the same for a whole row
        apart[np.arange(len(block)), np.arange(start, start + len(block))] = -np.inf
        ids, values = smallest(apart, n)
        near[which] = ids
        distances[which] = np.sqrt(np.maximum(values + squares[which, None], 0))
    return near, distances


def smallest(values: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The n smallest values of each row, smallest first, of equals the first: their places int [row n], and they.

    The nth smallest of every 16th value is a bound that only few others are below: a third of the time of a partition
    of the whole row.
    """
    n_rows, n_columns = values.shape
    step = max(1, min(SAMPLED, n_columns // (4 * n)))
    bounds = np.partition(values[:, ::step], n - 1, axis=1)[:, n - 1 : n]
    rows, columns = np.nonzero(values <= bounds)
    found = values[rows, columns]
    order = np.lexsort((columns, found, rows))
    first = np.searchsorted(rows, np.arange(n_rows))  # rows are in their order before and after
    chosen = order[first[:, None] + np.arange(n)]
    return columns[chosen], found[chosen]


def umap_points(
    rows: np.ndarray, *, n_neighbors: int, min_dist: float, metric: str, seed: int, progress: Progress
) -> np.ndarray:
    """float32 [row 2] of rows [row d_model], the same for the same arguments on one machine.

    n_neighbors: how many near rows are kept near, at most all others. min_dist: how tightly points may lie. metric:
    between rows, "euclidean" or "cosine". The order of random numbers is fixed by the seed, which takes one thread; a
    processor that rounds differently gives other points.
    """
    UMAP = _umap()
    assert len(rows) >= FEWEST_TOKENS, "who asks has looked"
    told = Told(lambda share: progress(NEIGHBOUR_SHARE + (1 - NEIGHBOUR_SHARE) * share))
    reducer = UMAP(
        n_components=2,
        n_neighbors=min(n_neighbors, len(rows) - 1),
        min_dist=min_dist,
        metric=metric,
        random_state=seed,
        n_jobs=1,
        tqdm_kwds=told.as_terminal(),
    )
    progress(0.0)
    with warnings.catch_warnings():
        # It warns of a prompt that repeats itself (its graph falls apart) and of a small one, and does well with both.
        warnings.simplefilter("ignore")
        points = reducer.fit_transform(np.ascontiguousarray(rows, dtype=np.float32))
    return np.asarray(points, dtype=np.float32)


def _umap() -> Any:
    """The class: 300 MB of memory and half a minute of importing and compiling, which only this process pays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # of packages that other parts of it would use
        from umap import UMAP
    return UMAP


def prepare() -> None:
    """Have UMAP's functions compiled, by a map of a few points."""
    rows = np.random.default_rng(0).standard_normal((40, 8), dtype=np.float32)
    umap_points(rows, n_neighbors=5, min_dist=0.1, metric="euclidean", seed=0, progress=lambda share: None)
    umap_points(rows, n_neighbors=5, min_dist=0.1, metric="cosine", seed=0, progress=lambda share: None)


class Told:
    """What UMAP takes for a terminal: reads "12/500" from its progress bar and tells the share of laying points out."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def write(self, text: str) -> None:
        """A piece of the progress bar. Raises what `progress` raises."""
        n_done, _, n_all = text.strip().partition("/")
        if n_done.isdecimal() and n_all.isdecimal() and int(n_all):
            self._progress(int(n_done) / int(n_all))

    def as_terminal(self) -> dict[str, object]:
        """Settings of the progress bar with which it writes here."""
        return {"file": self, "bar_format": "{n}/{total}", "mininterval": 0.1, "disable": False}

    def flush(self) -> None:
        """Nothing is kept back."""
