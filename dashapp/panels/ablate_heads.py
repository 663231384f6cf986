"""The panel of ablated heads: what the model expects without them, and which other heads make up for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from dashapp.analysis.attribution import attribution, head_parts
from dashapp.analysis.divergence import divergence
from dashapp.analysis.table import MEASURE, Table, columns, counted, token_names
from dashapp.errors import OtherModels
from dashapp.experiments.ablations import Ablated, Mode
from dashapp.figures.attribution import signed
from dashapp.figures.heads import ScoreMap, score_maps
from dashapp.figures.probabilities import Run, probability_bars
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.jobs.works import Work
from dashapp.model.tokenizer import token_text, token_texts
from dashapp.panels.beside import told
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.panels.patch_cell import likeliest_in_any
from dashapp.traces.record import Trace

Which = Literal["head", "layer"]
Show = Literal["tokens", "parts"]

N_TOKENS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An ablation: of which run, with which other, where both prompts end, and of which heads."""

    slot: Literal["a", "b"]
    run: Trace
    other: Trace
    n_run: int
    n_other: int
    layer: int
    heads: tuple[int, ...]
    mode: Mode
    is_end_only: bool

    def work(self) -> Work:
        """What a job is asked for. The other prompt counts for resampling alone."""
        source = self.other if self.mode == "resample" else self.run
        n_source = self.n_other if self.mode == "resample" else self.n_run
        return Work(
            kind="ablation",
            trace=self.run.key,
            arguments={
                "source": source.token_ids[:n_source].tolist(),
                "n_target": self.n_run,
                "layer": self.layer,
                "heads": list(self.heads),
                "mode": self.mode,
                "is_end_only": self.is_end_only,
            },
        )


def work(a: Trace, **chosen: Any) -> Work | None:
    """The ablation that is chosen; None where no head is selected. Raises: OtherModels."""
    asked = asked_for(a, **chosen)
    return asked.work() if asked.heads else None


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
    """Next tokens before and after, or what every head adds before and after. Raises: WeightsMissing, OtherModels."""
    asked = asked_for(a, **chosen)
    end = asked.n_run - 1
    before = asked.run.logits_at(end)
    found = Ablated.from_arrays(result) if result is not None and asked.heads else None
    goal = int(before.argmax()) if target is None else target
    away = None if against == goal else against
    parts = parts_of(asked, found, goal, away)
    figure = _tokens(asked, before, found, frame) if show == "tokens" else _parts(parts, frame)
    figure.update_layout(
        meta={**figure.layout.meta, "marks": "vocabulary" if show == "tokens" else "head", "slot": asked.slot}
    )
    if not asked.heads:
        foot = "No head is selected: choose a layer and a head, or click one of a map."
    elif found is None:
        foot = f"{_what(asked)} Being computed."
    else:
        foot = f"{_what(asked)} {_effect(asked, found, before, parts=parts, goal=(goal, away), frame=frame)}"
    return Drawn(figure=figure, foot=foot)


def asked_for(
    a: Trace,
    *,
    other: Trace,
    n_prompt: int,
    other_n_prompt: int,
    layer: int | None,
    head: int | None,
    run: str,
    which: Which,
    mode: Mode,
    where: str,
    **_others: Any,
) -> Asked:
    """What the knobs and the selection ask. Raises: OtherModels, for resampling between two of them."""
    if mode == "resample" and a.fingerprint != other.fingerprint:
        raise OtherModels(a.model_name, other.model_name)
    traces, lengths = (a, other), (max(1, n_prompt), max(1, other_n_prompt))
    if run == "b":
        traces, lengths = traces[::-1], lengths[::-1]
    config = traces[0].config
    is_chosen = layer is not None and layer < config.n_layer and (which == "layer" or head is not None)
    heads = range(config.n_head) if which == "layer" else [head or 0]
    return Asked(
        slot="b" if run == "b" else "a",
        run=traces[0],
        other=traces[1],
        n_run=lengths[0],
        n_other=lengths[1],
        layer=layer or 0,
        heads=tuple(heads) if is_chosen else (),
        mode=mode,
        is_end_only=where == "end",
    )


def _tokens(asked: Asked, before: np.ndarray, found: Ablated | None, frame: Frame) -> Any:
    ids, shown = likeliest_in_any(logits_of(asked, before, found))
    return probability_bars(ids, shown, texts=token_texts(ids), frame=frame)


def logits_of(asked: Asked, before: np.ndarray, found: Ablated | None) -> dict[Run, np.ndarray]:
    """After the prompt before and, where it is there, after: logits [d_vocab] each."""
    logits: dict[Run, np.ndarray] = {asked.slot: before}
    return logits | ({"ablated": found.logits} if found is not None else {})


def parts_of(asked: Asked, found: Ablated | None, target: int, against: int | None) -> list[np.ndarray]:
    """What every head adds to a logit before and, where it is there, after: float64 [layer head] each."""
    parts = [attribution(asked.run, asked.n_run - 1, target=target, against=against).heads]
    if found is not None:
        parts.append(head_parts(asked.run, found.z, ln_scale=found.ln_scale, target=target, against=against))
    return parts


def _parts(parts: list[np.ndarray], frame: Frame) -> Any:
    """Direct logit attribution of every head, before and after, with the same colours."""
    limit = max(1e-6, *(float(np.abs(each).max()) for each in parts))
    titles = ("before", "after")[: len(parts)]
    maps = [ScoreMap(title=title, values=each, unit=" nats") for title, each in zip(titles, parts, strict=True)]
    return score_maps(maps, low=-limit, high=limit, frame=frame)


