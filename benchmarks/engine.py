"""Capture and generation beside Hugging Face's on the same weights, prompt and threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.interleaved import Clock, Spread, Timings, time_in_turn
from benchmarks.table import Row
from dashapp.experiments.parity import load_reference
from dashapp.model.checkpoint import load_model
from dashapp.model.generation import draw_tokens, next_token_logits
from dashapp.model.gpt2 import GPT2, KeyValueCache
from dashapp.model.sampling import SamplingSettings
from dashapp.model.weights import Weights
from dashapp.traces.capture import capture, empty_arrays, record_attention, recording_tap
from dashapp.traces.record import trace_metadata

N_NEW, N_PROMPT = 50, 16  # tokens of a generation
GREEDY = SamplingSettings(max_new_tokens=N_NEW, temperature=0, stop_at_end=False)
SAMPLED = SamplingSettings(max_new_tokens=N_NEW, temperature=0.8, top_k=50, top_p=0.95, stop_at_end=False)

Works = dict[str, Callable[[], object]]


def engine_rows(folder: Path, *, lengths: list[int], n_runs: int, clock: Clock) -> Iterator[Row]:
    """Rows of capture at some prompt lengths and of generation, for the model in a folder."""
    ours = load_model(Weights.open(folder), device="cpu")
    theirs = load_reference(folder, dtype="float32")
    with torch.inference_mode():
        for n_tokens in lengths:
            works = capture_works(ours, theirs, n_tokens)
            yield from capture_rows(time_in_turn(works, n_runs=n_runs, clock=clock), n_tokens)
        theirs.set_attn_implementation("sdpa")  # the faster of its ways to generate
        timings = time_in_turn(generation_works(ours, theirs), n_runs=n_runs, clock=clock)
        yield from generation_rows(timings)


def capture_works(ours: GPT2, theirs: Any, n_tokens: int) -> Works:
    """What is timed at one prompt length, by name."""
    config = ours.config
    token_ids = np.random.default_rng(n_tokens).integers(config.d_vocab, size=n_tokens).astype(np.int32)
    ids = torch.from_numpy(token_ids.astype(np.int64)[None])
    metadata = trace_metadata(config, fingerprint="0" * 64, model="benchmark", dtype="float32")
    arrays = empty_arrays(config, n_tokens)
    ours.body(ids, tap=recording_tap(arrays))  # q and k, for the head summaries alone

    def summaries() -> None:
        for layer in range(config.n_layer):
            record_attention(arrays, layer, config.attn_scale(layer))

    return {
        "body": lambda: ours.body(ids),
        "logits": lambda: ours(ids),
        "linear": lambda: ours.body(ids, tap=recording_tap(empty_arrays(config, n_tokens))),
        "summaries": summaries,
        "whole": lambda: capture(ours, token_ids, metadata),
        "theirs": lambda: theirs(ids, output_attentions=True, output_hidden_states=True, use_cache=False),
    }


def capture_rows(timings: Timings, n_tokens: int) -> Iterator[Row]:
    """The ratios that are asked for at one prompt length."""
    is_long = n_tokens >= 1024
    linear = f"capture, {n_tokens:,} tokens"
    forward = "our forward with logits"
    yield Row(what=forward, beside="", value=timings.spread("logits"), unit="s")
    yield Row(
        what=linear,
        beside="Hugging Face with attentions and hidden states",
        value=timings.ratio("linear", "theirs"),
        target=0.45 if is_long else 0.8,
    )
    yield Row(
        what=linear,
        beside="our forward without unembedding and tap",
        value=timings.ratio("linear", "body"),
        target=1.25 if is_long else None,
    )
    yield Row(
        what=f"head summaries and thumbnails, {n_tokens:,} tokens",
        beside=forward,
        value=timings.ratio("summaries", "logits"),
        target=0.4 if is_long else None,
    )
    yield Row(
        what=f"the complete trace, {n_tokens:,} tokens",
        beside=forward,
        value=timings.ratio("whole", "logits"),
        target=1.6,
    )


def generation_works(ours: GPT2, theirs: Any) -> Works:
    """Generations of the same length from the same prompt, and the reading of every weight that a token needs."""
    prompt = np.random.default_rng(0).integers(ours.config.d_vocab, size=N_PROMPT).astype(np.int32)
    ids = torch.from_numpy(prompt.astype(np.int64)[None])
    weights = [parameter.view(-1) for name, parameter in ours.named_parameters() if name != "wpe.weight"]

    def read_weights() -> None:
        for _ in range(N_NEW):
            for weight in weights:
                weight.sum()

    def bare() -> None:
        """The likeliest token each time, nothing sampled and nothing recorded."""
        cache = KeyValueCache.empty(ours, capacity=N_PROMPT + N_NEW)
        unread = ids
        for _ in range(N_NEW):
            token = next_token_logits(ours, unread, cache).argmax()
            unread = torch.tensor([[int(token)]])

    return {
        "greedy": lambda: list(draw_tokens(ours, prompt, GREEDY)),
        "sampled": lambda: list(draw_tokens(ours, prompt, SAMPLED)),
        "bare": bare,
        "theirs": lambda: theirs.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=N_NEW,
            min_new_tokens=N_NEW,
            do_sample=False,
            pad_token_id=0,
        ),
        "reading": read_weights,
    }


def generation_rows(timings: Timings) -> Iterator[Row]:
    """Tokens per second, and the ratios that are asked for."""
    seconds = timings.spread("greedy")
    speed = Spread(N_NEW / seconds.median, N_NEW / seconds.largest, N_NEW / seconds.least)
    what = f"greedy generation, {N_NEW} tokens"
    yield Row(what=what, beside="", value=speed, unit="tokens/s")
    yield Row(
        what=f"{what}: tokens per second",
        beside="Hugging Face's generate",
        value=timings.ratio("theirs", "greedy"),
        target=1.3,
        better="above",
    )
    yield Row(
        what=f"{what}: tokens per second",
        beside="reading all weights once a token (memory bandwidth)",
        value=timings.ratio("reading", "greedy"),
        target=0.9,
        better="above",
    )
    yield Row(
        what="recording the 20 likeliest tokens",
        beside="the same loop without",
        value=timings.ratio("greedy", "bare"),
        target=1.05,
    )
    yield Row(
        what="sampling with top-k and top-p, and recording",
        beside="the likeliest token, nothing recorded",
        value=timings.ratio("sampled", "bare"),
        target=1.05,
    )
