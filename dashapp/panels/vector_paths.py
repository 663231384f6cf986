"""The panel of the paths that tokens take through the layers, in one basis for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np

from dashapp.analysis.layers import paths, states_between_layers
from dashapp.analysis.table import Table, token_names
from dashapp.figures.numbers import percent
from dashapp.figures.paths import path_map, state_names
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.jobs.works import Work
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

First = Literal["in", "out"]
Others = Literal["lines", "ends"]

UNTIL: Final = "Until the paths are there, this is the PCA of what enters layer 0 alone."


def draw(
    trace: Trace,
    *,
    pos: int,
    first: First,
    others: Others,
    frame: Frame,
    result: Mapping[str, np.ndarray] | None = None,
) -> Drawn:
    """A path a token. result: of the work below, None while it is not there."""
    without_first = leaves_out(trace, first)
    points, said = placed(trace, first, result)
    figure = path_map(
        points,
        texts=trace.token_texts,
        pos=pos,
        axes=(f"component 1 ({said[0]} of the variance)", f"component 2 ({said[1]})"),
        shows_others=others == "lines",
        revision=f"{trace.key} {first} {result is None}",
        frame=frame,
    )
    whose = f"The thick path is that of token {pos} ‘{plain_label(trace.token_texts[pos])}’, with layers by number."
    parts = [
        UNTIL if result is None else f"{whose} Marks stand where tokens leave the last layer.",
        f"The two axes hold {said[0]} and {said[1]} of the variance of all states shown.",
        "The first token is left out." if without_first else "",
        "So it has no path." if without_first and pos == 0 else "",
    ]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def work(trace: Trace, *, pos: int, first: First, others: Others) -> Work:  # noqa: ARG001  as draw has them
    """The paths: the same whichever token is selected."""
    return paths_work(trace, first)


def paths_work(trace: Trace, first: First) -> Work:
    """The states of all tokens in one basis."""
    return Work(kind="paths", trace=trace.key, arguments={"without_first": leaves_out(trace, first)})


def placed(trace: Trace, first: First, result: Mapping[str, np.ndarray] | None) -> tuple[np.ndarray, list[str]]:
    """Where tokens are, float [state pos 2], NaN for one that is left out; and the variance of each axis in words.

    result: of the paths' work; without one there is only what enters layer 0.
    """
    without_first = leaves_out(trace, first)
    if result is not None:
        points, shares = np.array(result["points"]), result["shares"]
    else:
        start = paths(states_between_layers(trace)[:1], without_first=without_first)
        points, shares = start.points.copy(), start.shares
    if without_first:
        points[:, 0] = np.nan
    return points, [percent(float(share)) for share in shares]


def leaves_out(trace: Trace, first: First) -> bool:
    """Whether the first token has no say in the basis, and no place."""
    return first == "out" and trace.n_tokens > 2


def numbers(trace: Trace, *, first: First, result: Mapping[str, np.ndarray]) -> Table:
    """Where every token is after each layer."""
    points = np.array(result["points"])
    if leaves_out(trace, first):
        points[:, 0] = np.nan
    axes = {"state": state_names(len(points)), "token": token_names(trace.token_texts), "component": ["1", "2"]}
    return Table("place on the plane of all states", points, axes)


VECTOR_PATHS = Panel(
    name="vector-paths",
    title="Paths through the layers",
    question="Which way does each token's state go from layer to layer? Click one to select it.",
    about=(
        "The residual stream of every token, as it enters layer 0 and leaves each layer, along the two directions in "
        "which all these states together vary most. It is one basis for all layers, so that points can be joined: "
        "the components of single layers turn against each other.",
        Formula("pca"),
        "States grow longer from layer to layer, so late ones decide the directions most. The first token is many "
        "times longer than the others in trained models: leave it out to see the others.",
        "Source: Pearson 1901, On Lines and Planes of Closest Fit.",
        "It does not show the other dimensions: how much of the variance is in these two stands at the axes. Paths "
        "that meet here may be far apart.",
    ),
    reads=("pos",),
    marks="point",
    knobs=(
        Knob(name="first", label="First token", options={"out": "left out", "in": "as the others"}),
        Knob(name="others", label="Other tokens", options={"lines": "their paths", "ends": "their ends"}),
    ),
    draw=draw,
    numbers=numbers,
    work=work,
)
