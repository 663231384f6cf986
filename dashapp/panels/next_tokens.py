"""The panel of the next-token distribution at the selected token."""

from __future__ import annotations

import numpy as np

from dashapp.analysis.predictions import NextToken, next_token
from dashapp.analysis.table import Table, token_names
from dashapp.figures.generation import Scale, next_tokens
from dashapp.figures.numbers import percent
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.model.tokenizer import token_text, token_texts
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace


def draw(trace: Trace, *, pos: int, scale: Scale, frame: Frame) -> Drawn:
    """The likeliest tokens after `pos`, all others together, and the token that came."""
    expected = next_token(trace, pos)
    figure = next_tokens(
        expected,
        texts=token_texts(expected.ids),
        after=trace.token_texts[pos],
        scale=scale,
        frame=frame,
    )
    foot = (
        f"{len(expected.probs)} of {trace.config.d_vocab:,} tokens hold {percent(float(expected.probs.sum()))} of the "
        f"probability, the others {percent(expected.tail)}. "
        f"Entropy of the whole distribution: {frame.information(expected.entropy_bits)}. {_what_came(expected)}"
    )
    return Drawn(figure=figure, foot=foot)


def _what_came(expected: NextToken) -> str:
    if expected.actual is None:
        return "Nothing follows the last token yet."
    place = "the favourite" if expected.actual_rank == 0 else f"{expected.actual_rank:,} were likelier"
    return f"What came: ‘{plain_label(token_text(expected.actual))}’, {percent(expected.actual_prob)}, {place}."


def numbers(trace: Trace, *, pos: int) -> Table:
    """The probability of each likely token, of the one that came, and of all others together."""
    expected = next_token(trace, pos)
    names, probs = token_names(token_texts(expected.ids), numbers=expected.ids), [*expected.probs]
    others = expected.tail
    if expected.actual is not None and expected.actual not in expected.ids:
        names += token_names([token_text(expected.actual)], numbers=[expected.actual])
        probs, others = [*probs, expected.actual_prob], others - expected.actual_prob
    after = token_names(trace.token_texts)[pos]
    return Table(f"probability after {after}", np.array([*probs, others]), {"token": [*names, "all others"]})


NEXT_TOKENS = Panel(
    name="next-tokens",
    title="What comes next",
    question="After the selected token, which tokens does the model expect?",
    about=(
        "After reading the tokens up to the selected one, the model gives every token of its vocabulary a score, its "
        "logit z. Softmax turns the logits of all 50,257 tokens into probabilities.",
        Formula("unembedding"),
        Formula("temperature"),
        "Drawn are the model's own probabilities, with T = 1, before temperature, top-k and top-p.",
        "▸ and an amber outline mark the token that came: the next of the prompt, or the one that was drawn.",
        "Source: Radford et al. 2019, Language Models are Unsupervised Multitask Learners.",
        "It does not show why the model expects these tokens.",
    ),
    reads=("pos",),
    knobs=(Knob(name="scale", label="Scale", options={"whole": "0 to 100%", "fit": "fit the longest bar"}),),
    draw=draw,
    numbers=numbers,
    difference="",
)
