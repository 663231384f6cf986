"""The sampler's panel: its knobs, and what its foot says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import dashapp
from dashapp.jobs.request import EXAMPLE
from dashapp.panels.panel import Drawn, draw
from dashapp.panels.sampler import N_FIRST, SAMPLER
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The cat sat on", cache=False)


def drawn(trace: Trace, pos: int = 1, **knobs: str) -> Drawn:
    values = {knob.name: knob.default for knob in SAMPLER.knobs} | knobs
    view: dict[str, Any] = {"theme": "light", "text": 1, "pos": pos, "knobs": values}
    return draw(SAMPLER, trace, view)


def test_knobs_begin_as_the_example_was_drawn() -> None:
    defaults = {knob.name: float(knob.default) for knob in SAMPLER.knobs}
    example = EXAMPLE.sampling
    assert defaults == {"temperature": example.temperature, "top_k": example.top_k, "top_p": example.top_p}
    assert all(knob.default in knob.options for knob in SAMPLER.knobs)


def test_foot_counts_what_each_cut_takes(trace: Trace) -> None:
    foot = drawn(trace, temperature="2", top_k="40", top_p="1").foot
    assert foot.startswith("Of 50,257 tokens top-k cuts 50,217: 40 may be drawn, with ")
    assert drawn(trace, top_p="1").foot.startswith(
        "Of 50,257 tokens nothing is cut, all may be drawn, with 100% of the probability after temperature. What came:"
    )
    assert drawn(trace, top_k="5", top_p="0.5").foot.startswith("Of 50,257 tokens top-k cuts 50,252 and top-p cuts ")


def test_foot_says_whether_what_came_could_be_drawn(trace: Trace) -> None:
    assert "What came: ‘·cat’, which these settings draw with probability " in drawn(trace, top_p="1").foot
    assert "What came: ‘·cat’, which these settings never draw, for top-k cuts it." in drawn(trace, top_k="1").foot
    assert "which these settings never draw, as another is likelier." in drawn(trace, temperature="0").foot
    assert drawn(trace, pos=trace.n_tokens - 1).foot.endswith("Nothing follows the last token yet.")


def test_a_knob_changes_the_numbers_and_not_the_model_s_own(trace: Trace) -> None:
    one, other = (drawn(trace, temperature=value).figure.data for value in ("0.8", "1.5"))
    logits, probs, tempered = 0, 2, 4  # numbers stand behind their bars
    for column in (logits, probs):
        assert list(one[column].text)[:N_FIRST] == list(other[column].text)[:N_FIRST]
    for mine, its in zip(list(one[tempered].text)[:2], list(other[tempered].text)[:2], strict=True):
        assert float(mine.removesuffix("%")) > float(its.removesuffix("%"))  # the likely lose by more temperature
