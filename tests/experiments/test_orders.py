"""How much work is counted beforehand is what is done, pass by pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dashapp.experiments.ablation import ablate
from dashapp.experiments.ablations import Mode, Part
from dashapp.experiments.cells import Cell
from dashapp.experiments.one_cell import patch_cell
from dashapp.experiments.orders import Order, order_of_texts, seconds_for
from dashapp.experiments.sweeps import Places
from dashapp.model.gpt2 import GPT2
from tests.doubles import TINY, tiny_model

N_CTX = 12
ROOMY = replace(TINY, n_ctx=N_CTX)
SOURCE, TARGET = np.array([3, 7, 1, 12, 5, 9]), np.array([3, 7, 1, 12, 8])


@pytest.fixture
def model() -> GPT2:
    return tiny_model(ROOMY)


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each pass of any model went over."""
    found: list[int] = []
    body: Callable[..., Any] = GPT2.body

    def counted(self: GPT2, ids: Any, *rest: Any, **more: Any) -> Any:
        found.append(ids.shape[1])
        return body(self, ids, *rest, **more)

    monkeypatch.setattr(GPT2, "body", counted)
    return found


def products(n_tokens: int, *, is_read: bool = True) -> int:
    """Multiplications with the weights of a pass: q, k, v, W_O, both of the MLP; and the unembedding of one token."""
    d = TINY.d_model
    return n_tokens * TINY.n_layer * (4 * d * d + 2 * d * 4 * d) + is_read * d * TINY.d_vocab


@pytest.mark.parametrize("n_new", [1, 4, 20])
def test_of_one_patch(model: GPT2, lengths: list[int], n_new: int) -> None:
    cell = Cell(site="resid_pre", layer=1, head=0, pos=4)
    patch_cell(model, SOURCE, TARGET, cell=cell, places=Places.of_ends(SOURCE, TARGET), n_new=n_new)
    order = order_of_texts(ROOMY, [6, 5, 5], n_new)
    assert order.n_passes == len(lengths)  # of 20 new tokens only those up to the end of the context
    assert order.multiplications == sum(products(n) for n in lengths if n > 1)
    assert order.alone == sum(products(n) for n in lengths if n == 1)


@pytest.mark.parametrize(("mode", "read"), [("zero", []), ("mean", [5]), ("resample", [6]), ("reference", [4, 2])])
def test_of_an_ablation(model: GPT2, lengths: list[int], mode: Mode, read: list[int]) -> None:
    parts = [Part(kind="head", layer=1, index=0)]
    reference = [SOURCE[:4], SOURCE[:2]]
    ablate(model, TARGET, parts, mode=mode, is_end_only=False, source_ids=SOURCE, reference=reference, n_new=3)
    order = order_of_texts(ROOMY, [5, 5], 3, read=read)
    assert order.n_passes == len(lengths)
    n_several = [n for n in lengths if n > 1]
    assert order.multiplications == sum(products(n, is_read=False) for n in n_several) + 2 * products(0)


def test_more_work_takes_longer_and_a_lone_token_longest() -> None:
    some = Order(n_passes=10, multiplications=10**10)
    assert seconds_for(some, d_vocab=50_257) > seconds_for(replace(some, n_passes=9), d_vocab=50_257)
    assert seconds_for(replace(some, multiplications=10**11), d_vocab=50_257) > seconds_for(some, d_vocab=50_257)
    alone = Order(n_passes=10, multiplications=0, alone=10**10)
    assert seconds_for(alone, d_vocab=50_257) > seconds_for(some, d_vocab=50_257)
