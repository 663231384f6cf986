"""The works that are timed do what their rows say, on a model that takes no time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.engine import N_NEW, capture_rows, capture_works, generation_rows, generation_works
from benchmarks.interleaved import time_in_turn
from benchmarks.make_model import make_model
from dashapp.experiments.parity import load_reference
from dashapp.model.checkpoint import load_model
from dashapp.model.config import GPT2Config
from dashapp.model.weights import Weights

SMALL = GPT2Config(n_layer=2, n_head=2, d_model=16, d_mlp=32, n_ctx=80)

pytestmark = pytest.mark.reference


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(SMALL, tmp_path_factory.mktemp("made"))


def test_capture_is_timed_against_the_same_computation(folder: Path) -> None:
    ours, theirs = load_model(Weights.open(folder), device="cpu"), load_reference(folder, dtype="float32")
    with torch.inference_mode():
        works = capture_works(ours, theirs, 9)
        output = works["theirs"]()
        rows = list(capture_rows(time_in_turn(works, n_runs=5), 9))
        trace = works["whole"]()
    assert output.attentions[1].shape == (1, 2, 9, 9)  # type: ignore[attr-defined]
    # the same prompt and weights: float32, logits and states below 1
    np.testing.assert_allclose(trace.resid_post[0], output.hidden_states[1][0], atol=1e-5)  # type: ignore[attr-defined]
    assert all(row.value.least > 0 for row in rows)


def test_both_generate_the_same_tokens(folder: Path) -> None:
    ours, theirs = load_model(Weights.open(folder), device="cpu"), load_reference(folder, dtype="float32")
    with torch.inference_mode():
        works = generation_works(ours, theirs)
        drawn = [step.token for step in works["greedy"]()]  # type: ignore[attr-defined]
        assert works["theirs"]()[0, -N_NEW:].tolist() == drawn  # type: ignore[index]
        assert len(works["sampled"]()) == N_NEW  # type: ignore[arg-type]
        rows = list(generation_rows(time_in_turn(works, n_runs=5)))
    assert rows[0].value.least <= rows[0].value.median <= rows[0].value.largest
