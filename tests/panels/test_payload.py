"""What a callback answers stays under 2 MB, uncompressed, at 1,024 tokens of the 124M shape.

A panel's figure is as large as its shapes make it, so the trace holds random numbers of the right shapes, with all
digits that float32 has, rather than half a minute's forward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dashapp.errors import OtherPlaces
from dashapp.model.config import GPT2Config
from dashapp.panels.catalogue import PAIR_PANELS, PANELS
from dashapp.panels.panel import draw
from dashapp.traces.names import TENSORS, tensor_shapes
from dashapp.traces.record import Trace, new_trace, trace_metadata
from tests.doubles import weight_shapes

LIMIT_BYTES = 2_000_000
SHAPE = GPT2Config()
POS, LAYER, HEAD = 1000, 7, 5


class RandomWeights:
    """Stands for a model's weights: random ones of the right shape, made when somebody asks for them."""

    name, fingerprint, folder = "random", "f" * 64, None

    def __init__(self) -> None:
        self._made: dict[str, np.ndarray] = {}

    def float32(self, name: str, *, dtype: str = "float32") -> np.ndarray:
        if name not in self._made:
            shape = weight_shapes(SHAPE)[name]
            self._made[name] = np.random.default_rng(0).standard_normal(shape, dtype=np.float32) * np.float32(0.02)
        return self._made[name]


@pytest.fixture(scope="module")
def trace() -> Trace:
    return random_trace(SHAPE.n_ctx)


def random_trace(n_tokens: int) -> Trace:
    """Random numbers where a trace of the 124M shape has numbers, within the bounds that they have by what they are."""
    generator = np.random.default_rng(0)
    arrays = {}
    for name, shape in tensor_shapes(SHAPE, n_tokens).items():
        dtype = TENSORS[name].dtype
        if dtype.kind == "f":
            arrays[name] = generator.standard_normal(shape, dtype=np.float32)
        else:
            arrays[name] = generator.integers(SHAPE.d_vocab if dtype.itemsize > 1 else 256, size=shape).astype(dtype)
    arrays["top_logprobs"] = -np.sort(np.abs(arrays["top_logprobs"]))
    for name in ("ln_scale", "entropy", "attn_entropy", "attn_distance", "attn_first", "attn_previous"):
        arrays[name] = np.abs(arrays[name])
    arrays["logprob"] = -np.abs(arrays["logprob"])
    arrays["logprob"][0], arrays["rank"][0] = np.nan, -1
    metadata = trace_metadata(SHAPE, fingerprint="f" * 64, model="random", dtype="float32")
    return new_trace(arrays, metadata, weights=RandomWeights())


def views(name: str, *, pos: int = POS, n_prompt: int = SHAPE.n_ctx) -> list[dict[str, Any]]:
    """Views in which all knobs are turned at once, so that few of them show every option, of a late token."""
    knobs = (PANELS | PAIR_PANELS)[name].knobs
    n_views = max([len(knob.options) for knob in knobs], default=1)
    place = {"pos": pos, "layer": LAYER, "head": HEAD, "target": 262, "against": 50_000, "n_prompt": n_prompt}
    looks = {"theme": "light", "text": 1, "narrow": False}
    turned = [{knob.name: [*knob.options][i % len(knob.options)] for knob in knobs} for i in range(n_views)]
    return [{**looks, **place, "knobs": options} for options in turned]


@pytest.mark.parametrize("name", PANELS)
def test_no_figure_of_a_thousand_tokens_passes_two_megabytes(name: str, trace: Trace) -> None:
    for view in views(name):
        size_bytes = len(draw(PANELS[name], trace, view).figure.to_json().encode())
        assert 100 < size_bytes < LIMIT_BYTES, view["knobs"]


@pytest.mark.parametrize("name", PAIR_PANELS)
def test_no_figure_of_two_long_prompts_passes_two_megabytes(name: str, trace: Trace) -> None:
    """Beside itself with some tokens replaced and one left out."""
    other = with_other_tokens(trace)
    for view in views(name):
        beside = {"beside": {"key": "", "pos": POS, "n_prompt": SHAPE.n_ctx}}
        try:
            figure = draw(PAIR_PANELS[name], trace, view | beside, other=other).figure
        except OtherPlaces:  # patterns of prompts that are not straight
            continue
        size_bytes = len(figure.to_json().encode())
        assert 100 < size_bytes < LIMIT_BYTES, view["knobs"]


def with_other_tokens(trace: Trace) -> Trace:
    """The same numbers under tokens that partly differ."""
    ids, n = trace.token_ids.copy(), trace.n_tokens
    ids[n // 2 : n // 2 + 10] = ids[n // 2 - 10 : n // 2]
    ids[700 * n // 1024 : n - 1] = ids[700 * n // 1024 + 1 : n]
    tensors = {name: trace.read(name) for name in TENSORS} | {"token_ids": ids}
    return new_trace(tensors, trace.metadata, weights=trace.weights)
