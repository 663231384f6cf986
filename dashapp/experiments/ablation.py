"""Ablation: the model runs without some of its parts, with nothing, an average or another run's output in their place.

Needs torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor

from dashapp.analysis.alignment import NO_PINS, Pins
from dashapp.experiments.ablations import Ablated, Mode, Part, PartKind, cut_keys
from dashapp.experiments.cells import N_NEW
from dashapp.experiments.one_cell import read_on
from dashapp.experiments.sweeps import Places
from dashapp.model.gpt2 import GPT2, Block, at_least_float32
from dashapp.model.tap import NO_TAP, Site, Tap, TapFunction

Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work

# Where a part can be replaced; in each, the axis before the last is the position.
SITE_OF: Final[dict[PartKind, str]] = {"head": "z", "mlp": "mlp_out", "neuron": "mlp_post"}


@torch.inference_mode()
def ablate(
    model: GPT2,
    token_ids: np.ndarray,
    parts: Sequence[Part],
    *,
    mode: Mode,
    is_end_only: bool,
    source_ids: np.ndarray,
    pins: Pins = NO_PINS,
    reference: Sequence[np.ndarray] = (),
    n_new: int = N_NEW,
    progress: Progress = lambda share: None,
) -> Ablated:
    """A run in which the output of some parts is another, at every token or at the prompt's last alone.

    zero: 0. bias: what a part brings whatever it reads: b_V of a head, b_out of an MLP, 0 of a neuron. mean: its own
    mean over the unablated run's tokens, the first left out where there are others. reference: the mean over all tokens
    of other prompts (token ids [pos] each), the first of each left out. resample: what it has in the run of
    `source_ids` at the token that stands for each; tokens without a counterpart keep theirs (Wang et al. 2022; Zhang &
    Nanda 2024, section 2). An edge is cut whatever the mode: the scores of other keys make up the pattern.

    pins: what is decided of the alignment of `token_ids` and `source_ids`, in this order.

    The text that follows is generated without the parts too where they are ablated at every token; resampling has
    nothing to put into new tokens, and edges are of the prompt's tokens, so these leave it as it is.
    """
    sites: set[Site] = {(SITE_OF[part.kind], part.layer) for part in parts if part.kind != "edge"}
    plain = read_on(model, token_ids, NO_TAP, n_new)[1]
    progress(0.3)
    runs: dict[Mode, Sequence[np.ndarray]] = {"mean": [token_ids], "reference": reference, "resample": [source_ids]}
    others = [_read(model, ids) for ids in runs.get(mode, ())]
    instead = {site: _instead(model, mode, site, others) for site in sites}
    progress(0.6)
    places = Places.of_ends(source_ids, token_ids, pins)
    where = _where(mode, is_end_only, places)
    replace = {site: _replacing(parts, site, value, where) for site, value in instead.items()}
    last: dict[Site, Tensor] = {}
    tap = Tap(_keeping(model, last, replace | _cutting(model, parts)))
    goes_on = not is_end_only and mode != "resample"
    after = Tap({site: _replacing(parts, site, value, None) for site, value in instead.items()}) if goes_on else NO_TAP
    logits, text = read_on(model, token_ids, tap, n_new, after)
    progress(1.0)
    layers = range(model.config.n_layer)
    return Ablated(
        logits=logits,
        z=torch.stack([last["z", layer] for layer in layers]).cpu().numpy(),
        mlp_out=torch.stack([last["mlp_out", layer] for layer in layers]).cpu().numpy(),
        ln_scale=float(last["ln_final_scale", None]),
        text=text,
        plain=plain,
    )


def _instead(model: GPT2, mode: Mode, site: Site, others: Sequence[Mapping[Site, Tensor]]) -> Tensor:
    """What stands in the place of a site's activations: something that fits [… pos d]; of resampling the other run's.

    others: what the runs that the mode reads have there.
    """
    match mode:
        case "zero":
            return torch.zeros((), device=model.device)
        case "bias":
            return _bias(model, site)
        case "mean" | "reference":
            return _mean([run[site] for run in others])
        case "resample":
            return others[0][site]


def _read(model: GPT2, ids: np.ndarray) -> dict[Site, Tensor]:
    """What can be replaced, in another run: [… pos d] by site."""
    tap = Tap.reading(*SITE_OF.values())
    model.body(torch.as_tensor(np.asarray(ids, dtype=np.int64)[None], device=model.device), tap=tap)
    return {site: activation[0] for site, activation in tap.activations.items()}


def _mean(runs: Iterable[Tensor]) -> Tensor:
    """The mean over the tokens of all runs [… pos d], their first left out where there are others: [… 1 d]."""
    told = [run[..., 1:, :] if run.shape[-2] > 1 else run for run in runs]
    return torch.cat(told, dim=-2).mean(dim=-2, keepdim=True)


def _bias(model: GPT2, site: Site) -> Tensor:
    name, layer = site
    block = cast(Block, model.h[cast(int, layer)])
    if name == "z":
        n_head, d_model = model.config.n_head, model.config.d_model
        return block.attn.c_attn.bias[-d_model:].view(n_head, 1, d_model // n_head)
    return block.mlp.c_proj.bias[None] if name == "mlp_out" else torch.zeros((), device=model.device)


def _where(mode: Mode, is_end_only: bool, places: Places) -> np.ndarray | None:
    """Which position of another run stands in that of the prompt, int64 [pos], −1 to leave it; None: in all of them.

    Modes other than resampling put the same in each; their source has one position, 0.
    """
    if mode != "resample" and not is_end_only:
        return None
    source = places.source_of.astype(np.int64) if mode == "resample" else np.zeros(len(places.source_of), np.int64)
    if is_end_only:
        source[:-1] = -1
    return source


def _replacing(parts: Sequence[Part], site: Site, instead: Tensor, where: np.ndarray | None) -> TapFunction:
    """A tap's function that puts `instead` in the place of a site's parts, at the positions that `where` tells."""
    indices = [part.index for part in parts if part.kind != "edge" and (SITE_OF[part.kind], part.layer) == site]

    def replace(x: Tensor, _layer: int | None) -> Tensor:
        chosen = torch.zeros(x.shape[1:], dtype=torch.bool, device=x.device)  # [… pos d]
        match site[0]:
            case "z":
                chosen[indices] = True
            case "mlp_post":
                chosen[:, indices] = True
            case _:
                chosen[:] = True
        value = instead
        if where is not None:
            source = torch.as_tensor(where, device=x.device)
            chosen = chosen & (source >= 0)[:, None]
            is_one = instead.dim() == 0 or instead.shape[-2] == 1
            value = instead if is_one else instead[..., source.clamp(min=0), :]
        return torch.where(chosen, value.to(x.dtype), x)

    return replace


def _cutting(model: GPT2, parts: Sequence[Part]) -> dict[Site, TapFunction]:
    """Functions that take scores out, by layer, where edges do."""
    functions: dict[Site, TapFunction] = {}
    for layer in range(model.config.n_layer):
        cut = torch.from_numpy(cut_keys(parts, layer, model.config.n_head)).to(model.device)
        if cut.any():
            functions["scores", layer] = lambda scores, _layer, cut=cut: _without(scores, cut)  # type: ignore[misc]
    return functions


def _without(scores: Tensor, cut: Tensor) -> Tensor:
    """Scores [batch head query key] with −∞ at the pairs that are cut [head query key]."""
    masked = scores.clone()
    n = cut.shape[-1]
    masked[..., :n, :n].masked_fill_(cut, -math.inf)
    return masked


def _keeping(model: GPT2, last: dict[Site, Tensor], replace: Mapping[Site, TapFunction]) -> dict[Site, TapFunction]:
    """The same functions, and what heads, MLPs and the final norm have at the last token goes into `last`."""

    def keep(name: str, of: TapFunction | None) -> TapFunction:
        def function(x: Tensor, layer: int | None) -> Tensor:
            replaced = of(x, layer) if of else None
            found = x if replaced is None else replaced
            last[name, layer] = at_least_float32(found[0, -1] if name != "z" else found[0, :, -1])
            return found

        return function

    kept: dict[Site, TapFunction] = {("ln_final_scale", None): keep("ln_final_scale", None)}
    for layer in range(model.config.n_layer):
        kept |= {(name, layer): keep(name, replace.get((name, layer))) for name in ("z", "mlp_out")}
    return {**replace, **kept}
