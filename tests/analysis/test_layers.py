from __future__ import annotations

import math

import numpy as np
import pytest

from dashapp.analysis.embeddings import told
from dashapp.analysis.layers import ROWS_AT_ONCE, centred_cosines, paths, states_between_layers, unbiased_cka
from dashapp.model.gpt2 import GPT2
from tests.analysis.test_embeddings import IDS, traced
from tests.doubles import TINY

# Gram entries are float32 sums of d_model products of vectors of length about 1, each off by d_model roundings of 6e-8
# at most; a CKA is a cosine of many of them, off by no more than one of them is.
CKA_ATOL = 1e-5


def states(n_states: int, n_tokens: int, d_model: int, seed: int = 0) -> np.ndarray:
    """float32, each state a mixture of one that all share and its own, far from 0."""
    generator = np.random.default_rng(seed)
    shared = generator.standard_normal((n_tokens, d_model))
    own = generator.standard_normal((n_states, n_tokens, d_model))
    return (shared + np.linspace(0, 2, n_states)[:, None, None] * own + 5).astype(np.float32)


def hsic(k: np.ndarray, el: np.ndarray) -> float:
    """Song et al. 2012, equation 5, as it stands there."""
    n = len(k)
    k, el = (matrix - np.diag(np.diag(matrix)) for matrix in (k, el))
    one = np.ones(n)
    whole = np.trace(k @ el) + (one @ k @ one) * (one @ el @ one) / ((n - 1) * (n - 2))
    return float(whole - 2 / (n - 2) * (one @ k @ el @ one)) / (n * (n - 3))


def cka(x: np.ndarray, y: np.ndarray) -> float:
    k, el = (rows.astype(np.float64) @ rows.astype(np.float64).T for rows in (x, y))
    return hsic(k, el) / math.sqrt(hsic(k, k) * hsic(el, el))


@pytest.mark.parametrize("n_tokens", [5, 9, ROWS_AT_ONCE, ROWS_AT_ONCE + 2, 2 * ROWS_AT_ONCE + 31])
def test_cka_is_the_formula_in_float64(n_tokens: int) -> None:
    made = states(4, n_tokens, 20)
    expected = [[cka(told(one), told(other)) for other in made] for one in made]
    np.testing.assert_allclose(unbiased_cka(made), expected, rtol=0, atol=CKA_ATOL)


def test_cka_of_a_traces_layers_is_the_formula(model: GPT2) -> None:
    between = states_between_layers(traced(model, IDS))
    assert between.shape == (TINY.n_layer + 1, len(IDS), TINY.d_model)
    expected = [[cka(told(one), told(other)) for other in between] for one in between]
    np.testing.assert_allclose(unbiased_cka(between), expected, rtol=0, atol=CKA_ATOL)


def test_a_state_is_wholly_like_itself_turned_shifted_and_scaled() -> None:
    made = states(1, 40, 12)[0].astype(np.float64)
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((12, 12)))
    found = unbiased_cka(np.stack([made, made @ turn, 300 * made, made + 7]))
    np.testing.assert_allclose(found, np.ones((4, 4)), rtol=0, atol=CKA_ATOL)
    assert (found.diagonal() == 1).all()


def test_stretching_one_direction_does_change_it() -> None:
    made = states(1, 40, 12)[0].astype(np.float64)
    stretched = made * np.array([20.0, *[1.0] * 11])
    assert unbiased_cka(np.stack([made, stretched]))[0, 1] < 0.9


def test_unrelated_states_are_around_zero_where_the_biased_estimate_is_near_one() -> None:
    generator = np.random.default_rng(3)
    x, y = generator.standard_normal((2, 31, 768))
    centred = [rows[1:] - rows[1:].mean(axis=0) for rows in (x, y)]
    k, el = (rows @ rows.T for rows in centred)
    biased = (k * el).sum() / math.sqrt((k * k).sum() * (el * el).sum())
    assert biased > 0.9
    assert abs(unbiased_cka(np.stack([x, y]))[0, 1]) < 0.2  # its deviation is about 1/√(n(n−3)) · … : 0.03 here


def test_the_first_token_does_not_count() -> None:
    made = states(3, 20, 12)
    loud = made.copy()
    loud[:, 0] *= 1000
    np.testing.assert_array_equal(unbiased_cka(loud), unbiased_cka(made))
    np.testing.assert_array_equal(centred_cosines(loud), centred_cosines(made))


@pytest.mark.parametrize(("n_tokens", "is_known"), [(1, False), (2, False), (3, False), (4, False), (5, True)])
def test_too_few_tokens_have_no_cka(n_tokens: int, is_known: bool) -> None:
    assert np.isnan(unbiased_cka(states(2, n_tokens, 12))).all() == (not is_known)


def test_a_state_of_equal_vectors_has_no_cka() -> None:
    made = states(3, 20, 12)
    made[1] = made[1, 0]
    found = unbiased_cka(made)
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 1]).all()
    assert np.isfinite(found[0, 2])


@pytest.mark.parametrize("pos", [None, 0, 3])
def test_cosines_are_the_formulas_token_by_token(pos: int | None) -> None:
    made = states(3, 7, 12).astype(np.float64)
    centred = np.stack([state - state[1:].mean(axis=0) for state in made])
    unit = centred / np.linalg.norm(centred, axis=2, keepdims=True)
    where = range(1, 7) if pos is None else [pos]
    expected = np.mean([unit[:, at] @ unit[:, at].T for at in where], axis=0)
    np.testing.assert_allclose(centred_cosines(made, pos), expected, rtol=0, atol=1e-12)


def test_a_lone_token_has_no_centred_cosine() -> None:
    assert np.isnan(centred_cosines(states(2, 1, 12))).all()
    assert np.isnan(centred_cosines(states(2, 1, 12), 0)).all()


@pytest.mark.parametrize("without_first", [False, True])
def test_paths_are_all_states_along_the_components_of_all_of_them(without_first: bool) -> None:
    made = states(3, 9, 12).astype(np.float64)
    found = paths(made, without_first=without_first)
    rows = (made[:, 1:] if without_first else made).reshape(-1, 12)
    _, sizes, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    expected = (made - rows.mean(axis=0)) @ axes[:2].T  # up to the sign of each axis
    np.testing.assert_allclose(np.abs(found.points), np.abs(expected), atol=1e-5)  # stored as float32, up to about 10
    np.testing.assert_allclose(found.shares, sizes[:2] ** 2 / (sizes**2).sum(), atol=1e-9)


def test_states_that_stay_where_they_are_make_paths_of_one_point() -> None:
    still = np.repeat(states(1, 9, 12), 4, axis=0)
    points = paths(still, without_first=False).points
    np.testing.assert_array_equal(points, np.repeat(points[:1], 4, axis=0))
