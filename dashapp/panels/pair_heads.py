"""The panels that look at a token across all heads: the weight of the pair in each, and its strongest sources."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dashapp.analysis.pairs import key_to_begin_with, pair_weights, sources
from dashapp.analysis.table import Table, counted, token_names
from dashapp.figures.attention import weight
from dashapp.figures.heads import ScoreMap, score_maps
from dashapp.figures.pairs import source_rows
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import label
from dashapp.panels.formulas import Formula
from dashapp.panels.pair import named
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

First = Literal["shown", "hidden"]
Reach = Literal["whole", "fit"]

N_ROWS = 20


def draw_map(trace: Trace, *, pos: int, key_pos: int | None, reach: Reach, frame: Frame) -> Drawn:
    """How much every head looks from one token of the pair to the other."""
    is_chosen = key_pos is not None
    at = key_pos if key_pos is not None else key_to_begin_with(trace, pos, None)
    weights = pair_weights(trace, pos, at)
    names = [label(trace.token_texts[each], longest=12) for each in (pos, at)]
    shown = ScoreMap(title=f"‘{names[0]}’ ({pos}) looks at ‘{names[1]}’ ({at})", values=weights)
    high = 1.0 if reach == "whole" else max(1e-6, float(weights.max()))
    figure = score_maps([shown], low=0, high=high, frame=frame)
    return Drawn(figure=figure, foot=_map_foot(trace, pos, at, weights.mean(), high, is_chosen=is_chosen))


def draw_sources(trace: Trace, *, pos: int, first: First, frame: Frame) -> Drawn:
    """The heads and tokens that a token looks at most."""
    found = sources(trace, pos, N_ROWS, is_first_out=first == "hidden")
    figure = source_rows(found, texts=trace.token_texts, frame=frame)
    n_heads = trace.config.n_layer * trace.config.n_head
    hidden = " Those to the first token are not listed." if first == "hidden" else ""
    none = " There is no other token to look at." if not found.strongest else ""
    foot = (
        f"Rows are layer.head → token, of {named(trace, pos)}. The {len(found.strongest)} shown hold "
        f"{weight(n_heads - found.rest)} of {n_heads}, for each head’s row sums to 1; {found.n_rest:,} others hold "
        f"{weight(found.rest)}.{hidden}{none} Click one to select head and token."
    )
    return Drawn(figure=figure, foot=foot)


def _map_foot(trace: Trace, pos: int, key: int, mean: float, high: float, *, is_chosen: bool) -> str:
    which = (
        ""
        if is_chosen
        else "No second token is selected: this is what all heads look at most on average, the first and itself left "
        "out. Click a cell of One head to choose a pair. "
    )
    future = f" {named(trace, key).capitalize()} comes later, so no head can look at it." if key > pos else ""
    return f"{which}Mean over all heads: {weight(float(mean))}. Colours reach from 0 to {high:.3g}.{future}"


def numbers_of_map(trace: Trace, *, pos: int, key_pos: int | None) -> Table:
    """The weight of the pair in every head."""
    at = key_pos if key_pos is not None else key_to_begin_with(trace, pos, None)
    values, names = pair_weights(trace, pos, at), token_names(trace.token_texts)
    axes = {"layer": counted(len(values)), "head": counted(values.shape[1])}
    return Table(f"attention of {names[pos]} to {names[at]}", values, axes)


def numbers_of_sources(trace: Trace, *, pos: int, first: First) -> Table:
    """The strongest weights of the token over all heads."""
    found, names = sources(trace, pos, N_ROWS, is_first_out=first == "hidden"), token_names(trace.token_texts)
    rows = [f"layer {each.of.layer} head {each.of.head} to {names[each.key]}" for each in found.strongest]
    values = np.array([each.weight for each in found.strongest], dtype=np.float64)
    return Table(f"attention from {names[pos]}", values, {"source": rows})


PAIR_HEADS = Panel(
    name="pair-heads",
    title="The pair in every head",
    question="Which heads look from the selected token to the second one? Click one.",
    about=(
        "One weight of each head’s pattern A: the row of the token that looks, the column of the one looked at.",
        Formula("attention"),
        "Source: Vaswani et al. 2017, equation 1.",
        "It does not show whether a head that looks there does anything with it.",
    ),
    reads=("pos", "key_pos"),
    marks="head",
    knobs=(Knob(name="reach", label="Colours", options={"whole": "0 to 1", "fit": "to the largest"}),),
    draw=draw_map,
    numbers=numbers_of_map,
    difference="",
)

TOKEN_SOURCES = Panel(
    name="token-sources",
    title="Strongest sources",
    question="Over all heads, what does the selected token look at most?",
    about=(
        "All weights of the selected token’s rows, of every head of every layer, sorted. A row of the table is a head "
        "and a token that it looks at.",
        Formula("attention"),
        "Source: Vaswani et al. 2017, equation 1; the first token as a sink: Xiao et al. 2023.",
        "It does not show how much each head matters: a head that looks hard may write little.",
    ),
    reads=("pos",),
    marks="source",
    knobs=(
        Knob(name="first", label="First token", options={"shown": "listed", "hidden": "not listed"}, start="hidden"),
    ),
    draw=draw_sources,
    numbers=numbers_of_sources,
)
