"""Does a trace agree with itself and with its weights? What must be equal in any GPT-2, computed here a second time.

Each identity is told as the largest difference of its two sides, as a share of the largest value on them. NumPy reads
what the model's torch wrote, so a mistake in either shows. Reads one trace and its weights; runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

import numpy as np

from dashapp.analysis.activations import gelu
from dashapp.analysis.attribution import attribution
from dashapp.analysis.logit_lens import final_norm, lens_logits
from dashapp.analysis.rollout import rollout
from dashapp.traces.record import Trace

Identity = Literal[
    "embeddings",
    "norms",
    "queries",
    "rows",
    "summaries",
    "attention",
    "neurons",
    "mlp",
    "predictions",
    "lens",
    "attribution",
    "rollout",
]

SAID: Final[dict[Identity, str]] = {
    "embeddings": "The stream begins as token plus position embedding",
    "norms": "1/σ of every LayerNorm is that of the stream before it",
    "queries": "Queries, keys and values are the normed stream through their weights and biases",
    "rows": "Rows of every attention pattern sum to 1, with nothing after the query",
    "summaries": "Stored entropy, distance and weights of attention are those of the patterns",
    "attention": "The stream grows by the sum of all heads’ z through W_O, and b_O",
    "neurons": "Pre-activations are the normed stream through W_in, and b_in",
    "mlp": "The stream grows by GELU of the pre-activations through W_out, and b_out",
    "predictions": "Stored log-probabilities, entropies and ranks are those of the logits",
    "lens": "The logit lens after the last layer is the model’s own output",
    "attribution": "Direct logit attribution adds up to the difference of two logits",
    "rollout": "Rows of attention rollout sum to 1, with nothing after the token",
}

# The largest share that rounding may make (docs/numerics.md). float32: the bound of parity, some hundred times what was
# seen. bfloat16: a stream rounded to 8 bits after each step, and what it was added to is that much larger than a step.
TOLERANCE: Final[dict[str, float]] = {"float32": 1e-4, "bfloat16": 5e-2}

ROWS_AT_ONCE: Final = 64  # positions whose logits are in memory together: 26 MB in float64

Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work


def identities(trace: Trace, *, progress: Progress = lambda share: None) -> dict[Identity, float]:
    """How far each identity is from holding, as a share of the largest value; NaN anywhere makes it NaN.

    Source: Elhage et al. 2021 for the stream as a sum and for attribution; Abnar & Zuidema 2020 for rollout.
    Raises: WeightsMissing.
    """
    found: dict[Identity, float] = {"embeddings": _embeddings(trace)}
    n_steps = trace.config.n_layer + 2
    for layer in range(trace.config.n_layer):
        for name, share in _layer(trace, layer):
            found[name] = _larger(found.get(name, 0.0), share)
        progress((layer + 1) / n_steps)
    found["norms"] = _larger(found["norms"], _norm(trace, 2 * trace.config.n_layer))
    found["predictions"] = _predictions(trace)
    progress((n_steps - 1) / n_steps)
    last = trace.n_tokens - 1
    found["lens"] = share_apart(lens_logits(trace, last, scale="recomputed")[-1], trace.logits_at(last))
    found["attribution"] = _attribution(trace, last)
    found["rollout"] = _sums_to_one(rollout(trace, is_first_out=False)["rollout"])
    progress(1.0)
    return {name: found[name] for name in SAID}


def share_apart(found: np.ndarray, expected: np.ndarray, *, of: np.ndarray | None = None) -> float:
    """The largest difference of two arrays of one shape as a share of the largest value of `expected`, or of `of`."""
    difference = np.abs(found.astype(np.float64) - expected).max()
    largest = np.abs(expected if of is None else of).max()
    return float(difference / largest) if largest else float(difference)


def _layer(trace: Trace, layer: int) -> Iterator[tuple[Identity, float]]:
    """The identities of one layer, each computed from what the trace stores just before it."""
    before, between, after = (trace.read("resid", 2 * layer + step) for step in range(3))  # [pos d_model]
    yield "norms", _larger(_norm(trace, 2 * layer), _norm(trace, 2 * layer + 1))
    for name, found in _projected(trace, layer, _normed(trace, before, layer, "ln_1")):
        yield "queries", share_apart(found, trace.read(name, layer))
    pattern = trace.pattern(layer)  # [head query key]
    yield "rows", _sums_to_one(pattern)
    yield from (("summaries", share) for share in _summaries(trace, layer, pattern))
    z = (pattern @ trace.read("v", layer)).transpose(1, 0, 2).reshape(trace.n_tokens, -1)  # [pos d_model]
    attn_out = z @ _weight(trace, layer, "attn.c_proj.weight") + _weight(trace, layer, "attn.c_proj.bias")
    yield "attention", share_apart(before + attn_out, between)
    pre = trace.read("mlp_pre", layer)
    read = _normed(trace, between, layer, "ln_2") @ _weight(trace, layer, "mlp.c_fc.weight")
    yield "neurons", share_apart(read + _weight(trace, layer, "mlp.c_fc.bias"), pre)
    mlp_out = gelu(pre) @ _weight(trace, layer, "mlp.c_proj.weight") + _weight(trace, layer, "mlp.c_proj.bias")
    yield "mlp", share_apart(between + mlp_out, after)


def _embeddings(trace: Trace) -> float:
    tokens = trace.weights.float32("wte.weight", dtype=trace.dtype)[trace.token_ids]
    positions = trace.weights.float32("wpe.weight", dtype=trace.dtype)[: trace.n_tokens]
    return share_apart(tokens + positions, trace.read("resid", 0))


def _norm(trace: Trace, norm: int) -> float:
    """Of one LayerNorm, counted as points of the stream are; the biased variance."""
    stream = trace.read("resid", norm).astype(np.float64)
    spread = np.sqrt(stream.var(axis=-1) + trace.config.layer_norm_epsilon)
    return share_apart(1 / spread, trace.read("ln_scale", norm))


def _normed(trace: Trace, stream: np.ndarray, layer: int, name: str) -> np.ndarray:
    """A stream [pos d_model] through one of a layer's LayerNorms, float32."""
    centred = stream - stream.mean(axis=-1, keepdims=True, dtype=np.float64)
    scale = 1 / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + trace.config.layer_norm_epsilon)
    normed = centred * scale * _weight(trace, layer, f"{name}.weight") + _weight(trace, layer, f"{name}.bias")
    return np.asarray(normed, dtype=np.float32)


