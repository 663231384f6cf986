"""The panel of the residual stream's length at every point and token."""

from __future__ import annotations

import math

from dashapp.analysis.activations import ResidualNorms, residual_norms
from dashapp.analysis.table import Table, token_names
from dashapp.figures.activations import Against, norm_map
from dashapp.figures.theme import Frame
from dashapp.figures.token_map import point_name
from dashapp.panels.between_layers import BETWEEN_LAYERS
from dashapp.panels.formulas import Formula
from dashapp.panels.mlp_neurons import cropped
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace


def draw(trace: Trace, *, pos: int, against: Against, frame: Frame) -> Drawn:
    """A row a point of the stream, a column a token."""
    measured = residual_norms(trace)
    figure = norm_map(measured, texts=trace.token_texts, pos=pos, against=against, revision=trace.key, frame=frame)
    parts = [_growth(measured), _first_token(measured), cropped(trace, pos, frame)]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def _growth(measured: ResidualNorms) -> str:
    if math.isnan(measured.growth):
        return ""
    means = measured.norms[:, 1:].mean(axis=1)
    return (
        f"The stream enters layer 0 with a mean length of {means[0]:.3g} and leaves the last with {means[-1]:.3g}: "
        f"× {measured.growth:.3g} a layer."
    )


def _first_token(measured: ResidualNorms) -> str:
    largest = float(measured.norms[:, 0].max())
    if measured.norms.shape[1] == 1:
        return f"There is only position 0, which in trained models behaves differently. It grows to {largest:.3g}."
    others = float(measured.norms[:, 1:].max())
    return (
        f"Position 0, which in trained models behaves differently, grows to {largest:.3g}, the others to {others:.3g}. "
        f"It has colours of its own, from 0 to {largest:.3g}, and is in none of the means."
    )


def numbers(trace: Trace) -> Table:
    """The length at every point and token, which both colours come from."""
    norms = residual_norms(trace).norms
    points = [point_name(point, len(norms)) for point in range(len(norms))]
    return Table(
        "length of the residual stream (L2 norm)", norms, {"point": points, "token": token_names(trace.token_texts)}
    )


RESID_NORMS = Panel(
    name="resid-norms",
    title="Length of the residual stream",
    question="How much has been written about each token by each layer?",
    about=(
        "The residual stream is the vector r that all layers read from and add to. Drawn is its length at each token, "
        "over the d = d_model components.",
        Formula("norm"),
        Formula("residual"),
        "Rows go up as the model computes: into layer 0 are "
        "the embeddings, within a layer is after its attention and before its MLP, out of the last layer is what the "
        "final LayerNorm reads.",
        "In trained models it grows by about the same factor at each layer. The first token behaves differently: its "
        "vector becomes many times longer in the early layers and stays so, whatever the text.",
        "Source: Heimersheim & Turner 2023, Residual stream norms grow exponentially over the forward pass; Elhage et "
        "al. 2021, A Mathematical Framework for Transformer Circuits.",
        "It does not show in which direction was written: a layer can turn the vector and leave its length as it was; "
        f"the cosines between layers are in “{BETWEEN_LAYERS.title}”, on the page Embeddings. "
        "Every reader of the stream divides by its spread first (LayerNorm), so longer does not mean read more.",
    ),
    reads=("pos",),
    marks="pos",
    knobs=(
        Knob(
            name="against",
            label="Colours",
            options={"zero": "length", "others": "difference to the other tokens of the row"},
        ),
    ),
    draw=draw,
    numbers=numbers,
    difference="",
)
