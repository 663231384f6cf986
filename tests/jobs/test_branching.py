"""A branch begins with its ancestor's keys and values: what it shares is not run again, and its trace is made whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dashapp
from dashapp.jobs.branching import cache_of_ancestor, n_shared
from dashapp.jobs.prompt import Unwatched, run_prompt
from dashapp.jobs.request import PromptRequest
from dashapp.model.checkpoint import load_model
from dashapp.model.sampling import SamplingSettings
from dashapp.model.tokenizer import END_OF_TEXT_ID, encode
from dashapp.model.weights import Weights
from dashapp.store.disk import TraceStore

if TYPE_CHECKING:
    import torch

    from dashapp.model.gpt2 import GPT2

# Keys and values of one pass over n tokens and of passes over one token each differ by the order of float32 sums over
# d_model = 10 and d_mlp = 11 terms, through 3 layers: 3 · 11 · 6e-8 of values below 10.
ATOL = 2e-5


@pytest.fixture(scope="module")
def loaded(model_folder: Path) -> GPT2:
    return load_model(Weights.open(model_folder, name="tiny"), device="cpu")


@pytest.fixture
def store(tmp_path: Path) -> TraceStore:
    return TraceStore(tmp_path, size_limit_bytes=10**8)


def request(**more: Any) -> PromptRequest:
    settings = SamplingSettings(max_new_tokens=4, temperature=0.9, seed=2)
    return replace(PromptRequest(id="0" * 32, model="tiny", prompt="Hello there", bos=True, sampling=settings), **more)


@contextmanager
def positions_read(model: GPT2) -> Iterator[list[tuple[int, bool]]]:
    """(how many positions, whether for a trace) of each pass through the model's blocks."""
    read: list[tuple[int, bool]] = []
    run_blocks = model.run_blocks

    def counting(x: torch.Tensor, **more: Any) -> torch.Tensor:
        read.append((x.shape[1], more.get("cache") is None))
        return run_blocks(x, **more)

    model.run_blocks = counting  # type: ignore[method-assign]
    yield read
    del model.run_blocks


def branch_of(store: TraceStore, loaded: GPT2) -> tuple[PromptRequest, dict[str, Any]]:
    """A request that leaves a first run after its second drawn token, and that run's result."""
    first = run_prompt(Unwatched(), request(), model=loaded, store=store)
    trace = store.get_trace(first["trace"])
    assert trace is not None
    drawn = [int(token) for token in trace.token_ids[first["n_prompt"] :]]
    return request(then=(*drawn[:2], int(encode(" other")[0]))), first


def test_tokens_that_a_branch_shares_are_not_run_again(store: TraceStore, loaded: GPT2) -> None:
    branch, first = branch_of(store, loaded)
    with positions_read(loaded) as read:
        result = run_prompt(Unwatched(), replace(branch, ancestor=first["trace"]), model=loaded, store=store)
    generated = [n for n, is_trace in read if not is_trace]
    assert generated == [1, 1, 1, 1]  # the new token, then each drawn one but the last: nothing of what is shared
    assert [n for n, is_trace in read if is_trace] == [len(result["tokens"])]  # and one whole pass
    with positions_read(loaded) as read:
        other = replace(branch, sampling=replace(branch.sampling, seed=3))
        run_prompt(Unwatched(), other, model=loaded, store=store)
    assert [n for n, is_trace in read if not is_trace] == [6, 1, 1, 1]  # without an ancestor all of it is read


def test_a_branch_is_the_same_text_and_trace_however_it_was_reached(
    store: TraceStore, loaded: GPT2, tmp_path: Path
) -> None:
    branch, first = branch_of(store, loaded)
    here = run_prompt(Unwatched(), replace(branch, ancestor=first["trace"]), model=loaded, store=store)
    elsewhere = TraceStore(tmp_path / "elsewhere", size_limit_bytes=10**8)
    alone = run_prompt(Unwatched(), branch, model=loaded, store=elsewhere)
    assert here["tokens"] == alone["tokens"]
    assert here["trace"] == alone["trace"]
    one, other = store.get_trace(here["trace"]), elsewhere.get_trace(alone["trace"])
    assert one is not None
    assert other is not None
    for name in ("q", "k", "v", "resid", "logprob"):
        np.testing.assert_array_equal(one.read(name), other.read(name))


