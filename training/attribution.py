"""Direct logit attribution of heads: what each writes towards one token over another (Elhage et al. 2021).

Knows a model and a prompt. The final norm's scale is the one of the real run, so parts add up to the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dashapp.model.gpt2 import GPT2
from dashapp.model.tap import Tap


@dataclass(frozen=True)
class HeadAttribution:
    """Parts of logit[answer] - logit[distractor] at the last position, in nats.

    by_head: [layer head], what each head writes, without the output biases. rest: embeddings, MLPs and all biases.
    """

    by_head: np.ndarray
    rest: float


@torch.inference_mode()
def head_attribution(model: GPT2, ids: torch.Tensor, answer: int, distractor: int) -> HeadAttribution:
    """ids: int64 [1 pos]. by_head.sum() + rest is the logit difference by construction of `rest`."""
    seen = Tap.reading("z", "ln_final_scale")
    logits = model(ids, tap=seen)[0, -1]
    config = model.config
    direction = model.ln_f.weight * (model.wte.weight[answer] - model.wte.weight[distractor])  # [d_model]
    direction = (direction - direction.mean()) * seen.activations["ln_final_scale", None][0, -1]
    by_head = []
    for layer in range(config.n_layer):
        z = seen.activations["z", layer][0, :, -1]  # [head d_head]
        weight = model.get_parameter(f"h.{layer}.attn.c_proj.weight").view(config.n_head, config.d_head, config.d_model)
        by_head.append(torch.einsum("hd,hdm,m->h", z, weight, direction))  # [head]
    parts = torch.stack(by_head).double().cpu().numpy()
    difference = float(logits[answer] - logits[distractor])
    return HeadAttribution(by_head=parts, rest=difference - float(parts.sum()))
