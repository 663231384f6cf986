"""The generation loop: one token at a time, each costing one position thanks to the key/value cache.

Knows the model and the sampler; knows nothing of text, traces or files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from dashapp.model.gpt2 import GPT2, KeyValueCache, at_least_float32
from dashapp.model.sampling import FIRST_LOOK, SamplingSettings, largest, random_numbers, sample
from dashapp.model.tap import NO_TAP, Tap
from dashapp.model.tokenizer import END_OF_TEXT_ID

N_TOP = 20  # alternatives recorded at each step

StopReason = Literal["length", "context", "end"]  # max_new_tokens reached, n_ctx reached, <|endoftext|> drawn


@dataclass(frozen=True, slots=True)
class DrawnToken:
    """One step of a generation.

    token: the id drawn. u: the random number in [0, 1) that chose it, NaN at temperature 0, where none is drawn.
    top_ids: int32 [top], the most likely tokens, most likely first; top_probs: float32 [top], their probabilities under
    the model itself (before temperature, top-k and top-p).
    stop: why the text ends with this token, None when it goes on.
    """

    token: int
    u: float
    top_ids: np.ndarray
    top_probs: np.ndarray
    stop: StopReason | None


@torch.inference_mode()
def draw_tokens(
    model: GPT2, prompt_ids: np.ndarray, settings: SamplingSettings, *, cache: KeyValueCache | None = None
) -> Iterator[DrawnToken]:
    """The tokens that continue a prompt, as they are drawn.

    prompt_ids: int32 [pos], at least one. cache: may hold the keys and values of a part of the prompt's beginning,
    which is then not run again; it must leave at least the last token to read.
    The prompt and the new tokens together never pass n_ctx.
    """
    room = model.config.n_ctx - len(prompt_ids)
    n_new = min(settings.max_new_tokens, room)
    cache = cache or KeyValueCache.empty(model, capacity=len(prompt_ids) + n_new)
    generator = random_numbers(settings.seed)
    unread = torch.as_tensor(np.asarray(prompt_ids, dtype=np.int64)[None, cache.n_tokens :], device=model.device)
    for i in range(n_new):
        logits = next_token_logits(model, unread, cache)
        u = generator.random() if settings.temperature > 0 else math.nan
        # One look through the vocabulary serves the sampler and the record; the most likely token is the first of them.
        leading = largest(logits, FIRST_LOOK if settings.temperature > 0 else N_TOP)
        token = sample(logits, settings, u, leading=leading)
        stop = _stop_reason(token, i + 1, settings, room)
        yield DrawnToken(token, u, *_most_likely(logits, leading), stop)
        if stop:
            return
        unread = torch.tensor([[token]], device=model.device)


def next_token_logits(model: GPT2, unread: torch.Tensor, cache: KeyValueCache, tap: Tap = NO_TAP) -> np.ndarray:
    """Logits after the last of the tokens in the cache and then `unread` [1 pos]: float32 or float64 [d_vocab].

    tap: of the pass over `unread`.
    """
    last = model.body(unread, cache=cache, tap=tap)[0, -1]
    logits: np.ndarray = at_least_float32(model.unembed(last)).cpu().numpy()
    return logits


def _stop_reason(token: int, n_drawn: int, settings: SamplingSettings, room: int) -> StopReason | None:
    if token == END_OF_TEXT_ID and settings.stop_at_end:
        return "end"
    if n_drawn == settings.max_new_tokens:
        return "length"
    return "context" if n_drawn == room else None


def _most_likely(logits: np.ndarray, leading: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids and probabilities of the N_TOP most likely tokens, equals in the order of their ids; leading: `largest`."""
    ids = leading[:N_TOP]
    shifted = logits - logits.max()
    probs = np.exp(shifted[ids]) / np.exp(shifted).sum(dtype=np.float64)
    return ids.astype(np.int32), probs.astype(np.float32)
