"""What the server takes to answer a change of the selection: panels drawn and written as JSON, at full length."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.interleaved import Clock, Spread, Timings, time_in_turn
from benchmarks.table import Row
from dashapp.model.checkpoint import load_model
from dashapp.model.weights import Weights
from dashapp.panels.catalogue import BY_PAGE
from dashapp.panels.panel import Panel, draw
from dashapp.traces.capture import capture
from dashapp.traces.record import Trace, trace_metadata

MOST_S: Final = 0.2  # of server time for a head change
SEEN: Final = ("head-pattern", "token-attention")  # the panels beside each other below all heads


def page_rows(folder: Path, *, n_tokens: int, n_runs: int, clock: Clock) -> Iterator[Row]:
    """Rows of a head change on Attention, for the model in a folder, at one prompt length."""
    weights = Weights.open(folder)
    token_ids = np.random.default_rng(0).integers(weights.config.d_vocab, size=n_tokens).astype(np.int32)
    metadata = trace_metadata(weights.config, fingerprint=weights.fingerprint, model="benchmark", dtype="float32")
    with torch.inference_mode():
        trace = capture(load_model(weights, device="cpu"), token_ids, metadata).use_weights(weights)
    yield from head_rows(time_in_turn(head_works(trace), n_runs=n_runs, clock=clock), n_tokens)


def head_works(trace: Trace) -> dict[str, Callable[[], object]]:
    """The panels of Attention that show the selected head, by name; another head at each call."""
    panels = [panel for panel in BY_PAGE["Attention"] if "head" in panel.reads]
    return {panel.name: _with_another_head(panel, trace) for panel in panels}


def _with_another_head(panel: Panel, trace: Trace) -> Callable[[], object]:
    heads = itertools.cycle(np.ndindex(trace.config.n_layer, trace.config.n_head))
    pos = trace.n_tokens - 1
    fields: dict[str, Any] = {"pos": pos, "key_pos": pos // 2, "n_prompt": trace.n_tokens, "target": None}
    looks = {"theme": "light", "text": 1, "narrow": False, "against": None}
    knobs = {knob.name: knob.default for knob in panel.knobs}

    def answer() -> str:
        layer, head = next(heads)
        view = {**looks, **fields, "layer": layer, "head": head, "knobs": knobs}
        answered: str = draw(panel, trace, view).figure.to_json()
        return answered

    return answer


def head_rows(timings: Timings, n_tokens: int) -> Iterator[Row]:
    """Each panel that is seen when a head is clicked, these together, and all that show the head."""
    what = f"a head change, {n_tokens:,} tokens"
    yield Row(what=f"{what}: One head and One token", beside="", value=_sum(timings, SEEN), unit="s", target=MOST_S)
    slowest = max(timings.seconds, key=lambda name: timings.spread(name).median)
    yield Row(
        what=f"{what}: the slowest panel ({slowest})", beside="", value=timings.spread(slowest), unit="s", target=MOST_S
    )
    every = tuple(timings.seconds)
    said = f"{what}: all {len(every)} panels of the page that show the head, of which those near the window are drawn"
    yield Row(what=said, beside="", value=_sum(timings, every), unit="s")


def _sum(timings: Timings, names: tuple[str, ...]) -> Spread:
    """Of some works together, run by run."""
    return Spread.of([sum(run) for run in zip(*(timings.seconds[name] for name in names), strict=True)])
