"""The panels of what differs inside two runs: attention by head, the residual stream, neurons."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from dashapp.analysis.alignment import NO_PINS, Pins, align
from dashapp.analysis.changes import aligned_pairs
from dashapp.analysis.inner_changes import (
    MOST_ROWS,
    At,
    AttentionChange,
    StreamChange,
    attention_change,
    neuron_change,
    stream_change,
)
from dashapp.analysis.table import Table, columns, counted, token_names
from dashapp.figures.attention import weight
from dashapp.figures.changes import Measure, stream_map
from dashapp.figures.heads import ScoreMap, score_maps
from dashapp.figures.neurons import neuron_bars
from dashapp.figures.theme import Frame, Units, per_bit
from dashapp.panels.formulas import Formula
from dashapp.panels.output_changes import left_out
from dashapp.panels.pair import named
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

Over = Literal["all", "token"]
Reach = Literal["fit", "whole"]

N_NEURONS: Final = 20


def draw_heads(
    a: Trace,
    *,
    other: Trace,
    pos: int | None,
    other_pos: int | None,
    over: Over,
    reach: Reach,
    frame: Frame,
    pins: Pins = NO_PINS,
) -> Drawn:
    """How differently every head looks. pos, other_pos: of no matter for the mean over tokens. Raises: OtherSizes."""
    aligned = align(a.token_ids, other.token_ids, pins)
    at = None if over == "all" or pos is None or other_pos is None else (pos, other_pos)
    found = attention_change(a, other, aligned_pairs(aligned), at=at)
    values = found.js_bits * frame.per_bit
    high = frame.per_bit if reach == "whole" else max(1e-6, float(values.max()))
    title = f"JS divergence of rows, {'mean over tokens' if over == 'all' else 'selected token'}"
    figure = score_maps([ScoreMap(title=title, values=values, unit=f" {frame.units}")], low=0, high=high, frame=frame)
    rows = f"Rows of {named(a, at[0])} of a and {named(other, at[1])} of b." if at else _rows(found)
    parts = [rows, _most(found, frame), f"Colours reach from 0 to {high:.3g} {frame.units}.", _alone(found)]
    return Drawn(figure=figure, foot=" ".join([*parts, other_weights(a, other)]).strip())


def draw_stream(a: Trace, *, other: Trace, at: At, measure: Measure, frame: Frame, pins: Pins = NO_PINS) -> Drawn:
    """How far the residual streams are apart at every layer and aligned token. Raises: OtherSizes."""
    aligned = align(a.token_ids, other.token_ids, pins)
    pairs = aligned_pairs(aligned)
    found = stream_change(a, other, pairs, at=at)
    figure = stream_map(found, aligned, measure=measure, texts=a.token_texts, frame=frame)
    parts = [_furthest(found, pairs, a), left_out(aligned), other_weights(a, other)]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def draw_neurons(a: Trace, *, other: Trace, pos: int, other_pos: int, frame: Frame) -> Drawn:
    """The neurons that move the stream most differently. Raises: OtherSizes, WeightsMissing."""
    found = neuron_change(a, pos, other, other_pos, n=N_NEURONS)
    places = [(int(layer), int(neuron)) for layer, neuron in found.places]
    said = [
        f"activation {_number(of_a)} in a, {_number(of_b)} in b"
        for of_a, of_b in zip(found.in_a, found.in_b, strict=True)
    ]
    summary = f"The {len(places)} neurons that differ most between a and b."
    title = "further along its row of W_out, a − b"
    figure = neuron_bars(places, found.moved, said, title=title, summary=summary, frame=frame)
    n_others = a.config.n_layer * a.config.d_mlp - len(places)
    rest = f" The strongest of {n_others:,} others differs by {found.left_out:.3g}." if n_others else ""
    where = f"At {named(a, pos)} of a and {named(other, other_pos)} of b."
    equal = " No neuron differs." if not found.moved.any() else ""
    return Drawn(figure=figure, foot=f"{where}{equal}{rest} {other_weights(a, other)}".strip())


def numbers_of_heads(
    a: Trace,
    *,
    other: Trace,
    pos: int | None,
    other_pos: int | None,
    over: Over,
    units: Units,
    pins: Pins = NO_PINS,
) -> Table:
    """How differently every head looks. Raises: OtherSizes."""
    at = None if over == "all" or pos is None or other_pos is None else (pos, other_pos)
    pairs = aligned_pairs(align(a.token_ids, other.token_ids, pins))
    values = attention_change(a, other, pairs, at=at).js_bits * per_bit(units)
    axes = {"layer": counted(len(values)), "head": counted(values.shape[1])}
    return Table(f"Jensen–Shannon divergence of rows of attention ({units})", values, axes)


def numbers_of_stream(a: Trace, *, other: Trace, at: At, measure: Measure, pins: Pins = NO_PINS) -> Table:
    """How far the streams are apart at every layer and token of a that has a counterpart. Raises: OtherSizes."""
    pairs = aligned_pairs(align(a.token_ids, other.token_ids, pins))
    found = stream_change(a, other, pairs, at=at)
    values = np.full((len(found.distances), a.n_tokens), np.nan)
    values[:, pairs[0]] = found.distances if measure == "distance" else found.cosines
    axes = {"layer": counted(len(values)), "token of a": token_names(a.token_texts)}
    return Table("relative distance" if measure == "distance" else "cosine", values, axes)


def numbers_of_neurons(a: Trace, *, other: Trace, pos: int, other_pos: int) -> Table:
    """The neurons shown: activations in both, and how much further each moves a. Raises: OtherSizes, WeightsMissing."""
    found = neuron_change(a, pos, other, other_pos, n=N_NEURONS)
    names = [f"layer {layer} neuron {neuron}" for layer, neuron in found.places]
    measures = {"activation in a": found.in_a, "activation in b": found.in_b, "moves further in a": found.moved}
    return columns("neurons that changed", "neuron", names, measures)


# In words ------------------------------------------------------------------------------------------------------------


def other_weights(a: Trace, b: Trace) -> str:
    """What must be said where two models are compared part by part."""
    if a.fingerprint == b.fingerprint:
        return ""
    return "The two have other weights, so a part of one need not do what the same part of the other does."


def _rows(found: AttentionChange) -> str:
    if found.n_rows == found.n_possible:
        n = found.n_rows
        return f"Mean over {'1 aligned token' if n == 1 else f'{n:,} aligned tokens'}, without the first."
    return f"Mean over {found.n_rows:,} of {found.n_possible:,} aligned tokens, evenly spread."


def _most(found: AttentionChange, frame: Frame) -> str:
    layer, head = np.unravel_index(int(found.js_bits.argmax()), found.js_bits.shape)
    most = float(found.js_bits[layer, head])
    if most == 0:
        return "No head looks differently."
    return f"Layer {layer}, head {head} changed most: {frame.information(most)}."


def _alone(found: AttentionChange) -> str:
    """How much weight the comparison leaves out."""
    of = {"a": found.alone_a, "b": found.alone_b}
    told = [
        f"{weight(float(alone.mean()))} of a row in {slot} on average and {weight(float(alone.max()))} at most"
        for slot, alone in of.items()
        if alone.max() > 1e-9
    ]
    return f"Weights on tokens without a counterpart are left out: {'; '.join(told)}." if told else ""


def _furthest(found: StreamChange, pairs: np.ndarray, a: Trace) -> str:
    distances = np.nan_to_num(found.distances)
    layer, pair = np.unravel_index(int(distances.argmax()), distances.shape)
    if distances[layer, pair] == 0:
        return "The streams are equal everywhere."
    first = np.flatnonzero(distances.max(axis=0) > LEAST)
    begins = f" They are equal before {named(a, int(pairs[0, first[0]]))}." if len(first) and first[0] > 0 else ""
    return (
        f"Furthest apart in layer {layer} at {named(a, int(pairs[0, pair]))}: relative distance "
        f"{distances[layer, pair]:.3g}, cosine {_number(float(found.cosines[layer, pair]))}.{begins}"
    )


LEAST: Final = 1e-4  # a relative distance that rounding in two runs of different lengths does not reach


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


_ALIGNED: Final = "Alignment pairs tokens by what they are and where they stand, not by the part they play."

CHANGED_HEADS: Final = Panel(
    name="changed-heads",
    title="Attention that changed",
    question="Which heads look somewhere else in b than in a? Click one.",
    about=(
        "A row of a head’s pattern is a distribution over the tokens it can look at. The two rows of a token and its "
        "counterpart are compared over the tokens that both prompts have, each row made to sum to 1 there; how much "
        "weight lay on other tokens is said below.",
        Formula("js"),
        "0: both look at the same tokens with the same weights. 1 bit, ln 2 nats: at nothing in common. The mean "
        f"leaves out the first token, which can only look at itself; of long prompts it takes {MOST_ROWS} tokens, "
        "evenly spread.",
        "Source: Lin 1991, Divergence measures based on the Shannon entropy.",
        f"It does not show whether it matters: a head may look elsewhere and write the same. {_ALIGNED}",
    ),
    reads=("pos", "pins"),
    when={"pos": ("over", "token")},
    marks="head",
    knobs=(
        Knob(name="over", label="Of", options={"all": "all aligned tokens", "token": "the selected token"}),
        Knob(name="reach", label="Colours", options={"fit": "to the largest", "whole": "to 1 bit"}),
    ),
    draw=draw_heads,
    numbers=numbers_of_heads,
    behind={"head-pattern": "One head"},
    pairs=True,
)

CHANGED_STREAM: Final = Panel(
    name="changed-stream",
    title="Streams that part",
    question="At which layers and tokens are the two residual streams no longer alike? Click a cell.",
    about=(
        "r is the residual stream of a at a token, s that of b at its counterpart. Relative distance is the length of "
        "r − s over the mean of both lengths: 0 for equal vectors, 2 for opposite ones. Cosine is 1 for vectors of one "
        "direction, whatever their lengths.",
        Formula("distance"),
        Formula("cosine"),
        "The deeper the colour, the further apart. A cell is before the layer, after its attention, or after its MLP; "
        "before the first token that differs the streams are equal. A click selects layer and token.",
        "Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, on the residual stream.",
        f"It does not show whether what differs is read by anything: few directions may matter. {_ALIGNED}",
    ),
    reads=("pins",),
    marks="layer_pos",
    knobs=(
        Knob(name="measure", label="Measure", options={"distance": "relative distance", "cosine": "cosine"}),
        Knob(
            name="at",
            label="Where",
            options={"pre": "into the layer", "mid": "after its attention", "post": "out of it"},
            start="post",
        ),
    ),
    draw=draw_stream,
    numbers=numbers_of_stream,
    behind={"resid-norms": "Length of the residual stream", "logit-lens": "Logit lens"},
    pairs=True,
)

CHANGED_NEURONS: Final = Panel(
    name="changed-neurons",
    title="Neurons that changed",
    question="Which neurons write more in one prompt than in the other, at the selected token? Click one.",
    about=(
        "A neuron adds its activation times its row of W_out to the stream. The bars say how much further along that "
        "row it goes in a than in b: the difference of the activations times the length of the row. All neurons of all "
        "layers are weighed; the strongest are drawn, blue where there is more in a.",
        Formula("mlp"),
        Formula("neuron-write"),
        "Source: Geva et al. 2021, Transformer Feed-Forward Layers Are Key-Value Memories.",
        "It does not show what the neurons’ writing does: later layers may not read it, and others may cancel it.",
    ),
    reads=("pos",),
    marks="neuron",
    draw=draw_neurons,
    numbers=numbers_of_neurons,
    behind={"neuron": "One neuron"},
    pairs=True,
)
