"""The panel of all layers × heads in one picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np

from dashapp.analysis.attention import Head
from dashapp.analysis.head_names import HeadName
from dashapp.analysis.heads import prompt_scores
from dashapp.analysis.table import Table, counted
from dashapp.figures.attention import SHADES, Shade, head_grid, in_rows
from dashapp.figures.theme import Frame
from dashapp.jobs.works import Work
from dashapp.panels.formulas import Formula
from dashapp.panels.head_facts import (
    SCORES,
    Score,
    names_of,
    probe_of,
    probe_work,
    said_of_names,
    sorted_heads,
)
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.names import N_CELLS
from dashapp.traces.record import Trace

Order = Literal["layer"] | Score
Only = Literal["all", "named", "top"]

AS_IN_THE_MODEL: Final = "layer"
N_TOP: Final = 12  # heads that are the strongest by a score


def draw(
    trace: Trace,
    *,
    shade: Shade,
    order: Order,
    only: Only,
    frame: Frame,
    result: Mapping[str, np.ndarray] | None = None,
) -> Drawn:
    """A picture of every head's pattern, of those with a name, or of the first by the score that orders them.

    result: of the probe, None while it is not there.
    """
    n_cells = min(N_CELLS, trace.n_tokens)
    tiles = trace.read("thumbnails")[..., :n_cells, :n_cells]
    scores, probe = prompt_scores(trace), probe_of(result)
    names = names_of(trace, probe)
    values = None if order == AS_IN_THE_MODEL else getattr(scores, order)
    shown = _shown(names, values, only, trace.config.n_layer * trace.config.n_head)
    places = None if shown is None else in_rows(shown, trace.config.n_head)
    figure = head_grid(tiles, scores, places=places, names=names, shade=shade, frame=frame)
    parts = [_foot(trace.n_tokens), _order_words(order, only), said_of_names(names, probe)]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def work(trace: Trace, **_chosen: object) -> Work:
    """The probe, which tells what heads are called."""
    return probe_work(trace)


def _shown(names: Mapping[Head, HeadName], values: np.ndarray | None, only: Only, n_all: int) -> list[Head] | None:
    """The heads to show, in order; None for all of them where the model has them."""
    is_some = only == "named" and 0 < len(names) < n_all
    if values is not None:
        ordered = [head for head in sorted_heads(values) if not is_some or head in names]
        return ordered[:N_TOP] if only == "top" else ordered
    return sorted(names, key=lambda head: (head.layer, head.head)) if is_some else None


def _order_words(order: Order, only: Only) -> str:
    if order == AS_IN_THE_MODEL:
        return f"All heads are shown: the first {N_TOP} are those of a score, chosen as order." if only == "top" else ""
    shown = f" Only the first {N_TOP} are shown." if only == "top" else ""
    return f"Sorted by {SCORES[order]} on this prompt, largest first: layer.head.{shown}"


def _foot(n_tokens: int) -> str:
    reading = "In each square, rows are queries from the first token down, columns are keys from left to right."
    means = "Hover over a head for its averages; the first token's row is left out of them." if n_tokens > 1 else ""
    if n_tokens <= N_CELLS:
        return f"{reading} One cell is one pair of tokens. {means}".strip()
    pooled = f"The text is longer than {N_CELLS} tokens, so cells are pooled:"
    per_cell = f"{n_tokens:,} tokens on {N_CELLS} × {N_CELLS} cells, each the largest weight in it."
    return f"{reading} {pooled} {per_cell} {means}"


def numbers(trace: Trace) -> Table:
    """Every head's picture, as the trace keeps it."""
    values = trace.read("thumbnails")[..., : trace.n_tokens, : trace.n_tokens].astype(np.float32) / np.float32(255)
    axes = dict(zip(("layer", "head", "query cell", "key cell"), map(counted, values.shape), strict=True))
    return Table("largest attention weight in a cell, in steps of 1/255", values, axes)


HEAD_GRID = Panel(
    name="head-grid",
    title="All heads",
    question="What does each head look at, and which ones are worth a closer look? Click one.",
    about=(
        "Each square is one head's attention pattern A: the weight with which each query token looks at each key token "
        "before it or at itself. Weights are 0 to 1 and each row sums to 1. A diagonal just below the edge is a head "
        "that looks at the token before; a left edge is one that rests on the first token; a block is one that looks "
        "everywhere.",
        Formula("attention"),
        "Entropy of a row: 0 when the query looks at one token, the logarithm of n when it looks at n tokens evenly, "
        "told in bits or nats as the header says. The formula is in nats.",
        Formula("attention-entropy"),
        "Mean distance, in tokens:",
        Formula("attention-distance"),
        "Sources: Vaswani et al. 2017 (attention), Vig & Belinkov 2019 (entropy, distance), Xiao et al. 2023 (the "
        "first token as a sink).",
        "It does not show what a head does with what it looks at: attention is not explanation. A weight says how much "
        "of a value is read, not how large the value is or where it is written.",
    ),
    marks="head",
    knobs=(
        Knob(name="shade", label="Colour", options=SHADES),
        Knob(
            name="order",
            label="Order",
            options={AS_IN_THE_MODEL: "by layer", **{name: told for name, told in SCORES.items() if name != "copying"}},
        ),
        Knob(
            name="only",
            label="Heads",
            options={"all": "all", "named": "those with a name", "top": f"first {N_TOP} of the order"},
        ),
    ),
    draw=draw,
    numbers=numbers,
    work=work,
)
