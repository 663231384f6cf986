from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dashapp.model.config import GPT2Config
from dashapp.model.generation import N_TOP, DrawnToken, draw_tokens, next_token_logits
from dashapp.model.gpt2 import GPT2, KeyValueCache
from dashapp.model.sampling import SamplingSettings, candidates, random_numbers, sample
from dashapp.model.tokenizer import END_OF_TEXT_ID
from dashapp.traces.capture import capture
from dashapp.traces.record import Trace, trace_metadata
from tests.doubles import TINY, TINY_TEXT, model_of, random_weights, tiny_model

PROMPT = np.array([3, 1, 4], dtype=np.int32)
WARM = SamplingSettings(max_new_tokens=8, temperature=1.5, seed=5)


def tokens_of(steps: list[DrawnToken]) -> list[int]:
    return [step.token for step in steps]


@pytest.fixture(scope="module")
def exact() -> GPT2:
    """The tiny model in float64, where no rounding decides which of two tokens is drawn."""
    return tiny_model(dtype=torch.float64)


def without_cache(model: GPT2, prompt: np.ndarray, settings: SamplingSettings) -> list[int]:
    """A generation written out: the whole text is run again for each token."""
    ids, generator = list(prompt), random_numbers(settings.seed)
    for _ in range(settings.max_new_tokens):
        with torch.no_grad():
            logits = model(torch.tensor([ids]))[0, -1].numpy()
        ids.append(sample(logits, settings, generator.random() if settings.temperature else math.nan))
    return [int(token) for token in ids[len(prompt) :]]


@pytest.fixture(scope="module")
def ending() -> GPT2:
    """A model that always expects <|endoftext|>: its last states are that token's embedding, made ten times as long."""
    weights = random_weights(TINY_TEXT)
    weights["wte.weight"][END_OF_TEXT_ID] *= 10
    weights["ln_f.weight"] *= 0
    weights["ln_f.bias"] = weights["wte.weight"][END_OF_TEXT_ID].copy()
    return model_of(TINY_TEXT, weights)


# The same tokens, whichever way --------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others(model: GPT2) -> None:
    first, again = (list(draw_tokens(model, PROMPT, WARM)) for _ in range(2))
    assert tokens_of(first) == tokens_of(again)
    assert [step.u for step in first] == [step.u for step in again]
    np.testing.assert_array_equal([s.top_probs for s in first], [s.top_probs for s in again])
    other = SamplingSettings(max_new_tokens=8, temperature=1.5, seed=6)
    assert tokens_of(list(draw_tokens(model, PROMPT, other))) != tokens_of(first)


@pytest.mark.parametrize(
    "settings",
    [
        SamplingSettings(max_new_tokens=10, temperature=0),
        SamplingSettings(max_new_tokens=10, temperature=1.5, seed=1),
        SamplingSettings(max_new_tokens=10, temperature=0.9, top_k=5, top_p=0.9, seed=2),
    ],
    ids=str,
)
@pytest.mark.parametrize("n_prompt", [1, 3])
def test_the_cache_changes_no_token(exact: GPT2, settings: SamplingSettings, n_prompt: int) -> None:
    drawn = tokens_of(list(draw_tokens(exact, PROMPT[:n_prompt], settings)))
    assert drawn == without_cache(exact, PROMPT[:n_prompt], settings)


@pytest.mark.parametrize("capacity", [63, 65, 66, 67, 1003])
def test_no_rounding_depends_on_how_much_room_was_asked_for(capacity: int) -> None:
    """d_head 5: with heads at odd places in memory, 46 tokens and the first 46 of 1,000 once were other tokens."""
    model = tiny_model(GPT2Config(n_layer=1, n_head=2, d_model=10, d_mlp=11, n_ctx=1024))
    drawn = [[5, 3, 8], *([token] for token in range(60))]

    def logits(capacity: int) -> list[np.ndarray]:
        cache = KeyValueCache.empty(model, capacity=capacity)
        with torch.inference_mode():
            return [next_token_logits(model, torch.tensor([ids]), cache) for ids in drawn]

    np.testing.assert_array_equal(logits(capacity), logits(1024))


def test_temperature_0_is_the_argmax_of_each_full_pass(exact: GPT2) -> None:
    ids = list(PROMPT)
    for step in draw_tokens(exact, PROMPT, SamplingSettings(max_new_tokens=10, temperature=0)):
        with torch.no_grad():
            assert step.token == exact(torch.tensor([ids]))[0, -1].argmax()
        assert math.isnan(step.u), "no random number is drawn"
        ids.append(step.token)


def test_stored_keys_and_values_continue_as_a_new_pass_does(exact: GPT2) -> None:
    """A branch: the trace of a text, cut after some token, spares running its beginning again."""
    ids = np.array([3, 1, 4, 1, 5, 9, 2], dtype=np.int32)
    trace = traced(exact, ids)
    for n_kept in (1, 4, len(ids)):
        k, v = (torch.tensor(each[:, :, : n_kept - 1]) for each in (trace.k, trace.v))  # the last token is to be read
        cache = KeyValueCache.from_trace(exact, k, v, capacity=TINY.n_ctx)
        settings = SamplingSettings(max_new_tokens=5, temperature=1.2, seed=3)
        branch = list(draw_tokens(exact, ids[:n_kept], settings, cache=cache))
        afresh = list(draw_tokens(exact, ids[:n_kept], settings))
        assert tokens_of(branch) == tokens_of(afresh)
        # a trace stores float32: the keys and values are off by 6e-8 of themselves, so the probabilities by about that
        for one, other in zip(branch, afresh, strict=True):
            np.testing.assert_allclose(one.top_probs, other.top_probs, rtol=0, atol=1e-6)


