"""The panel of one patch: what the model then expects, and the text that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from dashapp.analysis.alignment import NONE
from dashapp.analysis.divergence import divergence, likeliest_in_any
from dashapp.analysis.inner_changes import js_bits
from dashapp.analysis.table import Table, columns, counted, token_names
from dashapp.experiments.cells import N_NEW, Cell, CellPatch
from dashapp.experiments.orders import order_of_texts
from dashapp.experiments.sweeps import HEAD_SITES, LEAST_GAP, effect
from dashapp.figures.heads import ScoreMap, score_maps
from dashapp.figures.patching import signed
from dashapp.figures.probabilities import Run, Scale, probability_bars
from dashapp.figures.theme import Frame, Units, per_bit, unfilled
from dashapp.figures.tokens import plain_label, running_text
from dashapp.jobs.works import Work, pins_told
from dashapp.model.tokenizer import token_texts
from dashapp.panels.beside import told
from dashapp.panels.formulas import Formula
from dashapp.panels.order import awaited
from dashapp.panels.output_changes import SCALE
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.panels.patching import DIRECTION, SITE, SITE_NAMES, Question, question
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from dashapp.figures import plot

Show = Literal["tokens", "attention"]

N_TOKENS: Final = 10
MAP_HEIGHT: Final = 260  # of a map that is not there yet

# What a person selects for a cell of each kind.
NEEDS: Final = {True: "a layer and a head", False: "a layer and a token"}


def work(
    a: Trace,
    *,
    pos: int,
    other_pos: int,
    head: int | None,
    scale: Scale,  # noqa: ARG001  as draw has them
    show: Show,  # noqa: ARG001
    **chosen: Any,
) -> Work | None:
    """The patch that is chosen; None where none is, or where it can change nothing. Raises: as `question`."""
    asked = question(a, **chosen)
    cell = _cell(asked, other_pos if asked.into == "b" else pos, chosen["layer"], head)
    if cell is None or _idle(asked, cell):
        return None
    return Work(
        kind="cell",
        trace=asked.target_key,
        arguments={
            "source": asked.source.tolist(),
            "n_target": len(asked.target),
            "cell": asdict(cell),
            **pins_told(asked.pins),
        },
    )


def draw(
    a: Trace,
    *,
    pos: int,
    other_pos: int,
    head: int | None,
    scale: Scale,
    show: Show,
    frame: Frame,
    result: Mapping[str, np.ndarray] | None,
    **chosen: Any,
) -> Drawn:
    """Next tokens of all three runs, or how heads look differently in the patched one. Raises: as `question`."""
    asked = question(a, **chosen)
    cell = _cell(asked, other_pos if asked.into == "b" else pos, chosen["layer"], head)
    found = CellPatch.from_arrays(result) if result is not None and cell is not None else None
    logits = logits_of(a, chosen["other"], (chosen["n_prompt"], chosen["other_n_prompt"]), found)
    if show == "tokens":
        ids, shown = likeliest_in_any(logits, N_TOKENS)
        figure = probability_bars(ids, shown, texts=token_texts(ids), scale=scale, frame=frame)
    else:
        figure = _changed_looks(found, frame)
    if cell is None:
        foot = f"No patch is chosen. Select {NEEDS[asked.site in HEAD_SITES]}, or click a cell of Activation patching."
    else:
        what = _what(asked, cell)
        foot = f"{what} {_idle(asked, cell) or (_moved(asked, found, logits, frame) if found else _awaited(asked, a))}"
    if show == "attention" and found is not None:
        foot += f" {_most_changed(found, frame)}"
    return Drawn(figure=figure, foot=foot)


def changed_looks(found: CellPatch) -> np.ndarray:
    """How differently each head looks from the last token of the prompt in the patched run: bits, float64 [layer head].

    The Jensen–Shannon divergence of both rows (Lin 1991).
    """
    return js_bits(found.looks.astype(np.float64), found.looks_patched.astype(np.float64))


def _changed_looks(found: CellPatch | None, frame: Frame) -> plot.Figure:
    """The same as a map; an empty figure while nothing is patched."""
    if found is None:
        return unfilled(frame, height=MAP_HEIGHT, summary="No patch is computed yet.")
    values = changed_looks(found) * frame.per_bit
    shown = ScoreMap(title="JS divergence of rows, patched or not", values=values, unit=f" {frame.units}")
    figure = score_maps([shown], low=0, high=max(1e-6, float(values.max())), frame=frame)
    return figure.update_layout(meta={**figure.layout.meta, "marks": "head"})


def logits_of(a: Trace, b: Trace, n_prompts: tuple[int, int], found: CellPatch | None) -> dict[Run, np.ndarray]:
    """After both prompts and, where it is there, in the patched run: logits [d_vocab] each."""
    end_of_a, end_of_b = (max(1, n) - 1 for n in n_prompts)
    logits: dict[Run, np.ndarray] = {"a": a.logits_at(end_of_a), "b": b.logits_at(end_of_b)}
    return logits | ({"patched": found.logits} if found is not None else {})


def _cell(asked: Question, pos: int, layer: int | None, head: int | None) -> Cell | None:
    """The cell that the selection names; None where it names none. pos: in the run that is patched."""
    cell = Cell(site=asked.site, layer=layer or 0, head=head or 0, pos=pos)
    if layer is None or (cell.is_of_head and head is None):
        return None
    return Cell(
        site=cell.site,
        layer=cell.layer,
        head=cell.head if cell.is_of_head else 0,
        pos=cell.pos if cell.is_of_token else 0,
    )


def _idle(asked: Question, cell: Cell) -> str:
    """Why a patch is not done; "" where it is."""
    places = asked.places
    if not len(places.changing):
        return "The prompts are the same as far as they have counterparts, so there is nothing to patch."
    if not cell.is_of_token:
        return ""
    if cell.pos > places.read_target:
        return "That token was generated; a patch is done in the prompt."
    if places.source_of[cell.pos] == NONE:
        return "That token has no counterpart in the other prompt, so nothing can take its place."
    if cell.pos < places.n_shared:
        return "Both runs are the same up to there, so the patch changes nothing."
    return ""


def numbers(
    a: Trace,
    *,
    other: Trace,
    n_prompt: int,
    other_n_prompt: int,
    show: Show,
    units: Units,
    result: Mapping[str, np.ndarray] | None,
) -> Table:
    """Next tokens of both prompts and, where a patch is chosen, of the patched run; or how differently heads look."""
    found = CellPatch.from_arrays(result) if result is not None else None
    if show == "attention":
        shape = (a.config.n_layer, a.config.n_head)
        values = np.full(shape, np.nan) if found is None else changed_looks(found) * per_bit(units)
        axes = {"layer": counted(shape[0]), "head": counted(shape[1])}
        return Table(f"Jensen–Shannon divergence of the last row, patched or not ({units})", values, axes)
    ids, shown = likeliest_in_any(logits_of(a, other, (n_prompt, other_n_prompt), found), N_TOKENS)
    names = token_names(token_texts(ids), numbers=ids)
    return columns("probability of the next token", "token", names, {str(run): each for run, each in shown.items()})


# In words ------------------------------------------------------------------------------------------------------------


def _what(asked: Question, cell: Cell) -> str:
    """The patch in words."""
    source = "a" if asked.into == "b" else "b"
    site = SITE_NAMES[cell.site].removesuffix(", by token").removesuffix(", all tokens").removeprefix("one layer’s ")
    where = f"layer {cell.layer}" + (f", head {cell.head}" if cell.is_of_head else "")
    at = ""
    if cell.is_of_token and cell.pos < len(asked.target):
        at = f", token {cell.pos} ‘{plain_label(token_texts(asked.target)[cell.pos])}’ of {asked.into}"
    return f"Patched: {site}, {where}{at}, from {source}."


def _awaited(asked: Question, a: Trace) -> str:
    """What the patch takes: the source's run, and the target's as it is and patched."""
    n_source, n_target = len(asked.source), len(asked.target)
    return awaited(order_of_texts(a.config, [n_source, n_target, n_target], N_NEW), a.config)


def _moved(asked: Question, found: CellPatch, logits: Mapping[Run, np.ndarray], frame: Frame) -> str:
    """How far the patch moves the logit difference, and the texts."""
    source: Run = "a" if asked.into == "b" else "b"
    mine, other = asked.tokens
    values = {run: float(each[mine]) - float(each[other]) for run, each in logits.items()}
    ends = {"source": values[source], "target": values[asked.into]}
    moved = float(effect(np.array(values["patched"]), **ends))
    unit = "of the way" if abs(ends["source"] - ends["target"]) >= LEAST_GAP else "nats"
    names = [f"‘{plain_label(text)}’" for text in token_texts(np.array(asked.tokens, dtype=np.int32))]
    apart = divergence(logits[asked.into], logits["patched"])
    texts = {"patched": found.patched, source: found.source, asked.into: found.target}
    told_texts = "; ".join(f"{run} ‘{running_text(token_texts(ids))}’" for run, ids in texts.items() if len(ids))
    return (
        f"The logit of {names[0]} over {names[1]} moves {signed(moved)} {unit}, from {signed(ends['target'])} to "
        f"{signed(values['patched'])} ({source}: {signed(ends['source'])}). From {asked.into} the expectation is "
        f"{told(apart.js, frame.units)} away (Jensen–Shannon). The likeliest text that follows: {told_texts}."
    )


def _most_changed(found: CellPatch, frame: Frame) -> str:
    """Which head looks most differently."""
    bits = changed_looks(found)
    layer, head = np.unravel_index(int(bits.argmax()), bits.shape)
    if bits[layer, head] == 0:
        return "No head looks differently from the last token."
    most = frame.information(float(bits[layer, head]))
    return f"From the last token, layer {layer}, head {head} looks most differently: {most}."


SHOW: Final = Knob(name="show", label="Show", options={"tokens": "next tokens", "attention": "attention that changes"})

PATCH_CELL: Final = Panel(
    name="patch-cell",
    title="Patch one cell",
    question="With one activation of the other prompt in its place, what does the model expect, and how does it go on?",
    about=(
        "One activation of the target’s run is replaced by the source’s at the token that stands for it, at the "
        "selected layer, head and token; the prompt is read to its end, and the next tokens are shown beside those of "
        "a and b. Then the model goes on by itself, always with the likeliest token, up to "
        f"{N_NEW} of them: they read the keys and values that the patched prompt left, and are not patched themselves.",
        Formula("patching"),
        "The site and direction are those of Activation patching; another one there is another one here. A cell of "
        "that map and this patch are the same number. A clicked token becomes the target.",
        "Attention that changes compares where the last token of the prompt looks, in every head, in the target’s run "
        "as it is and patched, as Attention that changed does for two prompts.",
        "Sources: Meng et al. 2022; Wang et al. 2022, Interpretability in the Wild; Zhang & Nanda 2024.",
        "It does not show that this part matters by itself: others can make up for it. A text with the likeliest token "
        "at each step is one of many, and a small change can turn all that follows.",
    ),
    reads=("pos", "n_prompt", "layer", "head", "target", "against", "pins"),
    marks="vocabulary",
    knobs=(SITE, DIRECTION, SHOW, SCALE),
    draw=draw,
    numbers=numbers,
    work=work,
    pairs=True,
)
