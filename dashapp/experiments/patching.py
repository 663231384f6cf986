"""Activation patching: the model goes on with activations of another run in their places (Meng et al. 2022; Wang et
al. 2022, section 3).

Nothing is run again that cannot change: a run begins at the layer and the position that are patched, with the residual
stream as it was and the keys and values before it as they were, and of the last layer only the position that is read is
computed. Patches in one layer run together, though each begins at a position of its own. Needs torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor

from dashapp.experiments.metrics import Measure
from dashapp.experiments.sweeps import HEAD_SITES, METRICS, Places, Site, Sweep
from dashapp.model.gpt2 import GPT2, Block, at_least_float32, is_visible
from dashapp.model.tap import Tap

ROWS_AT_ONCE: Final = 1024  # of the residual stream in one batch: what a processor's cache still serves well

Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work
FOR_ALL: Final = ("resid_pre", "resid_mid", "resid_post", "q", "k", "v")  # what is kept of the target run
FROM_SOURCE: Final[dict[Site, str]] = {"resid_mid": "resid_post", "pattern": "q", "z_pos": "z"}  # the others: itself


@torch.inference_mode()
def sweep(
    model: GPT2,
    source_ids: np.ndarray,
    target_ids: np.ndarray,
    *,
    site: Site,
    places: Places,
    tokens: tuple[int, int],
    layer: int = 0,
    progress: Progress = lambda share: None,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Sweep:
    """Every activation of a site of the source run in its place in the target run, one after the other.

    source_ids, target_ids: token ids [pos]. tokens: the answer whose logit or log-probability is the metric, and the
    one it is compared with. layer: of z_pos alone.
    Raises: ValueError for patterns between prompts whose tokens do not stand in the same places.
    """
    places.check(site)
    since = time.monotonic()
    progress(0.0)
    of_source = {FROM_SOURCE.get(site, site)} | ({"k"} if site == "pattern" else set())
    source = Recorded(model, source_ids, *of_source)
    target = Recorded(model, target_ids, *FOR_ALL, *(name for name in of_source if name not in FOR_ALL))
    measure = Measure(source.logits(places.read_source), answer=tokens[0], other=tokens[1])
    rerun = Rerun(model, target, places.read_target)
    task = _Sweeping(rerun, source, places, measure=measure, progress=progress, rows_at_once=rows_at_once)
    values, together = task.run(site, layer)
    return Sweep(
        site=site,
        values=values,
        together=together,
        source=measure(source.logits(places.read_source)[None])[0].cpu().numpy(),
        target=task.baseline,
        n_passes=task.n_passes,
        seconds=time.monotonic() - since,
    )


class Recorded:
    """One prompt's run, with some of its activations kept: [pos d_model] or [head pos d_head] by name and layer."""

    def __init__(self, model: GPT2, token_ids: np.ndarray, *names: str) -> None:
        seen = Tap.reading(*names)
        ids = torch.as_tensor(np.asarray(token_ids, dtype=np.int64)[None], device=model.device)
        self._model, self._normed = model, model.body(ids, tap=seen)[0]  # [pos d_model]
        self._activations = {site: activation[0] for site, activation in seen.activations.items()}

    def __call__(self, name: str, layer: int) -> Tensor:
        return self._activations[name, layer]

    def logits(self, pos: int) -> Tensor:
        """What the run expects after a position: [d_vocab]."""
        return self._model.unembed(self._normed[pos])


