from __future__ import annotations

import math

import numpy as np
import pytest

from dashapp.analysis.embeddings import dimensions, pca, similarity, told, vectors
from dashapp.model.gpt2 import GPT2
from dashapp.traces.capture import capture
from dashapp.traces.record import Trace, trace_metadata
from tests.doubles import TINY, random_weights

IDS = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5], dtype=np.int32)


class Known:
    """The weights of the tiny model, off by a byte as published files have them."""

    fingerprint = "f" * 64

    def float32(self, name: str, *, dtype: str = "float32") -> np.ndarray:
        weight = random_weights(TINY)[name]
        unaligned = np.zeros(weight.nbytes + 1, dtype=np.uint8)[1:].view(np.float32).reshape(weight.shape)
        unaligned[:] = weight
        return unaligned


def traced(model: GPT2, ids: np.ndarray) -> Trace:
    metadata = trace_metadata(TINY, fingerprint="f" * 64, model="tiny", dtype="float32")
    return capture(model, ids, metadata, weights=Known())


@pytest.fixture(scope="module")
def trace(model: GPT2) -> Trace:
    return traced(model, IDS)


def test_token_and_position_add_up_to_what_enters_layer_0(trace: Trace) -> None:
    """Exactly: one float32 addition, rounded alike by torch and NumPy."""
    added = vectors(trace, "token") + vectors(trace, "position")
    np.testing.assert_array_equal(added, vectors(trace, "sum"))
    np.testing.assert_array_equal(added, trace.resid_pre[0])


def test_embeddings_are_rows_of_the_models_tables(trace: Trace) -> None:
    weights = random_weights(TINY)
    np.testing.assert_array_equal(vectors(trace, "token"), weights["wte.weight"][IDS])
    np.testing.assert_array_equal(vectors(trace, "position"), weights["wpe.weight"][: len(IDS)])


def test_a_point_of_the_stream_is_what_the_trace_keeps_of_it(trace: Trace) -> None:
    np.testing.assert_array_equal(vectors(trace, 1), trace.resid_mid[0])
    np.testing.assert_array_equal(vectors(trace, 2 * TINY.n_layer), trace.resid_post[-1])


def test_vectors_are_aligned_whatever_the_file_is(trace: Trace) -> None:
    assert vectors(trace, "token").flags.aligned
    assert vectors(trace, "position").flags.aligned


# Dimensions ----------------------------------------------------------------------------------------------------------


def test_dimensions_of_a_hand_case_without_the_first_token() -> None:
    values = np.array([[100, 100, 100], [1, 5, 3], [3, 5, 0], [5, 5, 0]], dtype=np.float32)
    found = dimensions(values)
    assert found.variances.tolist() == pytest.approx([8 / 3, 0, 2])
    assert found.by_variance.tolist() == [0, 2, 1]
    assert found.sizes.tolist() == pytest.approx([math.sqrt(35 / 3), 5, math.sqrt(3)])
    assert found.largest(2).tolist() == [1, 0]  # large at every token counts, though it does not vary


def test_dimensions_that_vary_alike_stand_in_the_order_of_their_numbers() -> None:
    assert dimensions(np.ones((1, 5), dtype=np.float32)).by_variance.tolist() == [0, 1, 2, 3, 4]


def test_two_tokens_are_both_told_of() -> None:
    assert told(np.eye(2)).shape == (2, 2)
    assert told(np.eye(3)).shape == (2, 3)


# PCA -----------------------------------------------------------------------------------------------------------------

# Eigenvalues of a Gram matrix are exact to 1e-16 of the largest, so directions with a share of 1e-3 of it to 1e-13.
PCA_ATOL = 1e-9


def random_vectors(n_tokens: int, d_model: int, seed: int = 0) -> np.ndarray:
    """float32, each dimension with a spread of its own, around a mean far from 0."""
    generator = np.random.default_rng(seed)
    spreads = np.linspace(1, 3, d_model)
    return (generator.standard_normal((n_tokens, d_model)) * spreads + 7).astype(np.float32)


