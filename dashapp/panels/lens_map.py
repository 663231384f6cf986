"""The panel of the logit lens of a whole text: one row at once, all of it when a job has computed it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal

import numpy as np

from dashapp.analysis.lens_map import LensMap, logprobs_of
from dashapp.analysis.logit_lens import Scale
from dashapp.analysis.table import MEASURE, Table, token_names
from dashapp.figures.lens_map import Colour, MapCells, lens_map_figure, point_places, span_around
from dashapp.figures.theme import Frame, Units, per_bit
from dashapp.figures.token_map import point_name
from dashapp.figures.tokens import label, plain_label
from dashapp.jobs.works import Work
from dashapp.model.tokenizer import token_text
from dashapp.panels.formulas import Formula
from dashapp.panels.logit_lens import SCALES
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

Span = Literal["around", "all"]

COLOURS: Final = {
    "top": "probability of the likeliest",
    "prob": "probability of the target",
    "logprob": "its logarithm",
    "rank": "place of the target",
    "entropy": "entropy",
    "kl": "KL to the output",
}
COLOUR: Final = Knob(name="colour", label="Colour", options=COLOURS)
OF_TARGET: Final = ("prob", "logprob", "rank")
IN_BITS: Final = ("logprob", "entropy", "kl")
FAVOURITE: Final = "the output’s favourite"


def draw(
    trace: Trace,
    *,
    pos: int,
    target: int | None,
    colour: Colour,
    scale: Scale,
    span: Span,
    frame: Frame,
    result: Mapping[str, np.ndarray] | None = None,
) -> Drawn:
    """The likeliest token at every point and token. result: of the work below, or the rows of it that are there."""
    found = LensMap.from_arrays(result) if result is not None else None
    cells = _cells(trace, found, colour, scale, target) if found else _last_row(trace)
    shown = span_around(trace.n_tokens, pos, frame) if span == "around" else (0, trace.n_tokens)
    ids = np.unique(cells.top_ids[:, slice(*shown)])
    figure = lens_map_figure(
        cells,
        names={int(token): token_text(int(token)) for token in ids if token >= 0},
        texts=trace.token_texts,
        span=shown,
        revision=f"{trace.key} {span}",
        frame=frame,
    )
    parts = [_progress(found), _target(target, colour), _settled(found), _left_out(trace, shown), _clicks()]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def work(
    trace: Trace,
    *,
    pos: int,  # noqa: ARG001  as draw has it
    target: int | None,
    colour: Colour,
    scale: Scale,
    span: Span,  # noqa: ARG001
) -> Work:
    """The lens of all tokens. Only ranks need to know the target while they are counted."""
    return Work(
        kind="lens", trace=trace.key, arguments={"scale": scale, "target": target if colour == "rank" else None}
    )


def _cells(trace: Trace, found: LensMap, colour: Colour, scale: Scale, target: int | None) -> MapCells:
    return MapCells(
        colour=colour,
        top_ids=found.top_ids,
        values=values_of(trace, found, colour, scale, target),
        ranks=found.ranks,
        settles_at=found.settles_at if found.n_missing == 0 else None,
        target=FAVOURITE if target is None else f"‘{label(token_text(target))}’",
        d_vocab=trace.config.d_vocab,
    )


def values_of(trace: Trace, found: LensMap, colour: Colour, scale: Scale, target: int | None) -> np.ndarray:
    """What colours show, [point pos]."""
    match colour:
        case "top":
            return np.exp(found.top_logprobs)
        case "prob" | "logprob":
            tokens = found.top_ids[-1] if target is None else np.full(trace.n_tokens, target)
            logprobs = logprobs_of(trace, found, tokens, scale=scale)
            return np.exp(logprobs) if colour == "prob" else logprobs / math.log(2)
        case "rank":
            return np.log10(np.where(found.ranks < 0, np.nan, found.ranks + 1))
        case "entropy":
            return found.entropy_bits
        case "kl":
            return found.kl_bits


def _last_row(trace: Trace) -> MapCells:
    """What the trace itself tells: the model's own predictions."""
    n_point = 2 * trace.config.n_layer + 1
    top_ids = np.full((n_point, trace.n_tokens), -1)
    values = np.full((n_point, trace.n_tokens), np.nan)
    top_ids[-1], values[-1] = trace.read("top_ids")[:, 0], np.exp(trace.read("top_logprobs")[:, 0])
    return MapCells(
        colour="top",
        top_ids=top_ids,
        values=values,
        ranks=None,
        settles_at=None,
        target=FAVOURITE,
        d_vocab=trace.config.d_vocab,
    )


