"""How weights are moved: Muon for the matrices of the blocks, Adam for everything else, row by row in the embedding.

Muon (Jordan et al. 2024) replaces the momentum of a matrix by one with the same singular vectors and nearly equal
singular values, so that rare directions learn as fast as common ones. Knows tensors and rates; knows no text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# Coefficients of odd polynomials that push every singular value towards 1 in few steps (Amsel et al. 2025, table 1).
POLYNOMIALS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
)
MOMENTUM = 0.95
BETAS, EPS = (0.9, 0.98), 1e-8


def orthogonalised(matrices: Tensor) -> Tensor:
    """Each matrix of [matrix row column] with its singular vectors kept and its singular values brought to 0.4 to 1.6.

    Values below a thousandth of the matrix's norm stay smaller. Four polynomials cost a fifth of a step.
    """
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if is_tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.01 + 1e-7)
    for a, b, c in POLYNOMIALS:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x


class Muon:
    """Momentum, then orthogonalisation, of many matrices of one shape at a time.

    groups: lists of views [row column] of parameters, one shape a list; `gradients` gives their gradients in the same
    order. State: one momentum [matrix row column] a group.
    """

    def __init__(self, groups: Sequence[Sequence[Tensor]]) -> None:
        self.groups = groups
        self.momenta = [torch.zeros(len(group), *group[0].shape, device=group[0].device) for group in groups]

    @torch.no_grad()
    def step(self, gradients: Sequence[Sequence[Tensor]], rates: Sequence[float]) -> None:
        """gradients: as the groups. rates: one a group."""
        for group, momentum, found, rate in zip(self.groups, self.momenta, gradients, rates, strict=True):
            gradient = torch.stack(list(found))
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = orthogonalised(gradient.lerp_(momentum, MOMENTUM))
            # A wide matrix has more columns to write to than rows to read: the root keeps its outputs as large.
            scale = rate * math.sqrt(max(1.0, update.shape[-1] / update.shape[-2]))
            for parameter, change in zip(group, update, strict=True):
                parameter.sub_(change, alpha=scale)


class RowAdam:
    """Adam (Kingma & Ba 2015) on the rows of a matrix that a batch used; the others keep weights and moments.

    One step over a sample of the vocabulary touches a seventh of the embedding. Each row counts its own steps.
    """

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix  # [row column]
        self.mean, self.square = torch.zeros_like(matrix), torch.zeros_like(matrix)
        self.count = torch.zeros(matrix.shape[0], 1, device=matrix.device)

    @torch.no_grad()
    def step(self, rows: Tensor, gradient: Tensor, rate: float) -> None:
        """rows: int64 [used], without doubles. gradient: [used column]."""
        count = self.count[rows] + 1
        mean = self.mean[rows].lerp_(gradient, 1 - BETAS[0])
        square = self.square[rows].mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        self.count[rows], self.mean[rows], self.square[rows] = count, mean, square
        root = (square / (1 - BETAS[1] ** count)).sqrt_().add_(EPS)
        self.matrix[rows] -= rate * (mean / (1 - BETAS[0] ** count)) / root
