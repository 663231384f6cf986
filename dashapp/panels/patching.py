"""The panel of activation patching between two prompts: what is asked, what it takes, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np

from dashapp.analysis.alignment import NO_PINS, Pins
from dashapp.analysis.table import Table, counted, token_names
from dashapp.errors import OtherModels, OtherPlaces
from dashapp.experiments.orders import Order
from dashapp.experiments.sweeps import (
    HEAD_SITES,
    LEAST_GAP,
    METRICS,
    Metric,
    Places,
    Site,
    Sweep,
    order_of,
    telling_tokens,
)
from dashapp.figures.patching import MapOf, effect_map, signed
from dashapp.figures.theme import Frame, Units, per_nat
from dashapp.figures.tokens import plain_label
from dashapp.jobs.works import Work, pins_told
from dashapp.model.tokenizer import token_texts
from dashapp.panels.formulas import Formula
from dashapp.panels.layers import layer_shown
from dashapp.panels.order import how_long
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

Slot = Literal["a", "b"]
How = Literal["exact", "estimate"]

SITE_NAMES: Final[dict[Site, str]] = {
    "resid_pre": "residual stream before a layer, by token",
    "resid_mid": "residual stream after attention, by token",
    "attn_out": "attention output, by token",
    "mlp_out": "MLP output, by token",
    "z_pos": "one layer’s head outputs, by token",
    "z": "head output, all tokens",
    "q": "queries of a head, all tokens",
    "k": "keys of a head, all tokens",
    "v": "values of a head, all tokens",
    "pattern": "pattern of a head",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A sweep as it is asked for: two prompts' token ids, into which slot's run, where, and between which answers.

    pins: of target and source in this order.
    """

    source: np.ndarray
    target: np.ndarray
    into: Slot
    site: Site
    layer: int
    tokens: tuple[int, int]  # the source's answer first
    target_key: str
    how: How
    pins: Pins

    @property
    def places(self) -> Places:
        return Places.of_ends(self.source, self.target, self.pins)

    def work(self) -> Work:
        """What a job is asked for; the metrics are all measured at once, so none is named."""
        return Work(
            kind="patching" if self.how == "exact" else "estimate",
            trace=self.target_key,
            arguments={
                "source": self.source.tolist(),
                "n_target": len(self.target),
                "site": self.site,
                "layer": self.layer if self.site == "z_pos" else 0,
                "tokens": list(self.tokens),
                **pins_told(self.pins),
            },
        )


def work(a: Trace, **chosen: Any) -> Work | None:
    """The sweep that is chosen; None where there is nothing to patch. Raises: as `question`."""
    asked = question(a, **chosen)
    return asked.work() if len(asked.places.changing) else None


def exact_work(a: Trace, *, how: How, **chosen: Any) -> Work | None:
    """Of estimates, the sweep that they estimate; None of a sweep itself. Raises: as `question`."""
    return work(a, how="exact", **chosen) if how == "estimate" else None


def question(
    a: Trace,
    *,
    other: Trace,
    n_prompt: int,
    other_n_prompt: int,
    layer: int | None,
    target: int | None,
    against: int | None,
    site: Site,
    direction: str,
    metric: Metric = "logit_diff",  # noqa: ARG001  all are measured
    how: How = "exact",
    pins: Pins = NO_PINS,
) -> Question:
    """What the knobs and the selection ask. Raises: OtherModels, OtherPlaces, WeightsMissing."""
    if a.fingerprint != other.fingerprint:
        raise OtherModels(a.model_name, other.model_name)
    ends = [max(1, n_prompt) - 1, max(1, other_n_prompt) - 1]
    prompts = [trace.token_ids[: end + 1] for trace, end in zip((a, other), ends, strict=True)]
    answers = answers_of(a.logits_at(ends[0]), other.logits_at(ends[1]), target=target, against=against)
    is_into_b = direction == "ab"
    decided = pins.within(*(len(prompt) for prompt in prompts))
    source, into = (prompts, other) if is_into_b else (prompts[::-1], a)
    asked = Question(
        source=source[0],
        target=source[1],
        into="b" if is_into_b else "a",
        site=site,
        layer=layer_shown(layer)[0],
        tokens=answers if is_into_b else answers[::-1],
        target_key=into.key,
        how=how,
        pins=decided.turned if is_into_b else decided,
    )
    if site == "pattern" and not asked.places.is_straight:
        raise OtherPlaces(len(asked.source), len(asked.target))
    return asked


def answers_of(a: np.ndarray, b: np.ndarray, *, target: int | None, against: int | None) -> tuple[int, int]:
    """The answers of prompts a and b: the tokens selected as target and against, or those that tell the logits
    [d_vocab] of the two apart."""
    first, second = telling_tokens(a, b)
    if target is not None:
        return target, against if against not in (None, target) else next(t for t in (second, first) if t != target)
    return first, second


