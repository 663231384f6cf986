"""Probabilities of a few next tokens in several runs, as bars beside each other.

Slot a is blue and plain, slot b orange and hatched, a run that was changed ink with a grid: colour is not the only
sign.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np

from dashapp.figures import plot
from dashapp.figures.numbers import percent, percent_label
from dashapp.figures.theme import MONO, Frame, framed
from dashapp.figures.tokens import label

Run = Literal["a", "b", "patched", "ablated"]
Scale = Literal["even", "log"]

BAR: Final = 15  # pixels of a bar
LEGEND: Final = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"}
NAMES: Final[dict[Run, str]] = {"a": "in a", "b": "in b", "patched": "patched", "ablated": "ablated"}


def probability_bars(
    ids: np.ndarray,
    probs: Mapping[Run, np.ndarray],
    *,
    texts: Sequence[str],
    scale: Scale = "even",
    frame: Frame,
) -> plot.Figure:
    """A bar a run and token. ids: int64 [token]; probs: float64 [token] of each run; texts: of the tokens."""
    names = [label(text) for text in texts]
    sentences = [f"‘{name}’ comes next with probability {_list_of(probs, place)}" for place, name in enumerate(names)]
    bars = [
        plot.Bar(
            x=values,
            y=list(range(len(names))),
            orientation="h",
            name=NAMES[run],
            marker=_look(run, frame),
            text=[percent_label(p) for p in values],
            textposition="outside",
            textangle=0,
            cliponaxis=False,
            hovertext=sentences,
            hoverinfo="text",
            customdata=[int(token) for token in ids],
        )
        for run, values in probs.items()
    ]
    n = len(names)
    summary = f"Probabilities of {n} next tokens; the first, ‘{names[0]}’, has {_list_of(probs, 0)}."
    height = (BAR * len(probs) + 6) * n + 96
    figure = framed(*bars, frame=frame, height=height, summary=summary)
    figure.update_layout(margin={"l": 136, "t": 40}, bargap=0.25, barmode="group", showlegend=True, legend=LEGEND)
    figure.update_xaxes(
        title_text="probability of coming next", **_axis(np.concatenate([*probs.values()]), scale, frame)
    )
    places = list(range(n))
    figure.update_yaxes(tickvals=places, ticktext=names, range=[n - 0.5, -0.5], showgrid=False, zeroline=False)
    figure.update_yaxes(tickfont_family=MONO)
    return figure


def _list_of(probs: Mapping[Run, np.ndarray], place: int) -> str:
    """'20% in a, 15% in b'."""
    return ", ".join(f"{percent(values[place])} {NAMES[run]}" for run, values in probs.items())


def _axis(probs: np.ndarray, scale: Scale, frame: Frame) -> dict[str, Any]:
    """An axis as long as the longest bar and its number; the logarithmic one begins at the next power of ten."""
    high = max(1e-6, float(probs.max()))
    if scale == "even":
        return {"range": [0, high * (1.28 if frame.is_narrow else 1.12)], "tickformat": "~%", "nticks": 6}
    low = math.floor(math.log10(max(float(probs.min()), 1e-30))) - 0.2
    room = (0.35 if frame.is_narrow else 0.12) * (math.log10(high) - low)
    step = max(1, math.ceil(-low / 6))
    return {"type": "log", "range": [low, math.log10(high) + room], "tickformat": ".0e", "dtick": step}


def _look(run: Run, frame: Frame) -> dict[str, Any]:
    colours = frame.colours
    if run == "a":
        return {"color": colours.slot_a, "line": {"width": 0}}
    colour, shape = (colours.slot_b, "/") if run == "b" else (colours.ink, "x")
    hatch = {"shape": shape, "fgcolor": colour, "bgcolor": colours.paper, "solidity": 0.5}
    return {"color": colour, "line": {"width": 1, "color": colour}, "pattern": hatch}
