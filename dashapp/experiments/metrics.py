"""What of a run an intervention is to move: a logit difference, a log-probability, a divergence. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor

from dashapp.model.gpt2 import at_least_float32


class Measure:
    """The metrics of `sweeps.METRICS` for logits, all in nats and in float64 from the logits on.

    logit_diff: logit of `answer` minus logit of `other`. logprob: of `answer`. kl: D(expected‖found), how far from what
    the source run expects; 0 for that run itself (Kullback & Leibler 1951).
    """

    def __init__(self, expected: Tensor, *, answer: int, other: int) -> None:
        self._expected = _log_softmax(expected)  # [d_vocab]
        self._answer, self._other = answer, other

    def __call__(self, logits: Tensor) -> Tensor:
        """float64 [batch metric] of logits [batch d_vocab]."""
        found = _log_softmax(logits)
        logprob = found[:, self._answer]
        kl = (self._expected.exp() * (self._expected - found)).sum(dim=-1)
        return torch.stack([logprob - found[:, self._other], logprob, kl], dim=-1)


def _log_softmax(logits: Tensor) -> Tensor:
    return at_least_float32(logits).double().log_softmax(dim=-1)
