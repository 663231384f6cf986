"""What the lens and the sweep are timed beside is the work that their rows say."""

from __future__ import annotations

import pytest
import torch

from benchmarks import analyses
from benchmarks.analyses import lens_rows, lens_works, sweep_rows, sweep_works, trace_of
from benchmarks.interleaved import time_in_turn
from benchmarks.make_model import make_model
from dashapp.experiments.patching import ROWS_AT_ONCE
from dashapp.model.checkpoint import load_model
from dashapp.model.config import GPT2Config
from dashapp.model.gpt2 import GPT2
from dashapp.model.weights import Weights
from dashapp.traces.record import Trace

SMALL = GPT2Config(n_layer=2, n_head=2, d_model=16, d_mlp=32, n_ctx=80)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return Weights.open(make_model(SMALL, tmp_path_factory.mktemp("made")))


@pytest.fixture
def model(weights: Weights) -> GPT2:
    return load_model(weights, device="cpu")


def test_the_lens_is_timed_beside_as_many_rows_of_products(
    model: GPT2, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    unembedded = Trace.unembedded
    monkeypatch.setattr(Trace, "unembedded", lambda self, states: rows.append(len(states)) or unembedded(self, states))
    works = lens_works(trace_of(model, weights, 70))
    for work in works.values():
        rows.clear()
        work()
        assert sum(rows) == 5 * 70  # points of the stream, tokens
    (row,) = lens_rows(time_in_turn(works, n_runs=5))
    assert row.value.median > 0


def test_the_sweep_is_timed_beside_as_many_whole_prompts(model: GPT2, monkeypatch: pytest.MonkeyPatch) -> None:
    n_tokens = 40
    shapes: list[torch.Size] = []
    body = GPT2.body
    with torch.inference_mode():
        works = sweep_works(model, n_tokens)
        monkeypatch.setattr(GPT2, "body", lambda self, ids, **more: shapes.append(ids.shape) or body(self, ids, **more))
        works["in full"]()
        # two sites, two layers, all tokens but none equal, and all of them together
        assert sum(shape[0] for shape in shapes) == 2 * 2 * (n_tokens + 1)
        assert {shape[1] for shape in shapes} == {n_tokens}
        assert max(shape[0] for shape in shapes) == ROWS_AT_ONCE // n_tokens
        (row,) = sweep_rows(time_in_turn(works, n_runs=5))
    assert row.better == "above"
    assert row.value.median > 0
    assert len(analyses.SITES) == 2
