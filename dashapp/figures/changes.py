"""Figures of what differs between two prompts: surprisal token by token, and the residual stream.

Slot a is blue with circles, slot b orange with diamonds; a difference is a − b, blue where there is more in a.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np

from dashapp.analysis.alignment import NONE, Alignment
from dashapp.analysis.changes import SurprisalChange
from dashapp.analysis.inner_changes import StreamChange
from dashapp.analysis.lens_change import LensChange
from dashapp.figures import plot
from dashapp.figures.cells import bar_above
from dashapp.figures.numbers import percent
from dashapp.figures.patching import MapOf, crosses, label_cells
from dashapp.figures.probabilities import LEGEND
from dashapp.figures.theme import MONO, ColourScale, Frame, framed
from dashapp.figures.tokens import label, ticks

Slot = Literal["a", "b"]
Measure = Literal["distance", "cosine"]

MOST_JOINED: Final = 128  # points that lines join without hiding each other


def surprisal_lines(found: SurprisalChange, *, texts: tuple[Sequence[str], Sequence[str]], frame: Frame) -> plot.Figure:
    """Surprisal of the tokens of a and of their counterparts, and below it the difference; texts: of a and of b."""
    sentences = [_surprisal_sentence(found, pos, texts, frame) for pos in range(len(texts[0]))]
    is_pair = np.array([other != NONE for other in found.b_of_a])
    points = [_points("a", found, sentences, frame), _points("b", found, sentences, frame)]
    differences = np.nan_to_num(found.differences) * frame.per_bit
    bars = plot.Bar(
        x=np.arange(len(differences)),
        y=differences,
        yaxis="y2",
        marker={"color": [_colour(value, frame) for value in differences], "line": {"width": 0}},
        hovertext=sentences,
        hoverinfo="text",
        showlegend=False,
    )
    alone = np.flatnonzero(~is_pair)
    crosses = plot.Scatter(
        x=alone,
        y=np.zeros(len(alone)),
        yaxis="y2",
        mode="markers",
        marker={"symbol": "x-thin", "size": 8, "line": {"width": 1.5, "color": frame.colours.edge}},
        hovertext=[sentences[pos] for pos in alone],
        hoverinfo="text",
        showlegend=False,
    )
    summary = f"Surprisal of {int(is_pair.sum())} aligned tokens in a and b, and the difference."
    figure = framed(*points, bars, crosses, frame=frame, height=440, summary=summary)
    _part_surprisal(figure, texts[0], frame)
    figure.update_layout(meta={"summary": summary, "slot": "a"})
    return figure


def stream_map(
    found: StreamChange, aligned: Alignment, *, measure: Measure, texts: Sequence[str], frame: Frame
) -> plot.Figure:
    """How far the streams are apart, a row a layer, a column a token of a; the deeper a colour, the further apart.

    texts: of a. Tokens without a counterpart are crossed out.
    """
    pairs = np.flatnonzero(aligned.b_of_a != NONE)
    shape = (len(found.cosines), len(texts))
    cells, others = np.full(shape, np.nan), np.full(shape, np.nan)
    cells[:, pairs] = found.distances if measure == "distance" else found.cosines
    others[:, pairs] = found.cosines if measure == "distance" else found.distances
    shown = MapOf(
        rows="layer",
        texts=texts,
        slot="a",
        unit="relative distance" if measure == "distance" else "cosine",
        refused=np.flatnonzero(aligned.b_of_a == NONE).tolist(),
        so="",
    )
    ends = (0.0, max(1e-6, float(np.nanmax(cells, initial=0)))) if measure == "distance" else (_least(cells), 1.0)
    heat = plot.Heatmap(
        z=cells,
        customdata=others,
        zmin=ends[0],
        zmax=ends[1],
        colorscale=frame.amount_scale if measure == "distance" else _turned(frame.amount_scale),
        hovertemplate=_stream_sentence(measure),
    )
    summary = f"How far the residual streams are apart, by {shape[0]} layers and {shape[1]} tokens of a."
    return _layer_map(heat, shown, frame, summary)


def lens_change_map(
    found: LensChange | None,
    aligned: Alignment,
    *,
    n_layer: int,
    texts: Sequence[str],
    names: Mapping[int, str],
    frame: Frame,
) -> plot.Figure:
    """How far what the lens says is apart, a row a layer, a column a token of a; empty while nothing is known yet.

    texts: of a. names: of the tokens that are likeliest anywhere. Tokens without a counterpart are crossed out.
    """
    pairs = np.flatnonzero(aligned.b_of_a != NONE)
    shape = (n_layer, len(texts))
    cells, said = np.full(shape, np.nan), np.full(shape, "", dtype=object)
    if found is not None:
        cells[:, pairs] = found.js_bits * frame.per_bit
        said[:, pairs] = _lens_sentences(found, names)
    shown = MapOf(
        rows="layer",
        texts=texts,
        slot="a",
        unit=f"Jensen–Shannon, {frame.units}",
        refused=np.flatnonzero(aligned.b_of_a == NONE).tolist(),
        so="",
    )
    heat = plot.Heatmap(
        z=cells,
        text=said,
        zmin=0,
        zmax=max(1e-6, float(np.nanmax(cells, initial=0))),
        colorscale=frame.amount_scale,
        hovertemplate=f"after layer %{{y}}, token %{{x}}: %{{z:.3g}} {frame.units} apart<br>%{{text}}<extra></extra>",
    )
    summary = f"How far what the logit lens says is apart, by {shape[0]} layers and {shape[1]} tokens of a."
    return _layer_map(heat, shown, frame, summary)


def _lens_sentences(found: LensChange, names: Mapping[int, str]) -> np.ndarray:
    """What each prompt's lens says, str [layer pair]."""

    def of(slot: Slot, tops: np.ndarray, probs: np.ndarray) -> list[str]:
        return [
            f"{slot} ‘{label(names[int(top)])}’ {percent(float(prob))}"
            for top, prob in zip(tops.ravel(), probs.ravel(), strict=True)
        ]

    both = zip(of("a", found.top_a, found.prob_a), of("b", found.top_b, found.prob_b), strict=True)
    return np.array([", ".join(pair) for pair in both], dtype=object).reshape(found.top_a.shape)


