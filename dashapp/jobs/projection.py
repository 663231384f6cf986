"""UMAP: points in the plane whose near neighbours were near among a prompt's vectors. Knows umap; knows no processes.

Leland McInnes, John Healy and James Melville, 2018, arXiv:1802.03426. Where it misleads: distances between far points,
and sizes and densities of clusters, mean nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Final

import numpy as np

from dashapp.analysis.embeddings import Of, vectors
from dashapp.traces.record import Trace

FEWEST_TOKENS: Final = 5  # among fewer points there are no neighbourhoods to keep
NEIGHBOUR_SHARE: Final = 0.1  # of the time, for want of a better guess: UMAP tells nothing before it lays points out

Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work


def umap_of_trace(trace: Trace, progress: Progress, *, of: Of, **settings: object) -> dict[str, np.ndarray]:
    """`points`: float32 [pos 2], the UMAP map of a prompt's vectors. settings: as in `umap_points`."""
    return {"points": umap_points(vectors(trace, of), progress=progress, **settings)}  # type: ignore[arg-type]


def umap_points(
    rows: np.ndarray, *, n_neighbors: int, min_dist: float, metric: str, seed: int, progress: Progress
) -> np.ndarray:
    """float32 [row 2] of rows [row d_model], the same for the same arguments on one machine.

    n_neighbors: how many near rows are kept near, at most all others. min_dist: how tightly points may lie. metric:
    between rows, "euclidean" or "cosine". The order of random numbers is fixed by the seed, which takes one thread; a
    processor that rounds differently gives other points.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # of packages that other parts of it would use
        from umap import UMAP  # 300 MB of memory and half a minute of importing and compiling: only this process pays

    assert len(rows) >= FEWEST_TOKENS, "who asks has looked"
    told = Told(progress)
    reducer = UMAP(
        n_components=2,
        n_neighbors=min(n_neighbors, len(rows) - 1),
        min_dist=min_dist,
        metric=metric,
        random_state=seed,
        n_jobs=1,
        tqdm_kwds={"file": told, "bar_format": "{n}/{total}", "mininterval": 0.1, "disable": False},
    )
    progress(0.0)
    with warnings.catch_warnings():
        # It warns of a prompt that repeats itself (its graph falls apart) and of a small one, and does well with both.
        warnings.simplefilter("ignore")
        points = reducer.fit_transform(np.ascontiguousarray(rows, dtype=np.float32))
    return np.asarray(points, dtype=np.float32)


def prepare() -> None:
    """Have UMAP's functions compiled, by a map of a few points."""
    rows = np.random.default_rng(0).standard_normal((40, 8), dtype=np.float32)
    umap_points(rows, n_neighbors=5, min_dist=0.1, metric="euclidean", seed=0, progress=lambda share: None)
    umap_points(rows, n_neighbors=5, min_dist=0.1, metric="cosine", seed=0, progress=lambda share: None)


class Told:
    """What UMAP takes for a terminal: reads "12/500" from its progress bar and tells the share."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def write(self, text: str) -> None:
        """A piece of the progress bar. Raises what `progress` raises."""
        n_done, _, n_all = text.strip().partition("/")
        if n_done.isdecimal() and n_all.isdecimal() and int(n_all):
            self._progress(NEIGHBOUR_SHARE + (1 - NEIGHBOUR_SHARE) * int(n_done) / int(n_all))

    def flush(self) -> None:
        """Nothing is kept back."""
