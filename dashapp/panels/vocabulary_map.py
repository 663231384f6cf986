"""The panel of the whole vocabulary on one map: PCA at once, UMAP when it has been computed for these weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np

from dashapp.analysis.layers import states_between_layers
from dashapp.analysis.table import Table, token_names
from dashapp.analysis.vocabulary import (
    VocabularyPCA,
    nearest_tokens,
    sum_of_tokens,
    token_embeddings,
    vocabulary_pca,
)
from dashapp.figures.numbers import percent
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.figures.vocabulary_map import Neighbours, signed, vocabulary_map
from dashapp.jobs.works import Work
from dashapp.model.tokenizer import token_text, token_texts
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel, TextKnob
from dashapp.panels.terms import token_of
from dashapp.panels.vector_map import by_umap
from dashapp.traces.record import Trace

Method = Literal["pca", "umap"]
States = Literal["hidden", "shown"]
Length = Literal["own", "token"]

N_NEAR: Final = 12
NOWHERE: Final = (
    "A UMAP map has no place for a vector that it was not made of, so the selected token’s states are shown on the "
    "PCA map alone."
)


def draw(
    trace: Trace,
    *,
    pos: int | None,
    target: int | None,
    method: Method,
    search: str,
    states: States,
    length: Length,
    n_neighbors: str,
    min_dist: str,
    metric: str,
    seed: str,
    frame: Frame,
    result: Mapping[str, np.ndarray] | None = None,
) -> Drawn:
    """A dot a token of the vocabulary. result: of the work below, None while it is not there. pos: for states alone."""
    token = token_of(search, d_vocab=trace.config.d_vocab) if search.strip() else target
    near = None if token is None else neighbours(trace, token)
    found = vocabulary_pca(trace)
    is_umap = method == "umap" and result is not None
    path = None
    if states == "shown" and not is_umap:
        assert pos is not None, "the selection has a token, and `when` says that it counts"
        path = found.place(states_of(trace, pos, length))
    if is_umap and result is not None:
        placed = by_umap(result["points"], n_neighbors=int(n_neighbors), min_dist=min_dist, metric=metric, seed=seed)
        points, axes, said = placed.points, placed.axes, placed.said
    else:
        points, axes, said = found.points, *_told(found)
    figure = vocabulary_map(
        points,
        prompt=trace.token_ids,
        texts=trace.token_texts,
        near=near,
        states=path,
        names=[] if near is None else [token_text(each) for each in (near.token, *near.ids.tolist())],
        axes=(axes[0], axes[1]),
        revision=f"{trace.fingerprint} {axes} {path is not None and length}",
        frame=frame,
    )
    parts = [
        "This is PCA, until UMAP is there: some minutes, once for these weights."
        if method == "umap" and not is_umap
        else "",
        f"{len(points):,} tokens. {said} Diamonds are tokens of this text.",
        _nearest(near),
        (NOWHERE if is_umap else _states(length)) if states == "shown" else "",
    ]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def work(
    trace: Trace, *, method: Method, n_neighbors: str, min_dist: str, metric: str, seed: str, **_others: Any
) -> Work | None:
    """The UMAP map, the same for all prompts of these weights, where one is wanted."""
    if method != "umap":
        return None
    settings = {"n_neighbors": int(n_neighbors), "min_dist": float(min_dist), "metric": metric, "seed": int(seed)}
    arguments = {**settings, "dtype": trace.dtype}
    return Work(kind="vocabulary", trace=trace.key, arguments=arguments, weights=trace.fingerprint)


def neighbours(trace: Trace, token: int) -> Neighbours:
    """The tokens whose embeddings point most the way of one token's, all without the mean of the vocabulary."""
    vector = sum_of_tokens(trace, [(1, token)], centred=True)
    found = nearest_tokens(trace, vector, N_NEAR + 1, centred=True)
    others = found.ids != token
    return Neighbours(token=token, ids=found.ids[others][:N_NEAR], cosines=found.cosines[others][:N_NEAR])


def states_of(trace: Trace, pos: int, length: Length) -> np.ndarray:
    """A token's states between layers, float64 [n_layer+1 d_model]; as long as token embeddings are on average, or not.

    Those that are scaled keep their direction: what is seen of them is which way they point among the tokens.
    """
    rows = states_between_layers(trace)[:, pos].astype(np.float64)
    if length == "own":
        return rows
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1) * token_embeddings(trace).lengths.mean()


