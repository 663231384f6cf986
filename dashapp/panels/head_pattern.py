"""The panel of one head's attention pattern."""

from __future__ import annotations

from dashapp.analysis.attention import Head, head_to_begin_with
from dashapp.figures.attention import N_CROPPED, SHADES, Shade, head_pattern, tokens_a_cell
from dashapp.figures.theme import Frame
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace


def draw(trace: Trace, *, layer: int | None, head: int | None, shade: Shade, frame: Frame) -> Drawn:
    """The selected head's pattern, or that of a head to begin with."""
    of = selected_head(layer, head)
    shown = of or head_to_begin_with(trace)
    pattern = trace.head_pattern(shown.layer, shown.head)
    figure = head_pattern(pattern, shown, texts=trace.token_texts, shade=shade, frame=frame)
    return Drawn(figure=figure, foot=_foot(shown, trace.n_tokens, is_chosen=of is not None, frame=frame))


def selected_head(layer: int | None, head: int | None) -> Head | None:
    """The head of a selection; None where no head is selected."""
    return None if layer is None or head is None else Head(layer=layer, head=head)


def _foot(shown: Head, n_tokens: int, *, is_chosen: bool, frame: Frame) -> str:
    where = f"layer {shown.layer}, head {shown.head}"
    why = ", which looks most at the token before" if n_tokens > 1 else ""
    chosen = f"Shown: {where}." if is_chosen else f"No head is selected. Shown: {where}{why}. Click another above."
    if frame.is_narrow and n_tokens > N_CROPPED:
        n_shown = N_CROPPED * tokens_a_cell(n_tokens)
        chosen += f" Cropped to {n_shown} of {n_tokens:,} tokens, around the selected one; a double tap shows all."
    reading = "Rows look at columns; each row sums to 1; above the diagonal is the future, which no token sees."
    n_each = tokens_a_cell(n_tokens)
    if n_each == 1:
        return f"{chosen} {reading}"
    pooled = f"Too many to show each: a cell is {n_each} × {n_each} tokens and has the largest weight in it."
    return f"{chosen} {reading} {pooled} A click selects the first token of its row."


HEAD_PATTERN = Panel(
    name="head-pattern",
    title="One head",
    question="Which earlier tokens does each token look at in this head?",
    about=(
        Formula("attention"),
        "X is the residual stream after LayerNorm. Q and K are what the head reads from it: a query of each token that "
        "looks, a key of each token that can be looked at; M hides the future. Drawn is A. Recomputed from "
        "the stored Q and K, it equals what the model computed (docs/numerics.md tells how closely).",
        "The amber row and column are the selected token's: in its row what it looks at, in its column who looks at "
        "it. Click a cell to select the token that looks.",
        "Source: Vaswani et al. 2017, Attention Is All You Need, equation 1.",
        "It does not show what is read there: a head may look at a token and copy nothing of it.",
    ),
    reads=("layer", "head"),
    marks="pattern",
    knobs=(Knob(name="shade", label="Colour", options=SHADES),),
    draw=draw,
)
