"""What one press of Generate computes: a run and its trace, told as it goes, kept for the next who asks."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dashapp.errors import OtherWeights
from dashapp.jobs.prompt import Unwatched, run_prompt
from dashapp.jobs.reception import Reception
from dashapp.jobs.request import PromptRequest
from dashapp.model import opened
from dashapp.model.checkpoint import load_model
from dashapp.model.config import GPT2Config
from dashapp.model.opened import Models
from dashapp.model.sampling import SamplingSettings
from dashapp.model.tokenizer import token_texts
from dashapp.model.weights import Weights
from dashapp.panels.source import Source
from dashapp.store.disk import TraceStore
from dashapp.traces.record import Trace
from dashapp.traces.run import Run
from tests.doubles import TINY_TEXT, save_model_folder

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2


OTHER = GPT2Config(n_layer=2, n_head=3, d_model=9, d_mlp=7, n_ctx=29)  # no size of the tiny model's but the vocabulary


class Watched:
    """A context that remembers what it was told, and stops after so many states."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.states: list[Mapping[str, Any]] = []
        self.told_now: list[Mapping[str, Any]] = []
        self.stop_after = stop_after

    def tell(self, state: Mapping[str, Any], *, now: bool = False) -> None:
        self.states.append(state)
        if now:
            self.told_now.append(state)

    def should_stop(self) -> bool:
        return self.stop_after is not None and len(self.states) > self.stop_after


@pytest.fixture(scope="module")
def weights(model_folder: Path) -> Weights:
    return Weights.open(model_folder, name="tiny")


@pytest.fixture(scope="module")
def loaded(weights: Weights) -> GPT2:
    return load_model(weights, device="cpu")


@pytest.fixture
def store(tmp_path: Path) -> TraceStore:
    return TraceStore(tmp_path, size_limit_bytes=10**8)


def request(prompt: str = "Hello there", **settings: Any) -> PromptRequest:
    sampling = SamplingSettings(**({"max_new_tokens": 4} | settings))
    return PromptRequest(id="0" * 32, model="tiny", prompt=prompt, bos=True, sampling=sampling)


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


def test_a_stopped_text_is_told_whole_before_it_is_traced(loaded: GPT2, store: TraceStore) -> None:
    """A trace of 900 tokens takes a second and a half: who stopped the text need not wait for it."""
    context = Watched(stop_after=2)
    result = run_prompt(context, request(max_new_tokens=9), model=loaded, store=store)
    last = context.told_now[-1]
    assert (last["doing"], last["share"], last["tokens"]) == ("tracing", 0.0, result["tokens"])


def test_no_new_tokens_only_looks_at_the_prompt(loaded: GPT2, store: TraceStore) -> None:
    result = run_prompt(Unwatched(), request(max_new_tokens=0), model=loaded, store=store)
    assert (result["n_prompt"], len(result["tokens"]), result["stop"]) == (3, 3, "none")


# The web process's answer -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The default model, and another of other weights and another shape."""
    folder = tmp_path_factory.mktemp("models")
    save_model_folder(folder / "other", OTHER, seed=1)
    return Models(weights, dtype="float32", models_dir=folder, allowed=frozenset({"demo", "gpt2"}), hub_cache=folder)


def reception(models: Models, store: TraceStore, place: int = 0) -> Reception:
    return Reception(models=models, dtype="float32", store=store, place=lambda request_id, visitor: place)


def test_what_a_job_has_computed_is_known_to_the_web_process(loaded: GPT2, models: Models, store: TraceStore) -> None:
    asked = request()
    assert models.default.fingerprint == models.default.known_fingerprint
    assert reception(models, store).answer(asked.as_json())["kind"] == "admitted"
    result = run_prompt(Unwatched(), asked, model=loaded, store=store)
    answer = reception(models, store).answer(asked.as_json())
    assert answer["kind"] == "known"
    assert {name: answer[name] for name in result if name != "seconds"} == {
        name: told for name, told in result.items() if name != "seconds"
    }


