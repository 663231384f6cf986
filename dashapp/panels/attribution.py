"""The panels of direct logit attribution at the selected token: all parts as bars, and every head as a cell."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from dashapp.analysis.attribution import Attribution, attribution
from dashapp.analysis.logit_lens import favourite
from dashapp.analysis.table import Table, counted
from dashapp.figures.attribution import head_cells, part_bars, parts, signed
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import label, plain_label
from dashapp.model.tokenizer import token_text
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

Over = Literal["mean", "second"]

OVER: Final = {"mean": "the mean of all tokens", "second": "the runner-up"}
N_NAMED: Final = 3
ROUNDING: Final = 1e-3  # a float32 remainder below it is rounding: docs/numerics.md


def draw_parts(trace: Trace, *, pos: int, target: int | None, against: int | None, over: Over, frame: Frame) -> Drawn:
    """A bar a part of the model, in the order of the computation."""
    found = attributed(trace, pos, target, against, over)
    figure = part_bars(found, over=label(difference(found), longest=80), frame=frame)
    names, values = parts(found)
    order = np.argsort(-np.abs(values), kind="stable")[:N_NAMED]
    largest = ", ".join(f"{names[i]} {signed(float(values[i]))}" for i in order)
    foot = f"{_what(found, trace, target, against)} Largest parts: {largest}. {_check(found, trace)}"
    return Drawn(figure=figure, foot=foot)


def draw_heads(trace: Trace, *, pos: int, target: int | None, against: int | None, over: Over, frame: Frame) -> Drawn:
    """A cell a head, layers down and heads across."""
    found = attributed(trace, pos, target, against, over)
    figure = head_cells(found, over=label(difference(found), longest=80), frame=frame)
    return Drawn(figure=figure, foot=f"{_what(found, trace, target, against)} {_heads(found)}")


def attributed(trace: Trace, pos: int, target: int | None, against: int | None, over: Over) -> Attribution:
    """The parts of the chosen logit difference. Raises: WeightsMissing."""
    of, other = chosen_pair(trace, pos, target, against, over)
    return attribution(trace, pos, target=of, against=other)


def chosen_pair(trace: Trace, pos: int, target: int | None, against: int | None, over: Over) -> tuple[int, int | None]:
    """The chosen target, or the model's favourite, and what it is compared with: None for the mean of all tokens."""
    of = favourite(trace, pos) if target is None else target
    if against is None and over == "second":
        against = next(int(token) for token in trace.read("top_ids")[pos] if token != of)
    return of, against


def difference_words(target: int, against: int | None) -> str:
    """A logit difference in words."""
    other = OVER["mean"] if against is None else f"‘{plain_label(token_text(against))}’"
    return f"‘{plain_label(token_text(target))}’ over {other}"


def difference(found: Attribution) -> str:
    """The logit difference that is attributed, in words."""
    return difference_words(found.target, found.against)


def _what(found: Attribution, trace: Trace, target: int | None, against: int | None) -> str:
    """What was attributed, and why that."""
    after = f"after token {found.pos} ‘{plain_label(trace.token_texts[found.pos])}’"
    whose = "the output’s favourite" if target is None else "the target you chose"
    compared = ", compared with the token you chose" if against is not None else ""
    return f"{difference(found)} ({whose}{compared}), {after}: {signed(found.whole)} nats."


def _check(found: Attribution, trace: Trace) -> str:
    said = f"All {found.n_terms:,} parts sum to {signed(found.explained)}; what is left is {signed(found.remainder)}"
    if trace.dtype != "float32":
        return f"{said}: a model in {trace.dtype} rounds after each step."
    if abs(found.remainder) < ROUNDING:
        return f"{said}: rounding."
    return f"{said}: more than rounding leaves in most models."


def _heads(found: Attribution) -> str:
    order = np.argsort(found.heads, axis=None, kind="stable")
    n_head = found.heads.shape[1]

    def named(places: np.ndarray) -> str:
        return ", ".join(f"layer {i // n_head} head {i % n_head} {signed(float(found.heads.flat[i]))}" for i in places)

    return (
        f"Most for it: {named(order[::-1][:N_NAMED])}. Most against or least for it: {named(order[:N_NAMED])}. Heads "
        f"of a layer sum to what its attention wrote, to {found.gap:.1e}".replace("e-", "e−")
        + " at worst."
    )


def numbers_of_parts(trace: Trace, *, pos: int, target: int | None, against: int | None, over: Over) -> Table:
    """Every part of the logit difference, in the order of the computation. Raises: WeightsMissing."""
    found = attributed(trace, pos, target, against, over)
    names, values = parts(found)
    axes = {"part": [*names, "all of it"]}
    return Table(f"adds to the logit of {difference(found)} (nats)", np.append(values, found.whole), axes)


def numbers_of_heads(trace: Trace, *, pos: int, target: int | None, against: int | None, over: Over) -> Table:
    """What every head adds to the logit difference. Raises: WeightsMissing."""
    found = attributed(trace, pos, target, against, over)
    axes = {"layer": counted(len(found.heads)), "head": counted(found.heads.shape[1])}
    return Table(f"adds to the logit of {difference(found)} (nats)", found.heads, axes)


_SHARED: Final = (
    "The last state of the residual stream is a sum of what embeddings, heads and MLPs wrote into it, x = Σ x_c. The "
    "final LayerNorm divides by the spread σ of that sum; with σ kept as it was in the run, each part c adds a number "
    "of its own to the logit of token a over that of token b.",
    Formula("attribution"),
    "A logit by itself has no zero: adding the same to all of them changes no probability. So a token is compared with "
    "the mean over all tokens, or with one other. A token clicked in the logit lens is the target, a; without one it "
    "is the output’s favourite.",
    "Heads count without their value bias, which they bring whatever they look at: it is among the biases, with b_O "
    "and b_out.",
)
_SOURCE: Final = (
    "Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits; Wang et al. 2022, Interpretability "
    "in the Wild."
)

ATTRIBUTION = Panel(
    name="attribution",
    title="Direct logit attribution",
    question="Which parts of the model raise the logit of its next token, and which lower it?",
    about=(
        *_SHARED,
        _SOURCE,
        "It does not show what a part does through later layers: only what goes straight to the output. Removing a "
        "part may change the logit by more, or by less, for others make up for it.",
    ),
    reads=("pos", "target", "against"),
    knobs=(Knob(name="over", label="Compared with", options=OVER),),
    draw=draw_parts,
    numbers=numbers_of_parts,
    difference="",
)

HEAD_ATTRIBUTION = Panel(
    name="head-attribution",
    title="Direct logit attribution of every head",
    question="Which heads write for the next token, and which against it? Click one.",
    about=(
        *_SHARED,
        Formula("head-write"),
        _SOURCE,
        "It does not show where a head looks or why: select it, and the Attention page does. A head that acts through "
        "later layers may have nothing here.",
    ),
    reads=("pos", "target", "against"),
    marks="head",
    knobs=(Knob(name="over", label="Compared with", options=OVER),),
    draw=draw_heads,
    numbers=numbers_of_heads,
    difference="",
)
