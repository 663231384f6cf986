"""Ablation of heads: by a model whose weights say the same, by patching, and what must not change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dashapp.experiments.ablation import ablate_heads
from dashapp.experiments.ablations import MODES, Ablated, Mode
from dashapp.experiments.cells import Cell
from dashapp.experiments.one_cell import patch_cell
from dashapp.experiments.sweeps import Places
from dashapp.model.gpt2 import GPT2
from dashapp.model.tap import Tap
from tests.doubles import TINY, model_of, random_weights, tiny_model
from tests.experiments.test_patching import EVEN, UNEVEN, put, whole_pass

LAYER, D = 1, TINY.d_head
EXACT = 1e-12  # float64 through three layers of ten dimensions


@pytest.fixture(scope="module")
def exact() -> GPT2:
    return tiny_model(TINY, dtype=torch.float64)


def ablated(model: GPT2, mode: Mode, heads: list[int], pair: Any = EVEN, **more: Any) -> Ablated:
    how = {"layer": LAYER, "is_end_only": False} | more
    return ablate_heads(model, pair[1], heads=heads, mode=mode, source_ids=pair[0], **how)


def seen_z(model: GPT2, ids: np.ndarray) -> torch.Tensor:
    seen = Tap.reading("z")
    whole_pass(model, ids, seen)
    return seen.activations["z", LAYER][0]


@pytest.mark.parametrize("heads", [[0], [1], [0, 1]])
def test_zero_is_a_model_without_the_rows_of_w_o(exact: GPT2, heads: list[int]) -> None:
    weights = random_weights(TINY)
    for head in heads:
        weights[f"h.{LAYER}.attn.c_proj.weight"][head * D : (head + 1) * D] = 0
    without = model_of(TINY, weights, torch.float64)
    found = ablated(exact, "zero", heads)
    np.testing.assert_allclose(found.logits, whole_pass(without, EVEN[1], Tap({})), rtol=0, atol=EXACT)
    assert (found.z[LAYER, heads] == 0).all()


def test_bias_is_a_model_that_finds_nothing_to_bring_but_its_value_bias(exact: GPT2) -> None:
    weights = random_weights(TINY)
    weights[f"h.{LAYER}.attn.c_attn.weight"][:, 2 * TINY.d_model : 2 * TINY.d_model + D] = 0  # v of head 0
    without = model_of(TINY, weights, torch.float64)
    np.testing.assert_allclose(
        ablated(exact, "bias", [0]).logits, whole_pass(without, EVEN[1], Tap({})), rtol=0, atol=EXACT
    )


@pytest.mark.parametrize("is_end_only", [False, True])
def test_mean_is_over_all_tokens_but_the_first(exact: GPT2, is_end_only: bool) -> None:
    z = seen_z(exact, EVEN[1])
    mean = torch.from_numpy(np.mean([row.numpy() for row in z[1][1:]], axis=0))
    rows = (1, -1) if is_end_only else 1
    tap = Tap({("z", LAYER): put(rows, mean)})
    found = ablated(exact, "mean", [1], is_end_only=is_end_only)
    np.testing.assert_allclose(found.logits, whole_pass(exact, EVEN[1], tap), rtol=0, atol=EXACT)
    np.testing.assert_allclose(found.z[LAYER, 1], mean, rtol=0, atol=EXACT)


@pytest.mark.parametrize("pair", [EVEN, UNEVEN])
def test_resample_is_patching_the_head_s_output(exact: GPT2, pair: tuple[np.ndarray, np.ndarray]) -> None:
    patched = patch_cell(exact, *pair, cell=Cell(site="z", layer=LAYER, head=1), places=Places.of_ends(*pair), n_new=0)
    # Before the first token that differs patching has nothing to put in, and here the same is put in.
    np.testing.assert_allclose(ablated(exact, "resample", [1], pair).logits, patched.logits, rtol=0, atol=EXACT)


def test_resampling_from_itself_and_ablating_nothing_change_nothing(exact: GPT2) -> None:
    plain = whole_pass(exact, EVEN[1], Tap({}))
    same = ablated(exact, "resample", [0, 1], (EVEN[1], EVEN[1]))
    np.testing.assert_allclose(same.logits, plain, rtol=0, atol=EXACT)
    for mode in MODES:
        np.testing.assert_allclose(ablated(exact, mode, []).logits, plain, rtol=0, atol=EXACT)


def test_what_heads_bring_and_the_final_scale_are_those_of_the_ablated_run(exact: GPT2) -> None:
    seen = Tap.reading("z", "ln_final_scale")
    found = ablated(exact, "zero", [1])
    tap = Tap({("z", LAYER): put(1, torch.zeros(len(EVEN[1]), D, dtype=torch.float64))})
    tap._functions |= seen._functions | {("z", LAYER): tap._functions["z", LAYER]}
    whole_pass(exact, EVEN[1], tap)
    for layer in (0, 2):
        np.testing.assert_allclose(found.z[layer], seen.activations["z", layer][0][:, -1], rtol=0, atol=EXACT)
    assert found.ln_scale == pytest.approx(float(seen.activations["ln_final_scale", None][0, -1]), abs=EXACT)
    again = Ablated.from_arrays(found.arrays())
    np.testing.assert_array_equal(again.z, found.z)
    assert again.ln_scale == found.ln_scale
