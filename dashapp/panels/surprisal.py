"""The panel of each token's surprisal, and the perplexity of prompt and continuation."""

from __future__ import annotations

import math

from dashapp.analysis.predictions import Surprisals, surprisals
from dashapp.analysis.table import Table, token_names
from dashapp.figures.generation import surprisal
from dashapp.figures.theme import Frame, Units, per_bit
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Panel
from dashapp.traces.record import Trace


def draw(trace: Trace, *, n_prompt: int, frame: Frame) -> Drawn:
    """Surprisal, a bar a token."""
    measured = surprisals(trace)
    figure = surprisal(measured, texts=trace.token_texts, frame=frame)
    if trace.n_tokens < 2:
        return Drawn(figure=figure, foot="There is one token and nothing before it to expect it from.")
    parts = [
        _part("Prompt", measured, 1, min(n_prompt, trace.n_tokens), frame),
        _part("Continuation", measured, n_prompt, trace.n_tokens, frame),
    ]
    first = "The first token has none: nothing stands before it."
    return Drawn(figure=figure, foot=" ".join([*(part for part in parts if part), first]))


def _part(name: str, measured: Surprisals, first: int, end: int, frame: Frame) -> str:
    """Mean surprisal and perplexity of some tokens; nothing where there is none."""
    mean_bits = measured.mean_over(first, end)
    if math.isnan(mean_bits):
        return ""
    n = end - max(1, first)
    tokens = "1 token" if n == 1 else f"{n:,} tokens"
    return f"{name}: perplexity {perplexity(mean_bits)}, {frame.information(mean_bits)} a token over {tokens}."


def perplexity(mean_bits: float) -> str:
    """2 to the mean bits, with three digits; whole from a thousand on."""
    found: float = 2**mean_bits
    return f"{found:,.0f}" if found >= 1000 else f"{found:.3g}"


def numbers(trace: Trace, *, units: Units) -> Table:
    """The surprisal of each token; none of the first."""
    values = surprisals(trace).bits * per_bit(units)
    return Table(f"surprisal ({units})", values, {"token": token_names(trace.token_texts)})


SURPRISAL = Panel(
    name="surprisal",
    title="Surprisal of each token",
    question="Which tokens did the model not see coming?",
    about=(
        Formula("surprisal"),
        "The surprisal of a token comes from the probability that the model gave it, in bits: 0 for a certainty, 1 "
        "for a coin toss, about 15.6 for a guess among all 50,257 tokens. In nats, which the header offers, the "
        "logarithm is the natural one and all numbers are smaller by ln 2. Drawn tokens are mostly unsurprising, for "
        "they were drawn from what the model expected.",
        "Perplexity is 2 to the mean surprisal in bits, or e to that in nats: among so many equally likely tokens the "
        "model was undecided on average. It does not depend on the unit. Cuts of the sampler make that of a "
        "continuation lower than the model's own draws would have it.",
        "Source: Shannon 1948, A Mathematical Theory of Communication.",
        "It does not show what was expected instead: select a token for that.",
    ),
    reads=("n_prompt",),
    marks="pos",
    draw=draw,
    numbers=numbers,
    difference="",
)
