"""The panel of the tokens nearest to a vector: the selected token's at any layer, or a sum of tokens that is typed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dashapp.analysis.table import Table, token_names
from dashapp.analysis.vocabulary import Nearest, nearest_tokens, sum_of_tokens, vector_of
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.figures.vocabulary import nearest_bars
from dashapp.model.tokenizer import token_text, token_texts
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel, TextKnob
from dashapp.panels.terms import Term, said, terms_of
from dashapp.panels.vector_similarity import Centre
from dashapp.panels.vectors import VECTORS, Which, chosen
from dashapp.traces.record import Trace

N_SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """vector: float64 [d_model]. inputs: tokens that it is made of. whose: it, in words. said: how the foot begins."""

    vector: np.ndarray
    inputs: frozenset[int]
    whose: str
    said: str


def draw(trace: Trace, *, pos: int, layer: int | None, of: Which, centre: Centre, terms: str, frame: Frame) -> Drawn:
    """The nearest tokens of the whole vocabulary."""
    is_centred = centre == "mean"
    typed, asked = asked_for(trace, pos, layer, of, terms, is_centred=is_centred)
    found = nearest_tokens(trace, asked.vector, N_SHOWN + len(asked.inputs), centred=is_centred)
    found = replace(found, ids=found.ids[:N_SHOWN], cosines=found.cosines[:N_SHOWN])
    figure = nearest_bars(
        found, texts=token_texts(found.ids), inputs=asked.inputs if typed else (), whose=asked.whose, frame=frame
    )
    parts = [asked.said, _nearest(found, asked, bool(typed)), _mean(found, is_centred)]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def asked_for(
    trace: Trace, pos: int, layer: int | None, of: Which, terms: str, *, is_centred: bool
) -> tuple[list[Term], Asked]:
    """The terms of the sum that is typed, none where none is; and the vector. Raises: NotASum, NotOneToken."""
    typed = terms_of(terms, d_vocab=trace.config.d_vocab) if terms.strip() else []
    return typed, _of_sum(trace, typed, is_centred) if typed else _of_token(trace, pos, layer, of, is_centred)


def _of_token(trace: Trace, pos: int, layer: int | None, of: Which, is_centred: bool) -> Asked:
    shown = chosen(of, layer)
    name = f"token {pos} ‘{plain_label(trace.token_texts[pos])}’"
    return Asked(
        vector=vector_of(trace, pos, shown.of, centred=is_centred),
        inputs=frozenset({int(trace.token_ids[pos])}),
        whose=f"the vector of {name}",
        said=f"{shown.said} Asked for: {name}.",
    )


def _of_sum(trace: Trace, terms: list[Term], is_centred: bool) -> Asked:
    return Asked(
        vector=sum_of_tokens(trace, [(term.sign, term.token) for term in terms], centred=is_centred),
        inputs=frozenset(term.token for term in terms),
        whose=said(terms),
        said=f"Asked for: {said(terms)}, token embeddings whatever is selected.",
    )


def _nearest(found: Nearest, asked: Asked, is_sum: bool) -> str:
    if not found.has_direction:
        return "Nothing is left of that vector, so it has no direction and no token is nearest."
    other = next((int(token) for token in found.ids if int(token) not in asked.inputs), None)
    if other is None or not asked.inputs & {int(token) for token in found.ids}:
        return ""
    what = "Hatched: what was typed. Apart from that" if is_sum else "Apart from the token itself"
    return f"{what}, the nearest is ‘{plain_label(token_text(other))}’."


def _mean(found: Nearest, is_centred: bool) -> str:
    if not found.has_direction:
        return ""
    how = "without the mean" if is_centred else "as they are"
    value = f"{found.mean:.3g}".replace("-", "−")
    return f"Vectors {how}; the mean cosine with all {found.n_tokens:,} tokens is {value}."


def numbers(trace: Trace, *, pos: int, layer: int | None, of: Which, centre: Centre, terms: str) -> Table:
    """The nearest tokens of the whole vocabulary and their cosines. Raises: NotASum, NotOneToken, WeightsMissing."""
    is_centred = centre == "mean"
    _typed, asked = asked_for(trace, pos, layer, of, terms, is_centred=is_centred)
    found = nearest_tokens(trace, asked.vector, N_SHOWN + len(asked.inputs), centred=is_centred)
    ids = found.ids[:N_SHOWN]
    names = token_names(token_texts(ids), numbers=ids)
    return Table(f"cosine with {asked.whose}", found.cosines[:N_SHOWN], {"token": names})


NEAREST_TOKENS = Panel(
    name="nearest-tokens",
    title="Nearest tokens",
    question="Which tokens of the vocabulary point the same way as this vector, or as a − b + c? Click one.",
    about=(
        Formula("cosine"),
        "The vector is compared with the token embedding of every token: all rows of wte, not only the prompt's "
        "tokens. Without the mean: from the embeddings the mean over the vocabulary is taken off, and from the vector "
        "the mean of its kind, over the vocabulary for token embeddings, over the prompt's tokens but the first for "
        "all others. A few dimensions that are large everywhere make all cosines alike; that part goes with the means.",
        "A sum: words with + or − between them, blanks around these. A word is the token that it is within a text, "
        "after a blank, where there is one; in quotes it is exactly what stands between them; #1234 is a token by its "
        "number. The embeddings are added as they are, not scaled to the same length first, and the tokens typed stay "
        "in the list, hatched: published lists often leave them out, and they are often the nearest.",
        "A clicked token becomes the target of the logit lens and of attribution; up and down arrow keys do the same.",
        "Sources: Mikolov, Yih & Zweig 2013, Linguistic Regularities in Continuous Space Word Representations; on what "
        "is left out of the lists, Nissim, van Noord & van der Goot 2020, Fair Is Better than Sensational.",
        "It does not show what the model would say: the unembedding reads the last state through a LayerNorm, and "
        "lengths count there. Within the layers a state is not made to be compared with embeddings at all.",
    ),
    reads=("pos", "layer"),
    marks="vocabulary",
    knobs=(
        replace(VECTORS, start="token"),
        Knob(name="centre", label="Cosine", options={"raw": "as it is", "mean": "without the mean"}),
        TextKnob(name="terms", label="Or a sum", example="king − man + woman"),
    ),
    draw=draw,
    numbers=numbers,
)
