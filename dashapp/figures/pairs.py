"""Figures of a pair of tokens: the strongest sources of one, why a head looks from one to the other, what it writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dashapp.analysis.pairs import Match, Sources, Writes
from dashapp.figures import plot
from dashapp.figures.attention import token_names, weight
from dashapp.figures.attribution import signed
from dashapp.figures.theme import MONO, Frame, framed, room_for_numbers
from dashapp.figures.tokens import label

ROW: Final = 22  # pixels of a bar
MOST_DIMENSIONS_TICKED: Final = 16


def source_rows(found: Sources, *, texts: Sequence[str], frame: Frame) -> plot.Figure:
    """A row a head and a token that it looks at, strongest first: bars as long as the weight, 0 to 1."""
    names = token_names(texts)
    rows = [f"{source.of.layer}.{source.of.head} → {names[source.key]}" for source in found.strongest]
    hover = [
        f"layer {source.of.layer}, head {source.of.head}:<br>token {names[found.pos]} looks at token "
        f"{names[source.key]}, {weight(source.weight)}"
        for source in found.strongest
    ]
    bars = plot.Bar(
        x=[source.weight for source in found.strongest],
        y=list(range(len(rows))),
        customdata=[[source.of.layer, source.of.head, source.key] for source in found.strongest],
        orientation="h",
        text=[weight(source.weight) for source in found.strongest],
        textposition="outside",
        cliponaxis=False,
        hovertext=hover,
        hoverinfo="text",
        marker={"color": frame.colours.amount, "line": {"width": 0}},
    )
    summary = f"The strongest weights of attention from token {names[found.pos]} over all heads."
    figure = framed(bars, frame=frame, height=ROW * max(1, len(rows)) + 64, summary=summary)
    figure.update_layout(margin={"l": 176, "r": 24}, bargap=0.25)
    figure.update_xaxes(title_text=f"attention of token {names[found.pos]}", range=[0, 1.18])
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=rows,
        tickfont={"family": MONO, "size": 12},
        range=[max(1, len(rows)) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    return figure


def match_bars(found: Match, *, order: np.ndarray, names: tuple[str, str], frame: Frame) -> plot.Figure:
    """Why a query looks at a key: a bar a dimension of the head, in an order, and below it both vectors."""
    colours = frame.colours
    dimensions = [str(int(dimension)) for dimension in order]
    products = found.products[order]
    hover = [
        f"dimension {dimension}: {signed(float(found.query[i]))} × {signed(float(found.key[i]))} / √d_head = "
        f"{signed(float(found.products[i]))}"
        for dimension, i in zip(dimensions, order, strict=True)
    ]
    bars = plot.Bar(
        x=np.arange(len(order)),
        y=products,
        hovertext=hover,
        hoverinfo="text",
        marker={"color": [colours.slot_a if value >= 0 else colours.slot_b for value in products]},
    )
    vectors = np.stack([found.query[order], found.key[order]])
    limit = max(1e-6, float(np.abs(vectors).max()))
    rows = plot.Heatmap(
        z=vectors,
        x=np.arange(len(order)),
        y=[0, 1],
        yaxis="y2",
        text=[hover, hover],
        hoverinfo="text",
        zmin=-limit,
        zmax=limit,
        colorscale=frame.signed_scale,
        showscale=False,
        xgap=1,
        ygap=2,
    )
    summary = f"How well the query of {names[0]} fits the key of {names[1]}, dimension by dimension."
    figure = framed(bars, rows, frame=frame, height=340, summary=summary)
    plain: dict[str, Any] = {"showgrid": False, "zeroline": False}
    step = max(1, len(order) // MOST_DIMENSIONS_TICKED)
    figure.update_layout(
        margin={"l": 64, "r": 8, "b": 56},
        bargap=0.15,
        yaxis2={
            **plain,
            "domain": [0, 0.2],
            "range": [1.5, -0.5],
            "tickvals": [0, 1],
            "ticktext": ["query", "key"],
            "tickfont": {"color": colours.ink},
        },
    )
    figure.update_xaxes(
        title_text="dimension of the head",
        range=[-0.5, len(order) - 0.5],
        tickvals=list(range(0, len(order), step)),
        ticktext=dimensions[::step],
        anchor="y2",
        **plain,
    )
    figure.update_layout(yaxis={"domain": [0.28, 1], "zeroline": True, "zerolinecolor": colours.edge})
    figure.update_layout(yaxis_title_text="part of the score")
    # The labels below belong to one part of the height: automatic margins would change it, and so themselves.
    return figure.update_xaxes(automargin=False).update_yaxes(automargin=False)


def write_bars(found: Writes, *, texts: tuple[Sequence[str], Sequence[str]], frame: Frame) -> plot.Figure:
    """What a head would promote and suppress: bars to the right and, below them, to the left. texts: of both lists."""
    colours = frame.colours
    values = np.concatenate([found.promoted_by, found.suppressed_by[::-1]])
    names = [f"‘{label(text)}’" for text in (*texts[0], *reversed(texts[1]))]
    told = [signed(float(value)) for value in values]
    bars = plot.Bar(
        x=values,
        y=list(range(len(values))),
        orientation="h",
        text=told,
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{name}: {value} nats over the mean" for name, value in zip(names, told, strict=True)],
        hoverinfo="text",
        marker={"color": [colours.slot_a if value >= 0 else colours.slot_b for value in values]},
    )
    summary = f"The {len(found.promoted)} tokens promoted and suppressed most by what the head would write."
    figure = framed(bars, frame=frame, height=ROW * len(values) + 64, summary=summary)
    low, high = min(0.0, float(values.min())), max(1e-6, float(values.max()))
    figure.update_layout(margin={"l": 136, "r": 16}, bargap=0.25)
    figure.update_xaxes(
        title_text="nats over the mean" if frame.is_narrow else "nats added to the logit, over the mean of all tokens",
        range=room_for_numbers(low, high, left=136, frame=frame),
        zeroline=True,
        zerolinecolor=colours.edge,
        nticks=6,
    )
    figure.update_yaxes(
        tickvals=list(range(len(values))),
        ticktext=names,
        tickfont={"family": MONO, "size": 12},
        range=[len(values) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    return figure
