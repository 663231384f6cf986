"""The panels of how what the model said differs between two prompts: the next token, and surprisal by token."""

from __future__ import annotations

from typing import Final

import numpy as np

from dashapp.analysis.alignment import NO_PINS, NONE, Alignment, Pins, align
from dashapp.analysis.changes import Choice, NextTokenChange, SurprisalChange, next_token_change, surprisal_change
from dashapp.analysis.table import Table, columns, token_names
from dashapp.figures.changes import surprisal_lines
from dashapp.figures.numbers import percent
from dashapp.figures.probabilities import Run, Scale, probability_bars
from dashapp.figures.theme import Frame, Units, per_bit
from dashapp.figures.tokens import plain_label
from dashapp.model.tokenizer import token_text, token_texts
from dashapp.panels.beside import told
from dashapp.panels.formulas import Formula
from dashapp.panels.pair import named
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

N_TOKENS: Final = 8  # that gain most, and as many that lose most


def draw_next(a: Trace, *, other: Trace, pos: int, other_pos: int, choice: Choice, scale: Scale, frame: Frame) -> Drawn:
    """Probabilities of the next tokens that tell the prompts apart. Raises: WeightsMissing, OtherSizes."""
    found = next_token_change(a, pos, other, other_pos, n=N_TOKENS, choice=choice)
    probs: dict[Run, np.ndarray] = {"a": found.in_a, "b": found.in_b}
    figure = probability_bars(found.ids, probs, texts=token_texts(found.ids), scale=scale, frame=frame)
    places = f"After {named(a, pos)} of a and {named(other, other_pos)} of b."
    return Drawn(figure=figure, foot=f"{places} {_favourites(found)} {_divergences(found, frame)} {_most(found)}")


def draw_surprisal(a: Trace, *, other: Trace, frame: Frame, pins: Pins = NO_PINS) -> Drawn:
    """Surprisal of aligned tokens in both prompts, and the difference."""
    aligned = align(a.token_ids, other.token_ids, pins)
    found = surprisal_change(a, other, aligned)
    figure = surprisal_lines(found, texts=(a.token_texts, other.token_texts), frame=frame)
    parts = [_means(found, frame), _furthest(found, a, frame), _replaced(aligned), left_out(aligned)]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def left_out(aligned: Alignment) -> str:
    """How many tokens a figure of aligned tokens leaves out, in words; nothing where there are none."""
    counts = {"a": int((aligned.b_of_a == NONE).sum()), "b": int((aligned.a_of_b == NONE).sum())}
    alone = " and ".join(f"{n:,} of {slot}" for slot, n in counts.items() if n)
    marks = "; those of a are marked ×" if counts["a"] else ""
    return f"Left out, for want of a counterpart: {alone}{marks}." if alone else ""


def numbers_of_next(a: Trace, *, other: Trace, pos: int, other_pos: int, choice: Choice) -> Table:
    """Probabilities of the tokens shown in both prompts. Raises: WeightsMissing, OtherSizes."""
    found = next_token_change(a, pos, other, other_pos, n=N_TOKENS, choice=choice)
    places = f"{token_names(a.token_texts)[pos]} of a, {token_names(other.token_texts)[other_pos]} of b"
    names = token_names(token_texts(found.ids), numbers=found.ids)
    return columns(f"probability after {places}", "token", names, {"a": found.in_a, "b": found.in_b})


def numbers_of_surprisal(a: Trace, *, other: Trace, units: Units, pins: Pins = NO_PINS) -> Table:
    """Surprisal of each token of a and of its counterpart in b, and the difference."""
    found = surprisal_change(a, other, align(a.token_ids, other.token_ids, pins))
    bits = {"a": found.of_a, "b": found.of_b, "a − b": found.differences}
    measures = {"position in b, −1 for none": found.b_of_a}
    measures |= {name: values * per_bit(units) for name, values in bits.items()}
    return columns(f"surprisal ({units})", "token of a", token_names(a.token_texts), measures)


# In words ------------------------------------------------------------------------------------------------------------


def _favourites(found: NextTokenChange) -> str:
    """What each prompt expects most, which differs little where both expect the same."""
    (of_a, in_a), (of_b, in_b) = found.favourites
    first, second = (f"‘{plain_label(token_text(token))}’" for token in (of_a, of_b))
    if of_a == of_b:
        return f"Both expect {first} most: {percent(in_a)} in a, {percent(in_b)} in b."
    return f"Likeliest is {first} in a, {percent(in_a)}, and {second} in b, {percent(in_b)}."