def traced(model: GPT2, ids: np.ndarray) -> Trace:
    return capture(model, ids, trace_metadata(model.config, fingerprint="f" * 64, model="tiny", dtype="float64"))


def test_the_cache_reads_each_token_once(model: GPT2) -> None:
    cache = KeyValueCache.empty(model, capacity=TINY.n_ctx)
    n_read = [cache.n_tokens for _ in draw_tokens(model, PROMPT, WARM, cache=cache)]
    assert n_read == list(range(len(PROMPT), len(PROMPT) + 8)), "the last token is drawn and not read"


def test_next_token_logits_are_the_last_of_a_full_pass(exact: GPT2) -> None:
    ids = torch.tensor([[3, 1, 4, 1]])
    with torch.no_grad():
        found = next_token_logits(exact, ids, KeyValueCache.empty(exact, capacity=4))
        # two float64 ways to logits of about 3: measured differences are below 5e-15
        np.testing.assert_allclose(found, exact(ids)[0, -1].numpy(), rtol=0, atol=1e-12)


# What is recorded ----------------------------------------------------------------------------------------------------


def test_recorded_probabilities_are_the_models_own_whatever_the_sampler_cuts(text_model: GPT2) -> None:
    settings = SamplingSettings(max_new_tokens=5, temperature=0.1, top_k=2, top_p=0.5)
    ids = list(PROMPT)
    for step in draw_tokens(text_model, PROMPT, settings):
        with torch.no_grad():
            logits = text_model(torch.tensor([ids]))[0, -1].double().numpy()
        order = sorted(range(len(logits)), key=lambda token: (-logits[token], token))[:N_TOP]
        probs = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        assert sorted(step.top_ids) == sorted(order)
        # float32 logits of two passes that differ by up to 3e-6 make probabilities that differ by as much of themselves
        np.testing.assert_allclose(step.top_probs, probs[step.top_ids], rtol=1e-5)
        assert (np.diff(step.top_probs) <= 0).all()
        assert step.top_ids.dtype == np.int32
        assert step.top_probs.dtype == np.float32
        ids.append(step.token)


def test_the_recorded_number_draws_the_recorded_token(exact: GPT2) -> None:
    ids = list(PROMPT)
    for step in draw_tokens(exact, PROMPT, WARM):
        with torch.no_grad():
            logits = exact(torch.tensor([ids]))[0, -1].numpy()
        among = candidates(logits, WARM)
        place = among.ids.tolist().index(step.token)
        assert among.probs[:place].sum() <= step.u < among.probs[: place + 1].sum() + 1e-12  # rounding of the sum
        ids.append(step.token)


def test_a_vocabulary_smaller_than_the_record_is_recorded_whole(model: GPT2) -> None:
    (step,) = draw_tokens(model, PROMPT, SamplingSettings(max_new_tokens=1))
    assert sorted(step.top_ids) == list(range(TINY.d_vocab))
    assert abs(step.top_probs.sum() - 1) < 1e-6  # 17 float32 numbers


def test_bfloat16_models_generate_and_record_float32() -> None:
    steps = list(draw_tokens(tiny_model(dtype=torch.bfloat16), PROMPT, WARM))
    assert len(steps) == 8
    assert {step.top_probs.dtype for step in steps} == {np.dtype(np.float32)}


# Where it ends -------------------------------------------------------------------------------------------------------


def stops(model: GPT2, prompt: np.ndarray, settings: SamplingSettings) -> list[str | None]:
    return [step.stop for step in draw_tokens(model, prompt, settings)]


def test_it_ends_after_max_new_tokens(model: GPT2) -> None:
    assert stops(model, PROMPT, SamplingSettings(max_new_tokens=3)) == [None, None, "length"]
    assert stops(model, PROMPT, SamplingSettings(max_new_tokens=0)) == []


def test_it_ends_where_the_context_ends(model: GPT2) -> None:
    room = TINY.n_ctx - len(PROMPT)
    assert stops(model, PROMPT, SamplingSettings(max_new_tokens=99)) == [None] * (room - 1) + ["context"]
    assert stops(model, PROMPT, SamplingSettings(max_new_tokens=room))[-1] == "length", "all that was asked for"
    full = np.zeros(TINY.n_ctx, dtype=np.int32)
    assert stops(model, full, SamplingSettings(max_new_tokens=99)) == [], "there is no room"


def test_end_of_text_ends_it_unless_told_otherwise(ending: GPT2) -> None:
    (step,) = draw_tokens(ending, PROMPT, SamplingSettings(max_new_tokens=3))
    assert (step.token, step.stop) == (END_OF_TEXT_ID, "end")
    going_on = list(draw_tokens(ending, PROMPT, SamplingSettings(max_new_tokens=3, stop_at_end=False)))
    assert tokens_of(going_on) == [END_OF_TEXT_ID] * 3
    assert [step.stop for step in going_on] == [None, None, "length"]


def test_end_of_text_in_the_prompt_ends_nothing(text_model: GPT2) -> None:
    prompt = np.array([END_OF_TEXT_ID, 0], dtype=np.int32)
    assert len(list(draw_tokens(text_model, prompt, SamplingSettings(max_new_tokens=2)))) == 2


def test_nothing_runs_before_the_first_token_is_asked_for() -> None:
    n_passes = 0

    def count(*_: object) -> None:
        nonlocal n_passes
        n_passes += 1

    counted = tiny_model(GPT2Config(n_layer=1, n_head=1, d_model=4, d_mlp=3, n_ctx=9, d_vocab=7))
    counted.ln_f.register_forward_hook(count)
    steps = draw_tokens(counted, PROMPT, SamplingSettings(max_new_tokens=4))
    assert n_passes == 0
    next(steps)
    assert n_passes == 1
    list(steps)
    assert n_passes == 4, "one pass a token"
