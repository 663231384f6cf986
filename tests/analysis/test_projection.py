"""The UMAP job. It compiles for some ten seconds, so that all of it is checked with one import."""

from __future__ import annotations

import numpy as np
import pytest

from dashapp.analysis.projection import (
    FEWEST_TOKENS,
    NEIGHBOUR_SHARE,
    ROWS_AT_ONCE,
    SEARCH,
    Told,
    exact_neighbours,
    smallest,
    umap_of_trace,
    umap_of_vocabulary,
    umap_points,
    unit_rows,
)
from dashapp.jobs.works import KINDS, Work
from dashapp.model.gpt2 import GPT2
from tests.analysis.test_embeddings import IDS, traced
from tests.doubles import TINY
from tests.store.made import made_trace

pytestmark = pytest.mark.slow

SETTINGS = {"n_neighbors": 5, "min_dist": 0.1, "metric": "euclidean"}


def clusters(n_rows: int, *, n_clusters: int = 2) -> np.ndarray:
    """float32 [row 6]: groups of rows, far apart, in the order 0 1 … 0 1 …"""
    noise = np.random.default_rng(0).standard_normal((n_rows, 6), dtype=np.float32)
    noise[:, :n_clusters] += 50 * np.eye(n_clusters, dtype=np.float32)[np.arange(n_rows) % n_clusters]
    return noise


def points(rows: np.ndarray, seed: int = 0, **settings: object) -> np.ndarray:
    chosen = {**SETTINGS, **settings}
    return umap_points(rows, seed=seed, progress=lambda share: None, **chosen)  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_points_and_another_gives_others() -> None:
    rows = clusters(40)
    one, again, other = points(rows, 3), points(rows, 3), points(rows, 4)
    assert (one.shape, one.dtype) == ((40, 2), np.float32)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_rows_that_are_near_are_drawn_near(metric: str) -> None:
    """Every row's nearest point is of its own group: groups are 50 apart, and 1 wide."""
    drawn = points(clusters(40), metric=metric)
    distances = np.linalg.norm(drawn[:, None] - drawn[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert ((distances.argmin(axis=1) - np.arange(40)) % 2 == 0).all()


@pytest.mark.parametrize("n_rows", [FEWEST_TOKENS, FEWEST_TOKENS + 1, 8])
def test_few_rows_have_fewer_neighbours_than_asked_for(n_rows: int) -> None:
    """As many neighbours as all others, then: more than that change nothing."""
    rows = clusters(n_rows)
    drawn = points(rows, n_neighbors=100)
    assert np.isfinite(drawn).all()
    np.testing.assert_array_equal(drawn, points(rows, n_neighbors=n_rows - 1))


def test_a_token_that_repeats_itself_is_no_problem() -> None:
    for rows in (np.ones((7, 6), np.float32), np.zeros((7, 6), np.float32)):
        for metric in ("euclidean", "cosine"):
            assert np.isfinite(points(rows, metric=metric)).all()


def test_the_share_grows_to_the_whole_and_can_end_the_work() -> None:
    shares: list[float] = []
    umap_points(clusters(300), **SETTINGS, seed=0, progress=shares.append)  # type: ignore[arg-type]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)

    def stop(share: float) -> None:
        if share >= NEIGHBOUR_SHARE:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        umap_points(clusters(300), **SETTINGS, seed=0, progress=stop)  # type: ignore[arg-type]


def test_a_map_is_of_the_vectors_that_were_asked_for() -> None:
    trace = made_trace()
    for of in ("sum", 4):
        found = umap_of_trace(trace, lambda share: None, of=of, seed=1, **SETTINGS)  # type: ignore[arg-type]
        rows = trace.read("resid", 0 if of == "sum" else 4)
        np.testing.assert_array_equal(found["points"], points(rows, 1))


@pytest.mark.parametrize("n_columns", [6, 40, 5000])
def test_the_smallest_of_a_row_are_those_of_sorting_it(n_columns: int) -> None:
    values = np.random.default_rng(0).integers(50, size=(30, n_columns)).astype(np.float32)  # with equals
    places, found = smallest(values, 6)
    np.testing.assert_array_equal(places, np.argsort(values, axis=1, kind="stable")[:, :6])
    np.testing.assert_array_equal(found, np.take_along_axis(values, places, axis=1))


@pytest.mark.parametrize("n_rows", [40, ROWS_AT_ONCE + 7])
def test_neighbours_are_those_of_all_distances(n_rows: int) -> None:
    rows = clusters(n_rows)
    near, distances = exact_neighbours(rows, 6, lambda share: None)
    wide = rows.astype(np.float64)
    apart = np.linalg.norm(wide[:, None] - wide[None], axis=-1)
    # |a|² − 2ab + |b|² in float32 with |a|² about 2,500: off by some 1e-3 in the square, and distances are 1 or more
    np.testing.assert_allclose(distances, np.sort(apart, axis=1)[:, :6], atol=2e-3)
    np.testing.assert_allclose(np.take_along_axis(apart, near, axis=1), distances, atol=2e-3)
    np.testing.assert_array_equal(near[:, 0], np.arange(n_rows))
    assert (distances[:, 0] == 0).all()


def test_the_nearest_of_unit_rows_are_those_of_the_largest_cosine() -> None:
    rows = clusters(40)
    near, _ = exact_neighbours(unit_rows(rows), 4, lambda share: None)
    wide = rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_array_equal(near, np.argsort(-(wide @ wide.T), axis=1)[:, :4])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_vocabulary_is_mapped_whole_and_the_same_again(model: GPT2, metric: str) -> None:
    trace = traced(model, IDS)
    settings = {**SETTINGS, "metric": metric, "seed": 1, "dtype": "float32"}
    shares: list[float] = []
    found = umap_of_vocabulary(trace, shares.append, **settings)["points"]  # type: ignore[arg-type]
    assert (found.shape, found.dtype) == ((TINY.d_vocab, 2), np.float32)
    assert np.isfinite(found).all()
    again = umap_of_vocabulary(trace, lambda share: None, **settings)["points"]  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, again)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)

    def stop(share: float) -> None:
        if share >= SEARCH:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        umap_of_vocabulary(trace, stop, **settings)  # type: ignore[arg-type]


def test_the_map_of_the_vocabulary_belongs_to_the_weights() -> None:
    arguments = {**SETTINGS, "seed": 0, "dtype": "float32"}
    works = [Work(kind="vocabulary", trace=each * 64, arguments=arguments, weights="f" * 64) for each in "ab"]
    assert works[0].key == works[1].key


def test_the_kind_names_functions_that_there_are() -> None:
    from dashapp.analysis import projection

    kinds = [KINDS["umap"], KINDS["vocabulary"]]
    names = [name.split(":") for kind in kinds for name in (kind.function, str(kind.home))]
    assert {module for module, _ in names} == {projection.__name__}
    assert all(callable(getattr(projection, name)) for _, name in names)
    assert len(Work(kind="umap", trace="a" * 64, arguments=SETTINGS).key) == 64


@pytest.mark.parametrize("text", ["", "\n", "\r", "abc", "1/", "/5", "1/0", "1/2/3"])
def test_what_is_no_progress_is_not_told(text: str) -> None:
    Told(lambda share: pytest.fail(f"told {share}")).write(text)
