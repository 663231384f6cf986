"""Beam search from a token of a trace, in a job's process. Knows the model and a trace; knows nothing of trees.

At each step every beam is continued by every token, and the `width` most probable of all these texts are kept (Lowerre
1976). A text that has ended with `<|endoftext|>` is not continued and keeps its place among the others. It finds
probable texts, not all: what was dropped early may have become more probable than what was kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from dashapp.errors import WeightsMissing
from dashapp.jobs.branching import cache_of_ancestor
from dashapp.model.gpt2 import GPT2, KeyValueCache, at_least_float32
from dashapp.model.tokenizer import END_OF_TEXT_ID
from dashapp.traces.record import Trace

WIDEST: Final = 5
NONE: Final = -1  # in place of a token after the end of a text


@dataclass(frozen=True, slots=True)
class Beam:
    """A text in the search. tokens: after the prompt. logprobs: of each given all before it, nats."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]

    @property
    def total(self) -> float:
        """The log-probability of all tokens, nats."""
        return sum(self.logprobs)

    @property
    def is_ended(self) -> bool:
        return bool(self.tokens) and self.tokens[-1] == END_OF_TEXT_ID


def beams_of_trace(
    trace: Trace, progress: Callable[[float], None], *, pos: int, width: int, length: int
) -> dict[str, np.ndarray]:
    """`beams_after` the token `pos` of a trace, by its own model. Raises: WeightsMissing, ModelError."""
    from dashapp.jobs import warm  # it loads the model when it is imported: only a job's process may

    model = warm.ready_model(trace.model_name)
    if model.weights is None or model.weights.fingerprint != trace.fingerprint:
        raise WeightsMissing(trace.model_name, trace.fingerprint, "the model of this name has others")
    return beams_after(trace, model, progress, pos=pos, width=width, length=length)


@torch.inference_mode()
def beams_after(
    trace: Trace, model: GPT2, progress: Callable[[float], None], *, pos: int, width: int, length: int
) -> dict[str, np.ndarray]:
    """The most probable continuations that a beam search finds, most probable first.

    tokens: int32 [beam step], −1 after the end of a text. logprobs: float64 [beam step], of each token given all before
    it, nats, NaN after the end. At most `length` tokens and never past n_ctx. The keys and values of the beginning
    come from the trace. progress: told a share; may raise to end the search.
    """
    assert 1 <= width <= WIDEST, "the panel offers no other"
    ids = np.asarray(trace.token_ids[: pos + 1])
    n_steps = min(length, model.config.n_ctx - len(ids))
    cache = cache_of_ancestor(trace, model, ids, n_new=n_steps, batch=width)
    cache = cache or KeyValueCache.empty(model, capacity=len(ids) + n_steps, batch=width)
    unread = torch.as_tensor(ids[cache.n_tokens :].astype(np.int64), device=model.device).repeat(width, 1)
    beams = [Beam((), ())]
    for step in range(n_steps):
        progress(step / n_steps)
        logprobs = _next_logprobs(model, unread, cache)
        kept = _best(beams, logprobs, width)
        parents = [parent for parent, _ in kept]
        beams = [beam for _, beam in kept]
        if all(beam.is_ended for beam in beams):
            break
        _follow(cache, parents, width, first=len(ids))
        last = [beam.tokens[-1] for beam in beams]
        unread = torch.as_tensor([*last, *last[:1] * (width - len(last))], device=model.device)[:, None]
    return _as_arrays(beams)


def _next_logprobs(model: GPT2, unread: torch.Tensor, cache: KeyValueCache) -> np.ndarray:
    """log softmax of the logits after each beam: float64 [beam d_vocab]."""
    last = model.body(unread, cache=cache)[:, -1]
    logits = at_least_float32(model.unembed(last)).cpu().numpy().astype(np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _best(beams: list[Beam], logprobs: np.ndarray, width: int) -> list[tuple[int, Beam]]:
    """The most probable texts, each with the place of the beam that it continues; of equals, the earlier beam's first.

    No text outside the `width` likeliest tokens of its beam can be among them.
    """
    found: list[tuple[int, Beam]] = []
    for place, beam in enumerate(beams):
        if beam.is_ended:
            found.append((place, beam))
            continue
        row = logprobs[place]
        for token in np.argsort(-row, kind="stable")[:width]:
            found.append((place, Beam((*beam.tokens, int(token)), (*beam.logprobs, float(row[token])))))
    return sorted(found, key=lambda each: -each[1].total)[:width]


def _follow(cache: KeyValueCache, parents: list[int], width: int, *, first: int) -> None:
    """Give each beam the keys and values of the text that it continues; those of the prompt are the same for all."""
    rows = [*parents, *[parents[0]] * (width - len(parents))]
    for stored in (cache.k, cache.v):
        stored[:, :, :, first : cache.n_tokens] = stored[:, rows, :, first : cache.n_tokens]


def _as_arrays(beams: list[Beam]) -> dict[str, np.ndarray]:
    n_steps = max(len(beam.tokens) for beam in beams)
    tokens = np.full((len(beams), n_steps), NONE, dtype=np.int32)
    logprobs = np.full((len(beams), n_steps), np.nan)
    for row, beam in enumerate(beams):
        tokens[row, : len(beam.tokens)] = beam.tokens
        logprobs[row, : len(beam.tokens)] = beam.logprobs
    return {"tokens": tokens, "logprobs": logprobs}