def _told(found: VocabularyPCA) -> tuple[tuple[str, str], str]:
    """What stands at the axes of the PCA, and how much they hold."""
    first, second = (percent(float(share)) for share in found.shares)
    axes = (f"component 1 ({first} of the variance)", f"component 2 ({second})")
    return axes, f"The two axes hold {first} and {second} of the variance."


def _nearest(near: Neighbours | None) -> str:
    if near is None:
        return "Click a dot, or search a token, to see what is nearest to it."
    this = f"‘{plain_label(token_text(near.token))}’"
    if not len(near.ids):
        return f"{this} has no direction of its own, so nothing is nearest to it."
    told = [
        f"‘{plain_label(token_text(int(token)))}’ {signed(float(cosine))}"
        for token, cosine in zip(near.ids, near.cosines, strict=True)
    ]
    return f"Circles are nearest to {this} in all dimensions, by cosine without the mean: {', '.join(told)}."


def _states(length: Length) -> str:
    how = (
        "each scaled to the mean length of a token embedding, so that only its direction counts"
        if length == "token"
        else "as long as it is"
    )
    return f"The amber path is the selected token’s state, from what enters layer 0 to the last layer, {how}."


def numbers(trace: Trace, *, method: Method, result: Mapping[str, np.ndarray] | None) -> Table:
    """Where every token of the vocabulary is on the map. Raises: WeightsMissing."""
    is_umap = method == "umap" and result is not None
    points = result["points"] if is_umap and result is not None else vocabulary_pca(trace).points
    ids = np.arange(len(points))
    axes = {"token": token_names(token_texts(ids), numbers=ids), "UMAP" if is_umap else "component": ["1", "2"]}
    return Table("place on the map of the vocabulary", points, axes)


VOCABULARY_MAP = Panel(
    name="vocabulary-map",
    title="Map of the vocabulary",
    question="Where does each token of the vocabulary lie, and what is near it? Click one, or search one.",
    about=(
        "Every row of the token embeddings wte is a dot. PCA shows the two directions in which they vary most:",
        Formula("pca"),
        "UMAP looks for points in the plane that have the same near neighbours as the embeddings have. Neighbours are "
        "found exactly, by all distances or all angles; points begin at their principal components. It is computed "
        "once for these weights and kept with them.",
        Formula("umap"),
        "A clicked token becomes the target, which a square marks; a star and circles are a token and those nearest to "
        "it in all dimensions, which the map may show far apart. The selected token of the text has a ring. With the "
        "figure in focus arrow keys move it, + and − zoom, 0 shows all of it, Escape lets the target go.",
        "The selected token’s states can be placed among the embeddings by PCA: it is a projection, and has a place "
        "for every vector. States are not made to be compared with embeddings, though, and are longer: only into layer "
        "0 (token and position added up) and near the end (of what comes next) do they have to do with them. UMAP has "
        "no such place: a point is where its neighbours among those that it was made of have it.",
        "Sources: Pearson 1901, On Lines and Planes of Closest Fit; McInnes, Healy & Melville 2018, UMAP.",
        "It does not show all of the distances: of d_model dimensions two are left. On a UMAP map, the size of a group "
        "and how far groups are apart mean little, and its axes mean nothing.",
    ),
    reads=("pos", "target"),
    when={"pos": ("states", "shown")},
    marks="words",
    knobs=(
        Knob(name="method", label="Map", options={"pca": "PCA", "umap": "UMAP"}),
        TextKnob(name="search", label="Search a token", example="cat"),
        Knob(name="states", label="PCA: selected token’s states", options={"hidden": "not shown", "shown": "shown"}),
        Knob(name="length", label="States", options={"own": "as long as they are", "token": "at a token’s length"}),
        Knob(name="n_neighbors", label="UMAP: neighbours", options={"15": "15", "30": "30"}),
        Knob(name="min_dist", label="UMAP: minimum distance", options={"0.1": "0.1", "0.3": "0.3"}),
        Knob(name="metric", label="UMAP: metric", options={"cosine": "angle", "euclidean": "distance"}),
        Knob(name="seed", label="UMAP: seed", options={"0": "0", "1": "1"}),
    ),
    draw=draw,
    numbers=numbers,
    work=work,
    starts=True,
)
