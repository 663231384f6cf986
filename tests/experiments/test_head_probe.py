"""The probe's tokens are the published ones, and what it finds is what its traces say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dashapp.analysis.heads import scores_on_probe
from dashapp.errors import JobStopped
from dashapp.experiments.head_probe import probe_heads, probe_ids
from dashapp.model.checkpoint import weights_of
from dashapp.model.config import GPT2Config
from dashapp.model.gpt2 import GPT2
from dashapp.traces.capture import capture
from dashapp.traces.record import trace_metadata
from tests.doubles import TINY, TINY_TEXT


def test_the_tokens_are_those_of_the_demo() -> None:
    """Its notebook seeds torch, draws, and repeats what it drew along the sequence."""
    state = torch.get_rng_state()
    try:
        torch.manual_seed(0)
        block = torch.randint(100, 20_000, (2, 100))
    finally:
        torch.set_rng_state(state)
    np.testing.assert_array_equal(probe_ids(GPT2Config()), torch.cat([block, block], dim=1))


def test_a_model_that_reads_less_gets_a_shorter_probe() -> None:
    for config in (TINY, TINY_TEXT):
        ids = probe_ids(config)
        assert ids.shape == (2, 12)
        np.testing.assert_array_equal(ids[:, :6], ids[:, 6:])
        assert ids.max() < config.d_vocab


def test_scores_are_the_mean_over_both_rows(model: GPT2) -> None:
    metadata = trace_metadata(TINY, fingerprint="f" * 64, model="tiny", dtype="float32")
    rows = [scores_on_probe(capture(model, ids, metadata), 6) for ids in probe_ids(TINY)]
    probe = probe_heads(model, weights_of(model))
    np.testing.assert_allclose(probe.scores.induction, (rows[0].induction + rows[1].induction) / 2, rtol=1e-12)
    np.testing.assert_allclose(probe.scores.entropy_nats, (rows[0].entropy_nats + rows[1].entropy_nats) / 2, rtol=1e-12)
    assert (probe.copying.shape, probe.n_block) == ((TINY.n_layer, TINY.n_head), 6)
    assert np.isnan(probe.loss)  # 17 tokens have no "Hello"


def test_the_loss_is_that_of_the_model(text_model: GPT2) -> None:
    ids = torch.tensor([[50256, 15496, 995, 0]])  # BOS and "Hello world!"
    with torch.inference_mode():
        logprobs = text_model(ids)[0].log_softmax(dim=-1)
    expected = -logprobs[torch.arange(3), ids[0, 1:]].mean()
    assert probe_heads(text_model, weights_of(text_model)).loss == pytest.approx(float(expected), abs=1e-5)


def test_who_stops_it_is_heeded(model: GPT2) -> None:
    def stop(share: float) -> None:
        raise JobStopped

    with pytest.raises(JobStopped):
        probe_heads(model, weights_of(model), progress=stop)
