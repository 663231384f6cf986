"""What training minimises: cross-entropy, over the whole vocabulary or a corrected sample of it.

Knows tensors; knows nothing of text.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Loss and its gradients in one pass over chunks of tokens, so that a chunk's logits stay in the cache."""

    @staticmethod
    def forward(  # noqa: PLR0917  (autograd passes by position)
        ctx: Any, hidden: Tensor, rows: Tensor, targets: Tensor, weight: Tensor, offset: Tensor, chunk: int
    ) -> tuple[Tensor, Tensor]:
        share = weight / weight.sum()
        losses = hidden.new_empty(len(hidden))
        by_hidden, by_rows = torch.empty_like(hidden), torch.zeros_like(rows)
        room = hidden.new_empty(min(chunk, len(hidden)), len(rows))
        for start in range(0, len(hidden), chunk):
            part = slice(start, start + chunk)
            target = targets[part, None]
            logits = torch.mm(hidden[part], rows.T, out=room[: len(target)]).add_(offset)  # [token row]
            top = logits.amax(1, keepdim=True)
            at_target = logits.gather(1, target)
            chances = logits.sub_(top).exp_()
            total = chances.sum(1, keepdim=True)
            losses[part] = (total.log() + top - at_target).squeeze(1)
            by_logit = chances.mul_(share[part, None] / total).scatter_add_(1, target, -share[part, None])
            torch.mm(by_logit, rows, out=by_hidden[part])
            by_rows.addmm_(by_logit.T, hidden[part])
        ctx.save_for_backward(by_hidden, by_rows)
        ctx.mark_non_differentiable(losses)
        return (losses * share).sum(), losses

    @staticmethod
    def backward(ctx: Any, *by_output: Tensor) -> tuple[Tensor | None, ...]:
        by_hidden, by_rows = ctx.saved_tensors
        return by_hidden * by_output[0], by_rows * by_output[0], None, None, None, None


def cross_entropy(
    hidden: Tensor, rows: Tensor, targets: Tensor, weight: Tensor, offset: Tensor, *, chunk: int = 256
) -> tuple[Tensor, Tensor]:
    """Weighted mean loss in nats over the tokens of `rows` only, and the loss of each token, without gradient.

    hidden: [token d_model]. rows: [row d_model], unembeddings. targets: int64 [token], indices of rows.
    weight: [token]. offset: [row], added to the logits. chunk: tokens at a time.
    """
    found = cast(Any, _ChunkedCrossEntropy).apply(hidden, rows, targets, weight, offset, chunk)  # torch gives no types
    loss, losses = found
    return loss, losses


def sampled_vocabulary(
    present: Tensor, frequent: Tensor, *, n_random: int, d_vocab: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Tokens for a sampled softmax, int64 [row], and the offset that corrects it, [row].

    The frequent tokens and those present in the batch are always there; of the others `n_random` are drawn and stand
    for all: log(others / drawn) is added to their logits. Without it held-out loss over the whole vocabulary stays a
    nat high.
    """
    is_sure = torch.zeros(d_vocab, dtype=torch.bool)
    is_sure[frequent] = True
    is_sure[present] = True
    sure = is_sure.nonzero().squeeze(1)
    drawn = torch.randint(d_vocab, (n_random,), generator=generator).unique()
    drawn = drawn[~is_sure[drawn]]
    offset = torch.zeros(len(sure) + len(drawn))
    offset[len(sure) :] = math.log((d_vocab - len(sure)) / max(1, len(drawn)))
    return torch.cat([sure, drawn]), offset
