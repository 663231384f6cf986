"""The panel of the prompt's vectors as they are: a row a token, a column a dimension."""

from __future__ import annotations

import numpy as np

from dashapp.analysis.embeddings import Dimensions, dimensions, vectors
from dashapp.analysis.table import Table, counted, token_names
from dashapp.figures.embeddings import N_MARKED, Order, colour_limit, pooled, vector_rows
from dashapp.figures.numbers import percent
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.panels.vectors import VECTOR_NAMES, VECTORS, Which, chosen, state_of
from dashapp.traces.record import Trace


def draw(trace: Trace, *, layer: int | None, of: Which, order: Order, frame: Frame) -> Drawn:
    """Every value of the chosen vectors."""
    shown = chosen(of, layer)
    values = vectors(trace, shown.of)
    measured = dimensions(values)
    figure = vector_rows(values, measured, texts=trace.token_texts, order=order, frame=frame)
    parts = [shown.said, _largest(measured), _beyond(values, trace), _pooling(values, frame)]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def _largest(measured: Dimensions) -> str:
    named = ", ".join(f"{number} ({measured.sizes[number]:.3g})" for number in measured.largest(N_MARKED))
    return f"Marked: the largest dimensions by root mean square, {named}."


def _beyond(values: np.ndarray, trace: Trace) -> str:
    limit = colour_limit(values)
    n_beyond = int((np.abs(values) > limit).sum())
    if not n_beyond:
        return ""
    pos, number = np.unravel_index(int(np.abs(values).argmax()), values.shape)
    furthest = f"{values[pos, number]:.3g}".replace("-", "−")
    token = plain_label(trace.token_texts[int(pos)])
    return (
        f"Colours reach to ±{limit:.3g}; {percent(n_beyond / values.size)} of the values lie beyond, the furthest "
        f"at {furthest} (token {pos} ‘{token}’, dimension {number})."
    )


def _pooling(values: np.ndarray, frame: Frame) -> str:
    shown = pooled(values, frame)
    if shown.n_down == shown.n_across == 1:
        return ""
    cell = [f"{n} {what}" for n, what in ((shown.n_down, "tokens"), (shown.n_across, "dimensions")) if n > 1]
    return f"Too many to show each: a cell is {' × '.join(cell)} and has the value furthest from zero."


def numbers(trace: Trace, *, layer: int | None, of: Which) -> Table:
    """Every value of the chosen vectors, dimensions in their own order."""
    values = vectors(trace, state_of(of, layer))
    axes = {"token": token_names(trace.token_texts), "dimension": counted(values.shape[1])}
    return Table(VECTOR_NAMES[of], values, axes)


VECTOR_ROWS = Panel(
    name="vector-rows",
    title="Vectors",
    question="Which numbers stand for each token, and which dimensions are large?",
    about=(
        "The model turns each token into a vector of d_model numbers: a row of wte that the token has everywhere, plus "
        "a row of wpe that its position has in every text. Their sum enters layer 0; each layer adds to it, twice. A "
        "row here is one token's vector.",
        Formula("embeddings"),
        "A dimension's size is its root mean square over the tokens, √(mean of x²). Sizes and variances leave out the "
        "first token, which in trained models is many times longer than the others, unless there are one or two. The "
        "colours reach as far as 99.5% of the values, for a few dimensions are far larger than all others.",
        "Sources: Radford et al. 2018, Improving Language Understanding by Generative Pre-Training, equation 2; on "
        "dimensions that are large everywhere, Kovaleva et al. 2021, BERT Busters, and Timkey & van Schijndel 2021.",
        "It does not show what a dimension means: the model may use any direction, and single dimensions seldom stand "
        "for something. Every reader of the stream takes off the mean and divides by the spread first (LayerNorm).",
    ),
    reads=("layer",),
    marks="row",
    knobs=(
        VECTORS,
        Knob(name="order", label="Dimensions", options={"number": "as they are", "variance": "most variable first"}),
    ),
    draw=draw,
    numbers=numbers,
    difference="",
)
