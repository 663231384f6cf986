"""The panel of the selected token's row in every head: how spread out it is and how far back it reaches."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from dashapp.analysis.attention import HeadScores, head_scores, token_scores
from dashapp.analysis.table import MEASURE, Table, counted, token_names
from dashapp.figures.heads import ScoreMap, score_maps
from dashapp.figures.theme import Frame, Units, per_nat
from dashapp.figures.tokens import label
from dashapp.panels.formulas import Formula
from dashapp.panels.pair import named
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

Score = Literal["entropy", "distance"]

MOST_LAYERS: Final = 12  # whose means are told one by one
NAMES: Final[dict[Score, str]] = {"entropy": "Entropy", "distance": "Mean distance"}


def draw(trace: Trace, *, pos: int, score: Score, frame: Frame) -> Drawn:
    """One score of the token's row in every head, beside the mean over the prompt."""
    here, mean = (values_of(each, score, frame.units) for each in (token_scores(trace, pos), head_scores(trace)))
    unit = frame.units if score == "entropy" else "tokens"
    high = max(1e-6, float(here.max()), float(mean.max()))
    token = label(trace.token_texts[pos], longest=12)
    maps = [
        ScoreMap(title=f"{NAMES[score]}, ‘{token}’ ({pos})", values=here, unit=f" {unit}"),
        ScoreMap(title="mean over the text", values=mean, unit=f" {unit}"),
    ]
    figure = score_maps(maps, low=0, high=high, frame=frame)
    parts = [
        f"Of {named(trace, pos)}; {_most(pos, score, frame)}",
        f"Colours reach from 0 to {high:.3g} {unit}.",
        _layers(here, unit),
        "The mean leaves out the first token, which can look only at itself." if trace.n_tokens > 1 else "",
    ]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def values_of(scores: HeadScores, score: Score, units: Units) -> np.ndarray:
    """float64 [layer head], entropies in these units."""
    return scores.distance_tokens if score == "distance" else scores.entropy_nats * per_nat(units)


def _most(pos: int, score: Score, frame: Frame) -> str:
    """What a row of this token has at most."""
    if pos == 0:
        return "it can look only at itself, so all is 0."
    if score == "distance":
        return f"at most {pos} tokens, if all goes to the first."
    return f"at most {frame.of_nats(np.log(pos + 1)):.3g} {frame.units}, if it looks at all {pos + 1:,} tokens alike."


def _layers(values: np.ndarray, unit: str) -> str:
    """The mean over the heads of each layer, or where there are many layers the least and the largest."""
    means = values.mean(axis=1)
    if len(means) <= MOST_LAYERS:
        told = ", ".join(f"{mean:.3g}" for mean in means)
        return f"Means of layers 0 to {len(means) - 1}: {told} {unit}."
    low, high = int(means.argmin()), int(means.argmax())
    return f"By layer, its mean is from {means[low]:.3g} (layer {low}) to {means[high]:.3g} {unit} (layer {high})."


def numbers(trace: Trace, *, pos: int, score: Score, units: Units) -> Table:
    """The score of the token's row in every head, and the mean over the prompt."""
    values = [values_of(each, score, units) for each in (token_scores(trace, pos), head_scores(trace))]
    axes = {MEASURE: [token_names(trace.token_texts)[pos], "mean over the text"]}
    axes |= {"layer": counted(len(values[0])), "head": counted(values[0].shape[1])}
    return Table(f"{NAMES[score]} ({units if score == 'entropy' else 'tokens'})", np.stack(values), axes)


TOKEN_HEADS = Panel(
    name="token-heads",
    title="The token in every head",
    question="In which heads does the selected token look at many tokens, and how far back? Click one.",
    about=(
        "Entropy says over how many tokens a row of the pattern is spread: 0 where all of it rests on one, log of the "
        "number of tokens where it is even. Mean distance says how many tokens back it looks on average. Both are of "
        "the selected token’s row; beside it stands the mean over the rows of the whole text.",
        Formula("attention-entropy"),
        Formula("attention-distance"),
        "Source: Vig & Belinkov 2019, Analyzing the Structure of Attention in a Transformer Language Model.",
        "It does not show which tokens these are: One token and Lines of a token do.",
    ),
    reads=("pos",),
    marks="head",
    knobs=(Knob(name="score", label="Show", options={"entropy": "entropy", "distance": "mean distance"}),),
    draw=draw,
    numbers=numbers,
    difference="mean over the text",
)