def _projected(trace: Trace, layer: int, normed: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Queries, keys and values [head pos d_head] of a normed stream [pos d_model]."""
    together = normed @ _weight(trace, layer, "attn.c_attn.weight") + _weight(trace, layer, "attn.c_attn.bias")
    split = together.reshape(trace.n_tokens, 3, trace.config.n_head, -1)
    yield from zip("qkv", split.transpose(1, 2, 0, 3), strict=True)


def _summaries(trace: Trace, layer: int, pattern: np.ndarray) -> Iterator[float]:
    """What the trace stores of a layer's patterns beside the same of the patterns [head query key]."""
    logs = np.log(pattern, out=np.zeros_like(pattern), where=pattern > 0)
    yield share_apart(-np.einsum("hqk,hqk->hq", pattern, logs), trace.read("attn_entropy", layer), of=np.ones(1))
    places = np.arange(trace.n_tokens, dtype=np.float32)
    distance = np.einsum("hqk,qk->hq", pattern, np.maximum(places[:, None] - places, 0))
    yield share_apart(distance, trace.read("attn_distance", layer), of=places + 1)
    yield share_apart(pattern[:, :, 0], trace.read("attn_first", layer), of=np.ones(1))
    previous = np.diagonal(pattern, offset=-1, axis1=1, axis2=2)
    yield share_apart(previous, trace.read("attn_previous", layer)[:, 1:], of=np.ones(1)) if previous.size else 0.0


def _predictions(trace: Trace) -> float:
    """Of all positions, some at once: log-probability and rank of the next token, entropy, and the favourite's."""
    largest, n = 0.0, trace.n_tokens
    for start in range(0, n, ROWS_AT_ONCE):
        rows = slice(start, min(n, start + ROWS_AT_ONCE))
        stream = trace.read("resid", -1)[rows].astype(np.float64)
        logits = trace.unembedded(final_norm(trace, stream, None)).astype(np.float64)  # [row d_vocab]
        scale = max(1.0, float(np.abs(logits).max()))  # a log-probability is rounded as the logits are
        logits -= logits.max(axis=-1, keepdims=True)
        logprobs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        largest = _larger(largest, _of_rows(trace, rows, logprobs) / scale)
    return largest


def _of_rows(trace: Trace, rows: slice, logprobs: np.ndarray) -> float:
    """The largest difference in nats at some positions, whose log-probabilities are float64 [row d_vocab]."""
    entropy = -np.einsum("rv,rv->r", np.exp(logprobs), logprobs)
    favourites = np.take_along_axis(logprobs, trace.read("top_ids")[rows].astype(np.int64), axis=1)
    following = np.asarray(trace.token_ids[rows.start + 1 : rows.stop + 1], dtype=np.int64)
    said = np.take_along_axis(logprobs[: len(following)], following[:, None], axis=1)
    stored = trace.read("logprob")[rows.start + 1 : rows.stop + 1]
    apart = [
        np.abs(entropy - trace.read("entropy")[rows]).max(),
        np.abs(favourites - trace.read("top_logprobs")[rows]).max(),
        np.abs(said[:, 0] - stored).max(initial=0.0),
        _misplaced(logprobs[: len(following)], said, trace.read("rank")[rows.start + 1 : rows.stop + 1]),
    ]
    return float(np.max(apart))  # NaN, if one is


def _misplaced(logprobs: np.ndarray, said: np.ndarray, ranks: np.ndarray) -> float:
    """How far in nats [row d_vocab] the token that stands at a stored rank is from the token said [row 1], at most."""
    apart = 0.0
    for row, own, rank in zip(logprobs, said[:, 0], ranks, strict=True):
        if not 0 <= rank < len(row):
            return float("inf")
        if int((row > own).sum()) != rank:
            apart = _larger(apart, float(abs(np.partition(row, -1 - rank)[-1 - rank] - own)))
    return apart


def _attribution(trace: Trace, pos: int) -> float:
    """Of the favourite over the runner-up after a token, in shares of the largest part."""
    target, against = (int(token) for token in trace.read("top_ids")[pos, :2])
    parts = attribution(trace, pos, target=target, against=against)
    largest = max(1.0, float(np.abs(parts.heads).max()), float(np.abs(parts.mlps).max()), abs(parts.token))
    return abs(parts.remainder) / largest


def _sums_to_one(rows: np.ndarray) -> float:
    """How far rows of weights [… query key] are from 1 in sum, or how large a weight after the query is."""
    later = float(np.abs(np.triu(rows, k=1)).max(initial=0.0))
    return _larger(later, float(np.abs(rows.sum(axis=-1, dtype=np.float64) - 1).max()))


def _larger(one: float, other: float) -> float:
    return float(np.maximum(one, other))  # NaN, if one is


def _weight(trace: Trace, layer: int, name: str) -> np.ndarray:
    """A weight as the model computed with it, in float32; copied where a file has it at odd bytes (slow products)."""
    return np.require(trace.weights.float32(f"h.{layer}.{name}", dtype=trace.dtype), requirements=["ALIGNED"])
