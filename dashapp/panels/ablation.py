"""The panel of ablation: what the model expects and writes without some parts, and which others make up for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from dashapp.analysis.alignment import NO_PINS, NONE, Pins, align
from dashapp.analysis.attribution import attribution, head_parts, mlp_parts
from dashapp.analysis.divergence import divergence, likeliest_in_any
from dashapp.analysis.table import MEASURE, Table, columns, counted, token_names
from dashapp.errors import OtherModels
from dashapp.experiments.ablations import Ablated, Mode, Part, parts_in
from dashapp.experiments.cells import N_NEW
from dashapp.experiments.orders import Order, order_of_texts
from dashapp.figures.attribution import signed
from dashapp.figures.heads import ScoreMap, score_maps
from dashapp.figures.probabilities import Run, probability_bars
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label, running_text
from dashapp.jobs.works import Work, pins_told
from dashapp.model.examples import reference_prompts
from dashapp.model.tokenizer import token_text, token_texts
from dashapp.panels.beside import told
from dashapp.panels.formulas import Formula
from dashapp.panels.order import awaited
from dashapp.panels.pair import named
from dashapp.panels.panel import Drawn, Knob, Panel, TextKnob
from dashapp.traces.record import Trace

Which = Literal["head", "layer", "mlp", "neuron", "edge"]
Show = Literal["tokens", "parts"]
Slot = Literal["a", "b"]

N_TOKENS: Final = 10
MOST_NAMED: Final = 4  # parts in a sentence

# What to do where the selection names no such part.
TO_SELECT: Final[dict[Which, str]] = {
    "head": "No head is selected: choose a layer and a head, or click one of a map.",
    "layer": "No layer is selected: choose one above.",
    "mlp": "No layer is selected: choose one above.",
    "neuron": "No neuron is selected: click one of Neurons that changed, or on the page Activations.",
    "edge": "No pair is selected: on the page Attention, click a cell of One head.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An ablation: of which run, with which other, where both prompts end, and of which parts.

    pins: of run and other in this order, within both prompts.
    """

    slot: Slot
    run: Trace
    other: Trace
    n_run: int
    n_other: int
    parts: tuple[Part, ...]
    mode: Mode
    is_end_only: bool
    pins: Pins

    def work(self) -> Work:
        """What a job is asked for. The other prompt counts for resampling alone."""
        source = self.other if self.mode == "resample" else self.run
        n_source = self.n_other if self.mode == "resample" else self.n_run
        pins = self.pins if self.mode == "resample" else NO_PINS
        return Work(
            kind="ablation",
            trace=self.run.key,
            arguments={
                "source": source.token_ids[:n_source].tolist(),
                "n_target": self.n_run,
                "parts": [str(part) for part in self.parts],
                "mode": self.mode,
                "is_end_only": self.is_end_only,
                **pins_told(pins),
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What heads and MLPs add to a logit in one run: float64 [layer head] and [layer]."""

    heads: np.ndarray
    mlps: np.ndarray


def work(a: Trace, **chosen: Any) -> Work | None:
    """The ablation that is chosen; None where no part is. Raises: OtherModels, NotAPart, NothingToLookAt."""
    asked = asked_for(a, **chosen)
    return asked.work() if asked.parts else None


def draw(
    a: Trace,
    *,
    target: int | None,
    against: int | None,
    show: Show,
    frame: Frame,
    result: Mapping[str, np.ndarray] | None,
    **chosen: Any,
) -> Drawn:
    """Next tokens before and after, or what every head adds before and after. Raises: WeightsMissing, as `work`."""
    asked = asked_for(a, **chosen)
    before = asked.run.logits_at(asked.n_run - 1)
    found = Ablated.from_arrays(result) if result is not None and asked.parts else None
    goal = int(before.argmax()) if target is None else target
    away = None if against == goal else against
    terms = terms_of(asked.run, asked.n_run - 1, found, goal, away)
    figure = _tokens(asked, before, found, frame) if show == "tokens" else _maps(terms, frame)
    figure.update_layout(
        meta={**figure.layout.meta, "marks": "vocabulary" if show == "tokens" else "head", "slot": asked.slot}
    )
    if not asked.parts:
        foot = TO_SELECT[chosen["which"]]
    elif found is None:
        foot = f"{_what(asked)} {awaited(_order(asked), asked.run.config)}"
    else:
        foot = f"{_what(asked)} {_effect(asked, found, before, terms=terms, goal=(goal, away), frame=frame)}"
    return Drawn(figure=figure, foot=foot)


def _order(asked: Asked) -> Order:
    """What the ablation takes: the run as it is and without the parts, and what the mode reads."""
    return order_of_texts(asked.run.config, [asked.n_run, asked.n_run], N_NEW, read=_read_by(asked))


def _read_by(asked: Asked) -> list[int]:
    """The lengths of the prompts that the mode reads."""
    match asked.mode:
        case "mean":
            return [asked.n_run]
        case "reference":
            return [len(ids) for ids in reference_prompts(asked.run.config.n_ctx)]
        case "resample":
            return [asked.n_other]
        case _:
            return []


def asked_for(
    a: Trace,
    *,
    other: Trace,
    n_prompt: int,
    other_n_prompt: int,
    run: str,
    mode: Mode,
    where: str,
    parts: str,
    pins: Pins = NO_PINS,
    **selected: Any,
) -> Asked:
    """What the knobs and the selection ask.

    Raises: OtherModels, for resampling between two of them; NotAPart, NothingToLookAt.
    """
    if mode == "resample" and a.fingerprint != other.fingerprint:
        raise OtherModels(a.model_name, other.model_name)
    traces, lengths = (a, other), (max(1, n_prompt), max(1, other_n_prompt))
    decided = pins.within(*lengths)
    if run == "b":
        traces, lengths, decided = traces[::-1], lengths[::-1], decided.turned
    words = parts if parts.strip() else " ".join(selected_parts(a, other, run=run, pins=pins, **selected))
    return Asked(
        slot="b" if run == "b" else "a",
        run=traces[0],
        other=traces[1],
        n_run=lengths[0],
        n_other=lengths[1],
        parts=parts_in(words, traces[0].config, lengths[0]),
        mode=mode,
        is_end_only=where == "end",
        pins=decided,
    )


def selected_parts(
    a: Trace,
    other: Trace,
    *,
    run: str,
    which: Which,
    layer: int | None,
    head: int | None,
    neuron: int | None,
    pos: int | None,
    key_pos: int | None,
    other_pos: int | None,
    pins: Pins = NO_PINS,
    **_others: Any,
) -> list[str]:
    """The parts that the selection names, as `parts_in` reads them; none where it names none."""
    config = (other if run == "b" else a).config
    if which == "edge":
        query, key = pos, key_pos
        if run == "b" and key is not None:
            query, key = other_pos, int(align(a.token_ids, other.token_ids, pins).b_of_a[key])
        if query is None or key in (None, NONE):
            return []
        within = None if layer is None else head
        return [str(Part(kind="edge", layer=layer, index=within, query=query, key=key or 0))]
    if layer is None or layer >= config.n_layer:
        return []
    match which:
        case "head":
            return [] if head is None else [f"L{layer}H{head}"]
        case "layer":
            return [f"L{layer}H{each}" for each in range(config.n_head)]
        case "mlp":
            return [f"L{layer}MLP"]
        case "neuron":
            return [] if neuron is None else [f"L{layer}N{neuron}"]


def _tokens(asked: Asked, before: np.ndarray, found: Ablated | None, frame: Frame) -> Any:
    ids, shown = likeliest_in_any(logits_of(asked.slot, before, found), N_TOKENS)
    return probability_bars(ids, shown, texts=token_texts(ids), frame=frame)


def logits_of(slot: Slot, before: np.ndarray, found: Ablated | None) -> dict[Run, np.ndarray]:
    """After the prompt before and, where it is there, after: logits [d_vocab] each."""
    logits: dict[Run, np.ndarray] = {slot: before}
    return logits | ({"ablated": found.logits} if found is not None else {})


def terms_of(trace: Trace, pos: int, found: Ablated | None, target: int, against: int | None) -> list[Terms]:
    """What heads and MLPs add to a logit after a token, before and, where it is there, after."""
    before = attribution(trace, pos, target=target, against=against)
    terms = [Terms(heads=before.heads, mlps=before.mlps)]
    if found is not None:
        goal: dict[str, Any] = {"ln_scale": found.ln_scale, "target": target, "against": against}
        heads, mlps = head_parts(trace, found.z, **goal), mlp_parts(trace, found.mlp_out, **goal)
        terms.append(Terms(heads=heads, mlps=mlps))
    return terms


def _maps(terms: list[Terms], frame: Frame) -> Any:
    """Direct logit attribution of every head, before and after, with the same colours."""
    limit = max(1e-6, *(float(np.abs(each.heads).max()) for each in terms))
    titles = ("before", "after")[: len(terms)]
    maps = [ScoreMap(title=title, values=each.heads, unit=" nats") for title, each in zip(titles, terms, strict=True)]
    return score_maps(maps, low=-limit, high=limit, frame=frame)


def numbers(
    a: Trace,
    *,
    other: Trace,
    n_prompt: int,
    other_n_prompt: int,
    target: int | None,
    against: int | None,
    run: Slot,
    show: Show,
    result: Mapping[str, np.ndarray] | None,
) -> Table:
    """Next tokens, or what every head adds, before and where parts are chosen after. Raises: WeightsMissing."""
    traced, n_tokens = (other, other_n_prompt) if run == "b" else (a, n_prompt)
    pos = max(1, n_tokens) - 1
    found = Ablated.from_arrays(result) if result is not None else None
    before = traced.logits_at(pos)
    if show == "tokens":
        ids, shown = likeliest_in_any(logits_of(run, before, found), N_TOKENS)
        names = token_names(token_texts(ids), numbers=ids)
        return columns("probability of the next token", "token", names, {str(run): each for run, each in shown.items()})
    goal = int(before.argmax()) if target is None else target
    values = np.stack([each.heads for each in terms_of(traced, pos, found, goal, None if against == goal else against)])
    axes = {MEASURE: ["before", "after"][: len(values)]}
    axes |= {"layer": counted(values.shape[1]), "head": counted(values.shape[2])}
    return Table("direct logit attribution (nats)", values, axes)


# In words ------------------------------------------------------------------------------------------------------------

MODES: Final[dict[str, str]] = {
    "zero": "0",
    "bias": "its bias",
    "mean": "its mean over the prompt",
    "reference": "its mean over the examples",
    "resample": "the other prompt’s",
}


def _what(asked: Asked) -> str:
    """Which parts are out, and what stands in their place."""
    outputs = [part for part in asked.parts if part.kind != "edge"]
    edges = [part for part in asked.parts if part.kind == "edge"]
    said = []
    if outputs:
        where = "after the last token of the prompt" if asked.is_end_only else "at every token of the prompt"
        said.append(f"Of {asked.slot}: in the place of {_named(outputs, asked)} stands {MODES[asked.mode]} {where}.")
    if edges:
        said.append(f"Cut in {asked.slot}: {_named(edges, asked)}; the rest of a pattern’s row makes up for it.")
    return " ".join(said)


def _named(parts: list[Part], asked: Asked) -> str:
    """Parts in words, the first of many."""
    first = parts[0]
    if len(parts) == asked.run.config.n_head > 1 and all(p.kind == "head" and p.layer == first.layer for p in parts):
        return f"all {len(parts)} heads of layer {first.layer}"
    names = [_name(part, asked) for part in parts[:MOST_NAMED]]
    if len(parts) > MOST_NAMED:
        names.append(f"{len(parts) - MOST_NAMED} more")
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _name(part: Part, asked: Asked) -> str:
    match part.kind:
        case "head":
            return f"head {part.index} of layer {part.layer}"
        case "mlp":
            return f"the MLP of layer {part.layer}"
        case "neuron":
            return f"neuron {part.index} of layer {part.layer}"
        case "edge":
            layer = "" if part.layer is None else f" in layer {part.layer}"
            head = "" if part.index is None else f", head {part.index}"
            return f"{named(asked.run, part.query)} looking at {named(asked.run, part.key)}{layer}{head}"


def _effect(
    asked: Asked,
    found: Ablated,
    before: np.ndarray,
    *,
    terms: list[Terms],
    goal: tuple[int, int | None],
    frame: Frame,
) -> str:
    """How far the logit moves, how much of it is the parts' own, what later parts do, and the text that follows."""
    target, against = goal
    moved = _difference(found.logits, target, against) - _difference(before, target, against)
    name = f"‘{plain_label(token_text(target))}’"
    over = "the mean of all tokens" if against is None else f"‘{plain_label(token_text(against))}’"
    said = f"The logit of {name} over {over} moves {signed(moved)} nats. {_repair(asked, terms)}"
    apart = told(divergence(before, found.logits).a_from_b, frame.units)
    texts = {"without": found.text, "as it is": found.plain}
    told_texts = "; ".join(f"{run} ‘{running_text(token_texts(ids))}’" for run, ids in texts.items() if len(ids))
    follows = f" The likeliest text that follows: {told_texts}." if told_texts else ""
    return f"{said}KL of the expectation from the one before: {apart}.{follows}"


def _repair(asked: Asked, terms: list[Terms]) -> str:
    """What of the change is the parts' own, and what the heads and MLPs after the first of them do."""
    heads, mlps = terms[1].heads - terms[0].heads, terms[1].mlps - terms[0].mlps
    said = ""
    if all(part.kind in ("head", "mlp") for part in asked.parts):
        own = sum(float(mlps[p.layer] if p.kind == "mlp" else heads[p.layer, p.index]) for p in asked.parts)
        whose = "The part’s own share of it" if len(asked.parts) == 1 else "The parts’ own shares of it"
        said = f"{whose}: {signed(own)}. "
    first = min(part.layer or 0 for part in asked.parts)
    out = {(part.kind, part.layer, part.index) for part in asked.parts}
    is_mlp_first = any(part.kind == "mlp" and part.layer == first for part in asked.parts)
    later = range(first + 1, len(mlps))
    others = {(layer, head): float(heads[layer, head]) for layer in later for head in range(heads.shape[1])}
    others = {place: change for place, change in others.items() if ("head", *place) not in out}
    follows = [layer for layer in range(first + is_mlp_first, len(mlps)) if ("mlp", layer, None) not in out]
    if others:
        layer, head = max(others, key=lambda place: abs(others[place]))
        said += (
            f"What the other heads of later layers add changes by {signed(sum(others.values()))}, most of all layer "
            f"{layer}, head {head} ({signed(others[layer, head])}). "
        )
    if follows:
        said += f"What the MLPs after it add changes by {signed(float(mlps[follows].sum()))}. "
    return said


def _difference(logits: np.ndarray, target: int, against: int | None) -> float:
    other = logits.mean(dtype=np.float64) if against is None else logits[against]
    return float(logits[target]) - float(other)


ABLATION: Final = Panel(
    name="ablation",
    title="Ablate parts",
    question="Without some of its parts, what does the model expect and write, and which others make up for them?",
    about=(
        "Taken out are heads (z, what a head brings before W_O), MLPs (what they add to the stream), neurons (their "
        "activation), or that one token looks at another. Several at once are typed: L1H2 is head 2 of layer 1, L1MLP "
        "its MLP, L1N2 its neuron 2; 5>3 is token 5 looking at token 3 in every head, L1:5>3 in layer 1, L1H2:5>3 in "
        "one head.",
        "In the place of an output stands 0; or its bias, what it brings whatever it reads (b_V of a head, b_out of an "
        "MLP, 0 of a neuron); or its own mean over the prompt, the first token left out; or its mean over all tokens "
        "of the six examples of this app but the first of each; or what it has in the other prompt at the token that "
        "stands for each (tokens without a counterpart keep theirs). Means are of runs without any ablation. Where a "
        "pair is cut, its score is left out before the softmax. The model runs on from there, and is read after the "
        "last token of the prompt.",
        "Direct logit attribution says what every head adds to the target’s logit, before and after. The final "
        "LayerNorm’s spread is that of each run. Where later parts then add more, they make up for what is gone: "
        "self-repair.",
        Formula("head-write"),
        Formula("attribution"),
        "The text is written with the likeliest token at each step. Parts that are out at every token stay out of new "
        "tokens too, but for the other prompt’s, which has none for these, and for pairs.",
        "Sources: Wang et al. 2022, Interpretability in the Wild; McGrath et al. 2023, The Hydra Effect; Zhang & "
        "Nanda 2024 on resampling.",
        "It does not show what a part is for: 0 and means are outputs that the model may never meet, and what later "
        "layers make of them may be an artefact.",
    ),
    reads=("pos", "key_pos", "n_prompt", "layer", "head", "neuron", "target", "against", "pins"),
    when={"pos": ("which", "edge"), "key_pos": ("which", "edge"), "neuron": ("which", "neuron")},
    marks="head",
    knobs=(
        Knob(name="run", label="Prompt", options={"a": "a", "b": "b"}),
        Knob(
            name="which",
            label="Part",
            options={
                "head": "the selected head",
                "layer": "all heads of its layer",
                "mlp": "its layer’s MLP",
                "neuron": "the selected neuron",
                "edge": "the selected pair of tokens",
            },
        ),
        TextKnob(name="parts", label="Or several", example="L0H0, L0MLP, L0N2"),
        Knob(name="mode", label="In its place", options=MODES),
        Knob(name="where", label="At", options={"all": "every token", "end": "the last token"}),
        Knob(name="show", label="Show", options={"tokens": "next tokens", "parts": "what each head adds"}),
    ),
    draw=draw,
    numbers=numbers,
    work=work,
    pairs=True,
)
