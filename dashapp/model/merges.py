"""How a token came to be: the byte-pair merges that make it of its bytes, in the order in which they are done.

Text is cut into words first and no merge crosses a cut, so a token's merges depend on its own bytes alone: whatever
stands beside it in its word, pairs within it are joined in the same order. Torch-free. Knows ids, not text.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from dashapp.model.tokenizer import END_OF_TEXT_ID, merge_ranks, token_bytes


@dataclass(frozen=True, slots=True)
class Merge:
    """Two neighbours joined, all three by token id. `made` is also the rank: among pairs the lowest goes first."""

    left: int
    right: int
    made: int


def first_parts(token: int) -> tuple[int, ...]:
    """The ids of a token's single bytes, in order; `<|endoftext|>` is made of nothing but itself.

    Raises: KeyError for an id that no token has.
    """
    if token == END_OF_TEXT_ID:
        return (token,)
    ranks = merge_ranks()
    return tuple(ranks[bytes([byte])] for byte in token_bytes(token))


def merges_of(token: int) -> tuple[Merge, ...]:
    """The merges that make a token of its bytes, first to last: none for a single byte and for `<|endoftext|>`.

    At each step the pair of the lowest rank is joined, of equal pairs the leftmost (Sennrich et al. 2016; over bytes,
    Radford et al. 2019). Raises: KeyError for an id that no token has.
    """
    ranks = merge_ranks()
    parts, done = list(first_parts(token)), []
    while len(parts) > 1:
        pairs = [ranks.get(token_bytes(left) + token_bytes(right), END_OF_TEXT_ID) for left, right in pairwise(parts)]
        made = min(pairs)
        assert made < END_OF_TEXT_ID, "every token is made by merges"
        place = pairs.index(made)
        done.append(Merge(parts[place], parts[place + 1], made))
        parts[place : place + 2] = [made]
    return tuple(done)
