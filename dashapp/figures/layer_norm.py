"""Figures of LayerNorm: mean and 1/σ at every norm, for one token or for all, and one vector on its way through one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from dashapp.analysis.layer_norm import Normed, NormStatistics
from dashapp.figures import plot
from dashapp.figures.activations import colour_limit
from dashapp.figures.theme import Frame, framed
from dashapp.figures.token_map import MOST_TALL, Axis, colour_bar, crop, token_axis, token_map

Statistic = Literal["mean", "scale"]

SAID: Final = {"mean": "mean μ", "scale": "1/σ"}
APART: Final = 0.2  # of a layer: how far its two norms stand from its middle
ROW: Final = 18
STEP_HEIGHT: Final = 150


def norm_name(norm: int, n_norm: int) -> str:
    """A norm in words: 'before attention of layer 0', 'before the MLP of layer 0', …, 'the final LayerNorm'."""
    layer, is_second = divmod(norm, 2)
    if norm == n_norm - 1:
        return "the final LayerNorm"
    return f"before {'the MLP' if is_second else 'attention'} of layer {layer}"


def statistic_lines(found: NormStatistics, *, pos: int, frame: Frame) -> plot.Figure:
    """One token's mean and 1/σ at every norm, layers along x: two norms a layer, and the final one after them."""
    means, scales = (values[:, pos].astype(np.float64) for values in (found.means, found.scales))
    n_norm, colours = len(means), frame.colours
    n_layer = n_norm // 2
    x = [norm // 2 + (APART if norm % 2 else -APART) for norm in range(n_norm - 1)] + [float(n_layer)]
    hovers = [
        f"{norm_name(norm, n_norm)}: mean {mean:.3g}, 1/σ {scale:.3g}, σ {1 / scale:.3g}".replace("-", "−")
        for norm, (mean, scale) in enumerate(zip(means.tolist(), scales.tolist(), strict=True))
    ]
    kinds = (
        ("before attention", slice(0, n_norm - 1, 2), colours.slot_a, "circle"),
        ("before the MLP", slice(1, n_norm - 1, 2), colours.slot_b, "square"),
        ("the final one", slice(n_norm - 1, n_norm), colours.ink, "diamond"),
    )
    traces: list[Any] = []
    for axis, values in (("y", means), ("y2", scales)):
        line = {"color": colours.hairline, "width": 2}
        traces.append(
            plot.Scatter(x=x, y=values, yaxis=axis, mode="lines", line=line, hoverinfo="skip", showlegend=False)
        )
        traces += [
            plot.Scatter(
                x=x[which],
                y=values[which],
                yaxis=axis,
                mode="markers",
                name=name,
                marker={"color": ink, "symbol": symbol, "size": 9},
                hovertext=hovers[which],
                hoverinfo="text",
                customdata=[norm // 2 if norm < n_norm - 1 else -1 for norm in range(n_norm)[which]],
                showlegend=axis == "y",
            )
            for name, which, ink, symbol in kinds
        ]
    summary = f"Mean and 1/σ of one token at {n_norm} LayerNorms."
    figure = framed(*traces, frame=frame, height=400, summary=summary)
    meta = {"summary": summary, "n_layer": n_layer, "shared": ["y", "y2"], "marks": "layer"}
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"}
    y2 = figure.layout.yaxis
    figure.update_layout(yaxis2=y2, meta=meta, showlegend=True, legend=legend, margin={"t": 40}, hovermode="closest")
    step = 1 if n_layer <= (10 if frame.is_narrow else 24) else 4
    places = [*range(0, n_layer, step), n_layer]
    figure.update_xaxes(
        title_text="layer",
        tickvals=places,
        ticktext=[*map(str, places[:-1]), "final"],
        range=[-0.5, n_layer + 0.5],
        anchor="y2",
        showgrid=False,
        zeroline=False,
    )
    low, high = min(0.0, float(means.min())), max(0.0, float(means.max()))
    room = 0.08 * max(high - low, 1e-6)
    logs = np.log10(scales)
    ticks = _round_numbers(scales)
    figure.update_layout(
        yaxis={
            "title_text": "mean μ",
            "domain": [0.55, 1],
            "range": [low - room, high + room],
            "zeroline": True,
            "zerolinecolor": colours.edge,
        },
        yaxis2={
            "title_text": "1/σ, logarithmic",
            "domain": [0, 0.45],
            "type": "log",
            "range": [float(logs.min()) - 0.1, float(logs.max()) + 0.1],
            "tickvals": ticks,
            "ticktext": [f"{tick:g}" for tick in ticks],
            "anchor": "x",
        },
    )
    return figure


def _round_numbers(values: np.ndarray) -> list[float]:
    """1, 2 and 5 times powers of ten around values: all of them, or the powers alone over more than three."""
    first, last = (int(np.floor(np.log10(edge))) for edge in (values.min(), values.max()))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    return [step * 10.0**power for power in range(first, last + 2) for step in steps]


def statistic_map(
    found: NormStatistics, *, statistic: Statistic, texts: Sequence[str], pos: int, revision: str, frame: Frame
) -> plot.Figure:
    """A row a norm, the first at the bottom, a column a token. Position 0 has no say in the reach of the colours.

    1/σ is coloured by its logarithm, for it falls by as much as the stream grows.
    """
    values = (found.means if statistic == "mean" else found.scales).astype(np.float64)
    n_norm, n_tokens = values.shape
    told = values[:, 1:] if n_tokens > 1 else values
    if statistic == "mean":
        limit = colour_limit(values)
        looks: dict[str, Any] = {"z": values, "zmin": -limit, "zmax": limit, "colorscale": frame.signed_scale}
        bar = colour_bar(SAID[statistic], frame)
    else:
        low, high = (float(np.log10(edge)) for edge in (told.min(), told.max()))
        looks = {"z": np.log10(values), "zmin": low, "zmax": max(high, low + 1e-6), "colorscale": frame.amount_scale}
        places = np.linspace(low, max(high, low + 1e-6), 5)
        ticks = {"tickvals": places, "ticktext": [f"{10**place:.2g}" for place in places]}
        bar = colour_bar(SAID[statistic], frame) | ticks
    looks["z"] = looks["z"].astype(np.float32)
    cells = plot.Heatmap(
        customdata=values.astype(np.float32),
        colorbar=bar,
        hovertemplate=f"%{{x}}, %{{y}}: {SAID[statistic]} %{{customdata:.3g}}<extra></extra>",
        **looks,
    )
    summary = f"{SAID[statistic]} of {n_tokens} tokens at {n_norm} LayerNorms."
    height = max(200, min(ROW * n_norm, 560))
    tokens, rows = token_axis(texts, frame), _norm_axis(n_norm)
    figure = token_map([cells], across=tokens, rows=rows, frame=frame, summary=summary, height=height)
    figure.update_layout(margin={"l": 84 if frame.is_narrow else 116}, meta={"summary": summary, "marks": "pos"})
    figure.update_yaxes(range=[-0.5, n_norm - 0.5])
    crop(figure, n_tokens=n_tokens, pos=pos, revision=revision, frame=frame)
    return figure


def _norm_axis(n_norm: int) -> Axis:
    """All norms, labelled as far as there is room."""
    names = [norm_name(norm, n_norm) for norm in range(n_norm)]
    beside = [f"{'MLP' if norm % 2 else 'attention'} {norm // 2}" for norm in range(n_norm - 1)] + ["final"]
    step = 2 * -(-n_norm // (2 * MOST_TALL)) if n_norm > MOST_TALL else 1
    places = list(range(0, n_norm, step))
    return Axis("", names, places, [beside[place] for place in places])


def norm_steps(found: Normed, *, frame: Frame) -> plot.Figure:
    """A vector before a norm, normalised, and after weight and bias, one above the other, dimensions along x.

    Dashed: the mean, and one σ above and below it.
    """
    colours, n_dimensions = frame.colours, len(found.before)
    x = np.arange(n_dimensions)
    steps = (
        ("y", "before", found.before, colours.amount, (found.mean, 1 / found.scale)),
        ("y2", "normalised", found.normed, colours.amount, (0.0, 1.0)),
        ("y3", "after γ and β", found.after, colours.slot_a, None),
    )
    hovers = _journeys(found)
    bars = [
        plot.Bar(
            x=x,
            y=values.astype(np.float32),
            yaxis=axis,
            width=1,
            marker={"color": ink, "line": {"width": 0}},
            hovertext=hovers,
            hoverinfo="text",
        )
        for axis, _name, values, ink, _spread in steps
    ]
    summary = f"The {n_dimensions} dimensions of a vector before a LayerNorm, normalised, and after weight and bias."
    figure = framed(*bars, frame=frame, height=3 * STEP_HEIGHT + 56, summary=summary)
    style = figure.layout.yaxis
    figure.update_layout(yaxis2=style, yaxis3=style, bargap=0)
    figure.update_xaxes(
        title_text="dimension", range=[-0.5, n_dimensions - 0.5], anchor="y3", showgrid=False, zeroline=False
    )
    tops = (1.0, 0.64, 0.28)
    for (axis, name, _values, _ink, spread), top in zip(steps, tops, strict=True):
        place = {"title_text": name, "domain": [top - 0.28, top], "zeroline": True, "nticks": 5, "anchor": "x"}
        figure.layout[f"yaxis{axis[1:]}"].update(place | {"zerolinecolor": colours.edge})
        if spread is not None:
            _dash(figure, axis, *spread, frame)
    return figure


def _journeys(found: Normed) -> list[str]:
    """Each dimension's way in words."""
    columns = np.stack([found.before, found.normed, found.gain, found.bias, found.after], axis=-1).tolist()
    return [
        f"dimension {dimension}: {before:.3g} before, {normed:.3g} normalised<br>"
        f"× {gain:.3g} + {bias:.3g} = {after:.3g} after".replace("-", "−").replace("+ −", "− ")
        for dimension, (before, normed, gain, bias, after) in enumerate(columns)
    ]


def _dash(figure: plot.Figure, axis: str, mean: float, spread: float, frame: Frame) -> None:
    line = {"color": frame.colours.ink, "width": 1, "dash": "dash"}
    for value in (mean - spread, mean, mean + spread):
        figure.add_shape(type="line", xref="paper", x0=0, x1=1, yref=axis, y0=value, y1=value, line=line)
