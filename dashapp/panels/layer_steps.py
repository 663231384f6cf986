"""The panel of the tokens' states layer by layer: one map for all of them, stepped through or played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np

from dashapp.figures.paths import step_map
from dashapp.figures.theme import Frame
from dashapp.jobs.works import Work
from dashapp.panels import vector_paths
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.panels.vector_paths import First, leaves_out, numbers, placed
from dashapp.traces.record import Trace

Extent = Literal["each", "all"]

UNTIL: Final = "Until all layers are there, this is the PCA of what enters layer 0 alone."


def draw(
    trace: Trace,
    *,
    layer: int | None,
    first: First,
    extent: Extent,
    frame: Frame,
    result: Mapping[str, np.ndarray] | None = None,
) -> Drawn:
    """A dot a token, at what leaves the selected layer or enters the first. result: of the paths' work."""
    points, said = placed(trace, first, result)
    figure = step_map(
        points,
        at=0 if layer is None or result is None else layer + 1,
        texts=trace.token_texts,
        axes=(f"component 1 ({said[0]} of the variance)", f"component 2 ({said[1]})"),
        is_fitted=extent == "each",
        revision=f"{trace.key} {first} {extent} {layer} {result is None}",
        frame=frame,
    )
    parts = [
        UNTIL if result is None else "",
        f"One basis for all layers; its axes hold {said[0]} and {said[1]} of the variance of all states.",
        "Each layer is made to fill the map; how wide it is stands beside the buttons." if extent == "each" else "",
        "The first token is left out." if leaves_out(trace, first) else "",
    ]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def work(trace: Trace, *, first: First, **_others: Any) -> Work:
    """The paths, as the panel of paths asks for them."""
    return vector_paths.paths_work(trace, first)


LAYER_STEPS = Panel(
    name="layer-steps",
    title="Layer by layer",
    question="How do the tokens’ states move from layer to layer? Step, or play.",
    about=(
        "The residual stream of every token as it enters layer 0 and leaves each layer, on the two directions in which "
        "all these states together vary most: the basis of Paths through the layers.",
        Formula("pca"),
        "States grow from layer to layer, so with one extent for all layers the early ones lie close together; made "
        "to fill the map, what is seen is how they lie to each other, and a number says how wide that is.",
        "Back and Next go a layer at a time, as left and right arrow keys do with the figure in focus; Home and End go "
        "to the ends, the space bar plays. It never moves by itself, and where a system asks for less motion there is "
        "no Play and steps do not glide. A selected layer is where it starts.",
        "Source: Pearson 1901, On Lines and Planes of Closest Fit.",
        "It does not show the other dimensions, nor what happens within a layer.",
    ),
    reads=("layer",),
    marks="steps",
    knobs=(
        Knob(name="first", label="First token", options={"out": "left out", "in": "as the others"}),
        Knob(name="extent", label="Extent", options={"each": "each layer fills the map", "all": "one for all layers"}),
    ),
    draw=draw,
    numbers=numbers,
    work=work,
)
