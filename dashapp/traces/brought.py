"""A file that somebody brings: is it a trace, whole, and of values that a trace can have? Asked before it is believed.

First its beginning alone, before anything is kept of the rest; then, when all of it lies in a file of ours, each slice.
It is held to what our own writer writes: the same names, dtypes, shapes and places, byte by byte. What it claims (that
this model computed that) cannot be seen here. NumPy only; knows nothing of where files come from or go.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from dashapp.errors import DamagedFile, DamagedTrace, NotARunFile, NotATrace
from dashapp.model.config import D_VOCAB, GPT2Config
from dashapp.model.tensorfile import CODES, TensorFile, TensorLayout, header_bytes
from dashapp.traces.checksums import CHECKSUMS
from dashapp.traces.metadata import config_in, refuse_other_strings, run_in
from dashapp.traces.names import TENSORS, TRACE_FORMAT, n_checks, n_slices, tensor_shapes
from dashapp.traces.record import Trace

LARGEST_HEADER: Final = 16_384  # bytes, with the 8 that say how long it is; ours have 4,096
CALLED: Final = Path("the file")  # what errors of the rooms below call it

# What a configuration may say: several times the published models, so that no file makes a page draw without end.
MOST: Final = {"n_layer": 96, "n_head": 64, "d_model": 16_384, "d_mlp": 65_536, "n_ctx": 8_192, "d_vocab": D_VOCAB}
LARGEST: Final = 1e9  # an activation; squares of some thousands of them still add up in float32
SLACK: Final = 0.01  # what rounding may add to a bound, in bfloat16 too


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What the header of a file says, which has been checked. size_bytes: of the whole file."""

    metadata: dict[str, str]
    config: GPT2Config
    n_tokens: int
    size_bytes: int


def header_length(prefix: bytes, size_bytes: int) -> int:
    """How many bytes the header of a file of this size takes, from its first 8. Raises: NotARunFile."""
    length = 8 + int.from_bytes(prefix[:8], "little")
    if len(prefix) < 8 or not 8 < length <= min(size_bytes, LARGEST_HEADER):
        raise NotARunFile("it does not begin with a header of such a file")
    return length


def beginning(header: bytes, size_bytes: int) -> Beginning:
    """What the header says of a file of this size; nothing is allocated for what it claims. Raises: NotARunFile."""
    try:
        layout = TensorLayout.read(CALLED, io.BytesIO(header), size_bytes)
    except DamagedFile as error:
        raise NotARunFile(error.problem) from error
    try:
        refuse_other_strings(layout.metadata)
        if layout.metadata["kind"] != "trace":
            raise ValueError("it is a file of something else")
        if layout.metadata["format"] != str(TRACE_FORMAT):
            raise ValueError(f"it has another format than {TRACE_FORMAT}, which this version reads")
        config = _small(config_in(layout.metadata))
        n_tokens = _n_tokens(layout, config)
        run_in(layout.metadata, n_tokens=n_tokens)
    except ValueError as error:
        raise NotARunFile(str(error)) from error
    _refuse_other_tensors(layout, config, n_tokens, header)
    return Beginning(metadata=layout.metadata, config=config, n_tokens=n_tokens, size_bytes=size_bytes)


def trace_brought(descriptor: int) -> Trace:
    """The trace in an open file whose beginning was checked: every slice is what was written and can have been.

    Raises: NotARunFile.
    """
    try:
        trace = Trace.of_tensors(TensorFile(CALLED, descriptor=descriptor))
        for name, low, high, part in _values(trace):
            if not bool(low <= part.min()) or not bool(part.max() <= high):  # a NaN is neither
                raise NotARunFile(f"{name!r} holds a value that is no number or none that it can have")
    except (DamagedFile, DamagedTrace, NotATrace) as error:
        raise NotARunFile(error.instance.removeprefix(f"{str(CALLED)!r}: ").rstrip(".")) from error
    return trace


def _small(config: GPT2Config) -> GPT2Config:
    for name, most in MOST.items():
        if getattr(config, name) > most:
            raise ValueError(f"its {name} is more than {most:,}")
    return config


def _n_tokens(layout: TensorLayout, config: GPT2Config) -> int:
    entry = layout.entries.get("token_ids")
    if entry is None or len(entry.shape) != 1 or not 0 < entry.shape[0] <= config.n_ctx:
        raise ValueError("it does not hold from one token to as many as its model reads")
    return entry.shape[0]


def _refuse_other_tensors(layout: TensorLayout, config: GPT2Config, n_tokens: int, header: bytes) -> None:
    shapes = tensor_shapes(config, n_tokens)
    kinds = {name: (TENSORS[name].dtype, shape) for name, shape in shapes.items()}
    kinds[CHECKSUMS] = np.dtype(np.int64), (n_checks(shapes),)
    other = sorted(kinds.keys() ^ layout.entries.keys())
    if other:
        raise NotARunFile(f"its header names other tensors than a trace has, or not all: {other[0][:40]!r}")
    for name, (dtype, shape) in kinds.items():
        if (layout.entries[name].code, layout.entries[name].shape) != (CODES[dtype], shape):
            raise NotARunFile(f"{name!r} does not have the dtype and shape that its configuration asks for")
    if header != header_bytes(kinds, layout.metadata):
        raise NotARunFile("its header is not written as this app writes it")


def _values(trace: Trace) -> Iterator[tuple[str, float, float, np.ndarray]]:
    """Of each slice of a trace the least and the most that it may hold, without those that stand for nothing."""
    bounds = _bounds(trace.config, trace.n_tokens)
    for name, (low, high) in bounds.items():
        shape = tensor_shapes(trace.config, trace.n_tokens)[name]
        n_parts = n_slices(name, shape)
        for index in range(n_parts):
            part = trace.read(name, index if n_parts > 1 else None)
            if name in ("logprob", "rank"):  # of the first token, before which nothing stands
                nothing = bool(np.isnan(part[0])) if name == "logprob" else part[0] == -1
                if not nothing:
                    raise NotARunFile(f"{name!r} of the first token stands for something")
                part = part[1:]
            if part.size:
                yield name, low, high, part


def _bounds(config: GPT2Config, n_tokens: int) -> dict[str, tuple[float, float]]:
    """What every value of a tensor lies between, from what `names.TENSORS` says that it is."""
    anything, token = (-LARGEST, LARGEST), (0, config.d_vocab - 1)
    logprob, share = (-LARGEST, SLACK), (-SLACK, 1 + SLACK)
    return {
        "token_ids": token,
        **dict.fromkeys(("q", "k", "v", "resid", "mlp_pre", "logsumexp", "attn_logsumexp"), anything),
        "ln_scale": (0, LARGEST),
        "top_ids": token,
        "top_logprobs": logprob,
        "entropy": (-SLACK, math.log(config.d_vocab) + SLACK),
        "logprob": logprob,
        "rank": token,
        "attn_entropy": (-SLACK, math.log(n_tokens) + SLACK),
        "attn_distance": (-SLACK, n_tokens),
        **dict.fromkeys(("attn_first", "attn_previous"), share),
        "thumbnails": (0, 255),
    }
