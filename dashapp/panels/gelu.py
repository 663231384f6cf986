"""The panel of the GELU curve with a layer's neurons on it."""

from __future__ import annotations

from dashapp.analysis.activations import Of, pre_activations
from dashapp.analysis.table import Table, columns, counted, token_names
from dashapp.figures.activations import MOST_POINTS, Curve, gelu_curve
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.panels.formulas import Formula
from dashapp.panels.layers import layer_shown
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace


def draw(trace: Trace, *, pos: int, layer: int | None, neuron: int | None, of: Of, curve: Curve, frame: Frame) -> Drawn:
    """A point a neuron at the selected token, or a token for the selected neuron; or all counted together."""
    shown, why = layer_shown(layer)
    if of == "neuron" and neuron is None:
        why, neuron = f"{why}No neuron is selected: this is the first. ", 0
    measured = pre_activations(trace, layer=shown, pos=pos, neuron=neuron, of=of)
    text = trace.token_texts[pos]
    whose, counted = {
        "token": (f"Layer {shown} at token {pos} ‘{plain_label(text)}’", "neurons"),
        "neuron": (f"Layer {shown}, neuron {neuron}", "tokens"),
        "layer": (f"Layer {shown} at every token", "values"),
    }[of]
    foot = (
        f"{why}{whose}: of {len(measured.pre):,} {counted} {measured.n_flat:,} lie below "
        f"−3, where GELU gives almost 0, {measured.n_bent:,} between, and {measured.n_straight:,} above 3, where it "
        f"passes on almost all. {int((measured.pre < 0).sum()):,} are negative before GELU."
    )
    if len(measured.pre) > MOST_POINTS:
        foot += " They are counted below the curve; as points they would hide each other."
    return Drawn(figure=gelu_curve(measured, token=text, curve=curve, frame=frame), foot=foot)


def numbers(trace: Trace, *, pos: int, layer: int | None, neuron: int | None, of: Of) -> Table:
    """Values before and after GELU; of the whole layer, how many values lie in each piece of the curve."""
    shown, _why = layer_shown(layer)
    found = pre_activations(trace, layer=shown, pos=pos, neuron=neuron or 0 if of == "neuron" else neuron, of=of)
    names = token_names(trace.token_texts)
    if of == "layer":
        measures = {"from": found.edges[:-1], "to": found.edges[1:], "values": found.counts}
        return columns(f"layer {shown} before GELU", "bin", counted(len(found.counts)), measures)
    measures = {"before GELU": found.pre, "after GELU": found.post}
    if of == "token":
        return columns(f"layer {shown} at {names[pos]}", "neuron", counted(len(found.pre)), measures)
    return columns(f"layer {shown} neuron {neuron or 0}", "token", names, measures)


GELU = Panel(
    name="gelu",
    title="Neurons on the GELU curve",
    question="At the selected token, which neurons of a layer does GELU let through?",
    about=(
        "Each neuron adds up what it reads from the residual stream; the sum is its pre-activation x. GELU turns it "
        "into its activation. GPT-2 computes it with a tanh:",
        Formula("gelu-tanh"),
        "The exact form, with the normal distribution Φ, differs from it by less than 0.0005, as the difference shows:",
        Formula("gelu"),
        "Below −3 almost nothing passes, above 3 almost all of x.",
        "The numbers over the curve and the bars below it count neurons. The points are this prompt's, none is drawn "
        "at random.",
        "Source: Hendrycks & Gimpel 2016, Gaussian Error Linear Units, section 2.",
        "It does not show what a neuron reads, or what it writes when it is let through.",
    ),
    reads=("pos", "layer", "neuron"),
    knobs=(
        Knob(
            name="of",
            label="Points",
            options={
                "token": "the layer at the selected token",
                "neuron": "the selected neuron at every token",
                "layer": "the layer at every token",
            },
        ),
        Knob(
            name="curve",
            label="Curve",
            options={"forms": "both forms", "difference": "their difference", "slope": "derivative"},
        ),
    ),
    draw=draw,
    numbers=numbers,
    difference="after GELU",
)
