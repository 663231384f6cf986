"""The surprisal panel's foot line: perplexity of prompt and continuation, by the definition over the logits."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

import dashapp
from dashapp.figures.theme import Frame
from dashapp.panels.surprisal import draw, perplexity

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2
    from dashapp.traces.record import Trace


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "a cat sat on the mat and slept", cache=False)


def by_definition(trace: Trace, positions: range) -> float:
    """exp of the mean −log softmax(logits)[token], in float64."""
    logits = trace.logits.astype(np.float64)
    nats = [
        math.log(np.exp(logits[pos - 1] - logits[pos - 1].max()).sum())
        + logits[pos - 1].max()
        - logits[pos - 1, trace.token_ids[pos]]
        for pos in positions
    ]
    return math.exp(sum(nats) / len(nats))


def told(foot: str) -> dict[str, float]:
    found = re.findall(r"(\w+): perplexity ([\d.,e+]+),", foot)
    return {name: float(value.replace(",", "")) for name, value in found}


def test_prompt_and_continuation_have_a_perplexity_each(trace: Trace) -> None:
    foot = draw(trace, n_prompt=4, frame=Frame(theme="light")).foot
    found = told(foot)
    # Told with three digits, or whole from a thousand on.
    assert found["Prompt"] == pytest.approx(by_definition(trace, range(1, 4)), rel=5e-3)
    assert found["Continuation"] == pytest.approx(by_definition(trace, range(4, trace.n_tokens)), rel=5e-3)
    assert f"over {trace.n_tokens - 4} tokens" in foot


def test_perplexity_does_not_depend_on_the_unit_and_the_mean_does(trace: Trace) -> None:
    bits, nats = (draw(trace, n_prompt=4, frame=Frame(theme="light", units=units)).foot for units in ("bits", "nats"))  # type: ignore[arg-type]
    assert told(bits) == told(nats)
    in_bits, in_nats = (float(re.findall(r"([\d.]+) (?:bits|nats) a token", foot)[0]) for foot in (bits, nats))
    assert in_nats == pytest.approx(in_bits * math.log(2), rel=0.01)


def test_what_is_not_there_is_not_told(trace: Trace) -> None:
    assert set(told(draw(trace, n_prompt=trace.n_tokens, frame=Frame(theme="light")).foot)) == {"Prompt"}
    assert set(told(draw(trace, n_prompt=1, frame=Frame(theme="light")).foot)) == {"Continuation"}


def test_perplexity_is_whole_from_a_thousand_on() -> None:
    assert perplexity(0) == "1"
    assert perplexity(3.5) == "11.3"
    assert perplexity(math.log2(50_257)) == "50,257"