def _progress(found: LensMap | None) -> str:
    if found is None:
        return "This is the last row, the model’s output by probability; the rows below it appear as they are computed."
    n_point = len(found.top_ids)
    return f"So far {n_point - found.n_missing} of {n_point} rows are computed." if found.n_missing else ""


def _target(target: int | None, colour: Colour) -> str:
    if colour not in OF_TARGET:
        return ""
    if target is None:
        return "No target is chosen: each token’s is its own likeliest next one at the output."
    return f"The target is ‘{plain_label(token_text(target))}’."


def _settled(found: LensMap | None) -> str:
    if found is None or found.n_missing:
        return ""
    n_point, n_tokens = found.top_ids.shape
    settles = found.settles_at
    middle = point_name(int(np.median(settles)), n_point)
    late = int((settles >= n_point - 2).sum())
    return (
        f"The line across each column is where its prediction settles: half of the tokens have settled by ‘{middle}’, "
        f"and {late:,} of {n_tokens:,} settle only within the last layer."
    )


def _left_out(trace: Trace, shown: tuple[int, int]) -> str:
    start, end = shown
    n_point = 2 * trace.config.n_layer + 1
    n_rows = len(point_places(n_point, end - start))
    said = f"{n_rows} of {n_point} points have a row. " if n_rows < n_point else ""
    if end - start < trace.n_tokens:
        said += f"Shown: tokens {start} to {end - 1} of {trace.n_tokens:,}; ‘the whole text’ shows all, without texts."
    return said.strip()


def _clicks() -> str:
    return "Click a cell to select its token, and once more to make its word the target."


def numbers(
    trace: Trace,
    *,
    target: int | None,
    colour: Colour,
    scale: Scale,
    units: Units,
    result: Mapping[str, np.ndarray],
) -> Table:
    """At every point and token: the likeliest token's id, and what the colours show."""
    found = LensMap.from_arrays(result)
    shown = values_of(trace, found, colour, scale, target)
    if colour in IN_BITS:
        shown = shown * per_bit(units)
    elif colour == "rank":
        shown = found.ranks + 1
    n_point = len(found.top_ids)
    axes = {
        MEASURE: ["id of the likeliest", measure_of({"colour": colour}, units)],
        "point": [point_name(point, n_point) for point in range(n_point)],
        "token": token_names(trace.token_texts),
    }
    return Table("logit lens", np.stack([found.top_ids, shown]), axes)


def measure_of(knobs: Mapping[str, str], units: Units) -> str:
    """What the colours show, as the table calls it."""
    colour = knobs["colour"]
    return f"{COLOURS[colour]} ({units})" if colour in IN_BITS else COLOURS[colour]


LENS_MAP = Panel(
    name="lens-map",
    title="Logit lens of the whole text",
    question="After each token, what would the model say at each point of the stream, and from where on does it stay?",
    about=(
        "Each column is the logit lens at one token: its states r, from the embeddings at the bottom to the last layer "
        "at the top, go through the final LayerNorm and the unembedding. In a cell stands the likeliest token. The top "
        "row is the model’s output.",
        Formula("logit-lens"),
        "Recomputed: μ and σ are those of the state itself. Frozen: σ is that of the last state.",
        "The target is the token that you chose, on this page or another; without one, each column has its own, the "
        "likeliest at the output. Place 1 is the likeliest token. KL is how far the output is from what stands in the "
        "cell:",
        Formula("kl"),
        "It is computed by a job from the output down, one point at a time and shown as it comes; all logits together "
        "would take gigabytes.",
        "Keyboard: with the figure in focus, the left and right arrows select tokens, Escape lets the target go.",
        "Source: nostalgebraist 2020, interpreting GPT: the logit lens.",
        "It does not show what the model holds at a point: what the unembedding cannot read may be there all the same.",
    ),
    reads=("pos", "target"),
    marks="lens",
    knobs=(
        COLOUR,
        Knob(name="scale", label="LayerNorm", options=SCALES),
        Knob(name="span", label="Tokens", options={"around": "around the selected one", "all": "the whole text"}),
    ),
    draw=draw,
    numbers=numbers,
    work=work,
    draws_parts=True,
    difference=measure_of,
)
