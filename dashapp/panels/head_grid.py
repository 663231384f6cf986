"""The panel of all layers × heads in one picture."""

from __future__ import annotations

from dashapp.analysis.attention import head_scores
from dashapp.figures.attention import SHADES, Shade, head_grid
from dashapp.figures.theme import Frame
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.names import N_CELLS
from dashapp.traces.record import Trace


def draw(trace: Trace, *, shade: Shade, frame: Frame) -> Drawn:
    """A picture of every head's pattern."""
    n_cells = min(N_CELLS, trace.n_tokens)
    tiles = trace.read("thumbnails")[..., :n_cells, :n_cells]
    figure = head_grid(tiles, head_scores(trace), shade=shade, frame=frame)
    return Drawn(figure=figure, foot=_foot(trace.n_tokens))


def _foot(n_tokens: int) -> str:
    reading = "In each square, rows are queries from the first token down, columns are keys from left to right."
    means = "Hover over a head for its averages; the first token's row is left out of them." if n_tokens > 1 else ""
    if n_tokens <= N_CELLS:
        return f"{reading} One cell is one pair of tokens. {means}"
    pooled = f"The prompt is longer than {N_CELLS} tokens, so cells are pooled:"
    per_cell = f"{n_tokens:,} tokens on {N_CELLS} × {N_CELLS} cells, each the largest weight in it."
    return f"{reading} {pooled} {per_cell} {means}"


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
        "Entropy of a row, in nats: 0 when the query looks at one token, ln n when it looks at n tokens evenly.",
        Formula("attention-entropy"),
        "Mean distance, in tokens:",
        Formula("attention-distance"),
        "Sources: Vaswani et al. 2017 (attention), Vig & Belinkov 2019 (entropy, distance), Xiao et al. 2023 (the "
        "first token as a sink).",
        "It does not show what a head does with what it looks at: attention is not explanation. A weight says how much "
        "of a value is read, not how large the value is or where it is written.",
    ),
    marks="head",
    knobs=(Knob(name="shade", label="Colour", options=SHADES),),
    draw=draw,
)
