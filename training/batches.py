"""Rows to train on: windows of books, generated lessons, repeated random tokens.

A batch says which tokens to predict and how much each counts. Knows the corpus and the curriculum; knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor

from dashapp.model.config import D_VOCAB
from dashapp.model.tokenizer import END_OF_TEXT_ID, encode
from training.curriculum import KINDS, story

BOS_SHARE = 0.7  # of the rows that start at position 0
ANSWER_WEIGHT = 8.0  # of a lesson's answer against an ordinary token: it is what the lesson teaches


@dataclass(frozen=True)
class Batch:
    """Token rows and what counts.

    ids: int64 [row pos]. weight: float32 [row pos], how much predicting that token counts; position 0 is never
    predicted. first_pos: position of the first column.
    """

    ids: Tensor
    weight: Tensor
    first_pos: int = 0


def book_row(rng: np.random.Generator, books: Sequence[np.ndarray], n_pos: int) -> np.ndarray:
    """A window of `n_pos` tokens from a random place in the books, each token of the corpus as likely as the next."""
    sizes = np.array([len(book) for book in books], dtype=np.float64)
    book = books[int(rng.choice(len(books), p=sizes / sizes.sum()))]
    start = int(rng.integers(0, len(book) - n_pos))
    return book[start : start + n_pos].astype(np.int64)


def lesson_row(rng: Random, n_pos: int) -> tuple[np.ndarray, np.ndarray]:
    """Lessons and stories of the training split, one a line: ids and weights, both [pos]."""
    ids: list[int] = []
    weight: list[float] = []
    kinds = list(KINDS)
    while len(ids) < n_pos:
        choice = rng.randrange(len(kinds) + 5)
        if choice == len(kinds):
            told = encode(story(rng, "training") + "\n").tolist()
            ids += told
            weight += [1.0] * len(told)
            continue
        kind = kinds[choice] if choice < len(kinds) else "two_names"  # the hardest kind comes five times as often
        lesson = KINDS[kind](rng, "training")
        before, after = encode(lesson.prompt).tolist(), encode(lesson.rest + "\n").tolist()
        ids += [*before, *encode(lesson.answer).tolist(), *after]
        weight += [0.5] * len(before) + [ANSWER_WEIGHT] + [0.5] * len(after)
    return np.array(ids[:n_pos], dtype=np.int64), np.array(weight[:n_pos], dtype=np.float32)


def repeats_row(rng: np.random.Generator, n_pos: int) -> tuple[np.ndarray, np.ndarray]:
    """A random block of the whole vocabulary, repeated to fill the row: ids and weights, both [pos]."""
    period = int(rng.integers(8, n_pos // 2 + 1))
    ids = np.resize(rng.integers(0, D_VOCAB - 1, period), n_pos).astype(np.int64)
    weight = np.zeros(n_pos, dtype=np.float32)
    weight[period + 1 :] = 1.0
    return ids, weight


def mixed_batch(
    rng: np.random.Generator,
    books: Sequence[np.ndarray],
    *,
    n_row: int,
    n_pos: int,
    lesson_share: float,
    repeats_share: float,
    n_ctx: int,
) -> Batch:
    """Books, lessons and repeats side by side, in shares of rows.

    Half of the batches start at a random position, which teaches every position embedding though the windows are
    shorter than `n_ctx`. Of the rows that start at position 0, most begin with `<|endoftext|>`, as prompts do in
    the app.
    """
    word_rng = Random(int(rng.integers(2**63)))
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(n_row):
        draw = rng.random()
        if draw < lesson_share:
            rows.append(lesson_row(word_rng, n_pos))
        elif draw < lesson_share + repeats_share:
            rows.append(repeats_row(rng, n_pos))
        else:
            rows.append((book_row(rng, books, n_pos), np.ones(n_pos, dtype=np.float32)))
    first_pos = int(rng.integers(1, n_ctx - n_pos + 1)) if rng.random() < 0.5 and n_pos < n_ctx else 0
    ids, weight = (np.stack(column) for column in zip(*rows, strict=True))
    if first_pos == 0:
        ids[rng.random(n_row) < BOS_SHARE, 0] = END_OF_TEXT_ID
    weight[:, 0] = 0.0
    return Batch(torch.from_numpy(ids), torch.from_numpy(weight), first_pos)
