"""The panel of the sampler's steps at the selected token, with settings of its own."""

from __future__ import annotations

from typing import Final

from dashapp.analysis.sampler import SamplerSteps, sampler_rows, sampler_steps
from dashapp.figures.generation import percent
from dashapp.figures.sampler import sampler_table
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.model.sampling import SamplingSettings
from dashapp.model.tokenizer import token_text
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

N_FIRST: Final = 12  # tokens with a row of their own


def draw(trace: Trace, *, pos: int, temperature: str, top_k: str, top_p: str, frame: Frame) -> Drawn:
    """The likeliest tokens, the one that came, and all others by what becomes of them, step by step."""
    settings = SamplingSettings(temperature=float(temperature), top_k=int(top_k), top_p=float(top_p))
    steps = sampler_steps(trace, pos, settings)
    rows = sampler_rows(steps, n_first=N_FIRST)
    figure = sampler_table(
        steps,
        rows,
        texts={row.token: token_text(row.token) for row in rows if row.token is not None},
        after=trace.token_texts[pos],
        frame=frame,
    )
    return Drawn(figure=figure, foot=f"{_what_is_left(steps)} {_what_came(steps)}")


def _what_is_left(steps: SamplerSteps) -> str:
    n_kept, n = steps.n_top_p, len(steps.ids)
    if steps.settings.temperature == 0:
        return f"Temperature 0 takes the likeliest of {n:,} tokens; there is nothing left for top-k and top-p to cut."
    held = percent(float(steps.tempered[:n_kept].sum()))
    cuts = [
        f"{name} cuts {before - after:,}"
        for name, before, after in (("top-k", n, steps.n_top_k), ("top-p", steps.n_top_k, n_kept))
        if before > after
    ]
    said = f"{' and '.join(cuts)}: {n_kept:,} may be drawn" if cuts else "nothing is cut, all may be drawn"
    return f"Of {n:,} tokens {said}, with {held} of the probability after temperature."


def _what_came(steps: SamplerSteps) -> str:
    if steps.came is None:
        return "Nothing follows the last token yet."
    name = f"What came: ‘{plain_label(token_text(int(steps.ids[steps.came])))}’"
    fate = steps.fate(steps.came)
    if fate == "kept":
        return f"{name}, which these settings draw with probability {percent(float(steps.final[steps.came]))}."
    cut = "as another is likelier" if fate == "temperature" else f"for {fate} cuts it"
    return f"{name}, which these settings never draw, {cut}."


SAMPLER = Panel(
    name="sampler",
    title="The sampler, step by step",
    question="How does the sampler get from the logits to the tokens that may be drawn?",
    about=(
        "A logit is a token's score; softmax turns the scores of the whole vocabulary into probabilities. The "
        "temperature T divides the logits first: below 1 the likely tokens gain, above 1 the unlikely ones. At 0 the "
        "most likely token is taken.",
        Formula("temperature"),
        "Top-k keeps the k most likely tokens. Top-p keeps, of those, the fewest that together hold the share p of "
        "what top-k left. What is kept is divided by its sum, so that it sums to 1 again, and a random number from 0 "
        "to 1 falls on one token: each has a stretch as long as its probability, the likeliest first.",
        "Every step is computed over the whole vocabulary by the sampler that generates text. Tokens without a row of "
        "their own stand together with those that share their fate. Bars run from 0 to 100%; logits have none, for "
        "only their differences matter. A broken line is a cut, ▸ and the amber outline mark the token that came.",
        "The settings here are this panel's alone: nothing is generated again.",
        "Sources: Fan et al. 2018 (top-k); Holtzman et al. 2020 (top-p).",
        "It does not show which random number the run drew, nor its seed: a trace holds what the model computed, not "
        "how its text was drawn.",
    ),
    reads=("pos",),
    knobs=(
        Knob(
            name="temperature",
            label="Temperature",
            options={value: value for value in ("0", "0.5", "0.8", "1", "1.5", "2")},
            start="0.8",
        ),
        Knob(name="top_k", label="Top-k", options={"0": "all", **{k: k for k in ("1", "5", "40", "100")}}),
        Knob(
            name="top_p",
            label="Top-p",
            options={value: value for value in ("1", "0.99", "0.95", "0.9", "0.5")},
            start="0.95",
        ),
    ),
    draw=draw,
)
