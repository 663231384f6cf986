"""Muon and Adam by rows, against their definitions."""

from __future__ import annotations

import pytest
import torch

from training.optimiser import Muon, RowAdam, orthogonalised


@pytest.mark.parametrize("shape", [(8, 8), (8, 32), (32, 8)])
def test_orthogonalisation_keeps_singular_vectors_and_evens_out_singular_values(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)) * 0.01
    for matrix, found in zip(matrices, orthogonalised(matrices), strict=True):
        left, before, right = torch.linalg.svd(matrix, full_matrices=False)
        core = left.T @ found @ right.T
        after = core.diagonal()
        assert float((core - torch.diag(after)).abs().max()) < 0.01
        # The four polynomials, one after the other, map 0.001 to 1 into 0.43 to 1.57.
        is_covered = before > 0.002 * before.norm()
        assert is_covered.sum() >= 7
        assert float(after.max()) < 1.6
        assert float(after[is_covered].min()) > 0.4


def test_muon_moves_each_matrix_against_its_gradient_at_the_rate() -> None:
    generator = torch.Generator().manual_seed(1)
    weights = [torch.zeros(6, 6), torch.zeros(6, 6)]
    gradients = [torch.randn(6, 6, generator=generator) for _ in weights]
    others = [torch.zeros(6, 4)]
    Muon([weights, others]).step([gradients, [gradients[0][:, :4]]], rates=[0.1, 0.2])
    for weight, gradient, rate in (
        (weights[0], gradients[0], 0.1),
        (weights[1], gradients[1], 0.1),
        (others[0], gradients[0][:, :4], 0.2),
    ):
        assert float((weight * gradient).sum()) < 0
        assert float(torch.linalg.matrix_norm(weight, 2)) == pytest.approx(rate, rel=0.6)  # 0.43 to 1.57, see above


def test_row_adam_is_adam_on_the_rows_used_and_leaves_the_others() -> None:
    generator = torch.Generator().manual_seed(2)
    start = torch.randn(5, 3, generator=generator)
    mine, used = start.clone(), torch.tensor([3, 1])
    plain = torch.nn.Parameter(start[used].clone())
    adam, rows = torch.optim.Adam([plain], lr=0.01, betas=(0.9, 0.98)), RowAdam(mine)
    for _ in range(4):
        gradient = torch.randn(2, 3, generator=generator)
        plain.grad = gradient.clone()
        adam.step()
        rows.step(used, gradient, rate=0.01)
    torch.testing.assert_close(mine[used], plain.detach())
    assert torch.equal(mine[[0, 2, 4]], start[[0, 2, 4]])