def test_a_shared_beginning_has_the_keys_and_values_of_its_own_pass(text_model: GPT2) -> None:
    import torch

    from dashapp.model.gpt2 import KeyValueCache

    ancestor = dashapp.trace(text_model, "a cat sat on the mat", cache=False)
    ids = np.array([*ancestor.token_ids[:4], 11, 12, 13], dtype=np.int32)
    cache = cache_of_ancestor(ancestor, text_model, ids, n_new=2, batch=3)
    assert cache is not None
    assert cache.n_tokens == 4
    own = KeyValueCache.empty(text_model, capacity=9)
    with torch.inference_mode():
        text_model.body(torch.as_tensor(ids[None, :4].astype(np.int64)), cache=own)
    for copy in range(3):
        np.testing.assert_allclose(cache.k[:, copy, :, :4].numpy(), own.k[:, 0, :, :4].numpy(), atol=ATOL)
        np.testing.assert_allclose(cache.v[:, copy, :, :4].numpy(), own.v[:, 0, :, :4].numpy(), atol=ATOL)


def test_an_ancestor_that_cannot_help_is_left_alone(text_model: GPT2, loaded: GPT2) -> None:
    ancestor = dashapp.trace(text_model, "a cat", cache=False)
    ids = ancestor.token_ids
    assert cache_of_ancestor(None, text_model, ids, n_new=1) is None
    assert cache_of_ancestor(ancestor, text_model, np.array([5, 6], dtype=np.int32), n_new=1) is None
    other = dashapp.trace(text_model, "a cat", cache=False)
    other.metadata["fingerprint"] = other.fingerprint = "0" * 64
    assert cache_of_ancestor(other, text_model, ids, n_new=1) is None
    whole = cache_of_ancestor(ancestor, text_model, ids, n_new=1)
    assert whole is not None
    assert whole.n_tokens == len(ids) - 1  # the last is read, for its prediction


def test_how_many_leading_tokens_are_shared() -> None:
    one = np.array([1, 2, 3, 4])
    assert n_shared(one, one) == 4
    assert n_shared(one, np.array([1, 2, 9, 4])) == 2
    assert n_shared(one, np.array([9])) == 0
    assert n_shared(one, np.array([1, 2, 3, 4, 5])) == 4


# The request ---------------------------------------------------------------------------------------------------------


def test_tokens_after_the_prompt_are_read_as_they_are() -> None:
    ids = request(then=(257, END_OF_TEXT_ID)).token_ids(13)
    assert ids.tolist() == [END_OF_TEXT_ID, *encode("Hello there"), 257, END_OF_TEXT_ID]
    assert request(prompt="", bos=False, then=(5,)).token_ids(13).tolist() == [5]


def test_a_branch_that_is_too_long_is_refused() -> None:
    from dashapp.errors import PromptTooLong

    with pytest.raises(PromptTooLong):
        request(then=(5,) * 11).token_ids(13)


def test_a_request_is_read_back_with_its_branch() -> None:
    branch = request(then=(3, 4), ancestor="a" * 64, sampling=SamplingSettings(stop_at_end=False))
    assert PromptRequest.parse(branch.as_json()) == branch


@pytest.mark.parametrize(
    "wrong",
    [
        *({"then": value} for value in (5, "5", [-1], [50_257], [True], [1.0])),
        *({"ancestor": value} for value in (5, "a", "g" * 64)),
        *({"stop_at_end": value} for value in (1, None, "no")),
    ],
)
def test_a_branch_that_no_page_asks_for_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"ids of GPT-2|key of its trace|ends its text"):
        PromptRequest.parse(request().as_json() | wrong)


# To the end ----------------------------------------------------------------------------------------------------------


def test_a_text_goes_on_to_the_end_of_the_context_and_says_so(store: TraceStore, loaded: GPT2) -> None:
    sampling = SamplingSettings(max_new_tokens=100, stop_at_end=False)
    result = run_prompt(Unwatched(), request(sampling=sampling), model=loaded, store=store)
    assert (result["stop"], len(result["tokens"])) == ("context", loaded.config.n_ctx)


def test_the_app_and_python_draw_the_same_text_from_the_same_seed(store: TraceStore, loaded: GPT2) -> None:
    asked = request()
    result = run_prompt(Unwatched(), asked, model=loaded, store=store)
    settings = asked.sampling.as_dict()
    run = dashapp.generate(loaded, asked.prompt, **settings, cache=False)  # type: ignore[arg-type]
    assert run.token_ids.tolist() == store.get_trace(result["trace"]).token_ids.tolist()  # type: ignore[union-attr]
    assert run.trace_key == result["trace"]
