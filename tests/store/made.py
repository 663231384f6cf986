"""Traces and runs made of random numbers: real files of our own formats, made without a model and without torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from dashapp.model.config import GPT2Config
from dashapp.model.sampling import SamplingSettings
from dashapp.traces.names import TENSORS, tensor_shapes
from dashapp.traces.record import Trace, new_trace, trace_metadata
from dashapp.traces.run import Run, RunStep, new_run
from tests.doubles import TINY

FINGERPRINT = "f" * 64


def made_trace(seed: int = 0, *, n_tokens: int = 7, config: GPT2Config = TINY) -> Trace:
    """A trace with the shapes of the tiny model or another; another seed makes other tokens, and so another key."""
    generator = np.random.default_rng(seed)
    tensors = {
        name: _random(generator, shape, TENSORS[name].dtype) for name, shape in tensor_shapes(config, n_tokens).items()
    }
    metadata = trace_metadata(config, fingerprint=FINGERPRINT, model="tiny", dtype="float32")
    return new_trace(tensors, metadata, weights=None)


def made_run(seed: int = 0, *, n_steps: int = 3) -> Run:
    """A run of a few tokens after a random prompt."""
    generator = np.random.default_rng(seed)
    top = np.arange(5, dtype=np.int32), np.full(5, 0.1, dtype=np.float32)
    steps = [RunStep(token, str(token), 0.5, *top) for token in range(n_steps)]
    prompt_ids = generator.integers(50_000, size=4, dtype=np.int32)
    identity = {"fingerprint": FINGERPRINT, "model": "tiny", "dtype": "float32"}
    return new_run(prompt_ids=prompt_ids, steps=steps, settings=SamplingSettings(), stop="length", identity=identity)


def made_result() -> dict[str, np.ndarray]:
    """The arrays of an analysis: of different types and shapes, one of them empty."""
    generator = np.random.default_rng(0)
    points = generator.standard_normal((7, 2), dtype=np.float32)
    return {"points": points, "pos": np.arange(7, dtype=np.int32), "none": np.zeros((0, 3), dtype=np.float64)}


def file_bytes(kept: Trace | Run) -> bytes:
    """The whole file of a trace or run."""
    return b"".join(bytes(chunk) for chunk in kept.chunks())


def sizes(kept: Iterable[Trace | Run]) -> int:
    """Bytes on disk of several files."""
    return sum(len(file_bytes(each)) for each in kept)


def _random(generator: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    if dtype == np.float32:
        return generator.standard_normal(shape, dtype=np.float32)
    return generator.integers(17, size=shape).astype(dtype)
