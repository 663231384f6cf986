"""Batches: what is repeated is repeated, what counts counts, and a seed gives the same rows again."""

from __future__ import annotations

from random import Random

import numpy as np
import torch

from dashapp.model.tokenizer import END_OF_TEXT_ID, decode
from training.batches import (
    ANSWER_WEIGHT,
    OTHER_WEIGHT,
    RETURN_WEIGHT,
    lesson_row,
    named_tokens,
    repeats_row,
    step_batches,
)
from training.schedule import Phase

BOOKS = [np.arange(start, start + 600, dtype=np.uint16) for start in (1_000, 2_000, 3_000)]
PHASE = Phase("all", 1.0, books=(4, 50), lessons=(3, 40), repeats=(2, 30))


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


def test_a_name_counts_only_where_it_comes_back() -> None:
    ids, weight = named_tokens("So Zoo met Riot. Then Zoo left.", ("Zoo", "Riot"))
    counted = dict.fromkeys([" Zoo", " Riot"], 0.0)
    for token, counts in zip(ids, weight, strict=True):
        if decode([token]) in counted:
            counted[decode([token])] += counts
        else:
            assert counts == OTHER_WEIGHT
    assert counted == {" Zoo": RETURN_WEIGHT, " Riot": 0}


def test_a_step_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    def drawn(seed: int) -> torch.Tensor:
        batches = step_batches(np.random.default_rng(seed), BOOKS, PHASE, n_ctx=200)
        return torch.cat([batch.ids.flatten() for batch in batches.values()])

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


def test_a_step_holds_rows_of_each_kind_in_the_shapes_of_its_phase() -> None:
    batches = step_batches(np.random.default_rng(0), BOOKS, PHASE, n_ctx=200)
    assert {kind: tuple(batch.ids.shape) for kind, batch in batches.items()} == {
        "books": (4, 50),
        "lessons": (3, 40),
        "repeats": (2, 30),
    }


def test_rows_start_with_the_end_of_text_mark_only_at_position_zero() -> None:
    rng = np.random.default_rng(0)
    starts = []
    for _ in range(60):
        batch = step_batches(rng, BOOKS, PHASE, n_ctx=200)["books"]
        marked = (batch.ids[:, 0] == END_OF_TEXT_ID).any()
        assert batch.first_pos + 50 <= 200
        assert not (marked and batch.first_pos)
        assert (batch.weight[:, 0] == 0).all()
        starts.append(batch.first_pos)
    assert 0 in starts
    assert len(set(starts)) > 15
