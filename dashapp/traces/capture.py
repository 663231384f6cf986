"""Capture: one forward pass, watched by a tap, becomes a trace.

Attention runs fused while it is watched (only q, k and v are read). What a trace keeps of the patterns is computed
after, a few queries at a time, so that no layer's patterns are ever in memory together. Knows model and trace; knows
nothing of text, files on disk or jobs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dashapp.model.config import GPT2Config
from dashapp.model.gpt2 import GPT2
from dashapp.model.sampling import largest
from dashapp.model.tap import Tap, TapFunction
from dashapp.traces.names import N_CELLS, TENSORS, tensor_shapes
from dashapp.traces.record import Trace, WeightsLike, new_trace

ROWS_AT_ONCE = 128  # positions whose logits are in memory together: 26 MB for GPT-2's vocabulary
VOCAB_AT_ONCE = 2048  # tokens unembedded at once: MKL takes half as long again for all of them together
CACHED_ROWS = 8  # positions whose logits stay in the processor's cache while they are summarised
PATTERN_BYTES_AT_ONCE = 3_000_000  # patterns in memory together: larger ones leave the cache
HEAD_SUMMARIES = ("attn_logsumexp", "attn_entropy", "attn_distance", "attn_first", "attn_previous")

Progress = Callable[[float], None]  # share of the work done, 0..1


def no_progress(share: float) -> None:
    """For who does not watch."""


def capture(
    model: GPT2,
    token_ids: np.ndarray,
    metadata: dict[str, str],
    *,
    weights: WeightsLike | None = None,
    progress: Progress = no_progress,
) -> Trace:
    """The trace of one forward pass over `token_ids` (int32 [pos]).

    metadata: the strings of `record.trace_metadata`. weights: those that the trace may ask later for `logits`.
    progress: told the share of the work done, layer by layer.
    """
    arrays = empty_arrays(model.config, len(token_ids))
    arrays["token_ids"][:] = token_ids
    n_layer = model.config.n_layer
    with torch.inference_mode():
        ids = torch.as_tensor(np.asarray(token_ids, dtype=np.int64)[None], device=model.device)
        tap = recording_tap(arrays, progress=lambda share: progress(share / 2))
        normed = model.body(ids, tap=tap)[0]  # [pos d_model]
        record_predictions(model, normed, token_ids, arrays)
        for layer in range(n_layer):
            record_attention(arrays, layer, model.config.attn_scale(layer))
            progress(0.5 + (layer + 1) / n_layer / 2)
    return new_trace(arrays, metadata, weights=weights)


def empty_arrays(config: GPT2Config, n_tokens: int) -> dict[str, np.ndarray]:
    """Room for every tensor of a trace; the thumbnails are 0."""
    shapes = tensor_shapes(config, n_tokens)
    arrays = {name: np.empty(shape, dtype=TENSORS[name].dtype) for name, shape in shapes.items()}
    arrays["thumbnails"][:] = 0  # a short prompt does not fill them
    return arrays


def recording_tap(arrays: dict[str, np.ndarray], *, progress: Progress = no_progress) -> Tap:
    """A tap that writes the linear activations of one forward pass (batch of 1) into a trace's arrays.

    progress: told the share of the layers that have run.
    """
    targets = {name: torch.from_numpy(array) for name, array in arrays.items()}
    n_layer = len(arrays["q"])

    def into(name: str, *, step: int = 1, offset: int = 0) -> TapFunction:
        def write(activation: Tensor, layer: int | None) -> None:
            targets[name][step * (layer or 0) + offset].copy_(activation[0])  # widens bfloat16

        return write

    write_resid_post = into("resid", step=2, offset=2)

    def end_layer(activation: Tensor, layer: int | None) -> None:
        write_resid_post(activation, layer)
        progress(((layer or 0) + 1) / n_layer)

    return Tap(
        {
            ("q", None): into("q"),
            ("k", None): into("k"),
            ("v", None): into("v"),
            ("mlp_pre", None): into("mlp_pre"),
            ("resid_pre", 0): into("resid"),  # in later layers it equals the resid_post before
            ("resid_mid", None): into("resid", step=2, offset=1),
            ("resid_post", None): end_layer,
            ("ln1_scale", None): into("ln_scale", step=2),
            ("ln2_scale", None): into("ln_scale", step=2, offset=1),
            ("ln_final_scale", None): into("ln_scale", offset=-1),
        }
    )


def record_predictions(model: GPT2, normed: Tensor, token_ids: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
    """Fill in what the model predicts at each position; logits exist for a few positions at a time.

    normed: what the unembedding reads, [pos d_model].
    """
    n_tokens, d_vocab = len(token_ids), model.config.d_vocab
    arrays["logprob"][0], arrays["rank"][0] = math.nan, -1
    following = torch.as_tensor(np.asarray(token_ids[1:], dtype=np.int64), device=model.device)
    wide = torch.promote_types(normed.dtype, torch.float32)
    for start in range(0, n_tokens, ROWS_AT_ONCE):
        rows = normed[start : start + ROWS_AT_ONCE]
        logits = rows.new_empty((len(rows), d_vocab), dtype=wide)  # [row d_vocab]
        for first in range(0, d_vocab, VOCAB_AT_ONCE):
            tokens = slice(first, first + VOCAB_AT_ONCE)
            logits[:, tokens] = model.unembed(rows, tokens=tokens)
        for i in range(0, len(rows), CACHED_ROWS):
            record_logits(logits[i : i + CACHED_ROWS], start + i, following, arrays)


def record_logits(logits: Tensor, start: int, following: Tensor, arrays: dict[str, np.ndarray]) -> None:
    """Fill in the predictions at positions `start` and after; overwrites the logits [row d_vocab].

    following: the token after each position, [pos − 1].
    """
    n_rows, n_top = len(logits), arrays["top_ids"].shape[1]
    targets = following[start : start + n_rows]  # one row fewer at the end: nothing follows the last token
    top, top_ids = _top(logits, n_top)
    chosen = logits[: len(targets)].gather(1, targets[:, None])  # [row 1]
    rank = _n_where(torch.gt, logits[: len(targets)], chosen)
    largest_logit = top[:, :1]
    logits -= largest_logit
    weights = logits.exp()
    total = weights.sum(dim=-1)
    log_total = total.log()
    # log Σ w − Σ w·log w / Σ w of w = exp(logit − largest): neither part is below 0, so no digit cancels.
    entropy = log_total - weights.mul_(logits).sum(dim=-1) / total
    rows, after = slice(start, start + n_rows), slice(start + 1, start + 1 + len(targets))
    arrays["logsumexp"][rows] = (largest_logit[:, 0] + log_total).cpu()
    arrays["top_ids"][rows] = top_ids.cpu()
    arrays["top_logprobs"][rows] = (top - largest_logit - log_total[:, None]).cpu()
    arrays["logprob"][after] = (chosen - largest_logit[: len(targets)])[:, 0].sub(log_total[: len(targets)]).cpu()
    arrays["rank"][after] = rank.cpu()
    arrays["entropy"][rows] = entropy.cpu()


def _top(logits: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The n largest of each row, largest first, equals in the order of their ids (as the sampler orders them)."""
    values, ids = logits.topk(n, dim=-1)
    # Which of several equals make the cut, topk leaves open; in bfloat16 most rows have such equals.
    n_reaching = _n_where(torch.ge, logits, values[:, -1:])
    for row in (n_reaching > n).nonzero()[:, 0].tolist():
        ids[row] = torch.from_numpy(largest(logits[row].cpu().numpy(), n))
    values = logits.gather(-1, ids)
    by_id = ids.argsort(dim=-1)
    by_value = values.gather(-1, by_id).argsort(dim=-1, descending=True, stable=True)
    order = by_id.gather(-1, by_value)
    return values.gather(-1, order), ids.gather(-1, order)


