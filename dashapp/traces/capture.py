"""Capture: one forward pass, watched by a tap, becomes a trace.

Attention runs fused while it is watched (only q, k and v are read). What a trace keeps of the patterns is computed
after, a few heads at a time, so that no layer's patterns are ever in memory together. Knows model and trace; knows
nothing of text, files on disk or jobs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dashapp.model.gpt2 import GPT2, at_least_float32
from dashapp.model.sampling import largest
from dashapp.model.tap import Tap, TapFunction
from dashapp.traces.names import N_CELLS, TENSORS, tensor_shapes
from dashapp.traces.record import Trace, WeightsLike, new_trace

ROWS_AT_ONCE = 64  # positions whose logits are in memory together: 13 MB for GPT-2's vocabulary
PATTERN_BYTES_AT_ONCE = 16_000_000  # patterns in memory together: larger ones leave the processor's cache

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
    arrays = _empty_arrays(model, len(token_ids))
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


def _empty_arrays(model: GPT2, n_tokens: int) -> dict[str, np.ndarray]:
    shapes = tensor_shapes(model.config, n_tokens)
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
    n_tokens, n_top = len(token_ids), arrays["top_ids"].shape[1]
    arrays["logprob"][0], arrays["rank"][0] = math.nan, -1
    following = torch.as_tensor(np.asarray(token_ids[1:], dtype=np.int64), device=model.device)
    for start in range(0, n_tokens, ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, n_tokens))
        logits = at_least_float32(model.unembed(normed[rows]))  # [row d_vocab]
        logsumexp = logits.logsumexp(dim=-1)
        top, top_ids = _top(logits, n_top)
        arrays["logsumexp"][rows] = logsumexp.cpu()
        arrays["top_ids"][rows] = top_ids.cpu()
        arrays["top_logprobs"][rows] = (top - logsumexp[:, None]).cpu()
        targets = following[rows]  # one row fewer at the end: nothing follows the last token
        chosen = logits[: len(targets)].gather(1, targets[:, None])  # [row 1]
        after = slice(start + 1, start + 1 + len(targets))
        arrays["logprob"][after] = (chosen[:, 0] - logsumexp[: len(targets)]).cpu()
        arrays["rank"][after] = (logits[: len(targets)] > chosen).sum(dim=-1).cpu()
        logits -= logsumexp[:, None]  # now log-probabilities
        arrays["entropy"][rows] = -(logits.exp() * logits).sum(dim=-1).cpu()


def _top(logits: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The n largest of each row, largest first, equals in the order of their ids (as the sampler orders them)."""
    values, ids = logits.topk(n, dim=-1)
    # Which of several equals make the cut, topk leaves open; in bfloat16 most rows have such equals.
    n_reaching = (logits >= values[:, -1:]).sum(dim=-1)
    for row in (n_reaching > n).nonzero()[:, 0].tolist():
        ids[row] = torch.from_numpy(largest(logits[row].cpu().numpy(), n))
    values = logits.gather(-1, ids)
    by_id = ids.argsort(dim=-1)
    by_value = values.gather(-1, by_id).argsort(dim=-1, descending=True, stable=True)
    order = by_id.gather(-1, by_value)
    return values.gather(-1, order), ids.gather(-1, order)


def record_attention(arrays: dict[str, np.ndarray], layer: int, scale: float) -> None:
    """Fill in one layer's head summaries and thumbnails from its stored q and k."""
    q, k = torch.from_numpy(arrays["q"][layer]), torch.from_numpy(arrays["k"][layer])
    n_head, n_tokens = q.shape[:2]
    n_at_once = max(1, PATTERN_BYTES_AT_ONCE // (4 * n_tokens * n_tokens))
    hidden = torch.full((n_tokens, n_tokens), -math.inf).triu(diagonal=1)  # [query key]
    positions = torch.arange(n_tokens, dtype=torch.float32)
    looks_back = (positions[:, None] - positions).clamp_(min=0)  # [query key], in tokens
    for first in range(0, n_head, n_at_once):
        heads = slice(first, first + n_at_once)
        scores = torch.baddbmm(hidden, q[heads], k[heads].transpose(1, 2), alpha=scale)  # [head query key]
        log_pattern = scores.log_softmax(dim=-1)  # not scores − logsumexp: that loses what a large score rounds away
        pattern = log_pattern.exp()
        arrays["attn_logsumexp"][layer, heads] = scores.amax(dim=-1) - log_pattern.amax(dim=-1)
        arrays["attn_first"][layer, heads] = pattern[..., 0]
        arrays["attn_previous"][layer, heads, 0] = 0
        arrays["attn_previous"][layer, heads, 1:] = pattern.diagonal(offset=-1, dim1=1, dim2=2)
        # Not positions − pattern @ positions, whose rounding is that of the position and may leave less than 0.
        arrays["attn_distance"][layer, heads] = torch.einsum("hqk,qk->hq", pattern, looks_back)
        thumbnails(pattern, torch.from_numpy(arrays["thumbnails"][layer, heads]))
        log_pattern.clamp_(min=-1e4)  # −inf above the diagonal, where the weight is 0, would make 0 · inf
        arrays["attn_entropy"][layer, heads] = -pattern.mul_(log_pattern).sum(dim=-1)


def thumbnails(pattern: Tensor, into: Tensor) -> None:
    """Each head's pattern [head query key] as uint8 [head cell_query cell_key], the largest value of each cell.

    Cell c covers the tokens from ⌊c·n/64⌋ up to ⌈(c+1)·n/64⌉; below 64 tokens a cell is a token.
    """
    n_cells = min(N_CELLS, pattern.shape[-1])
    pooled = pattern if n_cells == pattern.shape[-1] else F.adaptive_max_pool2d(pattern, N_CELLS)
    into[:, :n_cells, :n_cells] = (pooled * 255).round_().to(torch.uint8)
