"""What a trace stores: each tensor's axes, dtype and meaning, in one table for store, labels and docs.

Everything here is linear in the number of tokens; what is quadratic (the attention patterns) is recomputed from q and k
when somebody looks at it. Knows sizes; knows nothing of files, models or figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dashapp.model.config import GPT2Config
from dashapp.model.tensorfile import PAGE_BYTES

TRACE_FORMAT: Final = 1  # raise it when a stored tensor changes its meaning: old traces are then computed again

N_TOP: Final = 20  # predictions kept at each position
N_CELLS: Final = 64  # a thumbnail is at most so many cells wide and high

# Axes along which a tensor is stored and checked in slices: a panel that reads one layer verifies that layer alone.
SLICED: Final = frozenset({"layer", "point", "norm"})


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of a trace: axes in house words, NumPy dtype, and the sentence that labels it."""

    axes: tuple[str, ...]
    dtype: np.dtype[Any]
    meaning: str


def _float32(axes: str, meaning: str) -> StoredTensor:
    return StoredTensor(tuple(axes.split()), np.dtype(np.float32), meaning)


def _int32(axes: str, meaning: str) -> StoredTensor:
    return StoredTensor(tuple(axes.split()), np.dtype(np.int32), meaning)


TENSORS: Final[dict[str, StoredTensor]] = {
    "token_ids": _int32("pos", "The tokens the model read."),
    "q": _float32("layer head pos d_head", "Queries: what each position looks for."),
    "k": _float32("layer head pos d_head", "Keys: what each position offers to be found by."),
    "v": _float32("layer head pos d_head", "Values: what a position passes on when it is looked at."),
    "resid": _float32(
        "point pos d_model",
        "The residual stream at 2·n_layer + 1 points: before layer 0, after its attention, before layer 1, … and after "
        "the last layer.",
    ),
    "ln_scale": _float32("norm pos", "1/σ of each LayerNorm: two a layer, in order, then the final one."),
    "mlp_pre": _float32("layer pos d_mlp", "MLP pre-activations: the neurons before GELU."),
    "top_ids": _int32("pos top", "The tokens most likely to come next, most likely first."),
    "top_logprobs": _float32("pos top", "Their log-probabilities, in nats."),
    "logsumexp": _float32("pos", "log Σ exp of the logits: a logit minus this is a log-probability."),
    "entropy": _float32("pos", "Entropy of the prediction for the next token, in nats."),
    "logprob": _float32("pos", "Log-probability of this token given those before it, in nats; NaN for the first."),
    "rank": _int32("pos", "How many tokens were more likely than this one, 0 for the favourite; −1 for the first."),
    "attn_logsumexp": _float32("layer head pos", "log Σ exp of the scores in a query's row of attention."),
    "attn_entropy": _float32("layer head pos", "Entropy of a query's row of attention, in nats."),
    "attn_distance": _float32("layer head pos", "Mean distance that a query looks back, in tokens."),
    "attn_first": _float32("layer head pos", "Attention that a query gives to the first token."),
    "attn_previous": _float32("layer head pos", "Attention that a query gives to the token before; 0 for the first."),
    "thumbnails": StoredTensor(
        ("layer", "head", "cell_query", "cell_key"),
        np.dtype(np.uint8),
        "Each head's attention, largest value in each cell, 0..255 for 0..1. A prompt of up to 64 tokens fills as many "
        "rows and columns as it has tokens; a longer one is pooled to 64 × 64.",
    ),
}  # fmt: skip


def axis_sizes(config: GPT2Config, n_tokens: int) -> dict[str, int]:
    """The length of every axis named above."""
    return {
        "layer": config.n_layer,
        "head": config.n_head,
        "pos": n_tokens,
        "d_head": config.d_head,
        "d_model": config.d_model,
        "d_mlp": config.d_mlp,
        "point": 2 * config.n_layer + 1,
        "norm": 2 * config.n_layer + 1,
        "top": min(N_TOP, config.d_vocab),
        "cell_query": N_CELLS,
        "cell_key": N_CELLS,
    }


def tensor_shapes(config: GPT2Config, n_tokens: int) -> dict[str, tuple[int, ...]]:
    """The shape of every stored tensor."""
    sizes = axis_sizes(config, n_tokens)
    return {name: tuple(sizes[axis] for axis in row.axes) for name, row in TENSORS.items()}


def n_slices(name: str, shape: tuple[int, ...]) -> int:
    """In how many separately checked slices a tensor is stored: one a layer, or one in all."""
    return shape[0] if TENSORS[name].axes[0] in SLICED else 1


def n_checks(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many checksums a trace has: one for the header's strings, one for each slice."""
    return 1 + sum(n_slices(name, shape) for name, shape in shapes.items())


def trace_bytes(config: GPT2Config, n_tokens: int) -> int:
    """Bytes of a trace's file, known before anything is computed: a constant plus a fixed number per token."""
    shapes = tensor_shapes(config, n_tokens)
    values_bytes = sum(math.prod(shape) * TENSORS[name].dtype.itemsize for name, shape in shapes.items())
    return PAGE_BYTES + values_bytes + 8 * n_checks(shapes)  # the header takes less than a page, padded to one
