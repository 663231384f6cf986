"""Panels of two prompts: each draws at every extreme, asks a question, and refuses what no page sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import dashapp
from dashapp.errors import OtherModels, OtherPlaces
from dashapp.panels.catalogue import PAIR_PANELS, PANELS
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Panel, chosen_by, draw, layout, work_of
from dashapp.traces.record import Trace
from tests.doubles import TINY_TEXT, tiny_model
from tests.panels.test_panel import views
from tests.plotly import taken_by_plotly

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

PAIRS = {
    "one token each": ("", ""),
    "hostile": ("<b>\u202e \n\x00", "<i>\u202e \n\x00🙂"),
    "the same": ("a b c d", "a b c d"),
    "whole context": ("a b c d e f g h i j k l", "a b c x e f g h i j k l"),
    "uneven": ("a b c d e", "a b x y d e"),
}


@pytest.fixture(scope="module")
def traces(text_model: GPT2) -> dict[str, tuple[Trace, Trace]]:
    def trace(prompt: str) -> Trace:
        return dashapp.trace(text_model, prompt, cache=False)

    return {name: (trace(a), trace(b)) for name, (a, b) in PAIRS.items()}


def pair_views(panel: Panel, a: Trace, b: Trace) -> Iterator[dict[str, Any]]:
    """Those of one trace, some of many, with the first and the last token of the other in turn."""
    every = list(views(panel, a))
    step = 1 if len(every) <= 20 else 5 if len(every) <= 200 else 11  # odd: an even one would leave out half of a knob
    for i, view in enumerate(every[::step]):
        pos, n_prompt = (0, 1) if i % 2 else (b.n_tokens - 1, b.n_tokens)
        yield view | {"beside": {"key": b.key, **view, "pos": pos, "n_prompt": n_prompt}}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", PAIR_PANELS)
def test_a_panel_of_pairs_draws_at_every_extreme(traces: dict[str, tuple[Trace, Trace]], name: str, pair: str) -> None:
    panel, (a, b) = PAIR_PANELS[name], traces[pair]
    n_drawn = 0
    for view in pair_views(panel, a, b):
        try:
            figure = taken_by_plotly(draw(panel, a, view, other=b).figure)
        except OtherPlaces:  # patterns of uneven prompts, with a test of their own
            continue
        n_drawn += 1
        is_blank = name == "patch-cell" and view["knobs"]["show"] == "attention"  # nothing is patched, and it says so
        assert bool(figure["data"]) is not is_blank, view
        assert figure["layout"]["meta"]["summary"].endswith("."), view
        if (work := work_of(panel, a, view, b)) is not None:
            assert json.loads(json.dumps(work.arguments)) == work.arguments
    assert n_drawn > 1


@pytest.mark.parametrize("name", PAIR_PANELS)
def test_a_panel_of_pairs_asks_a_question_and_tells_about_itself(name: str) -> None:
    panel = PAIR_PANELS[name]
    assert (panel.name, panel.pairs) == (name, True)
    assert name not in PANELS
    assert "?" in panel.question
    texts = [item for item in panel.about if isinstance(item, str)]
    assert any(text.startswith(("Source: ", "Sources: ")) for text in texts)
    assert any("does not show" in text for text in texts)
    assert any(isinstance(item, Formula) for item in panel.about)


@pytest.mark.parametrize("name", PAIR_PANELS)
def test_a_panel_of_pairs_needs_two_prompts(traces: dict[str, tuple[Trace, Trace]], name: str) -> None:
    panel, (a, b) = PAIR_PANELS[name], traces["uneven"]
    view = next(pair_views(panel, a, b))
    with pytest.raises(ValueError, match="needs two prompts"):
        draw(panel, a, view)
    with pytest.raises(ValueError, match="needs two prompts"):
        draw(panel, a, view | {"beside": None}, other=b)


def test_a_field_that_counts_for_nothing_now_may_lack_in_both_prompts(traces: dict[str, tuple[Trace, Trace]]) -> None:
    a, b = traces["uneven"]
    panel = replace(PAIR_PANELS["changed-tokens"], when={"pos": ("choice", "change")})
    view: dict[str, Any] = {"theme": "light", "text": 1, "knobs": {"choice": "likeliest", "scale": "log"}}
    view["beside"] = {"key": b.key}
    assert chosen_by(panel, a, view, b) == {"pos": None, "other": b, "other_pos": None, **view["knobs"]}
    with pytest.raises(ValueError, match="pos is outside the trace"):
        chosen_by(panel, a, {**view, "pos": 1, "knobs": {"choice": "change", "scale": "log"}}, b)


@pytest.mark.parametrize("name", PAIR_PANELS)
def test_fields_of_the_other_prompt_are_checked_against_that_prompt(
    traces: dict[str, tuple[Trace, Trace]], name: str
) -> None:
    panel, (a, b) = PAIR_PANELS[name], traces["uneven"]
    view = next(pair_views(panel, a, b))
    checked = {"pos": b.n_tokens, "n_prompt": b.n_tokens + 1}
    for field in checked.keys() & set(panel.reads):
        with pytest.raises(ValueError, match=f"{field} is outside the trace"):
            draw(panel, a, view | {"beside": {**view["beside"], field: checked[field]}}, other=b)


@pytest.mark.parametrize("name", ["patching"])
def test_runs_of_two_models_do_not_go_together(traces: dict[str, tuple[Trace, Trace]], name: str) -> None:
    panel, (a, b) = PAIR_PANELS[name], traces["uneven"]
    other = dashapp.trace(tiny_model(TINY_TEXT, seed=1), "a b x y d e", cache=False)
    with pytest.raises(OtherModels):
        draw(panel, a, next(pair_views(panel, a, b)), other=other)


def test_the_browser_is_told_that_a_panel_shows_pairs() -> None:
    for panels, is_pair in ((PAIR_PANELS, True), (PANELS, False)):
        for panel in panels.values():
            spec = next(
                part.data
                for part in layout(panel, "a", {}).children
                if getattr(part, "id", None) == {"type": "spec", "panel": panel.name, "slot": "a"}
            )
            assert (spec["pairs"], spec["shares"]) == (is_pair, is_pair)
