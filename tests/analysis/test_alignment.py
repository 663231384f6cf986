"""Alignment of two prompts: hand cases, and what must hold of any two."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashapp.analysis.alignment import Alignment, align

# Few different ids, so that common tokens, repeats and ties are frequent.
PROMPTS = st.lists(st.integers(0, 4), max_size=12)


def pairs(found: Alignment) -> list[tuple[int, int]]:
    return [(pos, int(other)) for pos, other in enumerate(found.b_of_a) if other >= 0]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([], [], []),
        ([1], [], []),
        ([1, 2, 3], [1, 2, 3], [(0, 0), (1, 1), (2, 2)]),
        ([1, 2, 3], [1, 9, 3], [(0, 0), (1, 1), (2, 2)]),  # one replaced
        ([1, 2, 3], [1, 2, 8, 3], [(0, 0), (1, 1), (2, 3)]),  # one put in
        ([1, 2, 8, 3], [1, 2, 3], [(0, 0), (1, 1), (3, 2)]),  # one left out
        ([1, 5, 6, 3], [1, 7, 3], [(0, 0), (1, 1), (3, 2)]),  # two replaced by one: the earlier is its counterpart
        ([1, 2], [2, 1, 2], [(0, 1), (1, 2)]),  # something put in front
        ([5, 6], [7, 8], [(0, 0), (1, 1)]),  # nothing is the same: token by token
        ([1], [1, 1], [(0, 0)]),  # the start before the end
        ([1, 2, 3, 4, 5], [1, 3, 9, 5], [(0, 0), (2, 1), (3, 2), (4, 3)]),
        ([2, 3, 4, 5, 6, 7], [3, 4, 5, 6, 7, 2], [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]),  # moved: five beat six
    ],
)
def test_hand_cases(a: list[int], b: list[int], expected: list[tuple[int, int]]) -> None:
    assert pairs(align(a, b)) == expected


def test_same_and_replaced_are_told_apart_and_counted() -> None:
    found = align([1, 2, 3, 4], [1, 9, 3])
    assert found.is_same.tolist() == [True, False, True, False]
    assert (found.n_aligned, found.n_same) == (3, 2)
    assert found.a_of_b.tolist() == [0, 1, 2]


@settings(deadline=None)  # the machine may be busy
@given(PROMPTS, PROMPTS)
def test_order_is_kept_and_a_token_is_in_one_pair_at_most(a: list[int], b: list[int]) -> None:
    found = pairs(align(a, b))
    assert found == sorted(set(found))
    others = [other for _, other in found]
    assert others == sorted(set(others))
    assert all(0 <= pos < len(a) and 0 <= other < len(b) for pos, other in found)


@settings(deadline=None)  # the machine may be busy
@given(PROMPTS, PROMPTS)
def test_both_directions_tell_the_same_pairs(a: list[int], b: list[int]) -> None:
    found = align(a, b)
    assert pairs(found) == [(int(pos), other) for other, pos in enumerate(found.a_of_b) if pos >= 0]
    assert [bool(same) for same in found.is_same] == [
        other >= 0 and a[pos] == b[other] for pos, other in enumerate(found.b_of_a)
    ]


@settings(deadline=None)  # the machine may be busy
@given(PROMPTS, PROMPTS)
def test_swapping_the_prompts_swaps_the_alignment(a: list[int], b: list[int]) -> None:
    one, other = align(a, b), align(b, a)
    np.testing.assert_array_equal(one.b_of_a, other.a_of_b)
    np.testing.assert_array_equal(one.a_of_b, other.b_of_a)


@settings(deadline=None)  # the machine may be busy
@given(PROMPTS)
def test_a_prompt_aligns_with_itself_token_by_token(a: list[int]) -> None:
    assert align(a, a).b_of_a.tolist() == list(range(len(a)))


@settings(deadline=None)  # the machine may be busy
@given(PROMPTS, PROMPTS, PROMPTS)
def test_a_common_start_is_aligned(start: list[int], a: list[int], b: list[int]) -> None:
    found = align(start + a, start + b)
    assert found.b_of_a[: len(start)].tolist() == list(range(len(start)))


@settings(deadline=None)  # the machine may be busy
@given(PROMPTS, PROMPTS, PROMPTS)
def test_a_common_end_is_aligned_unless_the_start_needs_it(end: list[int], a: list[int], b: list[int]) -> None:
    left, right = [7, *a, 8, *end], [7, *b, 9, *end]  # nothing before the end is shared by accident
    found = align(left, right)
    assert (found.b_of_a[len(a) + 2 :] - np.arange(len(end))).tolist() == [len(b) + 2] * len(end)


@settings(deadline=None)  # the machine may be busy
@given(PROMPTS, PROMPTS)
def test_no_alignment_has_more_same_tokens_nor_as_many_and_more_replaced_ones(a: list[int], b: list[int]) -> None:
    """Against the textbook's recursion, which tries everything and shares no line with ours."""

    @cache
    def best(i: int, j: int) -> tuple[int, int]:
        if i == len(a) or j == len(b):
            return 0, 0
        same, replaced = best(i + 1, j + 1)
        both = (same + 1, replaced) if a[i] == b[j] else (same, replaced + 1)
        return max(best(i + 1, j), best(i, j + 1), both)

    found = align(a, b)
    assert (found.n_same, found.n_aligned - found.n_same) == best(0, 0)


def test_the_longest_prompts_take_a_fraction_of_a_second() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.integers(0, 50, (2, 1024))  # no start or end in common: the whole table is filled
    start = time.perf_counter()
    found = align(a, b)
    assert time.perf_counter() - start < 1  # 20 ms on an idle core; the machine may be busy
    assert found.n_same > 200  # of 50 ids, about 2 / √50 of the tokens (Kiwi, Loebl & Matoušek 2005)
