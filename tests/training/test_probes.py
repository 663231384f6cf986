"""Head scores on patterns made by hand, where every score is known."""

from __future__ import annotations

import numpy as np
import pytest

from training.probes import duplicate_token_score, induction_score, previous_token_score

BLOCK = 4


def looking_back(n_back: int) -> np.ndarray:
    """A pattern [query key] whose queries look `n_back` tokens back, or at themselves where there are not so many."""
    pattern = np.zeros((2 * BLOCK, 2 * BLOCK))
    for query in range(2 * BLOCK):
        pattern[query, query - n_back if query >= n_back else query] = 1
    return pattern


def test_each_kind_of_head_scores_one_on_its_own_pattern_and_zero_on_the_others() -> None:
    pattern = np.stack([looking_back(1), looking_back(BLOCK), looking_back(BLOCK - 1)])  # [head query key]
    assert previous_token_score(pattern).tolist() == [1, 0, 0]
    assert duplicate_token_score(pattern, BLOCK).tolist() == [0, 1, 0]
    assert induction_score(pattern, BLOCK).tolist() == [0, 0, 1]


def test_the_last_token_of_the_first_block_is_no_induction_pair() -> None:
    pattern = looking_back(BLOCK - 1)
    pattern[BLOCK - 1] = 0
    assert induction_score(pattern, BLOCK) == 1


def test_a_uniform_pattern_scores_the_mean_of_one_over_the_length() -> None:
    n_pos = 2 * BLOCK
    pattern = np.tril(np.ones((n_pos, n_pos))) / np.arange(1, n_pos + 1)[:, None]
    assert previous_token_score(pattern) == pytest.approx(np.mean([1 / (query + 1) for query in range(1, n_pos)]))
    assert induction_score(pattern, BLOCK) == pytest.approx(np.mean([1 / (query + 1) for query in range(BLOCK, n_pos)]))
