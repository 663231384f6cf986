"""The panel of each token's surprisal."""

from __future__ import annotations

from dashapp.analysis.predictions import surprisals
from dashapp.figures.generation import surprisal
from dashapp.figures.theme import Frame
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Panel
from dashapp.traces.record import Trace


def draw(trace: Trace, *, frame: Frame) -> Drawn:
    """Bits of surprisal, a bar a token."""
    measured = surprisals(trace)
    figure = surprisal(measured, texts=trace.token_texts, frame=frame)
    if trace.n_tokens < 2:
        return Drawn(figure=figure, foot="There is one token and nothing before it to expect it from.")
    foot = (
        f"Mean over {trace.n_tokens - 1:,} tokens: {measured.mean_bits:.3g} bits, a perplexity of "
        f"{_perplexity(measured.mean_bits)}. The first token has none: nothing stands before it."
    )
    return Drawn(figure=figure, foot=foot)


def _perplexity(mean_bits: float) -> str:
    perplexity = 2**mean_bits
    return f"{perplexity:,.0f}" if perplexity >= 1000 else f"{perplexity:.3g}"


SURPRISAL = Panel(
    name="surprisal",
    title="Surprisal of each token",
    question="Which tokens did the model not see coming?",
    about=(
        Formula("surprisal"),
        "The surprisal of a token comes from the probability that the model gave it, in bits: 0 for a certainty, 1 "
        "for a coin toss, about 15.6 for a guess among all 50,257 tokens. Drawn tokens are mostly unsurprising, for "
        "they were drawn from what the model expected.",
        "Source: Shannon 1948, A Mathematical Theory of Communication.",
        "It does not show what was expected instead: select a token for that.",
    ),
    marks="pos",
    draw=draw,
)
