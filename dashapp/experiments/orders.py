"""How much work an experiment is, counted before it starts, and about how long it takes here. NumPy only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from dashapp.model.config import GPT2Config

# Measured on two shared cores with the 6-layer demo model; a machine twice as fast is told twice the time.
SECONDS_A_LOGIT: Final = 6e-8
SECONDS_A_PASS: Final = 2e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """n_passes: times that the model runs, or goes on from where a patch is.

    multiplications: of passes over several tokens; of those that a patch changes only what it can change counts.
    alone: of passes over one token, for which the machine reads all weights: they are slower.
    """

    n_passes: int
    multiplications: int
    alone: int = 0


def order_of_texts(config: GPT2Config, prompts: Sequence[int], n_new: int, *, read: Sequence[int] = ()) -> Order:
    """How much it is to write up to `n_new` tokens after each of the prompts, the likeliest at each step.

    prompts: their lengths in tokens. read: of those that are read to the end and not continued.
    """
    layers, last = 12 * config.d_model**2 * config.n_layer, config.d_model * config.d_vocab
    n_steps = sum(max(0, min(n_new, config.n_ctx - length) - 1) for length in prompts)
    return Order(
        n_passes=len(prompts) + len(read) + n_steps,
        multiplications=layers * (sum(prompts) + sum(read)) + last * len(prompts),
        alone=(layers + last) * n_steps,
    )


def seconds_for(order: Order, *, d_vocab: int) -> float:
    """About how long an order takes on this machine.

    A pass also takes a softmax over the vocabulary in float64, and that of memory and calls which no product counts.
    """
    products = order.multiplications / _multiplications_per_second(256) + order.alone / _multiplications_per_second(1)
    return products + order.n_passes * (d_vocab * SECONDS_A_LOGIT + SECONDS_A_PASS)


@cache
def _multiplications_per_second(n_row: int) -> float:
    """How fast this machine multiplies so many rows with a matrix in float32, measured once, in a few milliseconds.

    For one row the matrix is larger than most caches, as the weights of a model are: reading it is what takes the time.
    """
    n_column = 8192 if n_row == 1 else 1024
    one, other = np.ones((n_row, 768), dtype=np.float32), np.ones((768, n_column), dtype=np.float32)
    one @ other  # the first product of a process also sets things up
    since = time.perf_counter()
    for _i in range(3):
        one @ other
    return 3 * one.size * n_column / (time.perf_counter() - since)
