"""The panel of the sampler's steps at the selected token, with settings of its own."""

from __future__ import annotations

from typing import Final

import numpy as np

from dashapp.analysis.sampler import SamplerSteps, number_drawn, sampler_rows, sampler_steps
from dashapp.analysis.table import Table, columns, token_names
from dashapp.figures.numbers import percent
from dashapp.figures.sampler import sampler_table
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.model.sampling import SamplingSettings
from dashapp.model.tokenizer import token_text, token_texts
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

N_FIRST: Final = 12  # tokens with a row of their own
AS_RUN: Final = "run"  # of a knob: what the run on screen was drawn with


def draw(
    trace: Trace,
    *,
    pos: int,
    n_prompt: int,
    drawn_with: SamplingSettings | None,
    temperature: str,
    top_k: str,
    top_p: str,
    frame: Frame,
) -> Drawn:
    """The likeliest tokens, the one that came, and all others by what becomes of them, step by step."""
    run = drawn_with or SamplingSettings()
    settings = settings_of(drawn_with, temperature, top_k, top_p)
    number = number_drawn(run.seed, pos + 1 - n_prompt) if _was_drawn(trace, pos, n_prompt, drawn_with) else None
    steps = sampler_steps(trace, pos, settings, u=number if settings.temperature else None)
    rows = sampler_rows(steps, n_first=N_FIRST)
    figure = sampler_table(
        steps,
        rows,
        texts={row.token: token_text(row.token) for row in rows if row.token is not None},
        after=trace.token_texts[pos],
        frame=frame,
    )
    drew = _what_was_drawn(steps, run, pos + 1 - n_prompt, number)
    return Drawn(figure=figure, foot=" ".join(part for part in (_what_is_left(steps), _what_came(steps), drew) if part))


def _was_drawn(trace: Trace, pos: int, n_prompt: int, drawn_with: SamplingSettings | None) -> bool:
    """Whether a random number of the run chose the token after `pos`."""
    is_generated = n_prompt <= pos + 1 < trace.n_tokens
    return is_generated and drawn_with is not None and drawn_with.temperature > 0


def _what_was_drawn(steps: SamplerSteps, run: SamplingSettings, n: int, number: float | None) -> str:
    """The seed and the random number of the nth drawn token, and on what it falls with these settings."""
    if number is None:
        return ""
    said = f"Seed {run.seed}, random number {n + 1:,} of the run: {number:.6f}"
    if steps.hit is None:
        return f"{said}; temperature 0 needs none."
    name = f"‘{plain_label(token_text(int(steps.ids[steps.hit])))}’"
    if steps.hit == steps.came:
        return f"{said}, which falls on {name} (◆)."
    return f"{said}, which with these settings falls on {name} (◆)."


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


def settings_of(drawn_with: SamplingSettings | None, temperature: str, top_k: str, top_p: str) -> SamplingSettings:
    """What the knobs say, and where they leave it to the run, what that was drawn with."""
    run = drawn_with or SamplingSettings()
    return SamplingSettings(
        temperature=run.temperature if temperature == AS_RUN else float(temperature),
        top_k=run.top_k if top_k == AS_RUN else int(top_k),
        top_p=run.top_p if top_p == AS_RUN else float(top_p),
    )


def numbers(
    trace: Trace, *, pos: int, drawn_with: SamplingSettings | None, temperature: str, top_k: str, top_p: str
) -> Table:
    """The whole vocabulary through the steps, the likeliest first."""
    steps = sampler_steps(trace, pos, settings_of(drawn_with, temperature, top_k, top_p))
    final = np.zeros(len(steps.ids))
    final[: len(steps.final)] = steps.final
    return columns(
        f"the sampler's steps after {token_names(trace.token_texts)[pos]}",
        "token",
        token_names(token_texts(steps.ids), numbers=steps.ids),
        {
            "logit": steps.logits,
            "probability": steps.probs,
            "probability after temperature": steps.tempered,
            "probability to be drawn": final,
        },
    )


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
        "only their differences matter. A broken line is a cut, ▸ and the amber outline mark the token that came, ◆ "
        "the one on which the run's random number falls.",
        "The settings start as the run on screen was drawn and are this panel's alone: nothing is generated again. "
        "With others, the same random number may fall on another token; after that, a run would have gone elsewhere.",
        "Random numbers come from NumPy's PCG64, started with the seed, one for each token that is drawn.",
        "Sources: Fan et al. 2018 (top-k); Holtzman et al. 2020 (top-p).",
        "It does not show a random number for tokens of the prompt, which nobody drew, nor at temperature 0, which "
        "draws none.",
    ),
    reads=("pos", "n_prompt", "drawn_with"),
    knobs=(
        Knob(
            name="temperature",
            label="Temperature",
            options={AS_RUN: "the run's", **{value: value for value in ("0", "0.5", "0.8", "1", "1.5", "2")}},
        ),
        Knob(
            name="top_k",
            label="Top-k",
            options={AS_RUN: "the run's", "0": "all", **{k: k for k in ("1", "5", "40", "100")}},
        ),
        Knob(
            name="top_p",
            label="Top-p",
            options={AS_RUN: "the run's", **{value: value for value in ("1", "0.99", "0.95", "0.9", "0.5")}},
        ),
    ),
    draw=draw,
    numbers=numbers,
)
