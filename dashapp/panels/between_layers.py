"""The panel of how alike the residual stream is at every two layers."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from dashapp.analysis.embeddings import told
from dashapp.analysis.layers import FEWEST, centred_cosines, states_between_layers, unbiased_cka
from dashapp.analysis.table import Table
from dashapp.figures.between_layers import between_layers
from dashapp.figures.paths import state_names
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

Measure = Literal["cka", "cosine", "token"]

MEASURES: Final[dict[Measure, str]] = {
    "cka": "linear CKA, unbiased",
    "cosine": "centred cosine, all tokens",
    "token": "centred cosine, selected token",
}


def draw(trace: Trace, *, pos: int | None, measure: Measure, frame: Frame) -> Drawn:
    """Every two layers by one measure. pos: the selected token, None where the measure is of all."""
    states = states_between_layers(trace)
    square, said = _cka(states) if measure == "cka" else _cosines(trace, states, pos)
    quantity, hover = ("CKA", "CKA") if measure == "cka" else ("cosine", "centred cosine")
    figure = between_layers(square.astype(np.float32), quantity=quantity, hover=hover, frame=frame)
    return Drawn(figure=figure, foot=said)


def _cka(states: np.ndarray) -> tuple[np.ndarray, str]:
    n_tokens = len(told(states[0]))
    which = "all tokens but the first" if n_tokens < states.shape[1] else "all tokens"
    if n_tokens < FEWEST:
        said = f"n = {n_tokens}, and the estimator without bias needs at least {FEWEST} tokens besides the first."
    else:
        said = f"n = {n_tokens:,}: {which}. Around 0 is not alike at all, and few tokens scatter more."
    return unbiased_cka(states), said


def _cosines(trace: Trace, states: np.ndarray, pos: int | None) -> tuple[np.ndarray, str]:
    square = centred_cosines(states, pos)
    if pos is not None:
        whose = f"Token {pos} ‘{plain_label(trace.token_texts[pos])}’"
    else:
        n_tokens = len(told(states[0]))
        whose = f"The mean over {n_tokens:,} tokens{' (all but the first)' if n_tokens < trace.n_tokens else ''}"
    nothing = " Nothing is left of a vector without the mean, so gaps have no cosine." if np.isnan(square).any() else ""
    return square, f"{whose}, each layer without its own mean over the tokens.{nothing}"


def numbers(trace: Trace, *, pos: int | None, measure: Measure) -> Table:
    """Every two states by the measure. pos: the selected token, None where the measure is of all."""
    states = states_between_layers(trace)
    square = unbiased_cka(states) if measure == "cka" else centred_cosines(states, pos)
    names = state_names(len(states))
    return Table(MEASURES[measure], square, {"state": names, "other state": names})


BETWEEN_LAYERS = Panel(
    name="between-layers",
    title="Likeness of layers",
    question="Between which layers does the residual stream change, and between which does it stay the same?",
    about=(
        "Linear CKA compares two layers by whether they find the same tokens alike: it takes the Gram matrix of the "
        "tokens' vectors at each, all dot products of two tokens, and is the cosine of the two matrices, centred. "
        "Turning or scaling all vectors of a layer changes nothing.",
        Formula("cka"),
        "With fewer tokens than dimensions the usual estimate of HSIC makes everything look alike, so this is the one "
        "without bias: diagonals are left out. It needs n of at least 4 tokens and can be a little below 0.",
        "Centred cosine compares one token's vector with itself at another layer, each layer without its mean over the "
        "tokens, and averages that over the tokens, or shows the selected one's. The first token is left out of means "
        "and of CKA, for it is many times longer in trained models. The amber row and column are the selected layer's; "
        "click a cell to select the layer of its row, or use the up and down arrow keys.",
        "Sources: Kornblith et al. 2019, Similarity of Neural Network Representations Revisited; Song et al. 2012, "
        "equation 5, and Nguyen, Raghu & Kornblith 2021 on the estimator.",
        "It does not show what changed. A few directions with large variance decide CKA, and two layers may be alike "
        "in them and differ in what is read.",
    ),
    reads=("pos",),
    when={"pos": ("measure", "token")},
    marks="between",
    knobs=(Knob(name="measure", label="Measure", options={str(name): said for name, said in MEASURES.items()}),),
    draw=draw,
    numbers=numbers,
    difference="",
)
