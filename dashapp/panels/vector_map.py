"""The panel of the prompt's vectors as points of a map: PCA at once, UMAP when it has been computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from dashapp.analysis.embeddings import pca, similarity, vectors
from dashapp.analysis.table import Table, token_names
from dashapp.figures.embeddings import Colouring, by_likeness, by_part, by_position, by_token, vector_map
from dashapp.figures.numbers import percent
from dashapp.figures.theme import Frame
from dashapp.jobs.works import Work
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.panels.vectors import VECTOR_NAMES, VECTORS, Which, chosen, state_of
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from dashapp.figures import plot

Method = Literal["pca", "pca3", "umap"]
Colour = Literal["position", "token", "part", "likeness"]
First = Literal["in", "out"]

METRICS: Final = {"euclidean": "distance between vectors", "cosine": "angle between vectors"}
SYMBOLS: Final = "Circles are of the prompt, diamonds were generated."
COLOURS: Final[dict[Colour, str]] = {
    "position": "Colours go from the first token to the last.",
    "token": "The same colour is the same token: those that repeat, most often first; what stands once has none.",
    "part": "Colours are those of the prompt and of what was generated.",
    "likeness": "Colours are the cosine with the selected token’s vector, without the mean of the tokens.",
}
FEWEST: Final = 5  # tokens for UMAP: of fewer every one is a neighbour of every other


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """points: float [pos 2] or [pos 3], NaN for a token that is not placed. axes: what stands at them.

    said: of this map.
    """

    points: np.ndarray
    axes: tuple[str, ...]
    said: str


def draw(
    trace: Trace,
    *,
    pos: int | None,
    layer: int | None,
    n_prompt: int,
    of: Which,
    method: Method,
    colour: Colour,
    first: First,
    n_neighbors: str,
    min_dist: str,
    metric: str,
    seed: str,
    frame: Frame,
    result: Mapping[str, np.ndarray] | None = None,
) -> Drawn:
    """A point a token. result: of the work below, None while it is not there. pos: for the colours by likeness."""
    shown = chosen(of, layer)
    values = vectors(trace, shown.of)
    is_umap = method == "umap" and result is not None
    placed = (
        by_umap(result["points"], n_neighbors=int(n_neighbors), min_dist=min_dist, metric=metric, seed=seed)
        if is_umap and result is not None
        else by_pca(values, n_components=3 if method == "pca3" else 2, without_first=first == "out")
    )
    figure = vector_map(
        placed.points,
        texts=trace.token_texts,
        n_prompt=n_prompt,
        axes=placed.axes,
        colouring=_colouring(trace, values, colour, pos=pos, n_prompt=n_prompt, frame=frame),
        revision=f"{trace.key} {shown.of} {placed.axes}",
        frame=frame,
    )
    waiting = "" if is_umap or method != "umap" else _instead_of_umap(trace.n_tokens)
    parts = [shown.said, waiting, placed.said, SYMBOLS, COLOURS[colour], _names_left_out(figure)]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def _colouring(
    trace: Trace, values: np.ndarray, colour: Colour, *, pos: int | None, n_prompt: int, frame: Frame
) -> Colouring:
    match colour:
        case "token":
            return by_token(trace.token_ids, frame)
        case "part":
            return by_part(trace.n_tokens, n_prompt, frame)
        case "likeness":
            assert pos is not None, "the selection has a token, and `when` says that it counts"
            return by_likeness(similarity(values, centred=True).cosines[pos], pos, frame)
    return by_position(trace.n_tokens, frame)


def work(
    trace: Trace,
    *,
    pos: int | None,  # noqa: ARG001  as draw has it
    layer: int | None,
    n_prompt: int,  # noqa: ARG001
    of: Which,
    method: Method,
    colour: Colour,  # noqa: ARG001
    first: First,  # noqa: ARG001
    n_neighbors: str,
    min_dist: str,
    metric: str,
    seed: str,
) -> Work | None:
    """The UMAP map, where one is wanted and there are enough tokens."""
    if method != "umap" or trace.n_tokens < FEWEST:
        return None
    settings = {"n_neighbors": int(n_neighbors), "min_dist": float(min_dist), "metric": metric, "seed": int(seed)}
    return Work(kind="umap", trace=trace.key, arguments={"of": state_of(of, layer), **settings})


def _instead_of_umap(n_tokens: int) -> str:
    if n_tokens >= FEWEST:
        return "This is PCA, until UMAP is there."
    have = "1 token" if n_tokens == 1 else f"{n_tokens} tokens"
    return f"UMAP needs at least {FEWEST} tokens and this text has {have}, so this is PCA."


def _names_left_out(figure: plot.Figure) -> str:
    names = [name for points in figure.data for name in points.text or ()]
    n_left_out = names.count("")
    return f"{n_left_out:,} of {len(names):,} names have no room and are told on hover." if n_left_out else ""


def by_pca(values: np.ndarray, *, n_components: int, without_first: bool) -> Placed:
    """The first principal components of vectors [pos d_model], two or three."""
    found = pca(values, n_components=n_components, without_first=without_first)
    is_first_out = without_first and len(values) > 2
    points = found.points.copy()
    if is_first_out:
        points[0] = np.nan
    shares = [percent(float(share)) for share in found.shares]
    *most, last = shares
    said = f"The {('two', 'three')[n_components - 2]} axes hold {', '.join(most)} and {last} of the variance."
    if not found.shares.any():
        said = "There is 1 vector, and nothing varies." if len(values) == 1 else "All vectors are equal."
    return Placed(
        points=points,
        axes=(
            f"component 1 ({shares[0]}{' of the variance' if n_components == 2 else ''})",  # a space has less room
            *(f"component {i} ({share})" for i, share in enumerate(shares[1:], start=2)),
        ),
        said=f"{said} The first token is left out." if is_first_out else said,
    )


def by_umap(points: np.ndarray, *, n_neighbors: int, min_dist: str, metric: str, seed: str) -> Placed:
    """What UMAP made of vectors with these settings: points [pos 2]."""
    most = len(points) - 1
    neighbours = f"{n_neighbors} neighbours" if n_neighbors <= most else f"all {most} other tokens as neighbours"
    said = (
        f"UMAP with {neighbours}, minimum distance {min_dist}, {METRICS[metric]}, seed {seed}. It keeps near ones "
        "together; how far groups are apart means little."
    )
    return Placed(points=points, axes=("UMAP 1 (no unit)", "UMAP 2 (no unit)"), said=said)


def numbers(
    trace: Trace,
    *,
    layer: int | None,
    of: Which,
    method: Method,
    first: First,
    result: Mapping[str, np.ndarray] | None,
) -> Table:
    """Where each token is on the map."""
    shown = vectors(trace, state_of(of, layer))
    if method == "umap" and result is not None:
        points, name = result["points"], "UMAP"
    else:
        placed = by_pca(shown, n_components=3 if method == "pca3" else 2, without_first=first == "out")
        points, name = placed.points, "component"
    axes = {"token": token_names(trace.token_texts), name: [str(i + 1) for i in range(points.shape[1])]}
    return Table(f"place on the map of {VECTOR_NAMES[of]}", points, axes)


VECTOR_MAP = Panel(
    name="vector-map",
    title="Map of tokens",
    question="Which tokens lie near each other? Click one to select it.",
    about=(
        "PCA turns the vectors so that the first axis runs along the direction in which they vary most, the second "
        "along the most variable of those at right angles to it: eigenvectors of the covariance. How much of the "
        "variance an axis holds stands beside it; what the others hold is not on the map. An axis has no sign of its "
        "own: each is turned so that its largest entry is positive.",
        Formula("pca"),
        "UMAP looks for points in the plane that have the same near neighbours as the vectors have. Neighbours: how "
        "many of them count; more show the whole, fewer show detail. Minimum distance: how close points may lie. It "
        "starts from chance, so the seed is part of the map. Other text, layer or seed: another map.",
        Formula("umap"),
        "In three dimensions, turn the map with the mouse or, with the figure in focus, with the arrow keys.",
        "The first token is many times longer than the others within the layers of trained models, and then the first "
        "axis says little else. Leave it out to see the others.",
        "Sources: Pearson 1901, On Lines and Planes of Closest Fit; McInnes, Healy & Melville 2018, UMAP.",
        "It does not show all of the distances: of d_model dimensions two are left. On a UMAP map, the size of a group "
        "and how far groups are apart mean little, and its axes mean nothing.",
    ),
    reads=("pos", "layer", "n_prompt"),
    when={"pos": ("colour", "likeness")},
    marks="point",
    knobs=(
        VECTORS,
        Knob(name="method", label="Map", options={"pca": "PCA", "pca3": "PCA in 3D", "umap": "UMAP"}),
        Knob(
            name="colour",
            label="Colour",
            options={
                "position": "position",
                "token": "token",
                "part": "part of the text",
                "likeness": "likeness to the selected token",
            },
        ),
        Knob(name="first", label="PCA: first token", options={"in": "as the others", "out": "left out"}),
        Knob(name="n_neighbors", label="UMAP: neighbours", options={"10": "10", "20": "20", "40": "40"}),
        Knob(name="min_dist", label="UMAP: minimum distance", options={"0.1": "0.1", "0.3": "0.3", "0.8": "0.8"}),
        Knob(name="metric", label="UMAP: metric", options={"euclidean": "distance", "cosine": "angle"}),
        Knob(name="seed", label="UMAP: seed", options={"0": "0", "1": "1", "2": "2"}),
    ),
    draw=draw,
    numbers=numbers,
    work=work,
)
