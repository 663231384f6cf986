"""Rows to train on: windows of books, generated lessons, repeated random tokens.

A batch says which tokens to predict and how much each counts. Knows the corpus and the curriculum; knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor

from dashapp.model.config import D_VOCAB
from dashapp.model.tokenizer import END_OF_TEXT_ID, encode, token_text
from training.curriculum import KINDS, one_name, story
from training.schedule import Phase, Shape

Row = tuple[np.ndarray, np.ndarray]  # ids and weights, both [pos]
BOS_SHARE = 0.7  # of the rows that start at position 0
# What a token of a lesson counts against one of a book: its answer, a name that comes back, anything else.
ANSWER_WEIGHT, RETURN_WEIGHT, OTHER_WEIGHT = 8.0, 2.0, 0.4
LESSON_SHARES = {
    "two_names": 0.6, "one_name": 0.04, "agreement": 0.1, "closing": 0.1, "fact": 0.07, "counting": 0.03, "story": 0.06
}  # fmt: skip


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


def lesson_row(rng: Random, n_pos: int) -> Row:
    """Lessons and stories of the training split, one a line: ids and weights, both [pos]."""
    ids: list[int] = []
    weight: list[float] = []
    while len(ids) < n_pos:
        [choice] = rng.choices(list(LESSON_SHARES), list(LESSON_SHARES.values()))
        if choice == "story":
            text, names = story(rng, "training")
            told, counts = named_tokens(text + "\n", names)
        else:
            lesson = one_name(rng) if choice == "one_name" else KINDS[choice](rng, "training")
            told, counts = named_tokens(lesson.text + "\n", lesson.names)
            counts[len(encode(lesson.prompt))] = ANSWER_WEIGHT
        ids += told
        weight += counts
    return np.array(ids[:n_pos], dtype=np.int64), np.array(weight[:n_pos], dtype=np.float32)


def named_tokens(text: str, names: Sequence[str]) -> tuple[list[int], list[float]]:
    """Ids of a lesson's text, and what each counts: nothing where a name is new, most where it comes back."""
    ids = encode(text).tolist()
    marks = {int(encode(form)[0]) for name in names for form in (name, f" {name}") if len(encode(form)) == 1}
    weight, seen = [], set[str]()
    for token in ids:
        name = token_text(token).strip()
        is_name = token in marks
        weight.append((RETURN_WEIGHT if name in seen else 0.0) if is_name else OTHER_WEIGHT)
        if is_name:
            seen.add(name)
    return ids, weight


def repeats_row(rng: np.random.Generator, n_pos: int) -> Row:
    """A random block of the whole vocabulary, repeated to fill the row: ids and weights, both [pos]."""
    period = int(rng.integers(8, n_pos // 2 + 1))
    ids = np.resize(rng.integers(0, D_VOCAB - 1, period), n_pos).astype(np.int64)
    weight = np.zeros(n_pos, dtype=np.float32)
    weight[period + 1 :] = 1.0
    return ids, weight


def step_batches(
    rng: np.random.Generator, books: Sequence[np.ndarray], phase: Phase, *, n_ctx: int
) -> dict[str, Batch]:
    """What one step learns from: windows of books, lessons and repeats, each in rows of its own length."""
    word_rng = Random(int(rng.integers(2**63)))
    makers: dict[str, tuple[Shape, Callable[[int], Row]]] = {
        "books": (phase.books, lambda n_pos: (book_row(rng, books, n_pos), np.ones(n_pos, dtype=np.float32))),
        "lessons": (phase.lessons, lambda n_pos: lesson_row(word_rng, n_pos)),
        "repeats": (phase.repeats, lambda n_pos: repeats_row(rng, n_pos)),
    }
    return {
        kind: _batch(rng, [make(n_pos) for _ in range(n_row)], n_ctx=n_ctx)
        for kind, ((n_row, n_pos), make) in makers.items()
    }


def _batch(rng: np.random.Generator, rows: Sequence[Row], *, n_ctx: int) -> Batch:
    """Rows of one length. Half of the batches start at a random position, which teaches every position embedding though
    rows are shorter than `n_ctx`. Of the rows that start at position 0, most begin with `<|endoftext|>`, as prompts do
    in the app.
    """
    ids, weight = (np.stack(column) for column in zip(*rows, strict=True))
    n_row, n_pos = ids.shape
    first_pos = int(rng.integers(1, n_ctx - n_pos + 1)) if rng.random() < 0.5 and n_pos < n_ctx else 0
    if first_pos == 0:
        ids[rng.random(n_row) < BOS_SHARE, 0] = END_OF_TEXT_ID
    weight[:, 0] = 0.0
    return Batch(torch.from_numpy(ids), torch.from_numpy(weight), first_pos)
