"""The panel of what the logit lens says differently in two prompts, at every layer and aligned token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from dashapp.analysis.alignment import NO_PINS, Pins, align
from dashapp.analysis.changes import aligned_pairs
from dashapp.analysis.lens_change import LensChange
from dashapp.analysis.logit_lens import Scale
from dashapp.analysis.table import MEASURE, Table, counted, token_names
from dashapp.figures.changes import lens_change_map
from dashapp.figures.numbers import percent
from dashapp.figures.theme import Frame, Units, per_bit
from dashapp.figures.tokens import plain_label
from dashapp.jobs.works import Work, pins_told
from dashapp.model.tokenizer import token_text
from dashapp.panels.formulas import Formula
from dashapp.panels.inner_changes import other_weights
from dashapp.panels.logit_lens import SCALES
from dashapp.panels.output_changes import left_out
from dashapp.panels.pair import named
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace


def work(a: Trace, *, other: Trace, scale: Scale, pins: Pins = NO_PINS) -> Work:
    """The lens of both prompts."""
    return Work(kind="lens-change", trace=a.key, arguments={"other": other.key, "scale": scale, **pins_told(pins)})


def draw(
    a: Trace,
    *,
    other: Trace,
    scale: Scale,  # noqa: ARG001  as work has it
    frame: Frame,
    pins: Pins = NO_PINS,
    result: Mapping[str, np.ndarray] | None = None,
) -> Drawn:
    """How far what the lens says is apart, by layer and token. result: of the work, None while it is not there."""
    aligned = align(a.token_ids, other.token_ids, pins)
    found = LensChange.from_arrays(result) if result is not None else None
    tops = np.unique([found.top_a, found.top_b]).tolist() if found else []
    figure = lens_change_map(
        found,
        aligned,
        n_layer=a.config.n_layer,
        texts=a.token_texts,
        names={top: token_text(top) for top in tops},
        frame=frame,
    )
    if found is None:
        return Drawn(figure=figure, foot="Being computed.")
    parts = [_most(found, aligned_pairs(aligned), (a, other), frame), left_out(aligned), other_weights(a, other)]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def numbers(a: Trace, *, other: Trace, units: Units, result: Mapping[str, np.ndarray], pins: Pins = NO_PINS) -> Table:
    """At every layer and token of a: the divergence, and of both prompts the likeliest token's id and probability."""
    found = LensChange.from_arrays(result)
    pairs = aligned_pairs(align(a.token_ids, other.token_ids, pins))
    measures = {f"Jensen–Shannon divergence ({units})": found.js_bits * per_bit(units)}
    measures |= {"id of the likeliest in a": found.top_a, "its probability in a": found.prob_a}
    measures |= {"id of the likeliest in b": found.top_b, "its probability in b": found.prob_b}
    values = np.full((len(measures), a.config.n_layer, a.n_tokens), np.nan)
    values[:, :, pairs[0]] = [*measures.values()]
    axes: dict[str, Any] = {MEASURE: [*measures], "after layer": counted(a.config.n_layer)}
    return Table("logit lens of both prompts", values, axes | {"token of a": token_names(a.token_texts)})


def _most(found: LensChange, pairs: np.ndarray, traces: tuple[Trace, Trace], frame: Frame) -> str:
    """Where the two are furthest apart, what each says there, and from which layer on they say different tokens."""
    layer, pair = (int(place) for place in np.unravel_index(int(found.js_bits.argmax()), found.js_bits.shape))
    if found.js_bits[layer, pair] == 0:
        return "The lens says the same everywhere."
    tops = ((found.top_a, found.prob_a), (found.top_b, found.prob_b))
    said = " and ".join(
        f"{slot} says ‘{plain_label(token_text(int(top[layer, pair])))}’ ({percent(float(prob[layer, pair]))})"
        for slot, (top, prob) in zip("ab", tops, strict=True)
    )
    where, apart = named(traces[0], int(pairs[0, pair])), frame.information(float(found.js_bits[layer, pair]))
    end = int((found.top_a[-1] != found.top_b[-1]).sum())
    n = found.js_bits.shape[1]
    return (
        f"Furthest apart after layer {layer} at {where}, {apart}: {said}. "
        f"After the last layer, {end:,} of {n:,} aligned tokens have another likeliest next token."
    )


LENS_CHANGE: Final = Panel(
    name="lens-change",
    title="Logit lens of a and b",
    question="From which layer on would the two prompts say something else? Click a cell.",
    about=(
        "The state of a token after each layer goes through the final LayerNorm and the unembedding, in both prompts; "
        "the two distributions over the whole vocabulary are compared.",
        Formula("logit-lens"),
        Formula("js"),
        "0: both say the same with the same probabilities. 1 bit, ln 2 nats: they have nothing in common. Recomputed: "
        "μ and σ are those of the state itself. Frozen: σ is that of the last state. Colours reach from 0 to the "
        "largest; a hover names the likeliest token of each prompt. A click selects layer and token.",
        "It is computed by a job, some tokens and one layer at a time.",
        "Sources: nostalgebraist 2020, interpreting GPT: the logit lens; Lin 1991.",
        "It does not show what the model holds at a layer: what the unembedding cannot read may be there all the same. "
        "Alignment pairs tokens by what they are and where they stand, not by the part they play.",
    ),
    reads=("pins",),
    marks="layer_pos",
    knobs=(Knob(name="scale", label="LayerNorm", options=SCALES),),
    draw=draw,
    numbers=numbers,
    work=work,
    behind={"logit-lens": "Logit lens", "lens-map": "Logit lens of the whole text"},
    pairs=True,
)
