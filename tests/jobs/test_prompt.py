"""What one press of Generate computes: a run and its trace, told as it goes, kept for the next who asks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dashapp.jobs.prompt import Unwatched, run_prompt
from dashapp.jobs.reception import Reception
from dashapp.jobs.request import PromptRequest
from dashapp.model.checkpoint import load_model
from dashapp.model.sampling import SamplingSettings
from dashapp.model.weights import Weights
from dashapp.store.disk import TraceStore

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2


class Watched:
    """A context that remembers what it was told, and stops after so many states."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.states: list[Mapping[str, Any]] = []
        self.stop_after = stop_after

    def tell(self, state: Mapping[str, Any], *, now: bool = False) -> None:
        self.states.append(state)

    def should_stop(self) -> bool:
        return self.stop_after is not None and len(self.states) > self.stop_after


@pytest.fixture(scope="module")
def weights(model_folder: Path) -> Weights:
    return Weights.open(model_folder)


@pytest.fixture(scope="module")
def loaded(weights: Weights) -> GPT2:
    return load_model(weights, device="cpu")


@pytest.fixture
def store(tmp_path: Path) -> TraceStore:
    return TraceStore(tmp_path, size_limit_bytes=10**8)


def request(prompt: str = "Hello there", **settings: Any) -> PromptRequest:
    sampling = SamplingSettings(**({"max_new_tokens": 4} | settings))
    return PromptRequest(id="0" * 32, prompt=prompt, bos=True, sampling=sampling)


def test_the_result_names_a_trace_of_all_tokens(loaded: GPT2, store: TraceStore) -> None:
    result = run_prompt(Unwatched(), request(), model=loaded, store=store)
    trace = store.get_trace(result["trace"])
    assert trace is not None
    assert trace.token_texts == result["tokens"]
    assert (result["n_prompt"], len(result["tokens"]), result["stop"]) == (3, 7, "length")


def test_every_state_holds_all_tokens_so_far(loaded: GPT2, store: TraceStore) -> None:
    context = Watched()
    result = run_prompt(context, request(), model=loaded, store=store)
    generating = [state["tokens"] for state in context.states if state["doing"] == "generating"]
    assert [len(tokens) for tokens in generating][:4] == [3, 4, 5, 6]  # the last token ends the run untold
    assert all(tokens == result["tokens"][: len(tokens)] for tokens in generating)
    tracing = [state["share"] for state in context.states if state["doing"] == "tracing"]
    assert tracing == sorted(tracing)
    assert tracing[-1] == 1


def test_a_stopped_run_keeps_and_traces_what_was_drawn(loaded: GPT2, store: TraceStore) -> None:
    result = run_prompt(Watched(stop_after=2), request(max_new_tokens=9), model=loaded, store=store)
    assert result["stop"] == "person"
    assert len(result["tokens"]) == 3 + 2
    assert store.get_trace(result["trace"]) is not None


def test_no_new_tokens_only_looks_at_the_prompt(loaded: GPT2, store: TraceStore) -> None:
    result = run_prompt(Unwatched(), request(max_new_tokens=0), model=loaded, store=store)
    assert (result["n_prompt"], len(result["tokens"]), result["stop"]) == (3, 3, "none")


# The web process's answer -------------------------------------------------------------------------------------------


def reception(weights: Weights, store: TraceStore, place: int = 0) -> Reception:
    return Reception(weights=weights, dtype="float32", store=store, place=lambda request_id: place)


def test_what_a_job_has_computed_is_known_to_the_web_process(loaded: GPT2, weights: Weights, store: TraceStore) -> None:
    asked = request()
    assert reception(weights, store).answer(asked.as_json())["kind"] == "admitted"
    result = run_prompt(Unwatched(), asked, model=loaded, store=store)
    answer = reception(weights, store).answer(asked.as_json())
    assert answer["kind"] == "known"
    assert {name: answer[name] for name in ("trace", "tokens", "n_prompt", "stop")} == {
        name: result[name] for name in ("trace", "tokens", "n_prompt", "stop")
    }


def test_a_run_whose_trace_is_gone_is_computed_again(loaded: GPT2, weights: Weights, store: TraceStore) -> None:
    result = run_prompt(Unwatched(), request(), model=loaded, store=store)
    store.discard(result["trace"])
    assert reception(weights, store).answer(request().as_json())["kind"] == "admitted"


def test_a_request_without_a_place_waits(weights: Weights, store: TraceStore) -> None:
    answer = reception(weights, store, place=3).answer(request("Not yet known").as_json())
    assert (answer["kind"], answer["place"]) == ("waiting", 3)


def test_a_trace_that_could_not_be_kept_is_refused_before_a_job(weights: Weights, tmp_path: Path) -> None:
    answer = reception(weights, TraceStore(tmp_path, size_limit_bytes=10_000)).answer(request().as_json())
    assert (answer["kind"], answer["error"]) == ("refused", "TraceTooLarge")
