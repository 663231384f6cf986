"""The panel of one token's attention: what it looks at, or who looks at it."""

from __future__ import annotations

from dashapp.analysis.attention import Direction, Strongest, TokenAttention, strongest, token_attention
from dashapp.analysis.table import Table, token_names
from dashapp.figures.attention import Scale, token_bars, weight
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.panels.formulas import Formula
from dashapp.panels.head_pattern import selected_head
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

N_BARS = 20


def draw(
    trace: Trace, *, pos: int, layer: int | None, head: int | None, direction: Direction, scale: Scale, frame: Frame
) -> Drawn:
    """The strongest weights of a token in the selected head, or on average over all heads."""
    found = token_attention(trace, pos, direction=direction, of=selected_head(layer, head))
    top = strongest(found, N_BARS)
    figure = token_bars(found, top, texts=trace.token_texts, scale=scale, frame=frame)
    return Drawn(figure=figure, foot=_foot(found, top, trace))


def _foot(found: TokenAttention, top: Strongest, trace: Trace) -> str:
    config = trace.config
    where = (
        f"Layer {found.of.layer}, head {found.of.head}."
        if found.of is not None
        else f"No head is selected: the mean over all {config.n_layer * config.n_head} heads of all layers."
    )
    this = f"token {found.pos} ‘{plain_label(trace.token_texts[found.pos])}’"
    n_able, total = len(top.positions) + top.n_rest, float(found.weights.sum())
    tokens = "1 token" if n_able == 1 else f"{n_able:,} tokens"
    if found.direction == "looks_at":
        return f"{where} The weights of {this} sum to {weight(total)}, over {tokens}."
    return f"{where} {tokens} can look at {this}, itself included; on average it is given {weight(total / n_able)}."


def numbers(trace: Trace, *, pos: int, layer: int | None, head: int | None, direction: Direction) -> Table:
    """The weight of every token."""
    found = token_attention(trace, pos, direction=direction, of=selected_head(layer, head))
    names = token_names(trace.token_texts)
    verb = "from" if direction == "looks_at" else "to"
    return Table(f"attention {verb} {names[pos]}", found.weights, {"token": names})


TOKEN_ATTENTION = Panel(
    name="token-attention",
    title="One token",
    question="What does the selected token look at, and who looks at it?",
    about=(
        Formula("attention"),
        "What a token looks at is its row of the pattern A, which sums to 1. Who looks at it is its column, which sums "
        "to anything: some tokens are looked at by all that follow, most by few.",
        "Without a selected head, the mean over all heads of all layers. It hides that heads differ: select one.",
        "Click a bar to select its token.",
        "Source: Vaswani et al. 2017; the mean over heads as in Abnar & Zuidema 2020.",
        "It does not show how much information flows: values and the residual stream count too.",
    ),
    reads=("pos", "layer", "head"),
    marks="bar",
    knobs=(
        Knob(name="direction", label="Token", options={"looks_at": "looks at", "looked_at_by": "is looked at by"}),
        Knob(name="scale", label="Scale", options={"whole": "0 to 1", "fit": "fit the longest bar"}),
    ),
    draw=draw,
    numbers=numbers,
    difference="",
)
