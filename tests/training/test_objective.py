"""The sampled softmax: exact where nothing is left out, and corrected for what is."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from training.objective import cross_entropy, sampled_vocabulary


def sample_of_eleven(n_token: int = 7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """hidden, rows, targets, weight, offset."""
    generator = torch.Generator().manual_seed(0)
    hidden, rows = torch.randn(n_token, 5, generator=generator), torch.randn(11, 5, generator=generator)
    targets = torch.randint(11, (n_token,), generator=generator)
    weight = torch.rand(n_token, generator=generator) + 0.1
    return hidden, rows, targets, weight, torch.randn(11, generator=generator)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_it_is_the_plain_weighted_cross_entropy_whatever_the_chunk(chunk: int) -> None:
    hidden, rows, targets, weight, offset = sample_of_eleven()
    found, losses = cross_entropy(hidden, rows, targets, weight, offset, chunk=chunk)
    expected = F.cross_entropy(hidden @ rows.T + offset, targets, reduction="none")
    torch.testing.assert_close(losses, expected)
    torch.testing.assert_close(found, (expected * weight).sum() / weight.sum())


def test_its_gradients_are_those_that_autograd_finds() -> None:
    hidden, rows, targets, weight, offset = sample_of_eleven()
    leaves = [hidden.clone().requires_grad_(True), rows.clone().requires_grad_(True)]
    plain = [hidden.clone().requires_grad_(True), rows.clone().requires_grad_(True)]
    (3 * cross_entropy(leaves[0], leaves[1], targets, weight, offset, chunk=3)[0]).backward()
    each = F.cross_entropy(plain[0] @ plain[1].T + offset, targets, reduction="none")
    (3 * (each * weight).sum() / weight.sum()).backward()
    for leaf, expected in zip(leaves, plain, strict=True):
        torch.testing.assert_close(leaf.grad, expected.grad)


def test_the_sample_holds_frequent_and_present_tokens_and_corrects_for_the_rest() -> None:
    present, frequent = torch.tensor([5, 90, 5]), torch.tensor([0, 1, 2])
    tokens, offset = sampled_vocabulary(
        present, frequent, n_random=40, d_vocab=100, generator=torch.Generator().manual_seed(0)
    )
    sure, drawn = tokens[:5].tolist(), tokens[5:].tolist()
    assert sure == [0, 1, 2, 5, 90]
    assert len(set(drawn)) == len(drawn) > 20
    assert not set(drawn) & set(sure)
    assert (offset[:5] == 0).all()
    torch.testing.assert_close(offset[5:], torch.full((len(drawn),), math.log(95 / len(drawn))))


def test_the_corrected_sample_estimates_the_full_loss_and_the_uncorrected_one_is_far_too_low() -> None:
    generator = torch.Generator().manual_seed(1)
    hidden, wte = torch.randn(50, 8, generator=generator), torch.randn(2_000, 8, generator=generator) * 0.3
    targets, weight = torch.randint(2_000, (50,), generator=generator), torch.ones(50)
    full, _ = cross_entropy(hidden, wte, targets, weight, torch.zeros(2_000))
    tokens, offset = sampled_vocabulary(targets, torch.arange(100), n_random=300, d_vocab=2_000, generator=generator)
    place = torch.full((2_000,), -1)
    place[tokens] = torch.arange(len(tokens))
    corrected, _ = cross_entropy(hidden, wte[tokens], place[targets], weight, offset)
    plain, _ = cross_entropy(hidden, wte[tokens], place[targets], weight, torch.zeros(len(tokens)))
    # The error of a mean over about 260 draws of exp(logit), whose spread is near its mean: 1/sqrt(260) = 0.06 each.
    assert abs(float(corrected - full)) < 0.15
    assert float(full - plain) > 1
