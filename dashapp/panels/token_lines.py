"""The panel of one token's attention as lines between two columns of tokens, of one head or several."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from dashapp.analysis.attention import Direction, Head, looked_at_by, looks_at, token_attention
from dashapp.analysis.pairs import sources
from dashapp.analysis.table import Table, token_names
from dashapp.figures.attention import weight
from dashapp.figures.lines import HUES, HeadLines, least_drawn, name_of, token_lines
from dashapp.figures.theme import Frame
from dashapp.panels.formulas import Formula
from dashapp.panels.head_pattern import selected_head
from dashapp.panels.pair import named
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

Which = Literal["one", "layer", "strongest"]

MOST_LISTED: Final = 40  # tokens down a column that can be told apart
N_STRONGEST: Final = 4


def draw(
    trace: Trace,
    *,
    pos: int,
    layer: int | None,
    head: int | None,
    direction: Direction,
    which: Which,
    frame: Frame,
) -> Drawn:
    """Lines from or to the selected token, in the selected head, its layer, or the heads that look hardest."""
    of, said = chosen_heads(trace, pos, layer, head, which)
    rows = [weights_of(trace, pos, each, direction) for each in of]
    listed = listed_tokens(np.max(rows, axis=0), pos)
    heads = [HeadLines(of=each, weights=row[listed]) for each, row in zip(of, rows, strict=True)]
    figure = token_lines(heads, listed, pos=pos, direction=direction, texts=trace.token_texts, frame=frame)
    left = trace.n_tokens - len(listed)
    rest = max(float(np.delete(row, listed).sum()) for row in rows)
    many = f"{left:,} tokens are not listed; no head gives them more than {weight(rest)} together." if left else ""
    if direction == "looked_at_by" and left:
        many = f"{left:,} tokens are not listed: they look at {named(trace, pos)} less than those that are."
    thin = f"Lines are as thick as weights; those below {least_drawn(len(of)):g} are not drawn."
    return Drawn(figure=figure, foot=" ".join(part for part in (said, thin, many) if part))


def chosen_heads(
    trace: Trace, pos: int, layer: int | None, head: int | None, which: Which
) -> tuple[list[Head | None], str]:
    """The heads to draw, None for the mean of all, and why these."""
    selected = selected_head(layer, head)
    n_head, most = trace.config.n_head, len(HUES["light"])
    if which == "layer":
        at = 0 if layer is None else layer
        others = [Head(layer=at, head=each) for each in range(n_head)]
        first = [each for each in others if each == selected]
        shown = sorted(first + [each for each in others if each != selected][: most - len(first)], key=lambda h: h.head)
        why = f"No layer is selected. Shown: layer {at}." if layer is None else f"Layer {at}."
        left = f" {n_head - len(shown)} of its heads are not shown." if n_head > len(shown) else ""
        return list(shown), f"{why}{left}"
    if which == "strongest":
        found = sources(trace, pos, 4 * N_STRONGEST, is_first_out=pos > 0)
        shown = list(dict.fromkeys(source.of for source in found.strongest))[:N_STRONGEST]
        return list(shown), f"The heads that look hardest from {named(trace, pos)}, the first token left out."
    if selected is None:
        return [None], "No head is selected: the mean over all heads of all layers."
    return [selected], f"Layer {selected.layer}, head {selected.head}."


def listed_tokens(weights: np.ndarray, pos: int) -> np.ndarray:
    """The selected token and those with the largest weights [pos], in the order of the text: int64 [row]."""
    order = [int(each) for each in np.argsort(-weights, kind="stable") if each != pos]
    return np.sort(np.array([pos, *order[: MOST_LISTED - 1]]))


def weights_of(trace: Trace, pos: int, of: Head | None, direction: Direction) -> np.ndarray:
    """One token's weights in a head, or the mean over all: float64 [pos]."""
    if of is None:
        return token_attention(trace, pos, direction=direction, of=None).weights
    measure = looks_at if direction == "looks_at" else looked_at_by
    row: np.ndarray = measure(trace, of.layer, pos)[of.head]
    return row


def numbers(
    trace: Trace, *, pos: int, layer: int | None, head: int | None, direction: Direction, which: Which
) -> Table:
    """The weight of every token in each of the heads."""
    heads, _why = chosen_heads(trace, pos, layer, head, which)
    values = np.stack([weights_of(trace, pos, each, direction) for each in heads])
    names = token_names(trace.token_texts)
    verb = "from" if direction == "looks_at" else "to"
    return Table(f"attention {verb} {names[pos]}", values, {"head": [name_of(of) for of in heads], "token": names})


TOKEN_LINES = Panel(
    name="token-lines",
    title="Lines of a token",
    question="Where do the lines of the selected token go, in one head or in several?",
    about=(
        Formula("attention"),
        "On the left stands the token that looks, on the right those looked at; or the other way round, who looks at "
        "the selected token. A line is as thick as its weight. Several heads lie over each other in their colours; "
        "click a name above to hide or show one.",
        "Click a token on the right to make a pair. By keyboard: up and down go from token to token, right and left "
        "through what it looks at, the strongest first.",
        "Sources: Vaswani et al. 2017, equation 1; lines between columns as in Vig 2019, A Multiscale Visualization of "
        "Attention.",
        "It does not show the weights of other tokens: One head does.",
    ),
    reads=("pos", "layer", "head"),
    marks="lines",
    knobs=(
        Knob(name="direction", label="Token", options={"looks_at": "looks at", "looked_at_by": "is looked at by"}),
        Knob(
            name="which",
            label="Heads",
            options={"one": "the selected one", "layer": "its layer", "strongest": "the strongest here"},
        ),
    ),
    draw=draw,
    numbers=numbers,
)
