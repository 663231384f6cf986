"""The standard probe of heads: random tokens that come twice, which nothing but a head's kind can explain.

The tokens are those of TransformerLens' Exploratory_Analysis_Demo: drawn by torch's generator with seed 0, two rows of
100 from the ids 100 to 20,000, repeated along the sequence, without BOS. Scores are means over the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch

from dashapp.analysis.heads import GPT2_SMALL_TEXT, HeadProbe, copying_scores, mean_scores, scores_on_probe
from dashapp.model.config import GPT2Config
from dashapp.model.gpt2 import GPT2
from dashapp.model.tokenizer import encode
from dashapp.traces.capture import capture
from dashapp.traces.record import Trace, WeightsLike, trace_metadata

N_ROWS: Final = 2
N_BLOCK: Final = 100
LOWEST_ID, HIGHEST_ID = 100, 20_000  # without the tokens of single bytes; the highest is not drawn
SHARES: Final = (0.3, 0.6, 0.7)  # of the time: after each row, and after the loss

Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work


def probe_heads(model: GPT2, weights: WeightsLike, *, progress: Progress = lambda share: None) -> HeadProbe:
    """Every head's scores on the probe, whether it copies, and a loss by which published weights are recognised.

    A model that reads fewer than 200 tokens gets a shorter probe.
    """
    ids = probe_ids(model.config)
    scores = []
    for row, done in zip(ids, SHARES, strict=False):
        scores.append(scores_on_probe(_traced(model, weights, row), ids.shape[1] // 2))
        progress(done)
    greeting = encode(GPT2_SMALL_TEXT, bos=True)
    fits = len(greeting) <= model.config.n_ctx and int(greeting.max()) < model.config.d_vocab
    trace = _traced(model, weights, greeting if fits else ids[0])
    progress(SHARES[-1])
    loss = -float(trace.read("logprob")[1:].mean(dtype=np.float64)) if fits else float("nan")
    return HeadProbe(scores=mean_scores(scores), copying=copying_scores(trace), n_block=ids.shape[1] // 2, loss=loss)


def probe_ids(config: GPT2Config) -> np.ndarray:
    """The probe's tokens: int32 [row pos]."""
    n_block = min(N_BLOCK, config.n_ctx // 2)
    low, high = (LOWEST_ID, min(HIGHEST_ID, config.d_vocab)) if config.d_vocab > LOWEST_ID else (0, config.d_vocab)
    generator = torch.Generator().manual_seed(0)
    block = torch.randint(low, high, (N_ROWS, n_block), generator=generator)
    return torch.cat([block, block], dim=1).numpy().astype(np.int32)


def _traced(model: GPT2, weights: WeightsLike, ids: np.ndarray) -> Trace:
    metadata = trace_metadata(model.config, fingerprint=weights.fingerprint, model="probe", dtype="float32")
    return capture(model, ids, metadata, weights=weights)