def by_svd(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points up to their sign, and shares, from a singular value decomposition in float64."""
    centred = values.astype(np.float64) - values.astype(np.float64).mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    return left * singular, singular**2 / (singular**2).sum()


@pytest.mark.parametrize(("n_tokens", "d_model"), [(9, 20), (20, 9), (10, 10), (3, 7)])
def test_pca_is_that_of_a_singular_value_decomposition(n_tokens: int, d_model: int) -> None:
    values = random_vectors(n_tokens, d_model)
    found = pca(values, n_components=2)
    points, shares = by_svd(values)
    np.testing.assert_allclose(np.abs(found.points), np.abs(points[:, :2]), atol=PCA_ATOL)
    np.testing.assert_allclose(found.shares, shares[:2], atol=PCA_ATOL)


def test_shares_are_those_of_the_covariances_eigenvalues() -> None:
    values = random_vectors(30, 6)
    eigenvalues = np.linalg.eigvalsh(np.cov(values.astype(np.float64).T))[::-1]
    np.testing.assert_allclose(pca(values, n_components=6).shares, eigenvalues / eigenvalues.sum(), atol=PCA_ATOL)


def test_all_components_give_the_vectors_back() -> None:
    for n_tokens, d_model in ((9, 20), (20, 9)):
        values = random_vectors(n_tokens, d_model)
        found = pca(values, n_components=d_model)
        np.testing.assert_allclose(found.points @ found.axes + found.mean, values, atol=PCA_ATOL)
        assert found.shares.sum() == pytest.approx(1)


def test_axes_are_of_length_one_and_at_right_angles() -> None:
    axes = pca(random_vectors(9, 20), n_components=4).axes
    np.testing.assert_allclose(axes @ axes.T, np.eye(4), atol=PCA_ATOL)


def test_a_hand_case_lies_on_its_diagonal() -> None:
    found = pca(np.array([[0, 0], [1, 2], [2, 4]], dtype=np.float32))
    root = math.sqrt(5)
    np.testing.assert_allclose(found.points, [[-root, 0], [0, 0], [root, 0]], atol=1e-12)
    assert found.shares.tolist() == pytest.approx([1, 0])


def test_the_signs_of_the_axes_do_not_depend_on_the_order_of_the_tokens_or_on_noise() -> None:
    values = random_vectors(12, 20)
    found = pca(values)
    assert (np.take_along_axis(found.axes, np.abs(found.axes).argmax(axis=1)[:, None], axis=1) > 0).all()
    order = np.random.default_rng(3).permutation(12)
    np.testing.assert_allclose(pca(values[order]).points, found.points[order], atol=PCA_ATOL)
    noisy = values + np.random.default_rng(4).standard_normal(values.shape).astype(np.float32) * 1e-5
    np.testing.assert_allclose(pca(noisy).points, found.points, atol=1e-3)  # the noise, times √20 and some leverage


def test_points_turn_with_the_vectors_and_keep_their_distances() -> None:
    """With every component kept, the map is a rotation: no distance between two tokens changes."""
    values = random_vectors(8, 5)
    points = pca(values, n_components=5).points
    for one, other in ((0, 1), (2, 7)):
        apart = np.linalg.norm(values[one].astype(np.float64) - values[other])
        assert np.linalg.norm(points[one] - points[other]) == pytest.approx(apart)


def test_axes_without_the_first_token_are_those_of_the_others_alone() -> None:
    values = random_vectors(9, 20)
    values[0] *= 1000
    without, others = pca(values, without_first=True), pca(values[1:])
    np.testing.assert_allclose(without.points[1:], others.points, atol=PCA_ATOL)
    np.testing.assert_allclose(without.shares, others.shares, atol=PCA_ATOL)
    assert pca(values).shares[0] > 0.99  # with it, there is nothing else to see


@pytest.mark.parametrize("n_tokens", [1, 2, 5])
def test_equal_vectors_all_lie_at_zero(n_tokens: int) -> None:
    same = np.repeat(random_vectors(1, 20), n_tokens, axis=0)
    found = pca(same)
    assert not found.points.any()
    assert not found.shares.any()


def test_two_tokens_vary_along_one_axis() -> None:
    found = pca(random_vectors(2, 20))
    assert found.shares.tolist() == pytest.approx([1, 0])
    assert not found.points[:, 1].any()


# Cosine similarity ---------------------------------------------------------------------------------------------------

FLOAT32_ATOL = 1e-7  # a cosine is rounded to float32 once


def test_cosines_of_a_hand_case() -> None:
    cosines = similarity(np.array([[3, 4], [4, 3], [-3, -4], [0, 2]], dtype=np.float32), centred=False).cosines
    expected = [[1, 0.96, -1, 0.8], [0.96, 1, -0.96, 0.6], [-1, -0.96, 1, -0.8], [0.8, 0.6, -0.8, 1]]
    np.testing.assert_allclose(cosines, expected, atol=FLOAT32_ATOL)


@pytest.mark.parametrize("centred", [False, True])
def test_cosines_are_the_formulas_pair_by_pair(centred: bool) -> None:
    values = random_vectors(7, 20)
    found = similarity(values, centred=centred)
    rows = values.astype(np.float64) - (values[1:].astype(np.float64).mean(axis=0) if centred else 0)
    pairs = []
    for one in range(7):
        for other in range(7):
            lengths = math.sqrt(rows[one] @ rows[one]) * math.sqrt(rows[other] @ rows[other])
            expected = rows[one] @ rows[other] / lengths
            assert found.cosines[one, other] == pytest.approx(expected, abs=FLOAT32_ATOL)
            if 0 < one < other:
                pairs.append(expected)
    assert found.mean == pytest.approx(np.mean(pairs))
    assert found.n_without == 0


def test_a_vector_is_wholly_like_itself_and_likeness_goes_both_ways() -> None:
    for centred in (False, True):
        cosines = similarity(random_vectors(40, 20), centred=centred).cosines
        np.testing.assert_allclose(cosines.diagonal(), 1, atol=FLOAT32_ATOL)
        np.testing.assert_array_equal(cosines, cosines.T)
        assert np.abs(cosines).max() <= 1


def test_lengths_do_not_change_raw_cosines() -> None:
    values = random_vectors(6, 20)
    stretched = values * np.array([2, 0.5, 8, 1, 4, 16], dtype=np.float32)[:, None]  # powers of 2 round nothing
    found, before = similarity(stretched, centred=False), similarity(values, centred=False)
    np.testing.assert_array_equal(found.cosines, before.cosines)


def test_what_is_added_to_all_vectors_changes_raw_cosines_and_no_centred_ones() -> None:
    values = random_vectors(6, 20).astype(np.float64)
    shifted = values.copy()
    shifted[:, 4] += 50  # a dimension that is large at every token
    centred, raw = similarity(values, centred=True), similarity(values, centred=False)
    np.testing.assert_allclose(similarity(shifted, centred=True).cosines, centred.cosines, atol=FLOAT32_ATOL)
    assert similarity(shifted, centred=False).mean > raw.mean
    assert similarity(shifted, centred=False).mean > 0.9


def test_the_first_token_does_not_move_the_mean_that_is_taken_off() -> None:
    values = random_vectors(6, 20)
    loud = values.copy()
    loud[0] *= 1000
    np.testing.assert_array_equal(
        similarity(loud, centred=True).cosines[1:, 1:], similarity(values, centred=True).cosines[1:, 1:]
    )


def test_what_has_no_direction_has_no_cosine() -> None:
    found = similarity(np.array([[1, 0], [0, 0], [0, 2]], dtype=np.float32), centred=False)
    assert found.n_without == 1
    assert np.isnan(found.cosines[1]).all()
    assert np.isnan(found.cosines[:, 1]).all()
    assert found.cosines[0, 2] == 0
    alone = similarity(random_vectors(1, 20), centred=True)
    assert alone.n_without == 1
    assert math.isnan(alone.mean)


def test_equal_vectors_have_no_direction_once_their_mean_is_taken_off() -> None:
    same = np.repeat(random_vectors(1, 20), 5, axis=0)
    assert similarity(same, centred=True).n_without == 5
    assert (similarity(same, centred=False).cosines == 1).all()


def test_two_tokens_are_opposite_once_their_mean_is_taken_off() -> None:
    cosines = similarity(random_vectors(2, 20), centred=True).cosines
    np.testing.assert_allclose(cosines, [[1, -1], [-1, 1]], atol=FLOAT32_ATOL)
