from __future__ import annotations

import math

import numpy as np
import pytest

from dashapp.analysis.vocabulary import (
    cosines_with_tokens,
    nearest_tokens,
    sum_of_tokens,
    token_embeddings,
    vector_of,
    vocabulary_pca,
)
from dashapp.model.gpt2 import GPT2
from dashapp.traces.record import Trace
from tests.analysis.test_embeddings import IDS, traced
from tests.doubles import TINY, random_weights

# 10 products of float32 numbers below 1 and their sum: 20 roundings of 6e-8 at most; centring makes more of them.
FLOAT32_ATOL = 2e-6


@pytest.fixture(scope="module")
def trace(model: GPT2) -> Trace:
    return traced(model, IDS)


def table() -> np.ndarray:
    return random_weights(TINY)["wte.weight"].astype(np.float64)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / math.sqrt(one @ one) / math.sqrt(other @ other))


def test_means_and_lengths_are_those_of_the_table_in_float64(trace: Trace) -> None:
    known, rows = token_embeddings(trace), table()
    np.testing.assert_allclose(known.mean, rows.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(known.lengths, np.sqrt(np.square(rows).sum(axis=1)), rtol=1e-12)
    np.testing.assert_allclose(known.centred_lengths, np.linalg.norm(rows - rows.mean(axis=0), axis=1), rtol=1e-12)


@pytest.mark.parametrize("centred", [False, True])
def test_cosines_are_the_formulas_token_by_token(trace: Trace, centred: bool) -> None:
    rows = table()
    mean = rows.mean(axis=0) if centred else 0
    for of in ("token", 0, 3, 2 * TINY.n_layer):
        vector = vector_of(trace, 4, of, centred=centred)  # type: ignore[arg-type]
        expected = [cosine(vector, row - mean) for row in rows]
        np.testing.assert_allclose(
            cosines_with_tokens(trace, vector, centred=centred), expected, rtol=0, atol=FLOAT32_ATOL
        )


@pytest.mark.parametrize("centred", [False, True])
def test_a_token_is_nearest_to_its_own_embedding(trace: Trace, centred: bool) -> None:
    for pos, token in enumerate(IDS):
        found = nearest_tokens(trace, vector_of(trace, pos, "token", centred=centred), 3, centred=centred)
        assert found.ids[0] == token
        assert found.cosines[0] == pytest.approx(1, abs=FLOAT32_ATOL)


def test_length_does_not_change_what_is_nearest(trace: Trace) -> None:
    vector = vector_of(trace, 2, 4, centred=False)
    one, other = (nearest_tokens(trace, factor * vector, TINY.d_vocab, centred=False) for factor in (1, 1000))
    np.testing.assert_array_equal(one.ids, other.ids)
    assert sorted(one.ids) == list(range(TINY.d_vocab))
    assert (np.diff(one.cosines) <= 0).all()


def test_the_mean_is_over_all_tokens_and_not_the_ones_shown(trace: Trace) -> None:
    vector = vector_of(trace, 2, "token", centred=False)
    found = nearest_tokens(trace, vector, 2, centred=False)
    assert found.mean == pytest.approx(cosines_with_tokens(trace, vector, centred=False).mean(), abs=1e-12)
    assert (len(found.ids), found.n_tokens) == (2, TINY.d_vocab)


def test_a_state_is_centred_by_the_prompts_mean_and_an_embedding_by_the_vocabularys(trace: Trace) -> None:
    states, rows = trace.resid_post[1].astype(np.float64), table()
    np.testing.assert_allclose(vector_of(trace, 3, 4, centred=True), states[3] - states[1:].mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(vector_of(trace, 3, "token", centred=True), rows[IDS[3]] - rows.mean(axis=0), atol=1e-12)


def test_a_sum_adds_and_takes_off_embeddings(trace: Trace) -> None:
    rows = table()
    terms = [(1, 3), (-1, 5), (1, 7)]
    np.testing.assert_allclose(sum_of_tokens(trace, terms, centred=False), rows[3] - rows[5] + rows[7], atol=1e-12)
    mean = rows.mean(axis=0)
    np.testing.assert_allclose(
        sum_of_tokens(trace, terms, centred=True), rows[3] - rows[5] + rows[7] - mean, atol=1e-12
    )


def test_what_is_added_and_taken_off_again_changes_nothing(trace: Trace) -> None:
    there_and_back = sum_of_tokens(trace, [(1, 3), (-1, 5), (1, 5)], centred=False)
    assert nearest_tokens(trace, there_and_back, 1, centred=False).ids.tolist() == [3]


def test_a_token_minus_itself_has_no_direction(trace: Trace) -> None:
    for centred in (False, True):
        nothing = sum_of_tokens(trace, [(1, 3), (-1, 3)], centred=centred)
        found = nearest_tokens(trace, nothing, 5, centred=centred)
        assert not found.has_direction
        assert not len(found.ids)
        assert math.isnan(found.mean)


def test_a_lone_state_has_no_direction_without_its_mean(model: GPT2) -> None:
    alone = traced(model, IDS[:1])
    assert not vector_of(alone, 0, 3, centred=True).any()
    assert vector_of(alone, 0, 3, centred=False).any()
    assert vector_of(alone, 0, "token", centred=True).any()  # its mean is the vocabulary's


def test_a_token_of_length_zero_is_no_neighbour(model: GPT2) -> None:
    trace = traced(model, IDS)

    class Silent:
        fingerprint = "f" * 64

        def float32(self, name: str, *, dtype: str = "float32") -> np.ndarray:
            weight = random_weights(TINY)[name].copy()
            weight[6] = 0
            return weight

    trace.use_weights(Silent())
    found = nearest_tokens(trace, vector_of(trace, 0, "token", centred=False), TINY.d_vocab, centred=False)
    assert 6 not in found.ids
    assert found.n_tokens == TINY.d_vocab - 1


def test_the_map_of_the_vocabulary_is_its_singular_vectors_in_float64(trace: Trace) -> None:
    found, rows = vocabulary_pca(trace), table()
    centred = rows - rows.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(found.shares, (sizes**2 / np.square(sizes).sum())[:2], atol=FLOAT32_ATOL)
    np.testing.assert_allclose(
        np.abs(found.axes @ axes[:2].T), np.eye(2), atol=1e-5
    )  # float32 products turn them a bit
    assert (np.take_along_axis(found.axes, np.abs(found.axes).argmax(axis=1)[:, None], axis=1) > 0).all()
    np.testing.assert_allclose(found.points, centred @ found.axes.T, atol=FLOAT32_ATOL)


def test_an_embedding_given_as_any_vector_falls_on_its_own_point(trace: Trace) -> None:
    found = vocabulary_pca(trace)
    np.testing.assert_allclose(found.place(table()[3:5]), found.points[3:5], atol=FLOAT32_ATOL)
