"""Alignment of two prompts: hand cases, and what must hold of any two."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashapp.analysis.alignment import MOST_PINS, NO_PINS, Alignment, Pins, align
from dashapp.errors import BadPins

# Few different ids, so that common tokens, repeats and ties are frequent.
PROMPTS = st.lists(st.integers(0, 4), max_size=12)


# Edits of prompts of so many tokens: how far each next one is from the last, and which tokens are alone beside them.
STEPS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=3)
SHORT = st.lists(st.integers(0, 3), max_size=5)


@st.composite
def pinned(draw: st.DrawFn) -> tuple[list[int], list[int], Pins]:
    """Two short prompts, and edits that fit them."""
    a, b = draw(SHORT), draw(SHORT)
    found: list[tuple[int, int]] = []
    i = j = 0
    for step_i, step_j in draw(STEPS):
        i, j = i + step_i, j + step_j
        if i < len(a) and j < len(b):
            found.append((i, j))
        i, j = i + 1, j + 1
    rest_a = [pos for pos in range(len(a)) if pos not in [i for i, _ in found]]
    rest_b = [pos for pos in range(len(b)) if pos not in [j for _, j in found]]
    alone = [draw(st.sets(st.sampled_from(rest), max_size=2)) if rest else () for rest in (rest_a, rest_b)]
    return a, b, Pins(pairs=tuple(found), alone_a=tuple(alone[0]), alone_b=tuple(alone[1]))


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


@settings(deadline=None)  # the machine may be busy
@given(pinned())
def test_of_all_alignments_that_keep_the_edits_none_is_better(case: tuple[list[int], list[int], Pins]) -> None:
    """Against every set of pairs in order there is, those without the edits struck out."""
    a, b, pins = case

    def all_from(i: int, j: int) -> list[tuple[tuple[int, int], ...]]:
        made: list[tuple[tuple[int, int], ...]] = [()]
        for x in range(i, len(a)):
            for y in range(j, len(b)):
                made += [((x, y), *rest) for rest in all_from(x + 1, y + 1)]
        return made

    def keeps(path: tuple[tuple[int, int], ...]) -> bool:
        is_alone = any(x in pins.alone_a or y in pins.alone_b for x, y in path)
        return {*pins.pairs} <= {*path} and not is_alone

    def worth(path: tuple[tuple[int, int], ...]) -> tuple[int, int]:
        n_same = sum(a[x] == b[y] for x, y in path)
        return n_same, len(path) - n_same

    found = align(a, b, pins)
    path = tuple(pairs(found))
    assert keeps(path)
    assert worth(path) == max(worth(each) for each in all_from(0, 0) if keeps(each))
    assert (found.n_same, found.n_aligned) == (worth(path)[0], len(path))
    assert path == tuple(sorted({*path}))
    assert [y for _, y in path] == sorted({y for _, y in path})


@settings(deadline=None)  # the machine may be busy
@given(pinned())
def test_edits_turn_with_the_prompts_and_survive_as_text(case: tuple[list[int], list[int], Pins]) -> None:
    a, b, pins = case
    np.testing.assert_array_equal(align(a, b, pins).b_of_a, align(b, a, pins.turned).a_of_b)
    assert pins.turned.turned == pins
    assert Pins.read(str(pins)) == pins
    assert bool(pins) == bool(str(pins))


@settings(deadline=None)  # the machine may be busy
@given(pinned(), st.integers(0, 5), st.integers(0, 5))
def test_of_the_first_tokens_alone_edits_say_the_same(
    case: tuple[list[int], list[int], Pins], n_a: int, n_b: int
) -> None:
    """A token that was paired with one that is cut off has no other partner."""
    a, b, pins = case
    a, b = a[:n_a], b[:n_b]
    cut = pins.within(len(a), len(b))
    found = align(a, b, cut)
    for i, j in pins.pairs:
        if i < len(a):
            assert found.b_of_a[i] == (j if j < len(b) else -1)
        if j < len(b):
            assert found.a_of_b[j] == (i if i < len(a) else -1)
    assert all(found.b_of_a[pos] == -1 for pos in pins.alone_a if pos < len(a))
    assert all(found.a_of_b[pos] == -1 for pos in pins.alone_b if pos < len(b))


def test_edits_by_hand_cases() -> None:
    a, b = [1, 2, 3, 4], [1, 9, 3, 4]
    assert pairs(align(a, b, Pins(pairs=((2, 1),)))) == [(0, 0), (2, 1), (3, 3)]  # token 2 of b has nobody left
    assert pairs(align(a, b, Pins(alone_a=(1,)))) == [(0, 0), (2, 2), (3, 3)]
    assert pairs(align(a, b, Pins(alone_b=(0, 1, 2, 3)))) == []
    assert pairs(align(a, a, Pins(pairs=((0, 1),)))) == [(0, 1), (2, 2), (3, 3)]  # with itself, but for the start


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("3", "'3' is no edit: '3-4' pairs token 3 of a with token 4 of b"),
        ("3-4..a5", "'' is no edit"),
        ("3-4-5", "'3-4-5' is no edit"),
        ("c5", "'c5' is no edit"),
        ("\u0663-4", "is no edit"),  # a digit, but not one of ours
        ("x" * 999, "'xxxxxxxxxxxxxxxxxxxx' is no edit"),
        ("3-4.3-5", "token 3 of a has two edits"),
        ("3-4.b4", "token 4 of b has two edits"),
        ("3-4.2-5", "token 2 of a with 5 of b, and 3 of a with 4 of b, cross"),
        (".".join(f"a{pos}" for pos in range(MOST_PINS + 1)), "are 101 edits, and 100 are kept"),
    ],
)
def test_edits_that_are_none_are_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(BadPins) as refused:
        Pins.read(text)
    assert says in refused.value.instance


def test_edits_of_other_prompts_are_refused() -> None:
    with pytest.raises(BadPins, match="token 2 of b has one, and the last token of b is 1"):
        align([1, 2, 3], [1, 2], Pins(pairs=((2, 2),)))
    with pytest.raises(BadPins, match="a has no tokens"):
        align([], [1], Pins(alone_a=(0,)))
    assert pairs(align([], [], NO_PINS)) == []


def test_the_longest_prompts_take_a_fraction_of_a_second() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.integers(0, 50, (2, 1024))  # no start or end in common: the whole table is filled
    start = time.perf_counter()
    found = align(a, b)
    assert time.perf_counter() - start < 1  # 20 ms on an idle core; the machine may be busy
    assert found.n_same > 200  # of 50 ids, about 2 / √50 of the tokens (Kiwi, Loebl & Matoušek 2005)