def _divergences(found: NextTokenChange, frame: Frame) -> str:
    js, a_from_b, b_from_a = (
        told(bits, frame.units) for bits in (found.apart.js, found.apart.a_from_b, found.apart.b_from_a)
    )
    return f"KL(a‖b) is {a_from_b}, KL(b‖a) {b_from_a}, Jensen–Shannon {js}."


def _most(found: NextTokenChange) -> str:
    if found.is_equal:
        return "The two distributions are equal; shown are the likeliest tokens."
    more = found.in_a - found.in_b
    ends = dict.fromkeys((int(more.argmax()), int(more.argmin())))
    told_of = [
        f"‘{plain_label(token_text(int(found.ids[place])))}’ has {percent(found.in_a[place])} in a and "
        f"{percent(found.in_b[place])} in b"
        for place in ends
    ]
    held = f"Shown are {percent(float(found.in_a.sum()))} of a and {percent(float(found.in_b.sum()))} of b."
    return f"Furthest apart: {'; '.join(told_of)}. {held}"


def _means(found: SurprisalChange, frame: Frame) -> str:
    both = ~np.isnan(found.differences)
    n = int(both.sum())
    if not n:
        return "No aligned token has anything before it in both prompts, so none has a surprisal in both."
    means = [frame.information(float(of[both].mean())) for of in (found.of_a, found.of_b)]
    tokens = "1 aligned token" if n == 1 else f"{n:,} aligned tokens"
    return f"Mean over {tokens}: {means[0]} in a, {means[1]} in b."


def _furthest(found: SurprisalChange, a: Trace, frame: Frame) -> str:
    """Where the largest difference is."""
    differences = np.nan_to_num(found.differences)
    pos = int(np.abs(differences).argmax())
    if differences[pos] == 0:
        return "No aligned token differs."
    slot, amount = "a" if differences[pos] > 0 else "b", frame.information(abs(float(differences[pos])))
    return f"The largest difference is at {named(a, pos)}: {amount} more in {slot}."


def _replaced(aligned: Alignment) -> str:
    n = aligned.n_aligned - aligned.n_same
    if not n:
        return ""
    what = "a token that b replaces by another" if n == 1 else f"the {n:,} tokens that b replaces by others"
    return f"Hollow points are of {what}."


SCALE: Final = Knob(name="scale", label="Scale", options={"even": "even", "log": "logarithmic"})

CHANGED_TOKENS: Final = Panel(
    name="changed-tokens",
    title="Next tokens in a and b",
    question="After the selected token and its counterpart, which next tokens tell the two prompts apart? Click one.",
    about=(
        "p and q are what the model expects after the two tokens, over the whole vocabulary, before temperature, top-k "
        "and top-p. Shown are the tokens whose probability is higher in a by most, from the top, and those higher in "
        "b, from the bottom up; or the likeliest of either. Blue is a, orange and hatched is b.",
        Formula("kl"),
        Formula("js"),
        "KL(a‖b) is what somebody loses a token who expects what b says while a is true. Formulas are in nats; bits "
        "are nats divided by ln 2.",
        "A clicked token becomes the target, on every page; the up and down arrow keys choose one too.",
        "Sources: Kullback & Leibler 1951; Lin 1991.",
        "It does not show which part of the model makes the difference, nor what follows after the next token.",
    ),
    reads=("pos",),
    marks="vocabulary",
    knobs=(
        Knob(name="choice", label="Tokens", options={"change": "that differ most", "likeliest": "likeliest in either"}),
        SCALE,
    ),
    draw=draw_next,
    numbers=numbers_of_next,
    behind={"next-tokens": "What comes next"},
    pairs=True,
)

CHANGED_SURPRISAL: Final = Panel(
    name="changed-surprisal",
    title="Surprisal in a and b",
    question="Which tokens did the model see coming in one prompt and not in the other?",
    about=(
        Formula("surprisal"),
        "Each token of a stands over its counterpart in b. Above are both surprisals, blue circles for a and orange "
        "diamonds for b; below is the difference, a − b, centred on zero: blue where the token surprised more in a. "
        "Where a token was replaced by another, the two surprisals are of different tokens; such points are hollow.",
        "Source: Shannon 1948, A Mathematical Theory of Communication.",
        "It does not show what was expected instead: select a token for that. Alignment knows what a token is and "
        "where it stands, not the part it plays.",
    ),
    reads=("pins",),
    marks="pos",
    draw=draw_surprisal,
    numbers=numbers_of_surprisal,
    behind={"surprisal": "Surprisal of each token"},
    pairs=True,
)