def _layer_map(heat: plot.Heatmap, shown: MapOf, frame: Frame, summary: str) -> plot.Figure:
    """A heatmap of layers and tokens of a with its labels, gaps, crosses and cells."""
    shape = np.shape(heat.z)
    heat.update(xgap=1 if shape[1] <= 128 else 0, ygap=1, hoverongaps=False, colorbar=bar_above(0.4, frame))
    figure = framed(heat, frame=frame, height=100, summary=summary)  # the labels set the height
    if shown.refused:
        figure.add_trace(crosses(shown, shape[0], frame))
    label_cells(figure, shown, shape, frame)
    figure.update_layout(meta={"summary": summary, "cells": list(shape), "slot": "a"}, hovermode="closest")
    return figure


def _least(cells: np.ndarray) -> float:
    """The smallest cosine, and below 1 by something that can be told from it."""
    return min(float(np.nanmin(cells, initial=1)), 1 - 1e-6)


def _turned(scale: ColourScale) -> ColourScale:
    return [(1 - place, colour) for place, colour in scale[::-1]]


def _stream_sentence(measure: Measure) -> str:
    cosine, distance = ("%{customdata:.4f}", "%{z:.3g}") if measure == "distance" else ("%{z:.4f}", "%{customdata:.3g}")
    return f"layer %{{y}}, token %{{x}}: relative distance {distance}, cosine {cosine}<extra></extra>"


def _part_surprisal(figure: plot.Figure, texts: Sequence[str], frame: Frame) -> None:
    """Points above, differences below, the tokens of a under both."""
    places, names = ticks(texts, is_narrow=frame.is_narrow)
    n = max(len(texts), 8)
    figure.update_layout(yaxis2=figure.layout.yaxis, bargap=0.15, margin={"t": 40, "b": 88, "l": 64})
    figure.update_layout(showlegend=True, legend=LEGEND, hovermode="closest")
    figure.update_xaxes(tickvals=places, ticktext=names, tickangle=-60, tickfont={"family": MONO, "size": 12})
    figure.update_xaxes(range=[-0.5, n - 0.5], showgrid=False, zeroline=False, anchor="y2")
    figure.update_layout(
        yaxis={"title_text": f"surprisal ({frame.units})", "domain": [0.45, 1], "rangemode": "tozero", "nticks": 6},
        yaxis2={"title_text": f"a − b ({frame.units})", "domain": [0, 0.37], "anchor": "x", "nticks": 5},
    )
    reach = float(np.abs(figure.data[2].y).max(initial=1e-6)) * 1.1
    figure.update_layout(yaxis2={"range": [-reach, reach], "zeroline": True, "zerolinecolor": frame.colours.edge})


def _points(slot: Slot, found: SurprisalChange, sentences: Sequence[str], frame: Frame) -> plot.Scatter:
    """One prompt's surprisals; hollow where the other prompt has another token."""
    values = found.of_a if slot == "a" else found.of_b
    colours = frame.colours  # a is larger, so that it can be seen behind b where both are the same
    shape, colour, size = ("circle", colours.slot_a, 11) if slot == "a" else ("diamond", colours.slot_b, 7)
    is_short = len(values) <= MOST_JOINED
    is_replaced = (found.b_of_a != NONE) & ~found.is_same
    return plot.Scatter(
        x=np.arange(len(values)),
        y=values * frame.per_bit,
        mode="lines+markers" if is_short else "markers",
        line={"width": 1, "color": colour},
        marker={
            "size": size if is_short else size // 2,
            "symbol": [f"{shape}-open" if here else shape for here in is_replaced],
            "color": colour,
        },
        name=f"in {slot}",
        cliponaxis=False,
        hovertext=sentences,
        hoverinfo="text",
    )


def _colour(value: float, frame: Frame) -> str:
    """Of a difference a − b."""
    return frame.colours.slot_a if value >= 0 else frame.colours.slot_b


def _surprisal_sentence(
    found: SurprisalChange, pos: int, texts: tuple[Sequence[str], Sequence[str]], frame: Frame
) -> str:
    name = f"token {pos} ‘{label(texts[0][pos])}’ of a"
    other = int(found.b_of_a[pos])
    if other == NONE:
        return f"{name} has no counterpart in b"
    both = f"{name}: {_amount(found.of_a[pos], frame)}<br>token {other} ‘{label(texts[1][other])}’ of b: "
    both += _amount(found.of_b[pos], frame)
    more = float(found.differences[pos])
    if np.isnan(more) or more == 0:
        return both
    return f"{both}<br>{frame.information(abs(more))} more in {'a' if more > 0 else 'b'}"


def _amount(bits: float, frame: Frame) -> str:
    return "nothing stands before it" if np.isnan(bits) else frame.information(float(bits))