def test_a_run_whose_trace_is_gone_is_computed_again(loaded: GPT2, models: Models, store: TraceStore) -> None:
    result = run_prompt(Unwatched(), request(), model=loaded, store=store)
    store.discard(result["trace"])
    assert reception(models, store).answer(request().as_json())["kind"] == "admitted"


def test_a_request_without_a_place_waits(models: Models, store: TraceStore) -> None:
    answer = reception(models, store, place=3).answer(request("Not yet known").as_json())
    assert (answer["kind"], answer["place"]) == ("waiting", 3)


def test_a_trace_that_could_not_be_kept_is_refused_before_a_job(models: Models, tmp_path: Path) -> None:
    answer = reception(models, TraceStore(tmp_path, size_limit_bytes=10_000)).answer(request().as_json())
    assert (answer["kind"], answer["error"]) == ("refused", "TraceTooLarge")


@pytest.mark.parametrize("prompt", ["a b c d e f g h i j k l m n o p", "x" * 100_000])
def test_a_prompt_that_is_too_long_comes_back_with_what_fits(models: Models, store: TraceStore, prompt: str) -> None:
    refused = reception(models, store).answer(request(prompt).as_json())
    assert refused["kind"] == "refused"
    assert prompt.startswith(refused["cut"])
    assert reception(models, store).answer(request(refused["cut"]).as_json())["kind"] == "admitted"


def test_what_is_no_text_is_refused_whole(models: Models, store: TraceStore) -> None:
    refused = reception(models, store).answer(request("\ud800" * 10_000).as_json())
    assert (refused["kind"], refused["cut"]) == ("refused", "")


# Several models -----------------------------------------------------------------------------------------------------


def test_a_result_tells_the_name_and_the_shape_of_its_model(models: Models, store: TraceStore) -> None:
    other = models.named("other")
    result = run_prompt(Unwatched(), request(), model=load_model(other, device="cpu"), store=store)
    assert {name: result[name] for name in ("model", "fingerprint", "n_layer", "n_head", "d_mlp", "n_ctx")} == {
        "model": "other",
        "fingerprint": other.fingerprint,
        "n_layer": OTHER.n_layer,
        "n_head": OTHER.n_head,
        "d_mlp": OTHER.d_mlp,
        "n_ctx": OTHER.n_ctx,
    }


def test_the_same_prompt_of_another_model_is_another_run(loaded: GPT2, models: Models, store: TraceStore) -> None:
    first = run_prompt(Unwatched(), request(), model=loaded, store=store)
    other = load_model(models.named("other"), device="cpu")
    second = run_prompt(Unwatched(), replace(request(), model="other"), model=other, store=store)
    assert first["trace"] != second["trace"]
    for asked, told in ((request(), first), (replace(request(), model="other"), second)):
        answer = reception(models, store).answer(asked.as_json())
        assert (answer["kind"], answer["trace"]) == ("known", told["trace"])


def test_the_context_is_that_of_the_model_asked_for(models: Models, store: TraceStore) -> None:
    long = request("word " * TINY_TEXT.n_ctx)
    assert reception(models, store).answer(long.as_json())["error"] == "PromptTooLong"
    assert reception(models, store).answer(replace(long, model="other").as_json())["kind"] == "admitted"


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("", "NoModelNamed", "This one names none."),
        (None, "NoModelNamed", "This one names none."),
        (3, "NoModelNamed", "This one names none."),
        ("gtp2", "UnknownModel", "'gtp2' is none of these."),
        ("../other", "UnknownModel", "'../other' is none of these."),
        ("gpt2-xl", "ModelNotAllowed", "'gpt2-xl' is not among them."),
        ("gpt2", "ModelNotHere", "'gpt2' is not here yet."),
    ],
)
def test_a_model_that_cannot_be_asked_is_refused_in_words(
    models: Models, store: TraceStore, name: object, error: str, says: str
) -> None:
    answer = reception(models, store).answer(request().as_json() | {"model": name})
    assert (answer["kind"], answer["error"], answer["instance"]) == ("refused", error, says)