def numbers(
    a: Trace,
    *,
    other: Trace,
    n_prompt: int,
    other_n_prompt: int,
    layer: int | None,
    head: int | None,
    target: int | None,
    against: int | None,
    run: str,
    which: Which,
    mode: Mode,
    where: str,
    show: Show,
    result: Mapping[str, np.ndarray] | None,
) -> Table:
    """Next tokens, or what every head adds, before and where heads are chosen after. Raises: as `draw`."""
    ends = {"other": other, "n_prompt": n_prompt, "other_n_prompt": other_n_prompt}
    heads = {"layer": layer, "head": head, "which": which}
    asked = asked_for(a, **ends, **heads, run=run, mode=mode, where=where)  # type: ignore[arg-type]
    found = Ablated.from_arrays(result) if result is not None else None
    before = asked.run.logits_at(asked.n_run - 1)
    if show == "tokens":
        ids, shown = likeliest_in_any(logits_of(asked, before, found))
        names = token_names(token_texts(ids), numbers=ids)
        return columns("probability of the next token", "token", names, {str(run): each for run, each in shown.items()})
    goal = int(before.argmax()) if target is None else target
    values = np.stack(parts_of(asked, found, goal, None if against == goal else against))
    axes = {MEASURE: ["before", "after"][: len(values)]}
    axes |= {"layer": counted(values.shape[1]), "head": counted(values.shape[2])}
    return Table("direct logit attribution (nats)", values, axes)


# In words ------------------------------------------------------------------------------------------------------------

MODES: Final[dict[str, str]] = {
    "zero": "0",
    "bias": "its value bias",
    "mean": "its mean over the run",
    "resample": "the other prompt’s",
}


def _what(asked: Asked) -> str:
    heads = f"head {asked.heads[0]}" if len(asked.heads) == 1 else f"all {len(asked.heads)} heads"
    where = "after the last token of the prompt" if asked.is_end_only else "at every token of the prompt"
    return f"Of {asked.slot}: the output of {heads} of layer {asked.layer} is {MODES[asked.mode]} {where}."


def _effect(
    asked: Asked,
    found: Ablated,
    before: np.ndarray,
    *,
    parts: list[np.ndarray],
    goal: tuple[int, int | None],
    frame: Frame,
) -> str:
    """How far the logit moves, how much of it is the heads' own, and what later heads do."""
    target, against = goal
    moved = _difference(found.logits, target, against) - _difference(before, target, against)
    changes = parts[1] - parts[0]
    own = float(changes[asked.layer, list(asked.heads)].sum())
    later = changes[asked.layer + 1 :]
    name = f"‘{plain_label(token_text(target))}’"
    over = "the mean of all tokens" if against is None else f"‘{plain_label(token_text(against))}’"
    whose = "The head’s own part of it" if len(asked.heads) == 1 else "These heads’ own parts of it"
    said = f"The logit of {name} over {over} moves {signed(moved)} nats. {whose}: {signed(own)}."
    if len(later):
        layer, head = np.unravel_index(int(np.abs(later).argmax()), later.shape)
        said += (
            f" What the heads of later layers add changes by {signed(float(later.sum()))}, most of all layer "
            f"{asked.layer + 1 + layer}, head {head} ({signed(float(later[layer, head]))})."
        )
    apart = told(divergence(before, found.logits).a_from_b, frame.units)
    return f"{said} KL of the expectation from the one before: {apart}."


def _difference(logits: np.ndarray, target: int, against: int | None) -> float:
    other = logits.mean(dtype=np.float64) if against is None else logits[against]
    return float(logits[target]) - float(other)


ABLATE_HEADS: Final = Panel(
    name="ablate-heads",
    title="Ablate heads",
    question="Without the selected head, what does the model expect, and which heads make up for it?",
    about=(
        "A head’s output z, what it brings before W_O, is put aside, and in its place stands 0; or its value bias b_V, "
        "which it brings whatever it looks at; or its own mean over the prompt, the first token left out; or what it "
        "has in the other prompt at the token that stands for each (tokens without a counterpart keep theirs). The "
        "model runs on from there, and is read after the last token of the prompt.",
        "Direct logit attribution says what every head adds to the target’s logit, before and after. The final "
        "LayerNorm’s spread is that of each run. Where later heads then add more, they make up for the one that is "
        "gone: self-repair.",
        Formula("head-write"),
        Formula("attribution"),
        "Sources: Wang et al. 2022, Interpretability in the Wild; McGrath et al. 2023, The Hydra Effect; Zhang & "
        "Nanda 2024 on resampling.",
        "It does not show what the head is for: 0 and means are outputs that the model may never meet, and what later "
        "layers make of them may be an artefact.",
    ),
    reads=("n_prompt", "layer", "head", "target", "against"),
    marks="head",
    knobs=(
        Knob(name="run", label="Prompt", options={"a": "a", "b": "b"}),
        Knob(name="which", label="Heads", options={"head": "the selected one", "layer": "all of its layer"}),
        Knob(name="mode", label="In its place", options=MODES),
        Knob(name="where", label="At", options={"all": "every token", "end": "the last token"}),
        Knob(name="show", label="Show", options={"tokens": "next tokens", "parts": "what each head adds"}),
    ),
    draw=draw,
    numbers=numbers,
    work=work,
    pairs=True,
)
