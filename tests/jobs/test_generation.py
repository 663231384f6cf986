from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dashapp.jobs.generation import continue_prompt
from dashapp.jobs.tracing import trace_tokens
from dashapp.model.gpt2 import GPT2
from dashapp.model.sampling import SamplingSettings
from dashapp.store.disk import TraceStore
from dashapp.traces.run import RunStep
from tests.doubles import TINY, tiny_model

PROMPT = np.array([3, 1, 4], dtype=np.int32)
SETTINGS = SamplingSettings(max_new_tokens=4, temperature=1.5, seed=5)


@pytest.fixture
def model() -> GPT2:
    """A tiny model of the test's own."""
    return tiny_model()


@pytest.fixture
def store(tmp_path: Path) -> TraceStore:
    return TraceStore(tmp_path / "cache", size_limit_bytes=10**8)


def count_passes(model: GPT2) -> list[int]:
    """A list that grows by one at each forward pass."""
    passes: list[int] = []
    model.ln_f.register_forward_hook(lambda *_: passes.append(1))
    return passes


def test_a_known_run_is_found_without_running_the_model(model: GPT2, store: TraceStore) -> None:
    passes = count_passes(model)
    drawn, found = (continue_prompt(model, PROMPT, SETTINGS, store=store) for _ in range(2))
    assert len(passes) == 4
    np.testing.assert_array_equal(found.token_ids, drawn.token_ids)
    assert [step.u for step in found.steps] == [step.u for step in drawn.steps]
    assert (found.key, found.trace_key, found.stop) == (drawn.key, drawn.trace_key, "length")


def test_another_setting_or_prompt_or_model_is_another_run(model: GPT2, store: TraceStore) -> None:
    keys = {
        continue_prompt(model, PROMPT, SETTINGS, store=store).key,
        continue_prompt(model, PROMPT, replace(SETTINGS, seed=6), store=store).key,
        continue_prompt(model, PROMPT[:2], SETTINGS, store=store).key,
        continue_prompt(tiny_model(seed=1), PROMPT, SETTINGS, store=store).key,
    }
    with torch.no_grad():
        model.ln_f.bias += 1
    keys.add(continue_prompt(model, PROMPT, SETTINGS, store=store).key)
    assert len(keys) == 5


def test_the_runs_trace_key_is_that_of_the_trace_of_its_tokens(model: GPT2, store: TraceStore) -> None:
    run = continue_prompt(model, PROMPT, SETTINGS, store=store)
    assert trace_tokens(model, run.token_ids, store=store).key == run.trace_key


def test_the_trace_of_a_run_expects_what_the_run_recorded(model: GPT2) -> None:
    run = continue_prompt(model, PROMPT, SETTINGS, store=None)
    trace = trace_tokens(model, run.token_ids, store=None)
    top = np.exp(trace.read("top_logprobs"))
    for i, step in enumerate(run.steps):
        pos = run.n_prompt - 1 + i
        # one pass with the cache, one without: float32 logits that differ by up to 3e-6
        np.testing.assert_allclose(step.top_probs, top[pos], rtol=1e-5)
        chosen = step.top_probs[step.top_ids.tolist().index(step.token)]
        assert abs(np.exp(trace.read("logprob")[pos + 1]) - chosen) < 1e-5


def test_a_watcher_sees_every_step_and_can_stop(model: GPT2, store: TraceStore) -> None:
    seen: list[int] = []

    def watch(steps: Sequence[RunStep]) -> bool:
        seen.append(len(steps))
        return len(steps) == 2

    stopped = continue_prompt(model, PROMPT, SETTINGS, store=store, watch=watch)
    assert seen == [1, 2]
    assert (stopped.stop, len(stopped.steps)) == ("person", 2)
    whole = continue_prompt(model, PROMPT, SETTINGS, store=store)
    assert (whole.stop, len(whole.steps)) == ("length", 4), "a stopped run is not kept as the whole one"
    np.testing.assert_array_equal(whole.token_ids[:5], stopped.token_ids)


def test_stopping_at_the_last_token_stops_nothing(model: GPT2, store: TraceStore) -> None:
    """Issue 2: a watcher was not told of the last step."""
    seen: list[int] = []

    def watch(steps: Sequence[RunStep]) -> bool:
        seen.append(len(steps))
        return len(steps) == 4

    assert continue_prompt(model, PROMPT, SETTINGS, store=store, watch=watch).stop == "length"
    assert seen == [1, 2, 3, 4]
    passes = count_passes(model)
    continue_prompt(model, PROMPT, SETTINGS, store=store)
    assert not passes, "it is whole, and kept"


def test_no_new_tokens_is_a_run_of_the_prompt_alone(model: GPT2, store: TraceStore) -> None:
    """Issue 2: it could not be made."""
    passes = count_passes(model)
    nothing = replace(SETTINGS, max_new_tokens=0)
    for _ in range(2):
        run = continue_prompt(model, PROMPT, nothing, store=store)
        assert (run.token_ids.tolist(), list(run.steps), run.stop) == ([3, 1, 4], [], "none")
    assert not passes


def test_a_full_context_leaves_nothing_to_draw(model: GPT2, store: TraceStore) -> None:
    full = np.zeros(TINY.n_ctx, dtype=np.int32)
    run = continue_prompt(model, full, SETTINGS, store=store)
    assert (len(run.steps), run.stop) == (0, "context")
    nearly = continue_prompt(model, full[:-1], SETTINGS, store=store)
    assert (len(nearly.steps), nearly.stop) == (1, "context")


def test_a_damaged_run_is_drawn_again(model: GPT2, store: TraceStore) -> None:
    drawn = continue_prompt(model, PROMPT, SETTINGS, store=store)
    (file,) = (store.folder / "runs").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1])
    passes = count_passes(model)
    assert continue_prompt(model, PROMPT, SETTINGS, store=store).token_ids.tolist() == drawn.token_ids.tolist()
    assert len(passes) == 4
