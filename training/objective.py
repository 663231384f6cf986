"""What training minimises: cross-entropy, over the whole vocabulary or a corrected sample of it.

Knows tensors; knows nothing of text.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(
    hidden: Tensor, targets: Tensor, weight: Tensor, *, wte: Tensor, candidates: Tensor, offset: Tensor | None = None
) -> Tensor:
    """Weighted mean loss in nats, over `candidates` only.

    hidden: [token d_model]. targets: int64 [token], each among the candidates. weight: [token].
    wte: [d_vocab d_model]. candidates: int64 [candidate]. offset: [candidate], added to the logits.
    """
    place = torch.full((wte.shape[0],), -1, dtype=torch.int64, device=wte.device)
    place[candidates] = torch.arange(len(candidates), device=wte.device)
    logits = (hidden @ wte[candidates].to(hidden.dtype).T).float()  # [token candidate]
    if offset is not None:
        logits = logits + offset
    return (F.cross_entropy(logits, place[targets], reduction="none") * weight).sum() / weight.sum()


def sampled_candidates(
    targets: Tensor, frequent: Tensor, *, n_random: int, d_vocab: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Candidates for a sampled softmax, and the offset that corrects it, both [candidate].

    The frequent tokens and the batch's own are always there; of the others `n_random` are drawn and stand for all:
    log(others / drawn) is added to their logits. Without it held-out loss over the whole vocabulary stays a nat high.
    """
    is_sure = torch.zeros(d_vocab, dtype=torch.bool)
    is_sure[frequent] = True
    is_sure[targets] = True
    sure = is_sure.nonzero().squeeze(1)
    drawn = torch.randint(d_vocab, (n_random,), generator=generator).unique()
    drawn = drawn[~is_sure[drawn]]
    offset = torch.zeros(len(sure) + len(drawn))
    offset[len(sure) :] = math.log((d_vocab - len(sure)) / max(1, len(drawn)))
    return torch.cat([sure, drawn]), offset
