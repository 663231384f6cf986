"""The panel of one head's attention pattern."""

from __future__ import annotations

from typing import Final, Literal

from dashapp.analysis.attention import Head, head_to_begin_with
from dashapp.analysis.stages import Stage, head_stage, without_first
from dashapp.analysis.table import Table, token_names
from dashapp.figures.attention import N_CROPPED, SHADES, Shade, Square, attention_square, tokens_a_cell
from dashapp.figures.theme import Frame
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

First = Literal["shown", "hidden"]

STAGES: Final[dict[str, str]] = {
    "scores": "raw scores",
    "masked": "masked scores",
    "pattern": "attention",
    "norms": "attention × value lengths",
}
FIRST: Final = Knob(name="first", label="First token", options={"shown": "shown", "hidden": "hidden"})
HIDDEN: Final = "First token hidden, rows made to sum to 1"


def draw(
    trace: Trace, *, layer: int | None, head: int | None, shade: Shade, stage: Stage, first: First, frame: Frame
) -> Drawn:
    """The selected head at a stage, or a head to begin with. Raises: WeightsMissing, for value norms alone."""
    of = selected_head(layer, head)
    shown = of or head_to_begin_with(trace)
    square = staged(trace, shown, stage, first)
    figure = attention_square(square, texts=trace.token_texts, shade=shade, frame=frame)
    foot = _foot(shown, trace.n_tokens, is_chosen=of is not None, is_score=square.is_score, frame=frame)
    parts = [foot, said_of_stage(trace, stage, first)]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def staged(trace: Trace, of: Head, stage: Stage, first: First) -> Square:
    """One head at a stage, with or without the first token. Raises: WeightsMissing, for value norms alone."""
    values, where = head_stage(trace, of, stage), f"layer {of.layer}, head {of.head}"
    if stage in ("scores", "masked"):
        return Square(values=values, where=where, is_score=True, quantity="scaled score")
    note = ""
    if first == "hidden":
        values, note = without_first(values), HIDDEN
    if stage == "norms":
        said = "value-weighted attention"
        return Square(values=values, where=where, note=note, quantity=said, verb="reads from", unit="of the row")
    return Square(values=values, where=where, note=note)


def said_of_stage(trace: Trace, stage: Stage, first: First) -> str:
    """What was done to the numbers."""
    if stage == "scores":
        return "Scores before the mask: those above the diagonal are of the future and are thrown away."
    if stage == "masked":
        return "Scores after the mask; the softmax of a row makes weights of them."
    said = []
    if stage == "norms":
        said.append(
            "Weights times the lengths of what the values write, value bias included; each row made to sum to 1."
        )
    if first == "hidden":
        said.append(
            "The first token is hidden and the rest of each row made to sum to 1, so these are not the model’s "
            "weights; the first row has nothing else."
            if trace.n_tokens > 1
            else "There is one token, and it is hidden."
        )
    return " ".join(said)


def selected_head(layer: int | None, head: int | None) -> Head | None:
    """The head of a selection; None where no head is selected."""
    return None if layer is None or head is None else Head(layer=layer, head=head)


def _foot(shown: Head, n_tokens: int, *, is_chosen: bool, is_score: bool, frame: Frame) -> str:
    where = f"layer {shown.layer}, head {shown.head}"
    why = ", which looks most at the token before" if n_tokens > 1 else ""
    chosen = f"Shown: {where}." if is_chosen else f"No head is selected. Shown: {where}{why}. Click another above."
    if frame.is_narrow and n_tokens > N_CROPPED:
        n_shown = N_CROPPED * tokens_a_cell(n_tokens)
        chosen += f" Cropped to {n_shown} of {n_tokens:,} tokens, around the selected one; a double tap shows all."
    reading = "Rows look at columns; each row of attention sums to 1; no token sees the future above the diagonal."
    n_each = tokens_a_cell(n_tokens)
    if n_each == 1:
        return f"{chosen} {reading}"
    pooled = f"Too many to show each: a cell is {n_each} × {n_each} tokens and has the largest weight in it."
    if is_score:
        return f"{chosen} {reading} {pooled} A click selects the first token of its row."
    exact = "Each weight is told on hover, within 1/255; a click selects the two tokens, and Around the pair is exact."
    return f"{chosen} {reading} {pooled} {exact}"


def numbers(trace: Trace, *, layer: int | None, head: int | None, stage: Stage, first: First) -> Table:
    """Every weight or score of the head. Raises: WeightsMissing, for value norms alone."""
    of = selected_head(layer, head) or head_to_begin_with(trace)
    square, names = staged(trace, of, stage, first), token_names(trace.token_texts)
    return Table(f"{square.quantity}, {square.where}", square.values, {"query": names, "key": names})


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
        "it. Click a cell, or go there by arrow keys, to select the token that looks and the one looked at.",
        "Attention × value lengths: a head that looks at a token whose value is short moves little. Each weight is "
        "multiplied by the length of what the head would write for that key, f(x) = (x W_V + b_V) W_O, and rows are "
        "made to sum to 1. The value bias b_V is part of f, as in the paper; b_O is not, for no token brings it.",
        Formula("value-norm"),
        "The first token: many heads rest on it what they do not use. Hidden, its column is left out and each row made "
        "to sum to 1, which shows the rest and is not what the model computed.",
        "Sources: Vaswani et al. 2017, Attention Is All You Need, equation 1; Kobayashi et al. 2020, Attention is Not "
        "Only a Weight (value lengths); Xiao et al. 2023 (the first token).",
        "It does not show what is read there: a head may look at a token and copy nothing of it.",
    ),
    reads=("layer", "head"),
    marks="pattern",
    knobs=(
        Knob(name="shade", label="Colour", options=SHADES),
        Knob(name="stage", label="Stage", options=STAGES, start="pattern"),
        FIRST,
    ),
    draw=draw,
    numbers=numbers,
    difference="",
)