class Rerun:
    """The target run from the middle: some rows of the residual stream are others, and what follows is computed.

    Positions after `read` are left out, for they change nothing there.
    """

    def __init__(self, model: GPT2, target: Recorded, read: int) -> None:
        self.model, self.target, self.read = model, target, read

    def entering(self, layer: int) -> Tensor:
        """The stream before a layer, or after the last one, up to the position that is read: [pos d_model]."""
        n_layer = len(self.model.h)
        whole = self.target("resid_pre", layer) if layer < n_layer else self.target("resid_post", n_layer - 1)
        return whole[: self.read + 1]

    def logits(self, layer: int, firsts: Sequence[int], x: Tensor) -> Tensor:
        """Logits [stream d_vocab] at the position that is read, given some streams before a layer.

        They lie one after the other in x [row d_model]. Each begins at a position of its own, one of `firsts`, before
        which all is as it was, and ends at the one that is read.
        """
        n_layer, ends = len(self.model.h), [stop - 1 for stop in accumulate(self._lengths(firsts))]
        for block in cast(Sequence[Block], self.model.h[layer:]):
            is_last = block.layer == n_layer - 1
            z = self._gathered(block, firsts, x, is_last=is_last)
            x = self.after_mlp(block.layer, (x[ends] if is_last else x) + block.attn.write(z.to(x.dtype))[0])
        return at_least_float32(self.model.unembed(self.model.ln_f(x[ends] if layer == n_layer else x)))

    def _lengths(self, firsts: Sequence[int]) -> list[int]:
        return [self.read + 1 - first for first in firsts]

    def _gathered(self, block: Block, firsts: Sequence[int], x: Tensor, *, is_last: bool) -> Tensor:
        """What the heads gather for each row, or for the last one of each stream: [1 head row d_head]."""
        q, k, v = (part.split(self._lengths(firsts), dim=2) for part in block.attn.heads(block.ln_1(x)[None]))
        asking = [queries[:, :, -1:] if is_last else queries for queries in q]
        known = [self._from_the_start(block.layer, first, k[i], v[i]) for i, first in enumerate(firsts)]
        return torch.cat([block.attn.attend(queries, *each) for queries, each in zip(asking, known, strict=True)], 2)

    def _from_the_start(self, layer: int, n: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [1 head key d_head] of a stream, with the `n` before it as they were."""
        earlier = (self.target(name, layer)[None, :, :n] for name in ("k", "v"))
        whole_k, whole_v = (torch.cat(pair, dim=2) for pair in zip(earlier, (k, v), strict=True))
        return whole_k, whole_v

    def after_mlp(self, layer: int, mid: Tensor) -> Tensor:
        """The stream after a layer whose MLP reads `mid` [… d_model]."""
        block = cast(Block, self.model.h[layer])
        return mid + block.mlp(block.ln_2(mid))


class _Sweeping:
    """A sweep under way."""

    def __init__(
        self, rerun: Rerun, source: Recorded, places: Places, *, measure: Measure, progress: Progress, rows_at_once: int
    ) -> None:
        self.rerun, self.source, self.places = rerun, source, places
        self.model, self.target = rerun.model, rerun.target
        self.measure, self._progress, self._rows_at_once = measure, progress, rows_at_once
        self.changing = [int(pos) for pos in places.changing]
        self.counterparts = [int(places.source_of[pos]) for pos in self.changing]
        self.n_passes = 2  # the two prompts themselves
        self.baseline = measure(self.target.logits(places.read_target)[None])[0].cpu().numpy()  # [metric]

    def run(self, site: Site, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """Values [metric row column], and those of all positions together [metric layer]."""
        n_layer, n_head = self.model.config.n_layer, self.model.config.n_head
        values, together = [], []
        n_rows = n_head if site == "z_pos" else n_layer
        for row in range(n_rows):
            tell = _part(self._progress, row, n_rows)
            if not self.changing:
                values.append(self._unmoved(n_head if site in HEAD_SITES else None))
            elif site in HEAD_SITES:
                values.append(self._of_heads(self._changes_of_z(site, row), row, tell))
            elif site == "z_pos":
                values.append(self._of_rows(layer + 1, self._rows_with_head(layer, row), tell, at_once=False)[0])
            else:
                entered = row if site == "resid_pre" else row + 1
                of_each, of_all = self._of_rows(entered, self._rows(site, row), tell, at_once=True)
                values.append(of_each)
                together.append(of_all[:, 0])
        nothing = np.zeros((len(METRICS), 0))
        return np.stack(values, axis=1), np.stack(together, axis=1) if together else nothing

    def _unmoved(self, n_head: int | None = None) -> np.ndarray:
        """A row of values without any patch: [metric head], or [metric pos] with NaN where there is no counterpart."""
        if n_head is not None:
            return np.repeat(self.baseline[:, None], n_head, axis=1)
        values = np.repeat(self.baseline[:, None], len(self.places.source_of), axis=1)
        values[:, self.places.refused] = np.nan
        return values

    # Rows of the residual stream --------------------------------------------------------------------------------------

    def _rows(self, site: Site, layer: int) -> Tensor:
        """What a patched position carries into the next layer or, of resid_pre, into this one: [place d_model]."""
        theirs = self.source(FROM_SOURCE.get(site, site), layer)[self.counterparts]
        if site == "attn_out":
            return self.rerun.after_mlp(layer, self.target("resid_pre", layer)[self.changing] + theirs)
        return self.target("resid_mid", layer)[self.changing] + theirs if site == "mlp_out" else theirs

    def _rows_with_head(self, layer: int, head: int) -> Tensor:
        """The same where one head's output is the source's."""
        theirs, ours = self.source("z", layer)[head, self.counterparts], self.target("z", layer)[head, self.changing]
        written = (theirs - ours) @ self._out_weights(layer)[head]
        return self.rerun.after_mlp(layer, self.target("resid_mid", layer)[self.changing] + written)

    def _of_rows(self, entered: int, rows: Tensor, tell: Progress, *, at_once: bool) -> tuple[np.ndarray, np.ndarray]:
        """Values [metric pos] with one row after the other in its place; [metric 1] with all at once, if asked for."""
        n = len(self.changing)
        alone = range(n)
        if entered == self.model.config.n_layer:  # only the position that is read changes it any more
            alone = range(n - int(self.places.read_target in self.changing), n)
        patches = [[place] for place in alone] + ([list(range(n))] if at_once else [])
        found = [np.zeros((0, len(METRICS)))]
        for some in self._batches(patches):
            firsts = [self.changing[places[0]] for places in some]
            streams = [self._stream(entered, rows, places) for places in some]
            found.append(self._measured(entered, firsts, torch.cat(streams)))
            tell(sum(map(len, found)) / len(patches))
        measured, values = np.concatenate(found).T, self._unmoved()
        values[:, [self.changing[place] for place in alone]] = measured[:, : len(alone)]
        return values, measured[:, len(alone) :]

    def _stream(self, entered: int, rows: Tensor, places: Sequence[int]) -> Tensor:
        """The stream before a layer with some rows of others, from the first of them on: [pos d_model]."""
        first = self.changing[places[0]]
        x = self.rerun.entering(entered)[first:].clone()
        x[[self.changing[place] - first for place in places]] = rows[list(places)]
        return x

    def _batches(self, patches: Sequence[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
        """Which of these run together."""
        some: list[Sequence[int]] = []
        n_row = 0
        for places in patches:
            length = self.places.read_target - self.changing[places[0]] + 1
            if some and n_row + length > self._rows_at_once:
                yield some
                some, n_row = [], 0
            some.append(places)
            n_row += length
        if some:
            yield some

    # Heads ------------------------------------------------------------------------------------------------------------

    def _changes_of_z(self, site: Site, layer: int) -> Tensor:
        """By how much a head's output differs with the source's site in all places: [head pos d_head], from the first
        position that changes."""
        first, stop = self.changing[0], self.places.read_target + 1
        q, k, v = (self.target(name, layer)[:, :stop] for name in "qkv")
        theirs = self.source(FROM_SOURCE.get(site, site), layer)
        if site == "z":
            ours = self.target("z", layer)[:, :stop]
            return (_with(ours, self.changing, theirs[:, self.counterparts]) - ours)[:, first:]
        if site == "pattern":
            other = self._pattern(layer, theirs[:, :stop], self.source("k", layer)[:, :stop])
            return ((other - self._pattern(layer, q, k)) @ _wide(v))[:, first:]
        patched = {"q": q, "k": k, "v": v}
        patched[site] = _with(patched[site], self.changing, theirs[:, self.counterparts])
        before = self._pattern(layer, q, k)
        after = before if site == "v" else self._pattern(layer, patched["q"], patched["k"])
        return (after @ _wide(patched["v"]) - before @ _wide(v))[:, first:]

    def _pattern(self, layer: int, q: Tensor, k: Tensor) -> Tensor:
        """softmax(q kᵀ · scale) over the keys up to each query: [head query key]."""
        scores = _wide(q) @ _wide(k).transpose(-1, -2) * cast(Block, self.model.h[layer]).attn.scale
        n = q.shape[-2]
        return scores.masked_fill(~is_visible(n, n, q.device), -torch.inf).softmax(dim=-1)

    def _of_heads(self, changes: Tensor, layer: int, tell: Progress) -> np.ndarray:
        """Values [metric head] with the output of one head after the other changed, [head pos d_head]."""
        n_head, n_pos = changes.shape[:2]
        values = self._unmoved(n_head)
        at_once = max(1, self._rows_at_once // n_pos)
        first = self.places.read_target + 1 - n_pos
        for start in range(0, n_head, at_once):
            some = slice(start, start + at_once)
            written = changes[some].to(self.model.wte.weight.dtype) @ self._out_weights(layer)[some]
            mid = self.target("resid_mid", layer)[first : self.places.read_target + 1] + written
            after = self.rerun.after_mlp(layer, mid).flatten(0, 1)
            values[:, some] = self._measured(layer + 1, [first] * len(mid), after).T
            tell(min(1.0, (start + at_once) / n_head))
        return values

    def _out_weights(self, layer: int) -> Tensor:
        """What each head writes its output with: [head d_head d_model]."""
        return cast(Block, self.model.h[layer]).attn.c_proj.weight.unflatten(0, (self.model.config.n_head, -1))

    def _measured(self, entered: int, firsts: Sequence[int], x: Tensor) -> np.ndarray:
        self.n_passes += len(firsts)
        found: np.ndarray = self.measure(self.rerun.logits(entered, firsts, x)).cpu().numpy()  # [stream metric]
        return found


def _with(ours: Tensor, places: Sequence[int], theirs: Tensor) -> Tensor:
    """A copy of [head pos d_head] with some positions of others."""
    copy = ours.clone()
    copy[:, list(places)] = theirs
    return copy


def _wide(x: Tensor) -> Tensor:
    return at_least_float32(x)


def _part(progress: Progress, row: int, n_rows: int) -> Progress:
    """Progress within one of some rows."""
    return lambda share: progress((row + share) / n_rows)
