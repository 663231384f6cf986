"""The panel of how alike the vectors of every two tokens are."""

from __future__ import annotations

import math
from typing import Literal

from dashapp.analysis.embeddings import Similarity, similarity, vectors
from dashapp.analysis.table import Table, token_names
from dashapp.figures.attention import tokens_a_cell
from dashapp.figures.embeddings import EXACT_BELOW, N_CROPPED, similarity_square
from dashapp.figures.theme import Frame
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.panels.vectors import VECTOR_NAMES, VECTORS, Which, chosen, state_of
from dashapp.traces.record import Trace

Centre = Literal["raw", "mean"]


def draw(trace: Trace, *, layer: int | None, of: Which, centre: Centre, frame: Frame) -> Drawn:
    """Each token against each."""
    shown = chosen(of, layer)
    found = similarity(vectors(trace, shown.of), centred=centre == "mean")
    figure = similarity_square(found, texts=trace.token_texts, frame=frame)
    parts = [shown.said, _mean(found, trace.n_tokens), _without(found, centre), limits(trace.n_tokens, frame)]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def _mean(found: Similarity, n_tokens: int) -> str:
    if math.isnan(found.mean):
        return ""
    who = "the two tokens" if n_tokens == 2 else "all pairs of tokens but those with the first"
    value = f"{found.mean:.3g}".replace("-", "−")
    return f"The mean cosine of {who} is {value}."


def _without(found: Similarity, centre: Centre) -> str:
    if not found.n_without:
        return ""
    whose = "1 token's vector" if found.n_without == 1 else f"{found.n_without:,} tokens' vectors"
    why = "equal to the mean, so nothing is left of a direction" if centre == "mean" else "zero and have no direction"
    return f"No cosine for {whose}: {why}."


def limits(n_tokens: int, frame: Frame, *, of: str = "token") -> str:
    """What a square of so many tokens leaves out. of: what they are called."""
    n_each = tokens_a_cell(n_tokens)
    cropped = (
        f"Cropped to {N_CROPPED * n_each} of {n_tokens:,} {of}s, around the selected one; a double tap shows all."
        if frame.is_narrow and n_tokens > N_CROPPED
        else ""
    )
    pooled = (
        f"Too many to show each: a cell is {n_each} × {n_each} {of}s and has the cosine furthest from 0; a click "
        f"selects the first {of} of its row."
        if n_each > 1
        else ""
    )
    is_exact = -(-n_tokens // n_each) < EXACT_BELOW
    rounded = "" if is_exact else "Angles are shown and told within half a degree; colours are their cosines."
    return " ".join(part for part in (cropped, pooled, rounded) if part)


def numbers(trace: Trace, *, layer: int | None, of: Which, centre: Centre) -> Table:
    """The cosine of every two tokens."""
    values = similarity(vectors(trace, state_of(of, layer)), centred=centre == "mean").cosines
    names = token_names(trace.token_texts)
    return Table(f"cosine of {VECTOR_NAMES[of]}", values, {"token": names, "other token": names})


VECTOR_SIMILARITY = Panel(
    name="vector-similarity",
    title="Likeness of tokens",
    question="Which tokens have vectors that point the same way?",
    about=(
        Formula("cosine"),
        "The cosine of the angle between two vectors is 1 when they point the same way, 0 at right angles, −1 when "
        "they are opposite. Lengths do not count. Every vector has 1 with itself, and the square is the same on both "
        "sides of its diagonal.",
        "Without the mean: the mean vector of the tokens, but for the first, is taken off before. A few dimensions "
        "that are large at every token make all vectors point much the same way; that part goes with the mean, and "
        "what tells the tokens apart is left.",
        "The amber row and column are the selected token's. Click a cell to select the token of its row.",
        "Sources: Ethayarajh 2019, How Contextual are Contextualized Word Representations?; Mu & Viswanath 2018, "
        "All-but-the-Top; Timkey & van Schijndel 2021, All Bark and No Bite.",
        "It does not show that the model treats two tokens alike: what it reads from a vector are some directions of "
        "it, and the cosine weighs all dimensions.",
    ),
    reads=("layer",),
    marks="matrix",
    knobs=(VECTORS, Knob(name="centre", label="Cosine", options={"raw": "as it is", "mean": "without the mean"})),
    draw=draw,
    numbers=numbers,
    difference="",
)
