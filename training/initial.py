"""Where training starts: random weights, in which two circuits from the literature are already sketched.

The sketch is an initialisation, and the model card says so. From random weights, pilots of half an hour on two cores
formed neither head; with the position embeddings used here and a loss on one head's pattern a previous-token head came
within 400 steps, but no induction head within 1,000. Positions and tokens start in separate coordinates. Two heads of
layer 0 look one token back and write what they see; heads of layers 2 and 3 look for their own token in what was
written and copy what stands there (induction: Elhage et al. 2021; Olsson et al. 2022, arXiv 2209.11895). All weights
train from the first step, so what is measured afterwards is what training kept. `write_against` is a third sketch, for
a model that has been trained for a while. Starting attention from what trained
models show is known as mimetic initialisation (Trockman & Kolter 2023, arXiv 2305.09828).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from dashapp.model.config import GPT2Config
from dashapp.model.gpt2 import GPT2, Block, CausalSelfAttention

EMBEDDING_STD = 0.3  # tokens and positions alike; Adam's steps do not shrink with a weight, so at 0.1 (with writes to
# match) a hundred steps washed the induction heads out
FINAL_NORM = 0.1 / EMBEDDING_STD  # first weight of the last LayerNorm, so that logits start small all the same
N_FAST, N_SLOW = 24, 8  # frequencies of the position embeddings
D_POSITION = 2 * (N_FAST + N_SLOW)  # coordinates in which positions start; tokens start in the others
PREVIOUS_TOKEN_HEADS = ((0, 0), (0, 1))
INDUCTION_HEADS = (((2, 0), (2, 1)), ((3, 0), (3, 1)))  # one pair a layer; the n-th of a pair reads the n-th of layer 0
POSITION_GAIN, MATCH_GAIN = 1.5, 1.8
WRITE_GAIN, COPY_GAIN = 1.5 * EMBEDDING_STD, 2.0 * EMBEDDING_STD
AGAINST_GAIN = 1.5  # at 2.5 books suffered (perplexity +7 %), at 1 hardly (+1 %)
N_AGAINST = 6  # heads


def initial_model(config: GPT2Config, seed: int) -> GPT2:
    """A model with random weights and the two sketched circuits; MLPs write nothing yet."""
    generator = torch.Generator().manual_seed(seed)
    model = GPT2(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2:
                gain = 0.0 if name.endswith("mlp.c_proj.weight") else 0.05 if name.endswith("c_proj.weight") else 1.0
                parameter.normal_(std=gain / math.sqrt(parameter.shape[0]), generator=generator)
        model.wte.weight.normal_(std=EMBEDDING_STD, generator=generator)
        model.wte.weight[:, :D_POSITION] = 0
        model.wpe.weight.zero_()
        model.wpe.weight[:, :D_POSITION] = sinusoids(config.n_ctx) * EMBEDDING_STD
        model.ln_f.weight.fill_(FINAL_NORM)
        _sketch_circuits(model, generator)
    return model


def frequencies() -> Tensor:
    """Angular frequencies, [N_FAST + N_SLOW]: evenly over 0 to π then slow ones for distance.

    Even spacing sets neighbours apart: with geometric frequencies alone (Vaswani et al. 2017) they are nearly parallel.
    """
    slow = torch.linspace(math.log(0.1), math.log(2 * math.pi / 2048), N_SLOW).exp()
    return torch.cat([torch.linspace(0.1, 3.1, N_FAST), slow])


def sinusoids(n_pos: int) -> Tensor:
    """Sines, then cosines of position at each frequency: [pos D_POSITION], mean square 1."""
    angle = torch.arange(n_pos)[:, None] * frequencies()  # [pos frequency]
    return math.sqrt(2) * torch.cat([angle.sin(), angle.cos()], dim=1)


def _sketch_circuits(model: GPT2, generator: torch.Generator) -> None:
    d_model, d_head = model.config.d_model, model.config.d_head
    attentions = [cast(Block, block).attn for block in model.h]
    basis = torch.zeros(d_model, d_model - D_POSITION)  # orthonormal directions of the token coordinates, as columns
    basis[D_POSITION:] = torch.linalg.qr(torch.randn(basis.shape[1], basis.shape[1], generator=generator)).Q
    read = [basis[:, part * d_head : (part + 1) * d_head] for part in range(6)]  # [d_model d_head] each
    written = torch.linalg.qr(torch.randn(d_model - D_POSITION, 2 * d_head, generator=generator)).Q
    for index, (layer, head) in enumerate(PREVIOUS_TOKEN_HEADS):
        write = torch.zeros(d_head, d_model)
        write[:, D_POSITION:] = written[:, index * d_head : (index + 1) * d_head].T
        look = _look_back(d_model, d_head, first_frequency=index)
        _set_head(attentions[layer], head, q=look[0], k=look[1], v=read[index], o=WRITE_GAIN * write)
        for pair_index, pair in enumerate(INDUCTION_HEADS):
            copied = read[2 + 2 * pair_index + index]
            reader_layer, reader = pair[index]
            _set_head(
                attentions[reader_layer],
                reader,
                q=MATCH_GAIN * read[index],
                k=MATCH_GAIN * write.T,
                v=copied,
                o=COPY_GAIN * copied.T,
            )


def _look_back(d_model: int, d_head: int, *, first_frequency: int) -> tuple[Tensor, Tensor]:
    """Query and key weights [d_model d_head] with q_i·k_j = gain² Σ cos(ω(i - 1 - j)), largest for the token before."""
    turn = frequencies()
    chosen = [(first_frequency + step * 3 // 2) % N_FAST for step in range(d_head // 2)]
    q, k = torch.zeros(d_model, d_head), torch.zeros(d_model, d_head)
    for column, frequency in enumerate(chosen):
        sine, cosine = frequency, N_FAST + N_SLOW + frequency
        omega = turn[frequency]
        k[sine, 2 * column], k[cosine, 2 * column + 1] = 1.0, 1.0
        q[sine, 2 * column], q[cosine, 2 * column] = omega.cos(), -omega.sin()
        q[sine, 2 * column + 1], q[cosine, 2 * column + 1] = omega.sin(), omega.cos()
    return POSITION_GAIN * q, POSITION_GAIN * k


def _set_head(attention: CausalSelfAttention, head: int, *, q: Tensor, k: Tensor, v: Tensor, o: Tensor) -> None:
    """Overwrite one head. q, k, v: [d_model d_head]; o: [d_head d_model]."""
    d_model, d_head = q.shape
    columns = slice(head * d_head, (head + 1) * d_head)
    for part, matrix in enumerate((q, k, v)):
        attention.c_attn.weight[:, part * d_model : (part + 1) * d_model][:, columns] = matrix
    attention.c_proj.weight[columns] = o


def write_against(model: GPT2, heads: Sequence[tuple[int, int]], names: Tensor, generator: torch.Generator) -> None:
    """Let heads write the opposite of what they see, wherever they look (copy suppression: McDougall et al. 2023).

    heads: (layer, head), whose queries and keys stay. names: int64 [token]; of the span of their embeddings each head
    gets `d_head` directions. One head can tell only so many names apart; together they cover the span's largest part.
    """
    d_model, d_head = model.config.d_model, model.config.d_head
    with torch.no_grad():
        embeddings = model.wte.weight[names]
        span = torch.linalg.svd(embeddings - embeddings.mean(0), full_matrices=False).Vh[: d_head * len(heads)]
        mixed = (
            torch.linalg.qr(torch.randn(len(span), len(span), generator=generator, dtype=span.dtype)).Q @ span
        )  # alike in importance
        for (layer, head), read in zip(heads, mixed.split(d_head), strict=True):
            attention, columns = cast(Block, model.h[layer]).attn, slice(head * d_head, (head + 1) * d_head)
            attention.c_attn.weight[:, 2 * d_model :][:, columns] = read.T
            attention.c_attn.bias[2 * d_model :][columns] = 0
            attention.c_proj.weight[columns] = -AGAINST_GAIN * read
