"""Attribution patching: every patch of a site estimated at once, from gradients (Nanda 2023; Syed et al. 2023).

To first order a patch moves a metric M by (source − target) · ∂M/∂activation, the gradient taken in the target run. Two
passes and one backward pass a metric stand for all patches of a sweep; where the model bends between the two runs, the
estimate is off. Needs torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from torch import Tensor

from dashapp.experiments.metrics import Measure
from dashapp.experiments.patching import Recorded
from dashapp.experiments.sweeps import HEAD_SITES, METRICS, Places, Site, Sweep
from dashapp.model.gpt2 import GPT2
from dashapp.model.tap import Tap

Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work
TAPPED: Final[dict[Site, str]] = {"z_pos": "z"}  # the others: their own name


def estimate(
    model: GPT2,
    source_ids: np.ndarray,
    target_ids: np.ndarray,
    *,
    site: Site,
    places: Places,
    tokens: tuple[int, int],
    layer: int = 0,
    progress: Progress = lambda share: None,
) -> Sweep:
    """What `patching.sweep` finds, to first order; all arguments as there.

    Raises: ValueError for patterns between prompts whose tokens do not stand in the same places.
    """
    places.check(site)
    since = time.monotonic()
    name, n_layer = TAPPED.get(site, site), model.config.n_layer
    with torch.no_grad():
        source = Recorded(model, source_ids, name)
        measure = Measure(source.logits(places.read_source), answer=tokens[0], other=tokens[1])
        of_source = measure(source.logits(places.read_source)[None])[0].cpu().numpy()
    progress(0.3)
    seen: dict[int | None, Tensor] = {}
    layers = [layer] if site == "z_pos" else list(range(n_layer))
    metrics = _metrics(model, target_ids, places.read_target, measure=measure, seen=seen, name=name)
    progress(0.5)
    values, together = [], []
    for i, metric in enumerate(metrics):
        gradients = torch.autograd.grad(metric, [seen[at] for at in layers], retain_graph=i + 1 < len(metrics))
        moved = [
            _moved(site, source(name, at), seen[at][0].detach(), gradient[0], places)
            for at, gradient in zip(layers, gradients, strict=True)
        ]  # [layer], each [head] or [… pos]
        before = float(metric.detach())
        values.append(before + (moved[0] if site == "z_pos" else np.stack(moved)))
        if site not in HEAD_SITES and site != "z_pos":
            together.append([before + float(np.nansum(row)) for row in moved])
        progress(0.5 + (i + 1) / (2 * len(metrics)))
    return Sweep(
        site=site,
        values=np.stack(values),
        together=np.array(together) if together else np.zeros((len(METRICS), 0)),
        source=of_source,
        target=metrics.detach().cpu().numpy(),
        n_passes=2,
        seconds=time.monotonic() - since,
    )


@torch.enable_grad()
def _metrics(
    model: GPT2, ids: np.ndarray, read: int, *, measure: Measure, seen: dict[int | None, Tensor], name: str
) -> Tensor:
    """The metrics of the target run, float64 [metric], with the graph that leads to its activations, put into `seen`.

    The graph begins at the embeddings, so that no gradient of the weights is kept.
    """

    def begin(x: Tensor, _layer: int | None) -> Tensor:
        return x.detach().requires_grad_()

    def keep(x: Tensor, at: int | None) -> None:
        seen[at] = x

    tokens = torch.as_tensor(np.asarray(ids, dtype=np.int64)[None], device=model.device)
    normed = model.body(tokens, tap=Tap({("embed", None): begin, (name, None): keep}))
    metrics: Tensor = measure(model.unembed(normed[:, read]))[0]
    return metrics


def _moved(site: Site, theirs: Tensor, ours: Tensor, gradient: Tensor, places: Places) -> np.ndarray:
    """What patches in one layer move a metric by: float64 [pos], NaN without a counterpart; [head pos]; or [head].

    theirs: of the source run, ours and gradient: of the target run, [pos d_model], [head pos d_head], or of patterns
    [head query key].
    """
    if site == "pattern":
        return ((theirs - ours).double() * gradient.double()).sum(dim=(-2, -1)).cpu().numpy()
    changing = places.changing
    there = torch.as_tensor(changing, device=ours.device)
    counterparts = torch.as_tensor(places.source_of[changing].astype(np.int64), device=ours.device)
    change = (theirs[..., counterparts, :] - ours[..., there, :]).double() * gradient[..., there, :].double()
    if site in HEAD_SITES:
        return change.sum(dim=(-2, -1)).cpu().numpy()
    moved = np.zeros(ours.shape[:-1])
    moved[..., places.refused] = np.nan
    moved[..., changing] = change.sum(dim=-1).cpu().numpy()
    return moved
