"""Merges in order: against byte-pair encoding as its paper writes it, and against the tokens of real text."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dashapp.model.merges import first_parts, merges_of
from dashapp.model.tokenizer import END_OF_TEXT_ID, encode, merge_ranks, token_bytes


def by_rank(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The paper's loop: go through the whole list of merges from the first, joining every such pair from the left.

    Independent of `merges_of`, which looks at the pairs that are there and not at the list.
    """
    order = {rank: token for token, rank in merge_ranks().items()}
    parts, done = [bytes([byte]) for byte in raw], []
    for rank in range(256, max(order) + 1):
        made = order[rank]
        i = 0
        while i < len(parts) - 1:
            if parts[i] + parts[i + 1] == made:
                done.append((parts[i], parts[i + 1]))
                parts[i : i + 2] = [made]
            i += 1
        if len(parts) == 1:
            break
    assert parts == [raw]
    return done


@pytest.mark.parametrize("word", [" there", " unbelievable", "0000", " 20", "\n\n", "----------------", "Ð¸"])
def test_merges_come_in_the_order_of_gpt2s_list(word: str) -> None:
    for token in encode(word):
        found = [(token_bytes(merge.left), token_bytes(merge.right)) for merge in merges_of(int(token))]
        assert found == by_rank(token_bytes(int(token)))


def test_a_word_by_hand() -> None:
    """' there': 't'+'h' is not first, ' t' (256) is; read off GPT-2's merges.txt by eye."""
    (token,) = encode(" the")
    made = [token_bytes(merge.made) for merge in merges_of(int(token))]
    assert made == [b" t", b"he", b" the"]


def test_every_token_is_made_of_its_bytes_by_one_merge_less() -> None:
    sampled = np.random.default_rng(0).choice(END_OF_TEXT_ID, size=2000, replace=False)
    for token in (*range(300), *(int(each) for each in sampled), END_OF_TEXT_ID - 1):
        parts, merges = list(first_parts(token)), merges_of(token)
        assert b"".join(map(token_bytes, parts)) == token_bytes(token)
        for merge in merges:
            place = list(pairwise(parts)).index((merge.left, merge.right))
            parts[place : place + 2] = [merge.made]
        assert parts == [token]
        assert len(merges) == len(token_bytes(token)) - 1


def test_end_of_text_is_made_of_nothing() -> None:
    assert first_parts(END_OF_TEXT_ID) == (END_OF_TEXT_ID,)
    assert merges_of(END_OF_TEXT_ID) == ()


def test_an_id_that_no_token_has_is_refused() -> None:
    with pytest.raises(KeyError):
        merges_of(50_257)