def _n_where(compare: Callable[..., Tensor], logits: Tensor, bound: Tensor) -> Tensor:
    """In how many places each row [row d_vocab] compares so with its bound [row 1].

    The comparison is written as 0 and 1 in the logits' own dtype: summing booleans takes three times as long.
    """
    return compare(logits, bound, out=torch.empty_like(logits)).sum(dim=-1)


def record_attention(arrays: dict[str, np.ndarray], layer: int, scale: float) -> None:
    """Fill in one layer's head summaries and thumbnails from its stored q and k.

    A few queries of all heads at a time, with the keys that the last of them sees: half of what all keys would cost.
    """
    of_layer = {name: torch.from_numpy(arrays[name][layer]) for name in ("q", "k", "thumbnails", *HEAD_SUMMARIES)}
    q, keys = of_layer["q"], of_layer["k"].transpose(1, 2)
    n_head, n_tokens = q.shape[:2]
    n_at_once = max(1, PATTERN_BYTES_AT_ONCE // (4 * n_head * n_tokens))
    pooled = torch.zeros(n_head, min(N_CELLS, n_tokens), n_tokens)  # [head cell_query key]
    for first in range(0, n_tokens, n_at_once):
        last = min(first + n_at_once, n_tokens)
        scores = torch.bmm(q[:, first:last], keys[:, :, :last]).mul_(scale)  # [head query key]
        pattern = record_summaries(scores, first, of_layer)
        pool_queries(pattern, first, pooled)
    pool_keys(pooled, of_layer["thumbnails"])


def record_summaries(scores: Tensor, first: int, summaries: dict[str, Tensor]) -> Tensor:
    """Fill in the summaries of queries `first` and after, and return their pattern; overwrites the scores.

    scores: [head query key], the last query sees the last key. Each pass works in place, on what the processor's cache
    still holds.
    """
    n_query, n_key = scores.shape[1:]
    queries = slice(first, n_key)
    hidden = torch.ones(n_query, n_query, dtype=torch.bool).triu(diagonal=1)
    scores[..., first:].masked_fill_(hidden, -math.inf)
    largest_score = scores.amax(dim=-1, keepdim=True)
    scores -= largest_score
    pattern = scores.exp()
    scores[..., first:].masked_fill_(hidden, 0)  # 0 · −∞ would be no number
    total = pattern.sum(dim=-1, keepdim=True)
    log_total = total.log()
    pattern /= total
    summaries["attn_logsumexp"][:, queries] = (largest_score + log_total)[..., 0]
    # −Σ A log A with log A = score − largest − log Σ: neither part is below 0, so no digit cancels.
    summaries["attn_entropy"][:, queries] = log_total[..., 0] - scores.mul_(pattern).sum(dim=-1)
    positions = torch.arange(n_key, dtype=torch.float32)
    # Not positions − pattern @ positions, whose rounding is that of the position and may leave less than 0.
    looks_back = positions[queries, None] - positions  # [query key], in tokens
    summaries["attn_distance"][:, queries] = torch.mul(pattern, looks_back, out=scores).sum(dim=-1)
    summaries["attn_first"][:, queries] = pattern[..., 0]
    n_without = int(first == 0)  # the first token has none before it
    summaries["attn_previous"][:, :n_without] = 0
    summaries["attn_previous"][:, first + n_without : n_key] = pattern[:, n_without:].diagonal(
        offset=first + n_without - 1, dim1=1, dim2=2
    )
    return pattern


def pool_queries(pattern: Tensor, first: int, pooled: Tensor) -> None:
    """Raise `pooled` [head cell_query key] to the largest value that each key has in a cell of queries.

    pattern: [head query key] of queries `first` and after. Cell c covers the tokens from ⌊c·n/64⌋ up to ⌈(c+1)·n/64⌉;
    below 64 tokens a cell is a token.
    """
    n_cells, n_tokens = pooled.shape[1:]
    n_query, n_key = pattern.shape[1:]
    if n_cells == n_tokens:
        pooled[:, first : first + n_query, :n_key] = pattern
        return
    for cell in range(first * n_cells // n_tokens, -(-(first + n_query) * n_cells // n_tokens)):
        start, stop = cell * n_tokens // n_cells, -(-(cell + 1) * n_tokens // n_cells)
        inside = pattern[:, max(start - first, 0) : stop - first].amax(dim=1)
        into = pooled[:, cell, :n_key]
        torch.maximum(into, inside, out=into)


def pool_keys(pooled: Tensor, into: Tensor) -> None:
    """Patterns pooled over queries as uint8 [head cell_query cell_key], the largest value of each cell of keys."""
    n_cells = pooled.shape[1]
    cells = F.adaptive_max_pool1d(pooled, n_cells)
    into[:, :n_cells, :n_cells] = (cells * 255).round_().to(torch.uint8)
