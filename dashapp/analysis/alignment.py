"""Which token of one prompt stands for which of another. Knows token ids; knows nothing of models or traces.

By itself an alignment goes by what tokens are; a person's `Pins` decide some of it, and the rest is filled in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dashapp.errors import BadPins

NONE = -1  # the position of no token
MOST_PINS: Final = 100  # edits, so that a link stays one
PAIR: Final = re.compile(r"(\d{1,6})-(\d{1,6})", re.ASCII)
ALONE: Final = re.compile(r"([ab])(\d{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What a person decided of an alignment: tokens that stand for each other, and tokens that stand for none.

    pairs: positions in a and in b, in the order of both. alone_a, alone_b: positions, in order. As text, and read from
    it by `read`: "3-4.a5.b7" pairs token 3 of a with token 4 of b, and leaves token 5 of a and token 7 of b alone.
    Raises: BadPins where a token has two edits, where pairs cross, and for more than `MOST_PINS`.
    """

    pairs: tuple[tuple[int, int], ...] = ()
    alone_a: tuple[int, ...] = ()
    alone_b: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("pairs", "alone_a", "alone_b"):
            object.__setattr__(self, name, tuple(sorted(getattr(self, name))))
        if len(self) > MOST_PINS:
            raise BadPins(f"are {len(self):,} edits, and {MOST_PINS} are kept")
        for slot, taken in self._taken().items():
            twice = [pos for pos in taken if taken.count(pos) > 1]
            if twice:
                raise BadPins(f"token {twice[0]} of {slot} has two edits")
        for (i, j), (next_i, next_j) in zip(self.pairs, self.pairs[1:], strict=False):
            if j > next_j:
                raise BadPins(f"token {i} of a with {j} of b, and {next_i} of a with {next_j} of b, cross")

    @classmethod
    def read(cls, text: str) -> Pins:
        """Those that a text names, as `str` writes them. Raises: BadPins."""
        pairs, alone = [], {"a": list[int](), "b": list[int]()}
        for part in text.split(".")[: MOST_PINS + 1] if text else ():
            if pair := PAIR.fullmatch(part):
                pairs.append((int(pair[1]), int(pair[2])))
            elif one := ALONE.fullmatch(part):
                alone[one[1]].append(int(one[2]))
            else:
                told = "'3-4' pairs token 3 of a with token 4 of b, 'a5' leaves token 5 of a alone"
                raise BadPins(f"{part[:20]!r} is no edit: {told}")
        return cls(pairs=tuple(pairs), alone_a=tuple(alone["a"]), alone_b=tuple(alone["b"]))

    def __str__(self) -> str:
        said = [f"{i}-{j}" for i, j in self.pairs]
        return ".".join([*said, *(f"a{pos}" for pos in self.alone_a), *(f"b{pos}" for pos in self.alone_b)])

    def __len__(self) -> int:
        """How many edits there are; none is false."""
        return len(self.pairs) + len(self.alone_a) + len(self.alone_b)

    @property
    def turned(self) -> Pins:
        """The same with the prompts in each other's place."""
        return Pins(pairs=tuple((j, i) for i, j in self.pairs), alone_a=self.alone_b, alone_b=self.alone_a)

    def within(self, n_a: int, n_b: int) -> Pins:
        """Of the first tokens of both prompts alone: one whose partner is beyond them has none."""
        inside = [(i < n_a, j < n_b, i, j) for i, j in self.pairs]
        return Pins(
            pairs=tuple((i, j) for in_a, in_b, i, j in inside if in_a and in_b),
            alone_a=(*(p for p in self.alone_a if p < n_a), *(i for in_a, in_b, i, _ in inside if in_a and not in_b)),
            alone_b=(*(p for p in self.alone_b if p < n_b), *(j for in_a, in_b, _, j in inside if in_b and not in_a)),
        )

    def check(self, n_a: int, n_b: int) -> None:
        """That prompts of so many tokens have all of them. Raises: BadPins."""
        for (slot, taken), n in zip(self._taken().items(), (n_a, n_b), strict=True):
            if taken and max(taken) >= n:
                last = f"the last token of {slot} is {n - 1}" if n else f"{slot} has no tokens"
                raise BadPins(f"token {max(taken)} of {slot} has one, and {last}")

    def _taken(self) -> dict[str, list[int]]:
        """Positions in each prompt that have an edit."""
        return {
            "a": [*(i for i, _ in self.pairs), *self.alone_a],
            "b": [*(j for _, j in self.pairs), *self.alone_b],
        }


NO_PINS: Final = Pins()


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


def align(a: Sequence[int] | np.ndarray, b: Sequence[int] | np.ndarray, pins: Pins = NO_PINS) -> Alignment:
    """Two prompts' tokens in pairs: as many same tokens as can be, and then as many that replace each other.

    a, b: token ids. The same tokens are a longest common subsequence (Wagner & Fischer 1974, with a token's
    replacement worth less than any number of same ones). A start and an end that both share are aligned with each
    other, the start first. Where several alignments are equally good, one is taken that does not depend on which of
    the prompts is called a.

    It knows ids, not meaning: a replaced token stands where the other stood, and need not play its part. So some of it
    can be decided: pins are kept whatever their tokens are, and between two of them, and before the first and after the
    last, all this holds of what stands there. Raises: BadPins for a position that a prompt has not.
    """
    first, second = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
    pins.check(len(first), len(second))
    found = _between_pins(first, second, pins)
    b_of_a = np.full(len(first), NONE, dtype=np.int32)
    a_of_b = np.full(len(second), NONE, dtype=np.int32)
    b_of_a[found[0]], a_of_b[found[1]] = found[1], found[0]
    is_same = np.zeros(len(first), dtype=bool)
    is_same[found[0]] = first[found[0]] == second[found[1]]
    return Alignment(b_of_a=b_of_a, a_of_b=a_of_b, is_same=is_same)


def _between_pins(a: np.ndarray, b: np.ndarray, pins: Pins) -> np.ndarray:
    """Positions in a and in b of pinned pairs, and of the best ones of what stands between them: [2 pair]."""
    free_a = np.delete(np.arange(len(a)), np.array(pins.alone_a, dtype=np.int64))
    free_b = np.delete(np.arange(len(b)), np.array(pins.alone_b, dtype=np.int64))
    found = [np.array(pins.pairs, dtype=np.int64).reshape(-1, 2).T]
    i = j = 0
    for next_i, next_j in (*pins.pairs, (len(a), len(b))):
        here_a = free_a[(free_a >= i) & (free_a < next_i)]
        here_b = free_b[(free_b >= j) & (free_b < next_j)]
        of_a, of_b = _either_way(a[here_a], b[here_b])
        found.append(np.stack([here_a[of_a], here_b[of_b]]))
        i, j = next_i + 1, next_j + 1
    return np.concatenate(found, axis=1)


def _either_way(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The pairs of two texts, which do not depend on which of them is called a: [2 pair]."""
    is_turned = (len(a), a.tolist()) > (len(b), b.tolist())
    return _pairs(b, a)[::-1] if is_turned else _pairs(a, b)


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
