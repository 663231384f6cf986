"""Every panel draws at every extreme of its knobs and of the selection, and refuses what no page sends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import dashapp
from dashapp.panels.catalogue import PANELS
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Panel, draw
from dashapp.traces.record import Trace
from tests.plotly import taken_by_plotly

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

PROMPTS = {"one token": "", "hostile": "<b>\u202e \n\x00🙂", "whole context": "a b c d e f g h i j k l"}


@pytest.fixture(scope="module")
def traces(text_model: GPT2) -> dict[str, Trace]:
    made = {name: dashapp.trace(text_model, prompt, cache=False) for name, prompt in PROMPTS.items()}
    assert made["one token"].n_tokens == 1
    assert made["whole context"].n_tokens == text_model.config.n_ctx
    return made


def views(panel: Panel, trace: Trace) -> Iterator[dict[str, Any]]:
    """Every theme, knob option, and first and last of each selection field.

    All of them together; where that are many, the fields and each knob in turn, the others as they begin.
    """
    config = trace.config
    ends = {
        "pos": {0, trace.n_tokens - 1},
        "key_pos": {None, 0, trace.n_tokens - 1},
        "layer": {None, 0, config.n_layer - 1},
        "head": {None, 0, config.n_head - 1},
        "neuron": {None, 0, config.d_mlp - 1},
        "target": {None, config.d_vocab - 1},
        "against": {None, 0},
        "n_prompt": {1, trace.n_tokens},
        "branches": (None, {"n_typed": 1, "keys": []}),
        "drawn_with": (None, {"temperature": 0.7, "top_k": 7, "seed": 2**70}),
        "pins": ("", "0-0"),
    }
    knobs = [[(knob.name, option) for option in knob.options] for knob in panel.knobs]
    fields = [[(field, end) for end in ends[field]] for field in panel.reads]
    every = list(itertools.product(itertools.product(*knobs), itertools.product(*fields)))
    if len(every) > 60:
        first_knobs, first_fields = every[0]
        turned = [(*first_knobs[:i], option, *first_knobs[i + 1 :]) for i, knob in enumerate(knobs) for option in knob]
        every = [(first_knobs, each) for each in itertools.product(*fields)] + [(each, first_fields) for each in turned]
    for theme, (knob_values, field_values) in itertools.product(("light", "dark"), every):
        looks = {"theme": theme, "text": 1.5 if theme == "dark" else 1, "narrow": theme == "dark"}
        yield {**looks, "knobs": dict(knob_values), **dict(field_values)}


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("name", PANELS)
def test_a_panel_draws_at_every_extreme(traces: dict[str, Trace], name: str, prompt: str) -> None:
    for view in views(PANELS[name], traces[prompt]):
        drawn = draw(PANELS[name], traces[prompt], view)
        figure = taken_by_plotly(drawn.figure)
        assert figure["data"], view
        assert figure["layout"]["meta"]["summary"].endswith("."), view


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_asks_a_question_and_tells_about_itself(name: str) -> None:
    panel = PANELS[name]
    assert "?" in panel.question
    assert panel.title[0].isupper()
    assert not panel.title.endswith(".")
    assert len(panel.about) >= 3  # formula, source, what it does not show
    assert any(isinstance(item, Formula) for item in panel.about)
    texts = [item for item in panel.about if isinstance(item, str)]
    assert any(text.startswith(("Source: ", "Sources: ")) for text in texts)
    assert any("does not show" in text or "is not" in text or "are not" in text for text in texts)
    assert panel.name == name


@pytest.mark.parametrize(
    "change",
    [
        {"theme": "blue"},
        {"theme": None},
        {"text": 3},
        {"units": "dits"},
        {"units": None},
        {"text": None},
        {"pos": -1},
        {"pos": 10_000},
        {"pos": True},
        {"pos": 1.0},
        {"pos": None},
        {"knobs": {}},
        {"knobs": None},
        {"knobs": {"scale": "huge"}},
        {"knobs": {"scale": ["fit"]}},
    ],
)
def test_a_view_that_no_page_sends_is_refused(traces: dict[str, Trace], change: dict[str, Any]) -> None:
    trace, panel = traces["whole context"], PANELS["next-tokens"]
    view = {"theme": "light", "text": 1, "narrow": False, "pos": 1, "knobs": {"scale": "whole"}}
    assert draw(panel, trace, view).figure is not None
    with pytest.raises(ValueError, match=r"is one of|outside the trace|none of its options"):
        draw(panel, trace, view | change)


def test_a_panel_is_drawn_with_what_it_reads_and_no_more(traces: dict[str, Trace]) -> None:
    given: dict[str, Any] = {}

    def remember(_trace: Trace, **chosen: Any) -> Any:
        given.update(chosen)
        return PANELS["surprisal"].draw(_trace, n_prompt=2, frame=chosen["frame"])

    panel = replace(PANELS["surprisal"], draw=remember)
    draw(
        panel,
        traces["whole context"],
        {"theme": "dark", "text": 1, "pos": 3, "n_prompt": 2, "layer": 1, "head": 1, "knobs": {"x": "y"}},
    )
    assert set(given) == {"frame", "n_prompt"}


def test_foot_of_the_predictions_says_what_came(traces: dict[str, Trace]) -> None:
    trace, panel = traces["whole context"], PANELS["next-tokens"]
    view = {"theme": "light", "text": 1, "pos": 1, "knobs": {"scale": "whole"}}
    assert "What came: ‘·b’" in draw(panel, trace, view).foot
    assert "Nothing follows" in draw(panel, trace, view | {"pos": trace.n_tokens - 1}).foot
