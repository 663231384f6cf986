"""Scores of attention heads on random tokens repeated: previous-token, duplicate-token, induction.

Definitions as in TransformerLens' head detector and Olsson et al. 2022 (arXiv 2209.11895). Knows patterns and a model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dashapp.model.gpt2 import GPT2
from dashapp.model.tap import Tap


@dataclass(frozen=True)
class HeadScores:
    """Mean attention on the position that each kind of head looks at, 0 to 1, all [layer head].

    loss_first, loss_second: mean loss in nats over the two halves of the probe.
    """

    previous_token: np.ndarray
    duplicate_token: np.ndarray
    induction: np.ndarray
    loss_first: float
    loss_second: float


def previous_token_score(pattern: np.ndarray) -> np.ndarray:
    """Mean attention from each token to the one before; pattern [… query key] → […]."""
    return np.diagonal(pattern, -1, -2, -1).mean(-1)


def duplicate_token_score(pattern: np.ndarray, block: int) -> np.ndarray:
    """Mean attention, in the second block, to the same token in the first; pattern [… query key] → […]."""
    return np.diagonal(pattern, -block, -2, -1).mean(-1)


def induction_score(pattern: np.ndarray, block: int) -> np.ndarray:
    """Mean attention, in the second block, to the token after the earlier occurrence; pattern [… query key] → […].

    The first entry of that diagonal (query block − 1, the last token of the first block) has no earlier occurrence and
    is left out.
    """
    return np.diagonal(pattern, -(block - 1), -2, -1)[..., 1:].mean(-1)


@torch.no_grad()
def head_scores(model: GPT2, *, block: int = 100, n_row: int = 4, seed: int = 0) -> HeadScores:
    """Scores of every head on `n_row` random blocks of the whole vocabulary, each repeated once, without BOS."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 50_256, (n_row, block), generator=generator).repeat(1, 2).to(model.wte.weight.device)
    seen = Tap.reading("pattern")
    losses = []
    hidden = model.body(ids, tap=seen)
    for row, states in zip(ids, hidden, strict=True):  # a row at a time: the logits of all rows are large
        logits = model.unembed(states[:-1]).float()
        losses.append(torch.nn.functional.cross_entropy(logits, row[1:], reduction="none").cpu().numpy())
    patterns = np.stack(
        [seen.activations["pattern", layer].float().cpu().numpy() for layer in range(model.config.n_layer)]
    ).mean(1)  # [layer head query key]
    loss = np.stack(losses)  # [row pos - 1]
    return HeadScores(
        previous_token=previous_token_score(patterns),
        duplicate_token=duplicate_token_score(patterns, block),
        induction=induction_score(patterns, block),
        loss_first=float(loss[:, : block - 1].mean()),
        loss_second=float(loss[:, block:].mean()),
    )
