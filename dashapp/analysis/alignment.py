"""Which token of one prompt stands for which of another. Knows token ids; knows nothing of models or traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NONE = -1  # the position of no token


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Pairs of tokens of the prompts a and b, in the order of both; a token is in one pair at most.

    b_of_a: int32 [pos of a], the position in b of each token's counterpart, −1 where it has none. a_of_b: int32
    [pos of b], the same the other way round. is_same: bool [pos of a], true where both tokens of the pair are one;
    the others of a pair replace each other.
    """

    b_of_a: np.ndarray
    a_of_b: np.ndarray
    is_same: np.ndarray

    @property
    def n_aligned(self) -> int:
        """How many pairs there are."""
        return int((self.b_of_a != NONE).sum())

    @property
    def n_same(self) -> int:
        """How many of them hold one token twice."""
        return int(self.is_same.sum())


def align(a: Sequence[int] | np.ndarray, b: Sequence[int] | np.ndarray) -> Alignment:
    """Two prompts' tokens in pairs: as many same tokens as can be, and then as many that replace each other.

    a, b: token ids. The same tokens are a longest common subsequence (Wagner & Fischer 1974, with a token's
    replacement worth less than any number of same ones). A start and an end that both share are aligned with each
    other, the start first. Where several alignments are equally good, one is taken that does not depend on which of
    the prompts is called a.

    It knows ids, not meaning: a replaced token stands where the other stood, and need not play its part.
    """
    first, second = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
    is_turned = (len(first), first.tolist()) > (len(second), second.tolist())
    found = _pairs(second, first)[::-1] if is_turned else _pairs(first, second)  # [2 pair]: positions in a, in b
    b_of_a = np.full(len(first), NONE, dtype=np.int32)
    a_of_b = np.full(len(second), NONE, dtype=np.int32)
    b_of_a[found[0]], a_of_b[found[1]] = found[1], found[0]
    is_same = np.zeros(len(first), dtype=bool)
    is_same[found[0]] = first[found[0]] == second[found[1]]
    return Alignment(b_of_a=b_of_a, a_of_b=a_of_b, is_same=is_same)


def _pairs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Positions in a and in b of what stands for each other, in order: [2 pair].

    What both begin and end with need not go into the table, and mostly is nearly all of them.
    """
    start = _n_common(a, b)
    end = _n_common(a[start:][::-1], b[start:][::-1])
    n_a, n_b = len(a) - end, len(b) - end
    between = [(i + start, j + start) for i, j in _best_path(a[start:n_a], b[start:n_b])]
    pairs = [*((i, i) for i in range(start)), *between, *((n_a + i, n_b + i) for i in range(end))]
    return np.array(pairs, dtype=np.int32).reshape(-1, 2).T


def _n_common(a: np.ndarray, b: np.ndarray) -> int:
    """How many tokens both begin with."""
    n = min(len(a), len(b))
    differs = np.flatnonzero(a[:n] != b[:n])
    return int(differs[0]) if len(differs) else n


def _best_path(a: np.ndarray, b: np.ndarray) -> list[tuple[int, int]]:
    """The pairs of a best alignment; of several, the one that pairs earliest, and leaves out of a before b."""
    worth_same = min(len(a), len(b)) + 1  # more than all replacements together
    best = np.zeros((len(a) + 1, len(b) + 1), dtype=np.int32)  # of what follows position i of a and j of b
    for i in range(len(a) - 1, -1, -1):
        below = best[i + 1]
        paired = below[1:] + np.where(a[i] == b, worth_same, 1)
        candidates = np.maximum(below[:-1], paired)
        best[i, :-1] = np.maximum.accumulate(candidates[::-1])[::-1]  # or leave out of b: what stands to the right
    pairs = []
    i = j = 0
    while i < len(a) and j < len(b):
        worth = worth_same if a[i] == b[j] else 1
        if best[i, j] == best[i + 1, j + 1] + worth:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i, j] == best[i + 1, j]:
            i += 1
        else:
            j += 1
    return pairs