def draw(
    a: Trace,
    *,
    frame: Frame,
    metric: Metric,
    result: Mapping[str, np.ndarray] | None,
    aside: Mapping[str, np.ndarray] | None = None,
    **chosen: Any,
) -> Drawn:
    """The map, or before it is computed an empty one and what computing it takes.

    aside: of estimates, the exact sweep if it was computed.
    """
    asked = question(a, metric=metric, **chosen)
    found = Sweep.from_arrays(result) if result is not None else None
    config = a.config
    places = asked.places
    is_of_heads = asked.site in HEAD_SITES
    shown = MapOf(
        rows="head" if asked.site == "z_pos" else "layer",
        texts=None if is_of_heads else token_texts(asked.target),
        slot=asked.into,
        unit=effect_unit(found, metric, frame.units) + (", estimated" if asked.how == "estimate" else ""),
        refused=() if is_of_heads else places.refused.tolist(),
        layer=asked.layer if asked.site == "z_pos" else None,
    )
    n_row = config.n_head if asked.site == "z_pos" else config.n_layer
    n_column = config.n_head if is_of_heads else len(asked.target)
    effects = effects_in(found, metric, frame.units) if found else None
    exact = effects_in(Sweep.from_arrays(aside), metric, frame.units) if found and aside is not None else None
    estimates = estimates_of(found, result, metric, frame.units)
    beside = ("gradients would say", estimates) if estimates is not None else None
    if exact is not None:
        beside = ("the patch itself", exact)
    figure = effect_map(effects, shown, (n_row, n_column), beside=beside, frame=frame)
    foot = _found_words(asked, found, metric, frame.units) if found else _offer(asked, places, a)
    if effects is not None and estimates is not None:
        foot += f" {_missed(effects, estimates)}"
    elif effects is not None and exact is not None:
        foot += f" {_missed(exact, effects)} The exact numbers are in the hovers."
    return Drawn(figure=figure, foot=f"{foot} {_left_out(asked, places)}".strip())


def estimates_of(
    found: Sweep | None, result: Mapping[str, np.ndarray] | None, metric: Metric, units: Units
) -> np.ndarray | None:
    """The estimates that came with an exact sweep, as its effects: float64 [row column]."""
    if found is None or result is None or "estimate" not in result:
        return None
    return effects_in(replace(found, values=result["estimate"]), metric, units)


def effects_in(found: Sweep, metric: Metric, units: Units) -> np.ndarray:
    """What the map shows: shares, or amounts where the runs are too close for them: float64 [row column]."""
    return found.effects(metric) * (1.0 if found.is_normalised(metric) else in_units(metric, units)[0])


def in_units(metric: Metric, units: Units) -> tuple[float, str]:
    """By what a metric in nats is multiplied, and its unit then: a difference of logits is no amount of information."""
    return (1.0, "nats") if metric == "logit_diff" else (per_nat(units), units)


def numbers(
    a: Trace,
    *,
    other: Trace,
    n_prompt: int,
    other_n_prompt: int,
    site: Site,
    direction: str,
    metric: Metric,
    units: Units,
    result: Mapping[str, np.ndarray],
) -> Table:
    """What each patch moved."""
    into, target, n_target = ("b", other, other_n_prompt) if direction == "ab" else ("a", a, n_prompt)
    found = Sweep.from_arrays(result)
    values = effects_in(found, metric, units)
    is_of_heads = site in HEAD_SITES
    across = counted(values.shape[1]) if is_of_heads else token_names(target.token_texts[: max(1, n_target)])
    axes = {"head" if site == "z_pos" else "layer": counted(len(values))}
    axes |= {"head" if is_of_heads else f"token of {into}": across}
    return Table(f"{METRIC_NAMES[metric]}, {effect_unit(found, metric, units)}", values, axes)


# In words ------------------------------------------------------------------------------------------------------------

METRIC_NAMES: Final[dict[Metric, str]] = {
    "logit_diff": "logit difference of the two answers",
    "logprob": "log-probability of the source’s answer",
    "kl": "KL divergence from the source’s expectation",
}


def effect_unit(found: Sweep | None, metric: Metric, units: Units) -> str:
    """What a cell's number is."""
    if found is None or found.is_normalised(metric):
        return "share of the way from one run to the other"
    return f"{in_units(metric, units)[1]} moved (the runs are too close for shares)"


def _offer(asked: Question, places: Places, a: Trace) -> str:
    """What the sweep will do, and about how long it takes."""
    if not len(places.changing):
        return "The prompts are the same as far as they have counterparts, so there is nothing to patch."
    if asked.how == "estimate":
        return f"Being estimated from two passes and their gradients. {_answers(asked)}"
    order = _order(asked, places, a)
    return (
        f"Nothing is patched yet. Start runs the model {order.n_passes:,} times, each from where the patch is, "
        f"many at once: {how_long(order, a.config)} on this machine. {_answers(asked)}"
    )


def _order(asked: Question, places: Places, a: Trace) -> Order:
    config = a.config
    sizes = {"n_layer": config.n_layer, "n_head": config.n_head, "d_model": config.d_model, "d_vocab": config.d_vocab}
    return order_of(asked.site, places, **sizes)


