"""The panels of positions: how alike their embeddings are, their curve, their dimensions, their share of the sum."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from dashapp.analysis.embeddings import dimensions as measured_dimensions
from dashapp.analysis.embeddings import pca, similarity
from dashapp.analysis.positions import position_table, sum_parts
from dashapp.analysis.table import Table, columns, counted, token_names
from dashapp.errors import NotADimension
from dashapp.figures.embeddings import similarity_square
from dashapp.figures.numbers import percent
from dashapp.figures.positions import MOST_LINES, Dimensions, position_curve, position_lines, sum_bars
from dashapp.figures.theme import Frame
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel, TextKnob
from dashapp.panels.vector_similarity import Centre, limits
from dashapp.traces.record import Trace

N_LINES: Final = 4


def draw_likeness(trace: Trace, *, centre: Centre, frame: Frame) -> Drawn:
    """Each position of the model against each."""
    table = position_table(trace)
    found = similarity(table, centred=centre == "mean")
    figure = similarity_square(found, texts=[""] * len(table), frame=frame, of="position")
    figure.update_layout(meta={**figure.layout.meta, "n_tokens": trace.n_tokens})
    parts = [_all_positions(trace), limits(len(table), frame, of="position")]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def draw_curve(trace: Trace, *, dimensions: Dimensions, first: str, frame: Frame) -> Drawn:
    """Each position as a point of a curve."""
    table = position_table(trace)
    found = pca(table, n_components=int(dimensions), without_first=first == "out")
    figure = position_curve(
        found,
        n_tokens=trace.n_tokens,
        dimensions=dimensions,
        revision=f"{trace.fingerprint} {dimensions} {first}",
        frame=frame,
    )
    shares = " and ".join(percent(float(share)) for share in found.shares)
    said = f"The axes hold {shares} of the variance."
    if first == "out" and len(table) > 2:
        said += " They are those of all positions but the first, which is placed on them all the same."
    return Drawn(figure=figure, foot=f"{_all_positions(trace)} {said} Small points are behind the end of this text.")


def draw_lines(trace: Trace, *, shown: str, frame: Frame) -> Drawn:
    """Some dimensions over position."""
    table = position_table(trace)
    measured = measured_dimensions(table)
    if shown.strip():
        wanted = dimensions_of(shown, d_model=table.shape[1])
        said = "Shown: the dimensions you named."
    else:
        wanted = measured.by_variance[:N_LINES].tolist()
        said = "Shown: the dimensions that vary most over the positions."
    share = measured.variances[wanted].sum() / max(float(measured.variances.sum()), 1e-30)
    figure = position_lines(table, wanted, n_tokens=trace.n_tokens, frame=frame)
    return Drawn(
        figure=figure, foot=f"{_all_positions(trace)} {said} They hold {percent(float(share))} of the variance."
    )


def draw_shares(trace: Trace, *, frame: Frame) -> Drawn:
    """What token and position bring to each token's sum."""
    parts = sum_parts(trace)
    figure = sum_bars(parts, texts=trace.token_texts, frame=frame)
    share = percent(float(np.nanmean(parts.position_shares)))
    n_apart = int((parts.both < 0).sum())
    return Drawn(
        figure=figure,
        foot=(
            f"On average the positional embedding has {share} of the squared length that the two have by "
            f"themselves. For {n_apart:,} of {trace.n_tokens:,} tokens they point apart: then “both together” is "
            "below zero and shortens the sum."
        ),
    )


def dimensions_of(text: str, *, d_model: int) -> list[int]:
    """The dimensions that a line of text names, in its order, each once. Raises: NotADimension."""
    words = [word for word in re.split(r"[\s,;]+", text.strip()) if word]
    wrong = next((word for word in words if not re.fullmatch(r"\d{1,5}", word) or int(word) >= d_model), None)
    numbers = list(dict.fromkeys(int(word) for word in words)) if wrong is None else []
    if not numbers or len(numbers) > MOST_LINES:
        raise NotADimension(wrong or text.strip(), d_model, MOST_LINES)
    return numbers


def _all_positions(trace: Trace) -> str:
    return f"All {trace.config.n_ctx:,} positions of the model; this text fills {trace.n_tokens:,}."


def numbers_of_likeness(trace: Trace, *, centre: Centre) -> Table:
    """The cosine of every two positions."""
    values = similarity(position_table(trace), centred=centre == "mean").cosines
    places = counted(len(values))
    return Table("cosine of positional embeddings", values, {"position": places, "other position": places})


