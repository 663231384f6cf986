"""The sampled softmax: exact where nothing is left out, and corrected for what is."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from training.objective import cross_entropy, sampled_candidates


def test_over_the_whole_vocabulary_it_is_the_plain_weighted_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden, wte = torch.randn(7, 5, generator=generator), torch.randn(11, 5, generator=generator)
    targets, weight = torch.tensor([0, 3, 10, 2, 2, 7, 9]), torch.tensor([1.0, 2.0, 1.0, 0.5, 1.0, 4.0, 1.0])
    found = cross_entropy(hidden, targets, weight, wte=wte, candidates=torch.arange(11))
    expected = (F.cross_entropy(hidden @ wte.T, targets, reduction="none") * weight).sum() / weight.sum()
    torch.testing.assert_close(found, expected)


def test_the_sample_holds_frequent_tokens_and_targets_and_corrects_for_the_rest() -> None:
    targets, frequent = torch.tensor([5, 90, 5]), torch.tensor([0, 1, 2])
    candidates, offset = sampled_candidates(
        targets, frequent, n_random=40, d_vocab=100, generator=torch.Generator().manual_seed(0)
    )
    sure, drawn = candidates[:5].tolist(), candidates[5:].tolist()
    assert sure == [0, 1, 2, 5, 90]
    assert len(set(drawn)) == len(drawn) > 20
    assert not set(drawn) & set(sure)
    assert (offset[:5] == 0).all()
    torch.testing.assert_close(offset[5:], torch.full((len(drawn),), math.log(95 / len(drawn))))


def test_the_corrected_sample_estimates_the_full_loss_and_the_uncorrected_one_is_far_too_low() -> None:
    generator = torch.Generator().manual_seed(1)
    hidden, wte = torch.randn(50, 8, generator=generator), torch.randn(2_000, 8, generator=generator) * 0.3
    targets, weight = torch.randint(2_000, (50,), generator=generator), torch.ones(50)
    full = cross_entropy(hidden, targets, weight, wte=wte, candidates=torch.arange(2_000))
    candidates, offset = sampled_candidates(
        targets, torch.arange(100), n_random=300, d_vocab=2_000, generator=generator
    )
    corrected = cross_entropy(hidden, targets, weight, wte=wte, candidates=candidates, offset=offset)
    plain = cross_entropy(hidden, targets, weight, wte=wte, candidates=candidates)
    # The error of a mean over about 260 draws of exp(logit), whose spread is near its mean: 1/sqrt(260) = 0.06 each.
    assert abs(float(corrected - full)) < 0.15
    assert float(full - plain) > 1