def _answers(asked: Question) -> str:
    mine, other = (f"‘{plain_label(text)}’" for text in token_texts(np.array(asked.tokens, dtype=np.int32)))
    source = "a" if asked.into == "b" else "b"
    return f"Read after the last token of each prompt; the answer of {source} is {mine}, that of {asked.into} {other}."


def _found_words(asked: Question, found: Sweep, metric: Metric, units: Units) -> str:
    place, (factor, unit) = METRICS.index(metric), in_units(metric, units)
    source = "a" if asked.into == "b" else "b"
    before, after = found.target[place] * factor, found.source[place] * factor
    whole = f"The {METRIC_NAMES[metric]} is {signed(before)} {unit} in {asked.into} and {signed(after)} in {source}"
    scale = ": 0 moves nothing, 1 moves it the whole way."
    if not found.is_normalised(metric):
        scale = f", less than {LEAST_GAP:g} nats apart, so cells are {unit} and no shares."
    together = found.effects_together(metric) * (1.0 if found.is_normalised(metric) else factor)
    all_of = f" All tokens at once: {signed(float(together[0]))} in layer 0." if len(together) else ""
    told = f"{whole}{scale}{all_of} {_answers(asked)}"
    if asked.how == "estimate":
        return f"An estimate: what gradients foretell, not what patches do. {told} It took {found.seconds:.1f} s."
    return f"{told} {found.n_passes:,} passes took {found.seconds:.1f} s."


def _missed(effects: np.ndarray, estimates: np.ndarray) -> str:
    """How far the estimate by gradients is from the exact map."""
    away = np.abs(np.nan_to_num(estimates - effects))
    row, column = (int(place) for place in np.unravel_index(int(away.argmax()), away.shape))
    exact, guess = float(effects[row, column]), float(estimates[row, column])
    return (
        f"Gradients estimate these cells with an error of at most {away.max():.2f}: at row {row}, column {column}, "
        f"{signed(guess)} in place of {signed(exact)}."
    )


def _left_out(asked: Question, places: Places) -> str:
    n = len(places.refused)
    said = f"Shown is layer {asked.layer}." if asked.site == "z_pos" else ""
    if not n:
        return said
    tokens, stays = ("1 token has", "stays as it is") if n == 1 else (f"{n:,} tokens have", "stay as they are")
    what = stays if asked.site in HEAD_SITES else "cannot be patched (×)"
    return f"{said} {tokens} no counterpart and {what}.".strip()


SITE: Final = Knob(name="site", label="Patch", options={str(site): name for site, name in SITE_NAMES.items()})
DIRECTION: Final = Knob(name="direction", label="Direction", options={"ab": "a → b", "ba": "b → a"})

PATCHING: Final = Panel(
    name="patching",
    title="Activation patching",
    question="Which activations of one prompt, put into the other’s run, carry the difference over? Click a cell.",
    about=(
        "One activation of the target’s run is replaced by that of the source at the token that stands for it, and the "
        "model goes on from there. The cell says how far that moves the metric M from the target’s to the source’s:",
        Formula("patching"),
        "0: it changes nothing. 1: the target run now behaves as the source does. Values below 0 and above 1 are real. "
        "Where the two runs are less than 0.1 nats apart, cells are M(patched) − M(target): of logits in nats, else in "
        "the unit chosen for the app.",
        "The logit difference is between the answers of the two prompts: the tokens whose probability differs most, "
        "or the two selected as target and compared-with. KL is D(source‖patched). All metrics are measured in one "
        "sweep. With a the correct prompt, a → b is denoising, which shows what suffices, and b → a noising, which "
        "shows what is needed: they need not agree.",
        "Estimated by gradients (attribution patching) is quick and approximate: a cell is (source − target) times the "
        "gradient of M, taken once in the target’s run. It is off where the model bends between the two runs, most for "
        "queries, keys and early layers. Once both are there, a hover tells the other beside each cell.",
        "The stream after attention in a layer equals the stream before the next one here, because an MLP reads one "
        "token at a time.",
        "Sources: Meng et al. 2022; Wang et al. 2022, Interpretability in the Wild; Zhang & Nanda 2024; Heimersheim & "
        "Nanda 2024; Nanda 2023 and Syed et al. 2023 on attribution patching.",
        "It does not show that a part matters by itself: others can make up for it, and patches of several parts do "
        "not add up. Alignment pairs tokens by what they are, not by the part they play.",
    ),
    reads=("n_prompt", "layer", "target", "against", "pins"),
    marks="layer_pos",
    knobs=(
        SITE,
        DIRECTION,
        Knob(
            name="metric",
            label="Metric",
            options={"logit_diff": "logit difference", "logprob": "log-probability", "kl": "KL divergence"},
        ),
        Knob(name="how", label="Cells", options={"exact": "exact", "estimate": "estimated by gradients"}),
    ),
    draw=draw,
    numbers=numbers,
    work=work,
    aside=exact_work,
    starts=("how", "exact"),
    pairs=True,
)
