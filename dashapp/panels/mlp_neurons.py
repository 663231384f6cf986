"""The panel of a layer's strongest neurons at every token."""

from __future__ import annotations

from typing import Final, Literal

from dashapp.analysis.activations import StrongestNeurons, strongest_neurons
from dashapp.analysis.table import Table, token_names
from dashapp.figures.activations import colour_limit, neuron_map
from dashapp.figures.theme import Frame
from dashapp.figures.token_map import window
from dashapp.panels.formulas import Formula
from dashapp.panels.layers import layer_shown
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

Order = Literal["prompt", "token"]

N_SHOWN: Final = 48  # rows with room for a neuron's number each
N_SHOWN_NARROW: Final = 32


def draw(trace: Trace, *, pos: int, layer: int | None, neuron: int | None, order: Order, frame: Frame) -> Drawn:
    """A row a neuron, a column a token; the selected neuron has one in any case."""
    shown, why = layer_shown(layer)
    strongest = strongest_neurons(
        trace,
        layer=shown,
        n_shown=N_SHOWN_NARROW if frame.is_narrow else N_SHOWN,
        at=pos if order == "token" else None,
        pinned=neuron if layer is not None else None,
    )
    figure = neuron_map(
        strongest, texts=trace.token_texts, pos=pos, revision=f"{trace.key} {shown} {order}", frame=frame
    )
    parts = [_left_out(strongest, trace), _pinned(strongest), _beyond(strongest, trace), cropped(trace, pos, frame)]
    return Drawn(figure=figure, foot=why + " ".join(part for part in parts if part))


def cropped(trace: Trace, pos: int, frame: Frame) -> str:
    """What a figure that shows only some of the tokens says of it."""
    start, end = window(trace.n_tokens, pos, frame)
    if end - start == trace.n_tokens:
        return ""
    return f"Shown: tokens {start} to {end - 1} of {trace.n_tokens:,}, around the selected one; a double tap shows all."


def _left_out(strongest: StrongestNeurons, trace: Trace) -> str:
    n_shown, d_mlp = len(strongest.neurons) - (strongest.pinned_place is not None), trace.config.d_mlp
    if not strongest.n_left_out:
        return f"All {n_shown} neurons of layer {strongest.layer}."
    return (
        f"The {n_shown} strongest of {d_mlp:,} neurons of layer {strongest.layer}; {strongest.n_left_out:,} "
        f"are left out, the strongest of them at {strongest.left_out_strength:.3g} where the first row has "
        f"{strongest.strengths[0]:.3g} (|activation| × output norm)."
    )


def _pinned(strongest: StrongestNeurons) -> str:
    if strongest.pinned_place is None:
        return ""
    return (
        f"Below them is the selected neuron {strongest.neurons[-1]}, in place {strongest.pinned_place + 1:,} with "
        f"{strongest.strengths[-1]:.3g}."
    )


def _beyond(strongest: StrongestNeurons, trace: Trace) -> str:
    if trace.n_tokens == 1:
        return ""
    limit = colour_limit(strongest.activations)
    largest = float(abs(strongest.activations[:, 0]).max())
    if largest <= limit:
        return "Position 0 has no say in the reach of the colours."
    return f"Colours reach to ±{limit:.3g}, without position 0, which goes to {largest:.3g}."


def numbers(trace: Trace, *, pos: int, layer: int | None, neuron: int | None, order: Order, is_narrow: bool) -> Table:
    """Activations after GELU of the neurons shown, at every token."""
    found = strongest_neurons(
        trace,
        layer=layer_shown(layer)[0],
        n_shown=N_SHOWN_NARROW if is_narrow else N_SHOWN,
        at=pos if order == "token" else None,
        pinned=neuron if layer is not None else None,
    )
    axes = {"neuron": [str(number) for number in found.neurons], "token": token_names(trace.token_texts)}
    return Table(f"activation after GELU, layer {found.layer}", found.activations, axes)


MLP_NEURONS = Panel(
    name="mlp-neurons",
    title="Strongest neurons of a layer",
    question="Which neurons write most into the residual stream, and at which tokens?",
    about=(
        Formula("mlp"),
        "A cell is a neuron's activation at a token, after GELU. The neuron then adds it times its row of W_out to the "
        "residual stream. So the rows are ordered by how far a neuron moves the stream: a large activation with a "
        "short row writes little. The order takes each neuron's largest value at any token, or its value at the "
        "selected one.",
        Formula("neuron-write"),
        "Position 0 behaves differently: often a few neurons are many times larger there than anywhere else, whatever "
        "the text. It is drawn, but neither the order over the whole prompt nor the colours follow it.",
        "Click a cell, or go to it with the arrow keys, to select neuron and token. The selected neuron keeps a row "
        "below the others when it is not one of the strongest.",
        "GELU never goes below −0.17, so what is strong is nearly always positive.",
        "Source: Geva et al. 2021, Transformer Feed-Forward Layers Are Key-Value Memories; Hendrycks & Gimpel 2016.",
        "It does not show what a neuron stands for: many take part in several unrelated things, and a long step in "
        "the stream may be cancelled by another.",
    ),
    reads=("pos", "layer", "neuron"),
    marks="neuron_pos",
    knobs=(
        Knob(name="order", label="Order by", options={"prompt": "largest at any token", "token": "the selected token"}),
    ),
    draw=draw,
    numbers=numbers,
    difference="",
)
