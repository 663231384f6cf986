"""Parity with Hugging Face: our model passes, and every way in which it could be wrong does not."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dashapp.errors import JobStopped, TransformersMissing
from dashapp.experiments.parity import compare, load_reference, parity_of
from dashapp.experiments.results import PARITY_TOLERANCE, Parity
from dashapp.model.checkpoint import load_model
from dashapp.model.weights import Weights
from tests.doubles import TINY_TEXT, save_model_folder

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

    from dashapp.model.gpt2 import GPT2

pytestmark = pytest.mark.reference

IDS = np.array([50256, 64, 275, 269, 0, 9000, 64], dtype=np.int32)  # as a trace has them


@pytest.fixture(scope="module")
def weights(model_folder: Path) -> Weights:
    return Weights.open(model_folder)


@pytest.fixture
def ours(weights: Weights) -> GPT2:
    return load_model(weights, dtype="float64", device="cpu")


@pytest.fixture(scope="module")
def theirs(weights: Weights) -> GPT2LMHeadModel:
    return load_reference(weights.folder, dtype="float64")


def compared(ours: GPT2, theirs: GPT2LMHeadModel, ids: np.ndarray = IDS) -> Parity:
    return compare(ours, theirs, ids, dtype="float64", since=time.monotonic())


@pytest.mark.parametrize("dtype", PARITY_TOLERANCE)
@pytest.mark.parametrize("n_tokens", [1, len(IDS), TINY_TEXT.n_ctx])
def test_our_model_is_hugging_faces_at_every_length(weights: Weights, dtype: str, n_tokens: int) -> None:
    parity = parity_of(weights, np.resize(IDS, n_tokens), dtype="float32" if dtype == "float32" else "float64")
    assert parity.is_same
    assert parity.n_same_top == parity.n_tokens == n_tokens
    assert parity.dtype == dtype
    assert (len(parity.resid), len(parity.pattern)) == (TINY_TEXT.n_layer + 1, TINY_TEXT.n_layer)
    if n_tokens > 1:  # one token looks at itself with 1, and the rounding of a short sum may happen to be none
        # Two orders of summation: that they agree to the last digit would mean that one was compared with itself.
        assert max(float(share.max()) for share in parity.shares.values()) > 0


def exact_gelu(ours: GPT2, monkeypatch: pytest.MonkeyPatch) -> None:
    gelu = F.gelu
    monkeypatch.setattr(F, "gelu", lambda x, approximate="none": gelu(x))


def coarser_norm(ours: GPT2, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in ours.h:
        block.ln_2.eps = 1.1e-5


def other_scale(ours: GPT2, monkeypatch: pytest.MonkeyPatch) -> None:
    ours.h[1].attn.scale *= 1 + 1e-6


def one_bias_off(ours: GPT2, monkeypatch: pytest.MonkeyPatch) -> None:
    ours.h[2].mlp.c_proj.bias[3] += 1e-8


def layers_swapped(ours: GPT2, monkeypatch: pytest.MonkeyPatch) -> None:
    ours.h[0].load_state_dict(ours.h[1].state_dict())


def not_a_number(ours: GPT2, monkeypatch: pytest.MonkeyPatch) -> None:
    ours.ln_f.bias[0] = torch.nan


@pytest.mark.parametrize("broken", [exact_gelu, coarser_norm, other_scale, one_bias_off, layers_swapped, not_a_number])
def test_a_model_that_computes_something_else_fails(
    broken: Callable[[GPT2, pytest.MonkeyPatch], None],
    weights: Weights,
    theirs: GPT2LMHeadModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = load_model(weights, dtype="float64", device="cpu")
    copied = {name: tensor.clone() for name, tensor in ours.state_dict().items()}  # the file itself is mapped
    ours.load_state_dict(copied, assign=True)
    ours.requires_grad_(False)
    assert compared(ours, theirs).is_same
    with monkeypatch.context() as patch:
        broken(ours, patch)
        # Hugging Face's MLP has its GELU from elsewhere: what is patched is ours alone.
        assert not compared(ours, theirs).is_same


def test_the_wrong_gelu_fails_in_float32_too(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parity_of(weights, IDS, dtype="float32").is_same
    exact_gelu(load_model(weights), monkeypatch)
    assert not parity_of(weights, IDS, dtype="float32").is_same


def test_differences_are_the_largest_absolute_ones_where_they_are(ours: GPT2, theirs: GPT2LMHeadModel) -> None:
    with torch.no_grad():
        ours.wpe.weight = torch.nn.Parameter(ours.wpe.weight.clone())
        ours.wpe.weight[2, 4] += 8
        ours.wpe.weight[5, 1] -= 0.25
        parity = compared(ours, theirs)
        ids = torch.from_numpy(IDS.astype(np.int64))[None]
        logits, our_logits = theirs(ids).logits, ours(ids)
    assert parity.resid[0] == pytest.approx(8, abs=1e-12)
    assert parity.logits == float((our_logits - logits).abs().max())
    assert parity.logits_scale == float(logits.abs().max())
    assert parity.pattern[0] > 0.001
    assert parity.n_same_top == int(np.sum(our_logits.argmax(-1).numpy() == logits.argmax(-1).numpy())) < len(IDS)


def test_progress_goes_from_loading_to_the_last_layer_and_may_end_it(weights: Weights) -> None:
    shares: list[float] = []
    parity_of(weights, IDS, dtype="float64", progress=shares.append)
    assert shares == [0.5, *(0.5 + 0.5 * (layer + 1) / 4 for layer in range(3))]

    def stop(share: float) -> None:
        raise JobStopped

    with pytest.raises(JobStopped):
        parity_of(weights, IDS, dtype="float64", progress=stop)


def test_hooks_are_taken_away_again(ours: GPT2, theirs: GPT2LMHeadModel) -> None:
    compared(ours, theirs)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in theirs.modules())


def test_a_result_is_kept_and_read_as_it_was(weights: Weights) -> None:
    parity = parity_of(weights, IDS, dtype="float64")
    again = Parity.from_arrays(parity.arrays())
    for field in dataclasses.fields(Parity):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(parity, field.name))


def test_options_of_attention_are_read_by_both(tmp_path: Path) -> None:
    odd = dataclasses.replace(TINY_TEXT, scale_attn_by_inverse_layer_idx=True, layer_norm_epsilon=0.1)
    assert parity_of(Weights.open(save_model_folder(tmp_path / "odd", odd)), IDS, dtype="float64").is_same


def test_without_transformers_it_says_what_to_install(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(TransformersMissing, match="pip install transformers"):
        parity_of(weights, IDS, dtype="float32")
