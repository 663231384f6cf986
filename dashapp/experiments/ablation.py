"""Ablation: the model runs without some heads, with nothing, an average or another run's output in their place.

Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from dashapp.experiments.ablations import Ablated, Mode
from dashapp.experiments.sweeps import Places
from dashapp.model.gpt2 import GPT2, Block, at_least_float32
from dashapp.model.tap import Tap

Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work


@torch.inference_mode()
def ablate_heads(
    model: GPT2,
    token_ids: np.ndarray,
    *,
    layer: int,
    heads: Sequence[int],
    mode: Mode,
    is_end_only: bool,
    source_ids: np.ndarray,
    progress: Progress = lambda share: None,
) -> Ablated:
    """A run in which the output z of some heads of a layer is another, at every token or at the last alone.

    zero: 0. bias: b_V, what a head brings whatever it looks at. mean: its own mean over the run's tokens, the first
    left out where there are others. resample: what it has in the run of `source_ids` at the token that stands for each;
    tokens without a counterpart keep theirs (Wang et al. 2022; Zhang & Nanda 2024, section 2).
    """
    seen: dict[int, Tensor] = {}

    def keep(z: Tensor, at: int | None) -> None:
        seen[cast(int, at)] = z[0, :, -1]

    theirs = _source_output(model, source_ids, layer) if mode == "resample" else None
    progress(0.5)
    places = Places.of_ends(source_ids, token_ids)

    def ablate(z: Tensor, at: int | None) -> Tensor:
        ablated = z.clone()
        instead = _instead(model, z[0], theirs, layer=layer, mode=mode, places=places)  # [head pos d_head]
        rows = slice(-1, None) if is_end_only else slice(None)
        ablated[0, list(heads), rows] = instead[list(heads), rows]
        keep(ablated, at)
        return ablated

    scales: list[Tensor] = []
    tap = Tap({("z", None): keep, ("z", layer): ablate, ("ln_final_scale", None): lambda x, _layer: scales.append(x)})
    ids = torch.as_tensor(np.asarray(token_ids, dtype=np.int64)[None], device=model.device)
    last = model.body(ids, tap=tap)[0, -1]
    progress(1.0)
    return Ablated(
        logits=at_least_float32(model.unembed(last)).cpu().numpy(),
        z=torch.stack([at_least_float32(seen[i]) for i in range(model.config.n_layer)]).cpu().numpy(),
        ln_scale=float(scales[0][0, -1]),
    )


def _source_output(model: GPT2, source_ids: np.ndarray, layer: int) -> Tensor:
    """What each head of a layer brings in another run: [head pos d_head]."""
    found: list[Tensor] = []
    ids = torch.as_tensor(np.asarray(source_ids, dtype=np.int64)[None], device=model.device)
    model.body(ids, tap=Tap({("z", layer): lambda z, _layer: found.append(z[0])}))
    return found[0]


def _instead(model: GPT2, z: Tensor, theirs: Tensor | None, *, layer: int, mode: Mode, places: Places) -> Tensor:
    """What stands in the place of each head's output: [head pos d_head]."""
    n_head, n_pos, d_head = z.shape
    if mode == "zero":
        return torch.zeros_like(z)
    if mode == "bias":
        bias = cast(Block, model.h[layer]).attn.c_attn.bias[-n_head * d_head :].view(n_head, 1, d_head)
        return bias.expand_as(z)
    if mode == "mean":
        told = z[:, 1:] if n_pos > 1 else z
        return told.mean(dim=1, keepdim=True).expand_as(z)
    assert theirs is not None, "the other run is there for it"
    of_source = torch.as_tensor(places.source_of.astype(np.int64), device=z.device)  # [pos], −1 for none
    return torch.where((of_source >= 0)[:, None], theirs[:, of_source.clamp(min=0)], z)
