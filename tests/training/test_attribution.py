"""Direct logit attribution of heads against the parts computed one by one."""

from __future__ import annotations

import torch

from dashapp.model.gpt2 import GPT2
from dashapp.model.tap import Tap
from training.attribution import head_attribution


def test_heads_and_all_that_is_not_a_head_add_up_to_the_logit_difference(model: GPT2) -> None:
    ids, answer, distractor = torch.tensor([[3, 1, 4, 1, 5]]), 7, 2
    found = head_attribution(model, ids, answer, distractor)
    seen = Tap.reading("embed", "pos_embed", "mlp_out", "ln_final_scale")
    with torch.inference_mode():
        model(ids, tap=seen)
        not_heads = seen.activations["embed", None] + seen.activations["pos_embed", None]
        for layer in range(model.config.n_layer):
            not_heads = not_heads + seen.activations["mlp_out", layer]
            not_heads = not_heads + model.get_parameter(f"h.{layer}.attn.c_proj.bias")
        last = not_heads[0, -1]
        direction = model.wte.weight[answer] - model.wte.weight[distractor]
        normed = (last - last.mean()) * seen.activations["ln_final_scale", None][0, -1] * model.ln_f.weight
        expected = float((normed + model.ln_f.bias) @ direction)
    assert found.by_head.shape == (model.config.n_layer, model.config.n_head)
    assert abs(found.rest - expected) < 1e-4  # float32 sums of some tens of terms of order 1
