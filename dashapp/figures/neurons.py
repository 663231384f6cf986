"""Figures of neurons: one on the GELU curve and in the vocabulary, the strongest by a logit, sparsity by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from dashapp.analysis.activations import gelu
from dashapp.analysis.neurons import Neuron, NeuronParts, Sparsity
from dashapp.figures import plot
from dashapp.figures.attribution import ADDED, signed
from dashapp.figures.numbers import percent_label
from dashapp.figures.theme import Frame, framed, room_for_numbers
from dashapp.figures.tokens import label

ROW: Final = 20  # pixels of a bar
LEFT: Final = 160  # of the names of neurons


def neuron_figure(shown: Neuron, *, texts: Sequence[str], names: Mapping[int, str], frame: Frame) -> plot.Figure:
    """A neuron's activation at every token on the GELU curve, and the tokens that it promotes and suppresses.

    texts: of the tokens of the text. names: id → text, of the vocabulary's tokens in `shown`.
    """
    colours = frame.colours
    low, high = min(-4.5, float(shown.pre.min()) - 0.3), max(4.5, float(shown.pre.max()) + 0.3)
    x = np.linspace(low, high, 300)
    line = {"color": colours.edge, "width": 2}
    curve = plot.Scatter(x=x, y=gelu(x), mode="lines", line=line, hoverinfo="skip", customdata=[])
    hovers = [
        f"token {pos} ‘{label(text)}’: {before:.3g} before GELU, {after:.3g} after; {signed(added)} nats"
        for pos, (text, before, after, added) in enumerate(
            zip(texts, shown.pre, shown.post, shown.added.tolist(), strict=True)
        )
    ]
    marker = {"color": colours.amount, "size": 8, "opacity": 0.6, "line": {"width": 0}}
    points = plot.Scatter(
        x=shown.pre.tolist(),  # as lists, like the places: the browser rings the selected one
        y=shown.post.tolist(),
        mode="markers",
        marker=marker,
        text=hovers,
        hoverinfo="text",
        customdata=list(range(len(texts))),
    )
    ids = [*shown.promoted.tolist(), *shown.suppressed.tolist()[::-1]]
    by = np.concatenate([shown.promoted_by, shown.suppressed_by[::-1]])
    bars = plot.Bar(
        x=by,
        y=list(range(len(ids))),
        orientation="h",
        xaxis="x2",
        yaxis="y2",
        marker={"color": [colours.slot_a if value >= 0 else colours.slot_b for value in by]},
        text=[label(names[token], longest=12) for token in ids],
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"‘{label(names[token])}’: {signed(float(value))}" for token, value in zip(ids, by, strict=True)],
        hoverinfo="text",
        customdata=[],
    )
    summary = f"Neuron {shown.neuron} of layer {shown.layer} at {len(texts)} tokens, and the tokens it writes for."
    figure = framed(curve, points, bars, frame=frame, height=(2 if frame.is_narrow else 1) * 440, summary=summary)
    style = figure.layout.xaxis, figure.layout.yaxis
    figure.update_layout(xaxis2=style[0], yaxis2=style[1], hovermode="closest", margin={"t": 24})
    reach = 1.6 * max(1e-6, float(np.abs(by).max()))  # with room for the words at the ends of the bars
    across, up = (
        (((0, 1), (0, 1)), ((0.58, 1), (0, 0.44))) if frame.is_narrow else (((0, 0.46), (0.56, 1)), ((0, 1),) * 2)
    )
    figure.update_layout(
        xaxis={"title_text": "pre-activation", "domain": across[0], "range": (low, high), "zeroline": True},
        yaxis={"title_text": "after GELU", "domain": up[0], "zeroline": True},
        xaxis2={"domain": across[1], "anchor": "y2", "range": (-reach, reach), "zeroline": True},
        yaxis2={
            "domain": up[1],
            "anchor": "x2",
            "range": (len(ids) - 0.5, -0.5),
            "showticklabels": False,
            "zeroline": False,
        },
    )
    figure.update_layout(xaxis2={"title_text": "raised or lowered, for an activation of 1"}, yaxis2={"showgrid": False})
    return figure


def strongest_bars(found: NeuronParts, *, n_shown: int, over: str, frame: Frame) -> plot.Figure:
    """A bar a neuron, those that add most to a logit difference first; over: the difference in words."""
    places = found.strongest(n_shown)
    values = np.array([found.added[place] for place in places])
    said = [f"{signed(float(value))} nats" for value in values]
    summary = f"The {len(places)} neurons that add most to {over}."
    return neuron_bars(places, values, said, title=ADDED, summary=summary, frame=frame)


def neuron_bars(
    places: Sequence[tuple[int, int]],
    values: np.ndarray,
    said: Sequence[str],
    *,
    title: str,
    summary: str,
    frame: Frame,
) -> plot.Figure:
    """A signed bar a neuron. places: layer and number of each; values: float64 [neuron]; said: of each, on hover.

    title: what the axis shows.
    """
    names = [f"layer {layer}, neuron {neuron}" for layer, neuron in places]
    colours = frame.colours
    bars = plot.Bar(
        x=values,
        y=list(range(len(values))),
        orientation="h",
        marker={"color": [colours.slot_a if value >= 0 else colours.slot_b for value in values]},
        text=[signed(float(value)) for value in values],
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{name}: {each}" for name, each in zip(names, said, strict=True)],
        hoverinfo="text",
        customdata=[list(place) for place in places],
    )
    figure = framed(bars, frame=frame, height=ROW * len(values) + 64, summary=summary)
    low, high = min(0.0, *values), max(1e-6, *values)
    figure.update_layout(margin={"l": LEFT}, bargap=0.2)
    reach = room_for_numbers(low, high, left=LEFT, frame=frame)
    figure.update_xaxes(title_text=title, range=reach, zeroline=True, nticks=4 if frame.is_narrow else 6)
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.5, -0.5], showgrid=False, zeroline=False
    )
    return figure


def sparsity_bars(found: Sparsity, frame: Frame) -> plot.Figure:
    """Two bars a layer: neurons above 0, and how many would hold as much; both as shares of the layer."""
    layers = list(range(len(found.active)))
    looks = (
        ("above 0 before GELU", found.active, {"color": frame.colours.amount}),
        (
            "effective number",
            found.few,
            {"color": frame.colours.paper, "line": {"color": frame.colours.ink, "width": 2}},
        ),
    )
    bars = [
        plot.Bar(
            x=layers,
            y=values,
            name=name,
            marker=marker,
            text=[percent_label(float(share)) for share in values],
            textposition="none",
            hovertemplate=f"layer %{{x}}: {name}, %{{text}} of its neurons<extra></extra>",
        )
        for name, values, marker in looks
    ]
    figure = framed(*bars, frame=frame, height=260, summary=f"How few neurons are at work, in {len(layers)} layers.")
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"}, margin={"t": 40}
    )
    figure.update_xaxes(title_text="layer", dtick=1 if len(layers) <= 24 else 4, showgrid=False, zeroline=False)
    figure.update_yaxes(title_text="share of neurons", tickformat="~%", rangemode="tozero")
    return figure