@pytest.mark.parametrize("name", ["gtp2", "gpt2-xl", "gpt2"])
def test_what_needs_no_model_is_shown_without_it(models: Models, store: TraceStore, name: str) -> None:
    """The tokens of the prompt, and which model could run it."""
    asked = replace(request(), model=name)
    answer = reception(models, store).answer(asked.as_json())
    ids = asked.token_ids(models.default.config.n_ctx)
    assert answer["tokens"] == token_texts(ids)
    assert (answer["n_prompt"], answer["instead"]) == (len(ids), models.default.name)
    too_long = reception(models, store).answer(replace(asked, prompt="a " * 2000).as_json())
    assert "tokens" not in too_long
    assert too_long["instead"] == models.default.name


def test_a_model_that_does_not_fit_in_memory_is_refused(
    models: Models, store: TraceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "available_memory", lambda: 1000)
    answer = reception(models, store).answer(replace(request(), model="other").as_json())
    assert (answer["kind"], answer["error"]) == ("refused", "ModelTooLarge")


def test_a_link_made_with_other_weights_is_refused(models: Models, store: TraceStore) -> None:
    here = models.default.fingerprint
    right, wrong = replace(request(), weights=here[:12]), replace(request(), weights="0123456789ab")
    assert reception(models, store).answer(right.as_json())["kind"] == "admitted"
    answer = reception(models, store).answer(wrong.as_json())
    assert (answer["kind"], answer["error"]) == ("refused", "OtherWeights")
    assert (answer["instead"], answer["tokens"]) == (wrong.model, token_texts(wrong.token_ids(13)))
    assert (
        answer["instance"] == f"It was made with 'tiny' of fingerprint 0123456789ab, and 'tiny' here has {here[:12]}."
    )


def test_a_job_refuses_other_weights_where_the_web_process_could_not_know(models: Models, store: TraceStore) -> None:
    """Who nobody has read has no fingerprint yet: the job is the first to read them."""
    unread = Weights.open(models.named("other").folder, name="other")
    asked = replace(request(), model="other", weights="0123456789ab")
    with pytest.raises(OtherWeights):
        run_prompt(Unwatched(), asked, model=load_model(unread, device="cpu"), store=store)


def test_the_web_process_reads_no_weights_to_answer(
    weights: Weights, store: TraceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model_folder(tmp_path / "new", OTHER)
    models = Models(weights, dtype="float32", models_dir=tmp_path)
    monkeypatch.setattr(Weights, "_hash", lambda self: pytest.fail("it read all weights"))
    assert reception(models, store).answer(replace(request(), model="new").as_json())["kind"] == "admitted"


# What panels read from -----------------------------------------------------------------------------------------------


def test_a_trace_of_each_model_has_its_own_weights_at_hand(loaded: GPT2, models: Models, store: TraceStore) -> None:
    source = Source(models=models, store=store, dtype="float32", device="cpu")
    other = load_model(models.named("other"), device="cpu")
    for model in (loaded, other):
        key = run_prompt(Unwatched(), request(), model=model, store=store)["trace"]
        trace = source.trace(key)
        assert trace is not None
        assert trace.weights is model.weights
    assert source.trace("0" * 64) is None
    assert source.trace("no key") is None
    assert source.trace(None) is None


class Counting(TraceStore):
    """A store that counts what it is given to keep."""

    n_traces = n_runs = 0

    def put_trace(self, trace: Trace) -> None:
        self.n_traces += 1
        super().put_trace(trace)

    def put_run(self, run: Run) -> None:
        self.n_runs += 1
        super().put_run(run)


def test_fifty_people_with_one_prompt_cost_one_computation(loaded: GPT2, tmp_path: Path) -> None:
    store = Counting(tmp_path, size_limit_bytes=10**8)
    with ThreadPoolExecutor(50) as people:
        asked = [
            people.submit(run_prompt, Watched(), request("Asked by all"), model=loaded, store=store) for _ in range(50)
        ]
        told = [each.result() for each in asked]
    assert (store.n_runs, store.n_traces) == (1, 1)
    assert {(each["trace"], *each["tokens"]) for each in told} == {(told[0]["trace"], *told[0]["tokens"])}
