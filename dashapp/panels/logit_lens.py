"""The panel of the logit lens at the selected token."""

from __future__ import annotations

from typing import Final

import numpy as np

from dashapp.analysis.logit_lens import Lens, Scale, favourite, lens_at
from dashapp.analysis.table import Table, columns, token_names
from dashapp.errors import DashappError
from dashapp.figures.logit_lens import MEASURES, Measure, lens_figure
from dashapp.figures.numbers import percent
from dashapp.figures.theme import Frame, Units, per_bit
from dashapp.figures.token_map import point_name
from dashapp.figures.tokens import plain_label
from dashapp.model.tokenizer import token_text
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel, TextKnob
from dashapp.panels.vocabulary import meant
from dashapp.traces.record import Trace

MOST_WRITTEN: Final = 5  # tokens that a person may write, each a line of its own
SCALES: Final = {"recomputed": "recomputed at each point", "frozen": "frozen, that of the last point"}


def draw(
    trace: Trace,
    *,
    pos: int,
    target: int | None,
    against: int | None,
    scale: Scale,
    measure: Measure,
    follow: str,
    frame: Frame,
) -> Drawn:
    """The likeliest tokens at every point, and a measure along the points."""
    followed, faults = followed_tokens(trace, pos, target, against, follow)
    lens = lens_at(trace, pos, scale=scale, follow=list(followed))
    shown = {int(token) for token in lens.top_ids.ravel()} | set(followed)
    figure = lens_figure(
        lens,
        names={token: token_text(token) for token in shown},
        followed=list(followed.values()),
        after=trace.token_texts[pos],
        measure=measure,
        frame=frame,
    )
    return Drawn(figure=figure, foot=" ".join([_foot(lens, trace, frame), *faults]))


def followed_tokens(
    trace: Trace, pos: int, target: int | None, against: int | None, follow: str
) -> tuple[dict[int, str], list[str]]:
    """The tokens that have a line, with why, the favourite first; and what is wrong with those that were written."""
    followed = {favourite(trace, pos): "favourite"}
    for token, role in ((target, "target"), (against, "compared with")):
        if token is not None:
            followed.setdefault(token, role)
    written, faults = written_tokens(follow, trace.config.d_vocab)
    for token in written:
        followed.setdefault(token, "yours")
    return followed, faults


def written_tokens(follow: str, d_vocab: int) -> tuple[list[int], list[str]]:
    """The tokens that a person wrote, with commas between, and what is wrong with those that are none."""
    tokens, faults = [], []
    for typed in [each for each in follow.split(",") if each.strip()][:MOST_WRITTEN]:
        try:
            tokens.append(meant(typed, d_vocab))
        except DashappError as error:
            faults.append(str(error))
    return tokens, faults


def _foot(lens: Lens, trace: Trace, frame: Frame) -> str:
    n_point = len(lens.top_ids)
    best = lens.followed[0]
    settles = point_name(lens.settles_at, n_point)
    away = frame.information(float(lens.kl_bits[0]))
    return (
        f"After token {lens.pos} ‘{plain_label(trace.token_texts[lens.pos])}’ the output’s likeliest token is "
        f"‘{plain_label(token_text(best))}’ with {percent(float(lens.probs[0, -1]))}. It settles at ‘{settles}’: from "
        f"there on (dashed line) the likeliest token stays the same. At the start, {point_name(0, n_point)}, it stands "
        f"at place {lens.ranks[0, 0] + 1:,}, {away} from the output. ▸ marks it. Click a token to "
        "make it the target; click it again to let it go."
    )


def numbers(
    trace: Trace, *, pos: int, target: int | None, against: int | None, scale: Scale, follow: str, units: Units
) -> Table:
    """At every point: the likeliest tokens with their probabilities, entropy, KL, and each followed token's line."""
    followed, _faults = followed_tokens(trace, pos, target, against, follow)
    lens = lens_at(trace, pos, scale=scale, follow=list(followed))
    measures: dict[str, np.ndarray] = {}
    for place, (ids, probs) in enumerate(zip(lens.top_ids.T, lens.top_probs.T, strict=True), start=1):
        measures |= {f"token id in place {place}": ids, f"probability in place {place}": probs}
    for token, probs, ranks in zip(lens.followed, lens.probs, lens.ranks, strict=True):
        (name,) = token_names([token_text(token)], numbers=[token])
        measures |= {f"probability of {name}": probs, f"place of {name}": ranks + 1}
    measures |= {f"entropy ({units})": lens.entropy_bits * per_bit(units)}
    measures |= {f"KL to the output ({units})": lens.kl_bits * per_bit(units)}
    points = [point_name(point, len(lens.top_ids)) for point in range(len(lens.top_ids))]
    return columns(f"logit lens after {token_names(trace.token_texts)[pos]}", "point", points, measures)


LOGIT_LENS = Panel(
    name="logit-lens",
    title="Logit lens",
    question="If the model stopped here, what would it say next, and when does it make up its mind?",
    about=(
        "A state r of the residual stream, taken after some layers, goes through the final LayerNorm and the "
        "unembedding, as only the last state does in the model.",
        Formula("logit-lens"),
        "Recomputed: μ and σ are those of the state itself, as if the model stopped there. Frozen: σ is that of the "
        "last state. Then a step of the lens is what a layer adds to a logit, as in the attribution below, but the "
        "probabilities in between belong to no model. At the last point both are the model’s output.",
        Formula("kl"),
        "The formula is in nats; bits, the other unit that the header offers, are nats divided by ln 2. p is the "
        "output, q is what the lens says at the point.",
        "Keyboard: with the figure in focus, 1 to 5 choose one of the output’s likeliest as target, Escape none.",
        "Source: nostalgebraist 2020, interpreting GPT: the logit lens; Belrose et al. 2023, Eliciting Latent "
        "Predictions from Transformers with the Tuned Lens.",
        "It does not show what the model holds at that point: early layers may write in another basis than the one "
        "that the unembedding reads, and what the lens cannot read may be there all the same.",
    ),
    reads=("pos", "target", "against"),
    marks="token",
    knobs=(
        Knob(name="scale", label="LayerNorm", options=SCALES),
        Knob(name="measure", label="Line", options={str(name): title for name, title in MEASURES.items()}),
        TextKnob(name="follow", label="Lines of more tokens", example="cat, dog, #262"),
    ),
    draw=draw,
    numbers=numbers,
)
