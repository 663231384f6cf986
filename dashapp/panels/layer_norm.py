"""The panels of LayerNorm: what every norm takes off the stream, and one vector on its way through one."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dashapp.analysis.layer_norm import Normed, norm_statistics, normed_vector
from dashapp.analysis.table import MEASURE, Table, columns, counted, token_names
from dashapp.figures.layer_norm import norm_name, norm_steps, statistic_lines, statistic_map
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.panels.formulas import Formula
from dashapp.panels.layers import layer_shown
from dashapp.panels.mlp_neurons import cropped
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

Shown = Literal["token", "scale", "mean"]
Which = Literal["attention", "mlp", "final"]


def draw_statistics(trace: Trace, *, pos: int, shown: Shown, frame: Frame) -> Drawn:
    """Mean and 1/σ of the selected token, or one of the two for all."""
    found = norm_statistics(trace)
    if shown == "token":
        figure = statistic_lines(found, pos=pos, frame=frame)
        scales = found.scales[:, pos]
        foot = (
            f"{_token(trace, pos)}. 1/σ goes from {scales[0]:.3g} before layer 0 to {scales[-1]:.3g} at the final "
            f"norm: a vector of length 1 written at the beginning is read {scales[0] / scales[-1]:.3g} times as "
            "strongly there as it would be at the end."
        )
        return Drawn(figure=figure, foot=foot)
    revision = f"{trace.key} {shown}"
    figure = statistic_map(found, statistic=shown, texts=trace.token_texts, pos=pos, revision=revision, frame=frame)
    values = found.scales if shown == "scale" else found.means
    first = "" if trace.n_tokens == 1 else _first_token(values, shown)
    return Drawn(figure=figure, foot=" ".join(part for part in (first, cropped(trace, pos, frame)) if part))


def draw_vector(trace: Trace, *, pos: int, layer: int | None, which: Which, frame: Frame) -> Drawn:
    """One token's vector before a norm, normalised, and after weight and bias."""
    if which == "final":
        why, norm = "", 2 * trace.config.n_layer
    else:
        shown, why = layer_shown(layer)
        norm = 2 * shown + (which == "mlp")
    found = normed_vector(trace, norm, pos)
    foot = f"{why}{_token(trace, pos)}, {norm_name(norm, 2 * trace.config.n_layer + 1)}: {_journey(found)}"
    return Drawn(figure=norm_steps(found, frame=frame), foot=foot.replace(" -", " −"))


def _token(trace: Trace, pos: int) -> str:
    apart = ", which in trained models behaves differently" if pos == 0 else ""
    return f"Token {pos} ‘{plain_label(trace.token_texts[pos])}’{apart}"


def _first_token(values: np.ndarray, shown: Shown) -> str:
    first, others = values[:, 0], values[:, 1:]
    if shown == "scale":
        said = f"its 1/σ falls to {first.min():.3g}, that of the others to {others.min():.3g}"
    else:
        said = f"its mean is up to {np.abs(first).max():.3g} away from 0, that of the others up to "
        said += f"{np.abs(others).max():.3g}"
    return f"Position 0, which in trained models behaves differently, has no say in the reach of the colours: {said}."


def _journey(found: Normed) -> str:
    largest, read = int(np.abs(found.before).argmax()), int(np.abs(found.after).argmax())
    return (
        f"mean {found.mean:.3g}, 1/σ {found.scale:.3g}. The largest value before is {found.before[largest]:.3g}, in "
        f"dimension {largest}, which becomes {found.after[largest]:.3g}; the largest after is {found.after[read]:.3g}, "
        f"in dimension {read}, which was {found.before[read]:.3g}. Normalised, it is "
        f"{np.linalg.norm(found.normed):.3g} long; √d is {len(found.before) ** 0.5:.3g}."
    )


def numbers_of_statistics(trace: Trace) -> Table:
    """Mean and 1/σ at every norm and token."""
    found = norm_statistics(trace)
    n_norm = len(found.means)
    axes = {
        MEASURE: ["mean", "1/σ"],
        "norm": [norm_name(norm, n_norm) for norm in range(n_norm)],
        "token": token_names(trace.token_texts),
    }
    return Table("LayerNorm", np.stack([found.means, found.scales]), axes)


def numbers_of_vector(trace: Trace, *, pos: int, layer: int | None, which: Which) -> Table:
    """The vector before the norm, normalised, and after weight and bias. Raises: WeightsMissing."""
    norm = 2 * trace.config.n_layer if which == "final" else 2 * layer_shown(layer)[0] + (which == "mlp")
    found = normed_vector(trace, norm, pos)
    measures = {name: getattr(found, name) for name in ("before", "normed", "gain", "bias", "after")}
    about = f"{token_names(trace.token_texts)[pos]} {norm_name(norm, 2 * trace.config.n_layer + 1)}"
    return columns(about, "dimension", counted(len(found.before)), measures)


NORM_STATISTICS = Panel(
    name="norm-statistics",
    title="LayerNorm at every layer",
    question="What does each LayerNorm take off the stream before attention or MLP read it?",
    about=(
        "Before anything reads the stream, LayerNorm takes the mean μ of its d components away and divides by their "
        "spread σ. There are two in each layer, one before attention and one before the MLP, and a final one before "
        "the unembedding.",
        Formula("layer-norm"),
        "As the stream grows longer, 1/σ falls: what a layer writes must be longer to be read as strongly. Shown is "
        "the 1/σ that the model itself computed, with ε. Its axis and colours are logarithmic.",
        "A click on a point selects its layer, as do the left and right arrow keys; in the map it selects the token.",
        "Source: Ba, Kiros & Hinton 2016, Layer Normalization, equations 3 and 4.",
        "It does not show weight and bias, which come after and are the same for all tokens: the panel below has them.",
    ),
    reads=("pos",),
    marks="layer",
    knobs=(
        Knob(
            name="shown",
            label="Shown",
            options={"token": "the selected token", "scale": "1/σ of every token", "mean": "mean of every token"},
        ),
    ),
    draw=draw_statistics,
    numbers=numbers_of_statistics,
    difference="1/σ",
)

NORM_VECTOR = Panel(
    name="norm-vector",
    title="One vector through a LayerNorm",
    question="What does one LayerNorm make of the selected token’s vector?",
    about=(
        "From above: the stream before the norm, the same without its mean and divided by its spread, and that times "
        "the weight γ plus the bias β, which is what is read. Dashed are the mean and one σ on either side of it.",
        Formula("layer-norm"),
        "A dimension that is far larger than all others decides σ nearly alone. The model can learn a small γ for it, "
        "and then little of it is read.",
        "Source: Ba, Kiros & Hinton 2016, Layer Normalization, equations 3 and 4.",
        "It does not show what is done with it: attention and MLP multiply it with matrices of their own.",
    ),
    reads=("pos", "layer"),
    knobs=(
        Knob(
            name="which",
            label="LayerNorm",
            options={"attention": "before attention", "mlp": "before the MLP", "final": "the final one"},
        ),
    ),
    draw=draw_vector,
    numbers=numbers_of_vector,
)
