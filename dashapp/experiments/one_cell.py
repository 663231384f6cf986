"""One activation patched: the next token and the text that follow. Needs torch.

A sweep starts in the middle of a run, for it does thousands of patches; here one whole pass fills a key/value cache, so
that the text goes on from the patched run. Tests hold the two ways to each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from torch import Tensor

from dashapp.experiments.cells import N_NEW, Cell, CellPatch
from dashapp.experiments.sweeps import Places
from dashapp.experiments.sweeps import Site as Where
from dashapp.model.generation import next_token_logits
from dashapp.model.gpt2 import GPT2, KeyValueCache, at_least_float32
from dashapp.model.tap import NO_TAP, Site, Tap, TapFunction
from dashapp.model.tokenizer import END_OF_TEXT_ID

Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work

PATTERNS: Final[Site] = ("pattern", None)  # of all layers
TAPPED: Final[dict[Where, str]] = {"z_pos": "z"}  # the others: their own name


@torch.inference_mode()
def patch_cell(
    model: GPT2,
    source_ids: np.ndarray,
    target_ids: np.ndarray,
    *,
    cell: Cell,
    places: Places,
    progress: Progress = lambda share: None,
    n_new: int = N_NEW,
) -> CellPatch:
    """The source run's activation in its place in the target run, and how the text goes on from there.

    source_ids, target_ids: token ids [pos], read after their last. What is generated runs as it is, on top of the keys
    and values that the patched prompt left.
    Raises: ValueError for a token without a counterpart, and for patterns of prompts that are not straight.
    """
    places.check(cell.site)
    if cell.is_of_token and places.source_of[cell.pos] < 0:
        raise ValueError(f"token {cell.pos} has no counterpart, so nothing can take its place")
    name = TAPPED.get(cell.site, cell.site)
    seen: dict[str, Tensor] = {}

    def keep(activation: Tensor, _layer: int | None) -> None:
        seen["theirs"] = activation[0]

    def put(activation: Tensor, _layer: int | None) -> Tensor:
        return _patched(activation, seen["theirs"], cell, places)

    looks, looks_patched = Looks(), Looks()
    patched_at: Site = (name, cell.layer)
    functions: dict[Site, TapFunction] = {PATTERNS: looks_patched, patched_at: put}
    if name == "pattern":
        functions[patched_at] = lambda pattern, layer: looks_patched(put(pattern, layer), layer)
    runs: tuple[tuple[np.ndarray, Tap], ...] = (
        (source_ids, Tap({patched_at: keep})),
        (target_ids, Tap({PATTERNS: looks})),
        (target_ids, Tap(functions)),
    )
    told = []
    for i, (ids, tap) in enumerate(runs):
        told.append(read_on(model, ids, tap, n_new))
        progress((i + 1) / len(runs))
    (_, source), (_, target), (logits, patched) = told
    return CellPatch(
        logits=logits,
        patched=patched,
        source=source,
        target=target,
        looks=looks.rows(),
        looks_patched=looks_patched.rows(),
    )


class Looks:
    """Keeps where the last token looks, as patterns [batch head query key] go by, layer by layer."""

    def __init__(self) -> None:
        self._rows: list[Tensor] = []

    def __call__(self, pattern: Tensor, _layer: int | None) -> Tensor:
        self._rows.append(at_least_float32(pattern[0, :, -1]))
        return pattern

    def rows(self) -> np.ndarray:
        """float32 [layer head key]."""
        return torch.stack(self._rows).float().cpu().numpy()


def _patched(ours: Tensor, theirs: Tensor, cell: Cell, places: Places) -> Tensor:
    """A copy of an activation of the target run [batch …] with the cell from the source run's […]."""
    copy = ours.clone()
    if cell.site == "pattern":
        copy[0, cell.head] = theirs[cell.head]
    elif cell.site == "z_pos":
        copy[0, cell.head, cell.pos] = theirs[cell.head, int(places.source_of[cell.pos])]
    elif cell.is_of_head:
        changing = places.changing.tolist()
        copy[0, cell.head, changing] = theirs[cell.head, places.source_of[changing].tolist()]
    else:
        copy[0, cell.pos] = theirs[int(places.source_of[cell.pos])]
    return copy


def read_on(model: GPT2, ids: np.ndarray, tap: Tap, n_new: int, after: Tap = NO_TAP) -> tuple[np.ndarray, np.ndarray]:
    """Logits [d_vocab] after a prompt that is read through a tap, and the likeliest text after it, int32 [token].

    after: the tap of the new tokens.
    """
    n_new = min(n_new, model.config.n_ctx - len(ids))
    cache = KeyValueCache.empty(model, capacity=len(ids) + max(0, n_new))
    unread = torch.as_tensor(np.asarray(ids, dtype=np.int64)[None], device=model.device)
    logits = first = next_token_logits(model, unread, cache, tap)
    tokens: list[int] = []
    while len(tokens) < n_new:
        tokens.append(int(logits.argmax()))
        if tokens[-1] == END_OF_TEXT_ID or len(tokens) == n_new:
            break
        logits = next_token_logits(model, torch.tensor([[tokens[-1]]], device=model.device), cache, after)
    return first, np.array(tokens, dtype=np.int32)
