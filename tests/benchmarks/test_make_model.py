from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.make_model import make_model
from dashapp.experiments.parity import load_reference
from dashapp.model.checkpoint import load_model
from dashapp.model.config import GPT2Config
from dashapp.model.weights import Weights

ROOT = Path(__file__).parents[2]
SMALL = GPT2Config(n_layer=2, n_head=2, d_model=64, d_mlp=256, n_ctx=13)


def test_a_made_model_has_the_shape_and_spread_that_gpt2_begins_with(tmp_path: Path) -> None:
    weights = Weights.open(make_model(SMALL, tmp_path / "made"))
    assert weights.config == SMALL
    # of 16,384 and 4,096 numbers: deviations are known to about 0.6 and 1.1 %
    assert weights["h.0.mlp.c_fc.weight"].std() == pytest.approx(0.02, rel=0.04)
    assert weights["h.1.attn.c_proj.weight"].std() == pytest.approx(0.02 / 2, rel=0.06)  # √(2 · 2 layers)
    assert (weights["h.0.ln_1.weight"] == 1).all()
    assert (weights["ln_f.weight"] == 1).all()
    assert not weights["h.0.attn.c_attn.bias"].any()


def test_the_same_seed_makes_the_same_model_and_another_seed_another(tmp_path: Path) -> None:
    made = [Weights.open(make_model(SMALL, tmp_path / str(i), seed=seed)) for i, seed in enumerate((0, 0, 1))]
    assert made[0].fingerprint == made[1].fingerprint != made[2].fingerprint


@pytest.mark.reference
def test_hugging_face_reads_a_made_model_as_we_do(tmp_path: Path) -> None:
    folder = make_model(SMALL, tmp_path / "made")
    ours, theirs = load_model(Weights.open(folder), device="cpu"), load_reference(folder, dtype="float32")
    ids = torch.from_numpy(np.random.default_rng(0).integers(SMALL.d_vocab, size=(1, SMALL.n_ctx)))
    with torch.inference_mode():
        # two float32 ways to logits below 1: as tests/reference
        torch.testing.assert_close(ours(ids), theirs(ids).logits, rtol=0, atol=1e-4)


def test_a_shape_that_was_not_published_is_refused_with_those_that_were(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.make_model", "gpt9", str(tmp_path / "made")]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 2
    assert "gpt2-medium" in run.stderr
    assert not (tmp_path / "made").exists()
