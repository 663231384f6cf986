"""The panel of head scores: on the prompt and on the standard probe, side by side, as maps or as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, cast

import numpy as np

from dashapp.analysis.attention import Head
from dashapp.analysis.head_names import HeadName
from dashapp.analysis.heads import HeadProbe, KindScores, prompt_scores
from dashapp.analysis.table import MEASURE, Table, counted
from dashapp.figures.heads import Column, ScoreMap, score_maps, score_table
from dashapp.figures.theme import Frame, Units, per_nat
from dashapp.jobs.works import Work
from dashapp.panels.formulas import Formula
from dashapp.panels.head_facts import (
    SCORES,
    Score,
    names_of,
    probe_of,
    probe_work,
    said_of_names,
    sorted_heads,
)
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

Show = Literal["maps", "table"]
On = Literal["prompt", "probe"]
Only = Literal["all", "named", "layer"]

MOST_ROWS: Final = 24
WITH_UNIT: Final = ("entropy_nats", "distance_tokens")  # the others are shares
IN_FULL: Final[dict[Score, str]] = {
    "previous": "Attention to the token before",
    "duplicate": "Attention to earlier copies of the token",
    "induction": "Attention to what followed earlier copies",
    "first": "Attention to the first token",
    "entropy_nats": "Entropy",
    "distance_tokens": "Mean distance",
    "copying": "Copying",
}


def draw(
    trace: Trace,
    *,
    layer: int | None,
    show: Show,
    score: Score,
    on: On,
    only: Only,
    frame: Frame,
    result: Mapping[str, np.ndarray] | None = None,
) -> Drawn:
    """One score of every head as maps, or all scores of the heads with most of one. result: of the probe."""
    probe = probe_of(result)
    names = names_of(trace, probe)
    if show == "maps":
        return _maps(trace, probe, score, said_of_names(names, probe), frame)
    return _table(trace, probe, names, score=score, on=on, only=only, layer=layer, frame=frame)


def work(trace: Trace, **_chosen: object) -> Work:
    """The probe of these weights."""
    return probe_work(trace)


def _maps(trace: Trace, probe: HeadProbe | None, score: Score, said: str, frame: Frame) -> Drawn:
    nothing = np.full((trace.config.n_layer, trace.config.n_head), np.nan)
    unit, full = _unit(score, frame), IN_FULL[score]
    if score == "copying":
        values = probe.copying if probe else nothing
        figure = score_maps([ScoreMap(title=f"{full} (of the weights)", values=values)], low=-1, high=1, frame=frame)
        return Drawn(figure=figure, foot=f"−1 lowers the logit of the token looked at, 1 raises it. {said}")
    on_prompt = _values(prompt_scores(trace), score, frame)
    on_probe = _values(probe.scores, score, frame) if probe else nothing
    high = 1.0 if score not in WITH_UNIT else max(1e-6, float(on_prompt.max()), float(np.nan_to_num(on_probe).max()))
    maps = [
        ScoreMap(title=f"{full}, on this prompt", values=on_prompt, unit=unit),
        ScoreMap(title="on the probe" if frame.is_narrow else f"{full}, on the probe", values=on_probe, unit=unit),
    ]
    figure = score_maps(maps, low=0, high=high, frame=frame)
    reach = f"Colours reach from 0 to {high:.3g}{unit}."
    parts = [reach, _by_layer(on_prompt, unit), _none(on_prompt, score), said]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def _unit(score: str, frame: Frame) -> str:
    """What stands after a number of a score."""
    return {"entropy_nats": f" {frame.units}", "distance_tokens": " tokens"}.get(score, "")


def _values(scores: KindScores, score: str, frame: Frame) -> np.ndarray:
    """A score of every head, entropies in the unit of the frame."""
    values: np.ndarray = getattr(scores, score)
    return values * frame.of_nats(1.0) if score == "entropy_nats" else values


def _by_layer(values: np.ndarray, unit: str) -> str:
    """The means over the heads of each layer, where they are few enough to be read."""
    means = values.mean(axis=1)
    low, high = int(means.argmin()), int(means.argmax())
    if low == high:
        return ""
    return f"By layer, the mean is from {means[low]:.3g} (layer {low}) to {means[high]:.3g}{unit} (layer {high})."


def _none(values: np.ndarray, score: Score) -> str:
    has_none = score in ("duplicate", "induction") and not values.any()
    return "No token of this prompt comes twice, or nothing follows one that does." if has_none else ""


def _table(
    trace: Trace,
    probe: HeadProbe | None,
    names: Mapping[Head, HeadName],
    *,
    score: Score,
    on: On,
    only: Only,
    layer: int | None,
    frame: Frame,
) -> Drawn:
    scores = prompt_scores(trace)
    values, sorted_by = _sorted_by(scores, probe, score, on)
    heads = [head for head in sorted_heads(values) if _is_wanted(head, names, only, layer)]
    shown = heads[:MOST_ROWS]
    columns = _columns(scores, probe, shown, frame)
    titles = [f"{of.layer}.{of.head}" + (f" {names[of].letter}" if of in names else "") for of in shown]
    figure = score_table(shown, titles, columns, frame=frame)
    rest = f"{len(heads) - MOST_ROWS:,} more heads are not shown." if len(heads) > MOST_ROWS else ""
    why = "No layer is selected, so heads of all layers are shown." if only == "layer" and layer is None else ""
    parts = [f"Rows are layer.head, sorted by {sorted_by}, largest first.", rest, why, said_of_names(names, probe)]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def _sorted_by(scores: KindScores, probe: HeadProbe | None, score: Score, on: On) -> tuple[np.ndarray, str]:
    """The values to sort by, and what they are: before the probe is there, those on the prompt."""
    if score == "copying":
        return (
            (probe.copying, "copying") if probe else (scores.previous, f"{SCORES['previous']} until the probe is done")
        )
    if on == "probe" and probe:
        return getattr(probe.scores, score), f"{SCORES[score]} on the probe"
    return getattr(scores, score), f"{SCORES[score]} on this prompt"


def _is_wanted(head: Head, names: Mapping[Head, HeadName], only: Only, layer: int | None) -> bool:
    if only == "layer" and layer is not None:
        return head.layer == layer
    return only != "named" or not names or head in names


def _columns(scores: KindScores, probe: HeadProbe | None, shown: list[Head], frame: Frame) -> list[Column]:
    places = tuple(np.array([[of.layer, of.head] for of in shown]).T)
    columns = []
    for name in KindScores.__dataclass_fields__:
        pair = [("here", _values(scores, name, frame))]
        pair += [("probe", _values(probe.scores, name, frame))] if probe else []
        most = max(float(values.max()) for _where, values in pair) if name in WITH_UNIT else 1.0
        for where, values in pair:
            title = f"{SCORES[name]}, {where}"
            columns.append(Column(title=title, values=values[places], most=most, unit=_unit(name, frame)))
    if probe:
        columns.append(Column(title=SCORES["copying"], values=probe.copying[places], most=1.0))
    return columns


def numbers(trace: Trace, *, units: Units, result: Mapping[str, np.ndarray] | None) -> Table:
    """All scores of every head, on the prompt and on the probe, whichever the figure shows."""
    probe = probe_of(result)
    scores = {"on this prompt": prompt_scores(trace)} | ({"on the probe": probe.scores} if probe else {})
    of_nats = {"entropy_nats": per_nat(units)}
    found = {
        _measure(name, where): getattr(each, name) * of_nats.get(name, 1.0)
        for where, each in scores.items()
        for name in IN_FULL
        if name != "copying"
    }
    if probe:
        found[IN_FULL["copying"]] = probe.copying
    values = np.stack([*found.values()])
    axes = {MEASURE: [*found], "layer": counted(values.shape[1]), "head": counted(values.shape[2])}
    return Table(f"scores of heads (entropy in {units}, distance in tokens)", values, axes)


def _measure(score: Score, where: str) -> str:
    """A score as the table calls it."""
    return IN_FULL[score] if score == "copying" else f"{IN_FULL[score]}, {where}"


HEAD_ATLAS = Panel(
    name="head-atlas",
    title="Head atlas",
    question="What kind of head is each head, on this prompt and in general? Click one.",
    about=(
        "On this prompt a score is the share of a head’s attention that lies on the pairs of tokens P that a head of "
        "that kind would look at: the token before; earlier copies of the token; the tokens that followed those; the "
        "first token (there the mean over the later queries).",
        Formula("head-score"),
        "The probe is two rows of 100 random tokens that come twice, without BOS (seed 0, ids 100 to 20,000), shorter "
        "for a model that reads less. Only a head that does so by itself looks from a random token to its copy. Its "
        "scores are means along a diagonal of the pattern, 1, S or S − 1 tokens back, over both rows; S is the length "
        "of a row before it is repeated. They are kept with the weights.",
        "Copying: does a head that looks at a token raise that token’s logit? It is told from the weights alone, by "
        "the eigenvalues of embedding, values, output and unembedding in one matrix. The gains and means of "
        "LayerNorms are in it; biases, spreads and what other layers do to an embedding are not.",
        Formula("copying"),
        "Sources: Olsson et al. 2022, In-context Learning and Induction Heads; Elhage et al. 2021 (copying); the head "
        "detector and the probe of TransformerLens; Wang et al. 2022 (roles in GPT-2 small, told only when the loaded "
        "weights have its shape and its loss on “Hello world!”, 5.33186 ± 0.00004).",
        "It does not show what a head is for. A head may be of several kinds, or do on other text what no probe asks; "
        "a role was found on one task.",
    ),
    reads=("layer",),
    marks="head",
    knobs=(
        Knob(name="show", label="Show", options={"maps": "one score as maps", "table": "all scores as a table"}),
        Knob(name="score", label="Score", options=SCORES),
        Knob(name="on", label="Table: sorted on", options={"prompt": "this prompt", "probe": "the probe"}),
        Knob(
            name="only",
            label="Table: heads",
            options={"all": "all", "named": "those with a name", "layer": "of the selected layer"},
        ),
    ),
    draw=draw,
    numbers=numbers,
    difference=lambda knobs, _units: _measure(cast(Score, knobs["score"]), "on this prompt"),
    work=work,
)
