"""The panel of the attention around the selected pair of tokens, every weight a number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dashapp.analysis.pairs import match
from dashapp.analysis.stages import Stage
from dashapp.analysis.table import Table, token_names
from dashapp.figures.attention import N_DETAIL, N_DETAIL_NARROW, SHADES, Shade, square_detail, weight
from dashapp.figures.theme import Frame
from dashapp.panels.formulas import Formula
from dashapp.panels.head_pattern import FIRST, STAGES, First, said_of_stage, staged
from dashapp.panels.pair import chosen_pair, named
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace


def draw(
    trace: Trace,
    *,
    pos: int,
    key_pos: int | None,
    layer: int | None,
    head: int | None,
    shade: Shade,
    stage: Stage,
    first: First,
    frame: Frame,
) -> Drawn:
    """Some queries and keys around the pair. Raises: WeightsMissing, for value norms alone."""
    pair = chosen_pair(trace, pos, key_pos, layer, head)
    whole = staged(trace, pair.of, stage, first)
    n = N_DETAIL_NARROW if frame.is_narrow else N_DETAIL
    rows, columns = around(pair.pos, trace.n_tokens, n), around(pair.key, trace.n_tokens, n)
    values = whole.values[rows[0] : rows[1], columns[0] : columns[1]]
    if not whole.is_score:
        is_future = np.arange(*rows)[:, None] < np.arange(*columns)
        values = np.where(is_future, np.float32("nan"), values)
    part = replace(whole, values=values)
    figure = square_detail(part, at=(rows[0], columns[0]), texts=trace.token_texts, shade=shade, frame=frame)
    found = match(trace, pair.of, pair.pos, pair.key)
    exact = f"{named(trace, pair.pos)} looks at {named(trace, pair.key)}: exactly {weight(found.weight)}."
    parts = [pair.said, exact[0].upper() + exact[1:], _left_out(trace.n_tokens, rows, columns)]
    return Drawn(figure=figure, foot=" ".join(part for part in [*parts, said_of_stage(trace, stage, first)] if part))


def around(pos: int, n_tokens: int, wanted: int) -> tuple[int, int]:
    """The first of some tokens around one, and the one after their last."""
    start = max(0, min(pos - wanted // 2, n_tokens - wanted))
    return start, min(n_tokens, start + wanted)


def _left_out(n_tokens: int, rows: tuple[int, int], columns: tuple[int, int]) -> str:
    if rows[1] - rows[0] == n_tokens:
        return ""
    return (
        f"Shown: queries {rows[0]} to {rows[1] - 1} and keys {columns[0]} to {columns[1] - 1} of {n_tokens:,} tokens, "
        "around the pair."
    )


def numbers(
    trace: Trace,
    *,
    pos: int,
    key_pos: int | None,
    layer: int | None,
    head: int | None,
    stage: Stage,
    first: First,
    is_narrow: bool,
) -> Table:
    """The weights or scores around the pair. Raises: WeightsMissing, for value norms alone."""
    pair = chosen_pair(trace, pos, key_pos, layer, head)
    whole, names = staged(trace, pair.of, stage, first), token_names(trace.token_texts)
    n = N_DETAIL_NARROW if is_narrow else N_DETAIL
    rows, keys = (slice(*around(each, trace.n_tokens, n)) for each in (pair.pos, pair.key))
    axes = {"query": names[rows], "key": names[keys]}
    return Table(f"{whole.quantity}, {whole.where}", whole.values[rows, keys], axes)


PATTERN_DETAIL = Panel(
    name="pattern-detail",
    title="Around the pair",
    question="How much exactly do these tokens look at each other?",
    about=(
        Formula("attention"),
        "A part of One head with all of its labels and numbers, around the selected pair: the token that looks is its "
        "row, the one looked at its column. Click a cell, or use the arrow keys, to go to another pair.",
        "Source: Vaswani et al. 2017, equation 1.",
        "It does not show what lies further away; One head does.",
    ),
    reads=("pos", "key_pos", "layer", "head"),
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