def numbers_of_curve(trace: Trace, *, dimensions: Dimensions, first: str) -> Table:
    """Where each position is on the curve."""
    points = pca(position_table(trace), n_components=int(dimensions), without_first=first == "out").points
    axes = {"position": counted(len(points)), "component": [str(i + 1) for i in range(points.shape[1])]}
    return Table("place of positional embeddings on their principal components", points, axes)


def numbers_of_lines(trace: Trace, *, shown: str) -> Table:
    """The chosen dimensions at every position. Raises: NotADimension."""
    table = position_table(trace)
    wanted = (
        dimensions_of(shown, d_model=table.shape[1])
        if shown.strip()
        else measured_dimensions(table).by_variance[:N_LINES].tolist()
    )
    axes = {"position": counted(len(table)), "dimension": [str(number) for number in wanted]}
    return Table("positional embeddings", table[:, wanted], axes)


def numbers_of_shares(trace: Trace) -> Table:
    """The three terms of each token's squared length."""
    parts = sum_parts(trace)
    measures = {"token ‖t‖²": parts.token, "position ‖p‖²": parts.position, "both together 2 t·p": parts.both}
    return columns("parts of the squared length ‖t + p‖²", "token", token_names(trace.token_texts), measures)


POSITION_LIKENESS = Panel(
    name="position-likeness",
    title="Likeness of positions",
    question="How alike are the embeddings of two positions, near and far?",
    about=(
        Formula("cosine"),
        "Every position has one vector of d_model numbers, a row of wpe, the same in every text. A broad bright "
        "diagonal says that near positions have near vectors: the model learned where things are from nothing but "
        "text. Stripes say that something repeats with the distance.",
        "Click a cell to select the token at the position of its row, if this text has one there.",
        "Sources: Radford et al. 2018; on what these vectors look like, Wang & Chen 2020, What Do Position Embeddings "
        "Learn?",
        "It does not show how the model uses positions: attention reads them through queries and keys.",
    ),
    marks="matrix",
    knobs=(Knob(name="centre", label="Cosine", options={"raw": "as it is", "mean": "without the mean"}),),
    draw=draw_likeness,
    numbers=numbers_of_likeness,
)

POSITION_CURVE = Panel(
    name="position-curve",
    title="Curve of positions",
    question="What shape do the positions have in the directions in which they vary most?",
    about=(
        Formula("pca"),
        "The points are joined in the order of the positions. In trained GPT-2s they make a helix: round and round in "
        "two directions and forward in a third. In three dimensions, turn it with the mouse or, with the figure in "
        "focus, with the arrow keys.",
        "Sources: Pearson 1901; Yedidia 2023, GPT-2's positional embedding matrix is a helix.",
        "It does not show the other dimensions: how much of the variance these hold stands at the axes.",
    ),
    marks="point",
    knobs=(
        Knob(name="dimensions", label="Components", options={"2": "two", "3": "three"}),
        Knob(name="first", label="Position 0", options={"in": "as the others", "out": "not for the axes"}),
    ),
    draw=draw_curve,
    numbers=numbers_of_curve,
)

POSITION_LINES = Panel(
    name="position-lines",
    title="Dimensions over position",
    question="How does one number of the positional embedding change along the text?",
    about=(
        Formula("embeddings"),
        f"Each line is one column of wpe. Name up to {MOST_LINES} dimensions, or see the {N_LINES} that vary most. "
        "Waves that fit together are what makes the curve above a helix.",
        "Source: Radford et al. 2018.",
        "It does not show that a dimension means something by itself: the model may use any direction.",
    ),
    marks="pos",
    knobs=(TextKnob(name="shown", label="Dimensions", example="0, 1, 2"),),
    draw=draw_lines,
    numbers=numbers_of_lines,
)

SUM_SHARES = Panel(
    name="sum-shares",
    title="Token and position in the sum",
    question="Whose share is larger in what enters layer 0: the token's or the position's?",
    about=(
        Formula("sum-parts"),
        "The squared length of the sum is that of the token's embedding t, plus that of the position's p, plus twice "
        "their dot product, which belongs to both: above zero where they point the same way, below where they point "
        "apart.",
        "Source: the law of cosines.",
        "It does not show which of the two matters more to the model: LayerNorm takes the length off before anything "
        "is read, and a short vector in the right direction can decide.",
    ),
    marks="pos",
    draw=draw_shares,
    numbers=numbers_of_shares,
    difference="token ‖t‖²",
)
