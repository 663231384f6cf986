"""Batches: what is repeated is repeated, what counts counts, and a seed gives the same rows again."""

from __future__ import annotations

from random import Random

import numpy as np
import torch

from dashapp.model.tokenizer import END_OF_TEXT_ID, decode
from training.batches import ANSWER_WEIGHT, lesson_row, mixed_batch, repeats_row

BOOKS = [np.arange(start, start + 600, dtype=np.uint16) for start in (1_000, 2_000, 3_000)]


def test_only_the_repeats_of_a_random_block_count() -> None:
    ids, weight = repeats_row(np.random.default_rng(0), 90)
    period = int(np.flatnonzero(weight)[0]) - 1
    assert 8 <= period <= 45
    assert (ids[period:] == ids[:-period]).all()
    assert (weight[: period + 1] == 0).all()
    assert (weight[period + 1 :] == 1).all()


def test_the_answers_of_lessons_weigh_most() -> None:
    ids, weight = lesson_row(Random(0), 400)
    answers = [decode([token]) for token in ids[weight == ANSWER_WEIGHT]]
    assert len(answers) > 10
    assert all(answer.startswith(" ") or answer in {'."', ".)"} for answer in answers)


def test_a_mixed_batch_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    def batch(seed: int) -> torch.Tensor:
        rng = np.random.default_rng(seed)
        return mixed_batch(rng, BOOKS, n_row=6, n_pos=50, lesson_share=0.3, repeats_share=0.3, n_ctx=200).ids

    assert torch.equal(batch(0), batch(0))
    assert not torch.equal(batch(0), batch(1))


def test_rows_start_with_the_end_of_text_mark_only_at_position_zero() -> None:
    rng = np.random.default_rng(0)
    starts = []
    for _ in range(60):
        batch = mixed_batch(rng, BOOKS, n_row=4, n_pos=50, lesson_share=0, repeats_share=0, n_ctx=200)
        marked = (batch.ids[:, 0] == END_OF_TEXT_ID).any()
        assert batch.first_pos + 50 <= 200
        assert not (marked and batch.first_pos)
        assert (batch.weight[:, 0] == 0).all()
        starts.append(batch.first_pos)
    assert 0 in starts
    assert len(set(starts)) > 15
