"""Beam search: against one that runs every text whole, and what must hold of any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import dashapp
from dashapp.errors import JobStopped
from dashapp.jobs import beams
from dashapp.jobs.beams import beams_after

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2
    from dashapp.traces.record import Trace

# float32 logits of texts run whole and token by token differ by 3e-6 (docs/numerics.md), here summed over 6 tokens.
ATOL = 5e-5


def quiet(_share: float) -> None:
    """Nobody watches."""


def logprobs_after(model: GPT2, ids: tuple[int, ...]) -> np.ndarray:
    """log softmax after the last of some tokens, float64 [d_vocab], from a whole pass without a cache."""
    import torch

    with torch.inference_mode():
        logits = model(torch.as_tensor([ids]))[0, -1].double()
        return np.asarray(torch.log_softmax(logits, dim=-1).numpy())


def by_brute_force(
    model: GPT2, prompt: tuple[int, ...], *, width: int, length: int, end: int
) -> list[tuple[tuple[int, ...], float]]:
    """Every kept text continued by every token of the vocabulary, all run whole, the best of all of them kept."""
    kept: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    for _ in range(length):
        found = [each for each in kept if each[0][-1:] == (end,)]
        for text, total in kept:
            if text[-1:] != (end,):
                row = logprobs_after(model, (*prompt, *text))
                found += [((*text, token), total + float(row[token])) for token in range(len(row))]
        kept = sorted(found, key=lambda each: -each[1])[:width]
    return kept


@pytest.fixture(scope="module")
def trace(model: GPT2) -> Trace:
    return dashapp.trace(model, [3, 1, 4, 1, 5, 9, 2], cache=False)


@pytest.mark.parametrize(("width", "pos"), [(1, 4), (2, 0), (3, 6), (5, 4)])
@pytest.mark.parametrize("end", [50_256, 7, 11])  # the tiny vocabulary has no <|endoftext|>: others stand for it
def test_beams_are_those_of_brute_force(model: GPT2, trace: Trace, width: int, pos: int, end: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beams, "END_OF_TEXT_ID", end)
        found = beams_after(trace, model, quiet, pos=pos, width=width, length=5)
    prompt = tuple(int(token) for token in trace.token_ids[: pos + 1])
    expected = by_brute_force(model, prompt, width=width, length=5, end=end)
    texts = [tuple(int(token) for token in row if token >= 0) for row in found["tokens"]]
    assert texts == [text for text, _ in expected]
    np.testing.assert_allclose(np.nansum(found["logprobs"], axis=1), [total for _, total in expected], atol=ATOL)


def test_one_beam_is_what_temperature_zero_draws(model: GPT2, trace: Trace) -> None:
    found = beams_after(trace, model, quiet, pos=4, width=1, length=6)
    run = dashapp.generate(model, trace.token_ids[:5], max_new_tokens=6, temperature=0, cache=False)
    assert found["tokens"][0].tolist() == run.token_ids[5:].tolist()


def test_each_logprob_is_that_of_the_models_own_trace(model: GPT2, trace: Trace) -> None:
    found = beams_after(trace, model, quiet, pos=4, width=3, length=4)
    for tokens, logprobs in zip(found["tokens"], found["logprobs"], strict=True):
        whole = dashapp.trace(model, [*trace.token_ids[:5], *tokens], cache=False)
        np.testing.assert_allclose(logprobs, whole.read("logprob")[5:], atol=ATOL)


def test_a_search_ends_at_the_end_of_the_context(model: GPT2, trace: Trace) -> None:
    found = beams_after(trace, model, quiet, pos=6, width=2, length=20)
    assert found["tokens"].shape == (2, model.config.n_ctx - 7)


def test_the_beginning_is_not_run_again(model: GPT2, trace: Trace) -> None:
    from tests.jobs.test_branching import positions_read

    with positions_read(model) as read:
        beams_after(trace, model, quiet, pos=6, width=3, length=4)
    assert [n for n, _ in read] == [1, 1, 1, 1]


def test_a_search_tells_how_far_it_is_and_can_be_stopped(model: GPT2, trace: Trace) -> None:
    told: list[float] = []
    beams_after(trace, model, told.append, pos=4, width=2, length=4)
    assert told == [0, 0.25, 0.5, 0.75]

    def stop(share: float) -> None:
        if share >= 0.5:
            raise JobStopped

    with pytest.raises(JobStopped):
        beams_after(trace, model, stop, pos=4, width=2, length=4)
