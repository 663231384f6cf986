"""The sampler's panel: its knobs, and what its foot says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import dashapp
from dashapp.figures.tokens import plain_label
from dashapp.model.tokenizer import token_text
from dashapp.panels.panel import Drawn, draw
from dashapp.panels.sampler import AS_RUN, N_FIRST, SAMPLER
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2
    from dashapp.traces.run import Run


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The cat sat on", cache=False)


def drawn(trace: Trace, pos: int = 1, **knobs: str) -> Drawn:
    values = {"temperature": "0.8", "top_k": "0", "top_p": "0.95"} | knobs
    return draw(SAMPLER, trace, view_of(pos=pos, n_prompt=trace.n_tokens, knobs=values))


def view_of(**fields: object) -> dict[str, Any]:
    return {"theme": "light", "text": 1, "drawn_with": None, **fields}


@pytest.fixture(scope="module")
def run(text_model: GPT2) -> Run:
    settings: dict[str, Any] = {"max_new_tokens": 6, "temperature": 1.3, "top_k": 7, "top_p": 0.9, "seed": 11}
    return dashapp.generate(text_model, "The cat sat", **settings, cache=False)


@pytest.fixture(scope="module")
def run_trace(run: Run, text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, run.token_ids, cache=False)


def as_the_run(run: Run, trace: Trace, pos: int, **knobs: str) -> Drawn:
    values = {knob.name: knob.default for knob in SAMPLER.knobs} | knobs
    fields = {"pos": pos, "n_prompt": run.n_prompt, "drawn_with": run.settings.as_dict(), "knobs": values}
    return draw(SAMPLER, trace, view_of(**fields))


def test_knobs_begin_as_the_run_was_drawn(run: Run, run_trace: Trace) -> None:
    heads = [note.text for note in as_the_run(run, run_trace, run.n_prompt).figure.layout.annotations]
    assert "T = 1.3" in heads[2]
    assert "7 kept" in heads[3]
    assert all(knob.default == AS_RUN for knob in SAMPLER.knobs)


def test_seed_and_number_of_each_drawn_token_are_told_and_fall_on_it(run: Run, run_trace: Trace) -> None:
    """Against what the run itself kept; so the settings that drew it put its number in its stretch."""
    for i, step in enumerate(run.steps):
        shown = as_the_run(run, run_trace, run.n_prompt - 1 + i)
        name = plain_label(step.text)
        assert f"Seed 11, random number {i + 1} of the run: {step.u:.6f}, which falls on ‘{name}’ (◆)." in shown.foot
        (row,) = [text for text in shown.figure.layout.yaxis.ticktext if "◆" in text]
        assert row.startswith("▸◆ ")


def test_with_other_settings_the_same_number_may_fall_elsewhere(run: Run, run_trace: Trace) -> None:
    for i, step in enumerate(run.steps):
        foot = as_the_run(run, run_trace, run.n_prompt - 1 + i, top_k="1").foot
        likeliest = plain_label(token_text(int(step.top_ids[0])))
        assert f"falls on ‘{likeliest}’ (◆)." in foot
    foot = as_the_run(run, run_trace, run.n_prompt, temperature="0").foot
    assert foot.endswith("; temperature 0 needs none.")


def test_a_token_that_nobody_drew_has_no_number(run: Run, run_trace: Trace) -> None:
    for pos in (*range(run.n_prompt - 1), run_trace.n_tokens - 1):
        assert "Seed" not in as_the_run(run, run_trace, pos).foot


def test_settings_that_no_run_has_are_refused(run: Run, run_trace: Trace) -> None:
    values = {knob.name: knob.default for knob in SAMPLER.knobs}
    for wrong in ({"temperature": -1}, {"depth": 1}, [], "x"):
        view = view_of(pos=1, n_prompt=run.n_prompt, drawn_with=wrong, knobs=values)
        with pytest.raises(ValueError, match="drawn_with"):
            draw(SAMPLER, run_trace, view)


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
