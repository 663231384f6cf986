"""Two prompts side by side: their alignment, how far their expectations are apart, and panels with shared ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from dash import Input, Output, callback, no_update
from dash.exceptions import PreventUpdate

from dashapp import ids
from dashapp.analysis.alignment import NO_PINS, Alignment, Pins, align
from dashapp.analysis.divergence import Divergence, next_token_divergence
from dashapp.errors import AGAIN, BadPins, DashappError
from dashapp.figures.ranges import has_ranges, with_ranges_of_both
from dashapp.figures.theme import UNITS, Frame, Units
from dashapp.figures.tokens import plain_label
from dashapp.panels.panel import Drawn, Panel, draw, pins_of
from dashapp.panels.source import Source
from dashapp.traces.record import Trace

GONE: Final = f"What the model did with one of the prompts is no longer in the cache. {AGAIN}"
MOST_SAID = 6  # edits of an alignment in words
LEAST_BITS = 1e-6  # below it, rounding of float32 logits may be all there is


@callback(
    Output(ids.ALIGNMENT, "data"), Output(ids.PINS_REFUSED, "data"), Input(ids.PAIR, "data"), prevent_initial_call=True
)
def align_runs(pair: object) -> tuple[Any, Any]:
    """The alignment of the two slots' traces, as 60-compare.js reads it; None while there are no two.

    Edits of it that do not fit leave the alignment as it was, or without any where there was none; and why is told.
    """
    found = _traces(pair) if pair is not None else None
    if found is None or not isinstance(pair, dict):
        return None, no_update
    text = pair.get("pins", "")
    if not isinstance(text, str):
        raise PreventUpdate
    try:
        return _aligned(*found, Pins.read(text)), no_update
    except BadPins as error:
        said = {"pins": text, "says": str(error)}
        return no_update if pair.get("is_known") is True else _aligned(*found, NO_PINS), said


def _aligned(a: Trace, b: Trace, pins: Pins) -> dict[str, Any]:
    """Raises: BadPins."""
    aligned = align(a.token_ids, b.token_ids, pins)
    return {
        "a": a.key,
        "b": b.key,
        "pins": str(pins),
        "b_of_a": aligned.b_of_a.tolist(),
        "a_of_b": aligned.a_of_b.tolist(),
        "is_same": aligned.is_same.tolist(),
    }


@callback(
    Output(ids.COMPARE_TOKENS, "children"),
    Output(ids.COMPARE_EXPECTATIONS, "children"),
    Input(ids.COMPARED, "data"),
    Input(ids.UNITS, "data"),
    prevent_initial_call=True,
)
def tell_difference(compared: object, units: object) -> tuple[str, str]:
    """How much of the prompts is the same, and how far the expectations after the compared tokens are apart."""
    if not isinstance(compared, dict) or units not in UNITS:
        raise PreventUpdate
    found = _traces(compared)
    if found is None:
        return GONE, ""
    a, b = found
    places = _place(compared.get("pos_a"), a), _place(compared.get("pos_b"), b)
    try:
        pins = pins_of(compared, a, b)
    except ValueError as error:
        raise PreventUpdate from error
    tokens = f"{tokens_sentence(align(a.token_ids, b.token_ids, pins))} {edits_sentence(a, b, pins)}".strip()
    return tokens, expectations_sentence(a, b, *places, units=units)


def draw_beside(panel: Panel, drawn: Drawn, other: Trace, view: Mapping[str, Any]) -> Drawn:
    """What a panel shows, with the ranges that it and the same panel of the other slot need.

    view: of the panel in the other slot. Raises: ValueError as `draw`.
    """
    if not has_ranges(drawn.figure):
        return drawn
    try:
        others = draw(panel, other, view)
    except DashappError:  # the other slot says what it is
        return replace(drawn, foot=f"{drawn.foot} Its ranges are its own, for the other prompt cannot be drawn.")
    shared = with_ranges_of_both(drawn.figure, others.figure)
    reach = [f"±{high:.3g}" if low == -high else f"{high:.3g}" for low, high in shared.colours]
    said = f" Beside the other prompt, colours reach to {' and '.join(reach)}." if reach else ""
    return replace(drawn, figure=shared.figure, foot=drawn.foot + said)


# In words ------------------------------------------------------------------------------------------------------------


def tokens_sentence(aligned: Alignment) -> str:
    """How many tokens of two prompts stand for each other, and how many are alone."""
    n_a, n_b, n_aligned = len(aligned.b_of_a), len(aligned.a_of_b), aligned.n_aligned
    if aligned.n_same == n_a == n_b:
        return f"Both prompts have the same {_tokens(n_a)}."
    n_replaced = n_aligned - aligned.n_same
    pairs = f"Aligned: {n_aligned:,} of {_tokens(n_a)} of a, {n_aligned:,} of {n_b:,} of b."
    alone = [f"{n - n_aligned:,} of {slot}" for slot, n in (("a", n_a), ("b", n_b)) if n > n_aligned]
    end = f"; without counterpart: {' and '.join(alone)}" if alone else ""
    return f"{pairs} The same in both: {aligned.n_same:,}; replaced by another token: {n_replaced:,}{end}."


def edits_sentence(a: Trace, b: Trace, pins: Pins) -> str:
    """What a person decided of the alignment, the first of many; nothing where there is none of it."""
    said = [f"{_named(a, i)} of a stands for {_named(b, j)} of b" for i, j in pins.pairs]
    for slot, trace, alone in (("a", a, pins.alone_a), ("b", b, pins.alone_b)):
        said += [f"{_named(trace, pos)} of {slot} stays alone" for pos in alone]
    more = f"; and {len(said) - MOST_SAID} more" if len(said) > MOST_SAID else ""
    return f"Edited by hand: {'; '.join(said[:MOST_SAID])}{more}." if said else ""


def expectations_sentence(a: Trace, b: Trace, pos_a: int | None, pos_b: int | None, *, units: Units = "bits") -> str:
    """How far apart the next-token distributions after two tokens are; or why that cannot be told."""
    if pos_a is None or pos_b is None:
        here, there = ("a", "b") if pos_b is None else ("b", "a")
        return (
            f"The selected token of {here} has no counterpart in {there}, so there are no two expectations to compare."
        )
    if a.config.d_vocab != b.config.d_vocab:
        return f"The models have {a.config.d_vocab:,} and {b.config.d_vocab:,} tokens: expectations cannot be compared."
    try:
        found = next_token_divergence(a, pos_a, b, pos_b)
    except DashappError as error:
        return str(error)
    return f"After {_named(a, pos_a)} of a and {_named(b, pos_b)} of b: {_divergence_words(found, units)}"


def _divergence_words(found: Divergence, units: Units) -> str:
    js, a_from_b, b_from_a = (told(value, units) for value in (found.js, found.a_from_b, found.b_from_a))
    most = told(1.0, units).partition(" ")[0]
    return (
        f"the two next-token distributions are {js} apart (Jensen–Shannon; 0 for equal ones, {most} for ones without a "
        f"common token). KL(a‖b) is {a_from_b}, KL(b‖a) {b_from_a}."
    )


def told(bits: float, units: Units = "bits") -> str:
    """A divergence with three significant digits; for what is as small as rounding no number is made up."""
    return Frame(theme="light", units=units).information(max(bits, LEAST_BITS))


def _named(trace: Trace, pos: int) -> str:
    return f"token {pos} ‘{plain_label(trace.token_texts[pos])}’"


def _tokens(n: int) -> str:
    return "1 token" if n == 1 else f"{n:,} tokens"


# What a browser sent -------------------------------------------------------------------------------------------------


def _traces(pair: object) -> tuple[Trace, Trace] | None:
    """The traces of both slots; None when one is not here."""
    if not isinstance(pair, dict):
        raise PreventUpdate
    a, b = (Source.here().trace(pair.get(slot)) for slot in ids.SLOTS)
    return None if a is None or b is None else (a, b)


def _place(pos: object, trace: Trace) -> int | None:
    """A position that a browser sent, None for none. Raises: PreventUpdate for one that no page of ours sends."""
    if pos is None:
        return None
    if isinstance(pos, bool) or not isinstance(pos, int) or not 0 <= pos < trace.n_tokens:
        raise PreventUpdate
    return pos
