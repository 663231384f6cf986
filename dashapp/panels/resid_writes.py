"""The panels of what was written into the residual stream, and of the dimensions in which it is largest."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from dashapp.analysis.table import Table
from dashapp.analysis.writes import LargestDimensions, Writes, largest_dimensions, writes
from dashapp.figures.numbers import percent
from dashapp.figures.theme import Frame
from dashapp.figures.token_map import point_name
from dashapp.figures.tokens import plain_label
from dashapp.figures.writes import MEASURES, Colour, Measure, dimension_map, told, write_bars
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

Of = Literal["token", "mean"]

N_SHOWN: Final = 12
APART: Final = "Position 0, which in trained models behaves differently,"


def draw_writes(trace: Trace, *, pos: int | None, measure: Measure, of: Of, frame: Frame) -> Drawn:
    """Two bars a layer. pos: the selected token, None where means are drawn."""
    found = writes(trace)
    at = pos if of == "token" else None
    foot = f"{_whose(trace, at)} {_sums(found, measure, at)}"
    if at is None and trace.n_tokens > 1:
        foot += f" {APART} is in none of the means: there {_largest(found, measure, 0)}."
    return Drawn(figure=write_bars(found, at=at, measure=measure, frame=frame), foot=foot.replace(" -", " −"))


def draw_dimensions(trace: Trace, *, pos: int | None, of: Of, colour: Colour, frame: Frame) -> Drawn:
    """A row a dimension. pos: the selected token, None where means are drawn."""
    at = pos if of == "token" else None
    found = largest_dimensions(trace, at=at, n_shown=N_SHOWN)
    foot = f"{_whose(trace, at)} {_together(found, trace)}"
    if at is None and trace.n_tokens > 1:
        first = largest_dimensions(trace, at=0, n_shown=1)
        where = point_name(int(first.peaks[0]), first.values.shape[1])
        foot += (
            f" {APART} is in none of the means: there dimension {first.dimensions[0]} has "
            f"{percent(float(first.shares.max()))} of the squared length {where}."
        )
    return Drawn(figure=dimension_map(found, colour=colour, frame=frame), foot=foot.replace(" -", " −"))


def _whose(trace: Trace, at: int | None) -> str:
    if at is not None:
        apart = ", which in trained models behaves differently" if at == 0 else ""
        return f"Token {at} ‘{plain_label(trace.token_texts[at])}’{apart}."
    if trace.n_tokens == 1:
        return "There is one token, and it is position 0, which in trained models behaves differently."
    n_told = trace.n_tokens - 1
    return f"Mean over {'1 token' if n_told == 1 else f'{n_told:,} tokens'}."


def _sums(found: Writes, measure: Measure, at: int | None) -> str:
    values = told(found, measure, at)
    largest = _largest(found, measure, at)
    if measure != "share" or np.isnan(values).any():
        return f"{largest[0].upper()}{largest[1:]}."
    parts = {
        "the embeddings wrote": values[:1],
        "all attention": values[found.attention],
        "all MLPs": values[found.mlp],
    }
    shares = ", ".join(f"{name} {percent(float(part.sum()))}" for name, part in parts.items())
    return f"Of the last stream, {shares}: together {100 * values.sum():.4g}%. {largest[0].upper()}{largest[1:]}."


def _largest(found: Writes, measure: Measure, at: int | None) -> str:
    values = told(found, measure, at)
    part = int(np.nanargmax(np.abs(values[1:]))) + 1 if not np.isnan(values[1:]).all() else 1
    layer, is_mlp = (part - 1) // 2, part % 2 == 0
    value = percent(float(values[part])) if measure == "share" else f"{values[part]:.3g}"
    return f"{'the MLP' if is_mlp else 'attention'} of layer {layer} has most of all layers, {value}"


def _together(found: LargestDimensions, trace: Trace) -> str:
    peak = int(found.together.argmax())
    n_shown, d_model = len(found.dimensions), trace.config.d_model
    if n_shown == d_model:
        return f"All {d_model} dimensions."
    end = len(found.together) - 1
    then = "" if peak == end else f", and {percent(float(found.together[end]))} {point_name(end, end + 1)}"
    return (
        f"{n_shown} of {d_model:,} dimensions, {percent(n_shown / d_model)} of them, hold "
        f"{percent(float(found.together[peak]))} of the squared length {point_name(peak, end + 1)}{then}."
    )


def numbers_of_writes(trace: Trace, *, pos: int | None, measure: Measure, of: Of) -> Table:
    """What embeddings, attention and MLP of each layer wrote. pos: the selected token, None where means are drawn."""
    values = told(writes(trace), measure, pos if of == "token" else None)
    layers = [f"{part} of layer {layer}" for layer in range(trace.config.n_layer) for part in ("attention", "MLP")]
    return Table(MEASURES[measure], values, {"part": ["embeddings", *layers]})


def numbers_of_dimensions(trace: Trace, *, pos: int | None, of: Of, colour: Colour) -> Table:
    """The largest dimensions at every point. pos: the selected token, None where means are drawn."""
    found = largest_dimensions(trace, at=pos if of == "token" else None, n_shown=N_SHOWN)
    values = found.shares if colour == "share" else found.values
    points = [point_name(point, values.shape[1]) for point in range(values.shape[1])]
    quantity = "share of the squared length" if colour == "share" else "value of the residual stream"
    return Table(quantity, values, {"dimension": [str(number) for number in found.dimensions], "point": points})


_TOKENS: Final = Knob(
    name="of", label="Tokens", options={"token": "the selected one", "mean": "mean of all but the first"}
)

RESID_WRITES = Panel(
    name="resid-writes",
    title="Written by attention and by MLP",
    question="Which layers make the stream what it is in the end, by their attention or by their MLP?",
    about=(
        "The last stream r is the sum of what the embeddings, each attention and each MLP wrote, w. The part of w that "
        "lies along r, as a share of r, tells how much of r it is; all shares sum to 100%. A share below 0 was "
        "written against the direction in which the stream went in the end.",
        Formula("write-share"),
        "The length of w is what it wrote, in whatever direction. Its reach along the stream as it was says whether it "
        "made that longer or shorter: an MLP that takes away what attention wrote reaches below 0.",
        Formula("residual"),
        "Click a bar, or use the left and right arrow keys, to select its layer.",
        "Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits.",
        "It does not show what was written: long parts can cancel, and what little a layer writes can be what a later "
        "one reads. What a part does to one logit is direct logit attribution.",
    ),
    reads=("pos",),
    when={"pos": ("of", "token")},
    marks="layer",
    knobs=(
        Knob(name="measure", label="Bars", options={str(name): said for name, said in MEASURES.items()}),
        _TOKENS,
    ),
    draw=draw_writes,
    numbers=numbers_of_writes,
    difference="",
)

RESID_DIMENSIONS = Panel(
    name="resid-dimensions",
    title="Largest dimensions of the residual stream",
    question="In which few dimensions is most of the stream’s length, and from which layer on?",
    about=(
        "The stream is a vector of d = d_model numbers. Trained models put much of its length into a few of them, the "
        "same at nearly every token, and most of all at position 0. The share of dimension j in the squared length is",
        Formula("dimension-share"),
        "Dimensions are ordered by their largest share at any point, so that one which is large early is not hidden by "
        "the longer streams of later layers. The mean is that of the vectors, so it keeps what tokens have in common.",
        Formula("norm"),
        "Sources: Kovaleva et al. 2021, BERT Busters: Outlier Dimensions that Disrupt Transformers; Timkey & van "
        "Schijndel 2021, All Bark and No Bite.",
        "It does not show that such a dimension means something: LayerNorm's gain can make it small again before it is "
        "read, and the model may use any direction.",
    ),
    reads=("pos",),
    when={"pos": ("of", "token")},
    knobs=(
        _TOKENS,
        Knob(name="colour", label="Colours", options={"share": "share of the squared length", "value": "value"}),
    ),
    draw=draw_dimensions,
    numbers=numbers_of_dimensions,
    difference="",
)
