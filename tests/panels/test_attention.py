from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from dashapp.analysis.attention import Head
from dashapp.figures.theme import Frame
from dashapp.model.checkpoint import weights_of
from dashapp.model.gpt2 import GPT2
from dashapp.panels import head_grid, head_pattern
from dashapp.panels.head_grid import HEAD_GRID
from dashapp.panels.head_pattern import HEAD_PATTERN
from dashapp.panels.panel import Mark, Panel, draw
from dashapp.panels.token_attention import TOKEN_ATTENTION
from dashapp.traces.capture import capture
from dashapp.traces.record import Trace, trace_metadata
from tests.doubles import TINY_TEXT

LAST_HEAD = {"layer": TINY_TEXT.n_layer - 1, "head": TINY_TEXT.n_head - 1}
NO_HEAD = {"layer": None, "head": None}
PLAIN = {"shade": "even", "stage": "pattern", "first": "shown"}


def traced(model: GPT2, n_tokens: int) -> Trace:
    ids = np.arange(100, 100 + n_tokens, dtype=np.int32)
    weights = weights_of(model)
    metadata = trace_metadata(TINY_TEXT, fingerprint=weights.fingerprint, model="tiny", dtype="float32")
    return capture(model, ids, metadata, weights=weights)


@pytest.fixture(scope="module", params=[1, 2, TINY_TEXT.n_ctx])
def trace(request: pytest.FixtureRequest, text_model: GPT2) -> Trace:
    return traced(text_model, request.param)


def view(pos: int, head: dict[str, int | None], knobs: dict[str, str], theme: str = "light") -> dict[str, Any]:
    return {"theme": theme, "text": 1, "narrow": theme == "dark", "pos": pos, **head, "knobs": knobs}


@pytest.mark.parametrize("panel", [HEAD_GRID, HEAD_PATTERN, TOKEN_ATTENTION], ids=lambda panel: panel.name)
def test_every_panel_draws_at_every_extreme(panel: Panel, trace: Trace) -> None:
    for head in (NO_HEAD, LAST_HEAD):
        for pos in (0, trace.n_tokens - 1):
            for end in (0, -1):
                knobs = {knob.name: list(knob.options)[end] for knob in panel.knobs}
                for theme in ("light", "dark"):
                    drawn = draw(panel, trace, view(pos, head, knobs, theme))
                    assert drawn.figure.layout.meta["summary"]
                    assert drawn.foot


@pytest.mark.parametrize("beyond", [{"layer": TINY_TEXT.n_layer, "head": 0}, {"layer": 0, "head": True}])
def test_a_head_that_the_model_does_not_have_is_refused(trace: Trace, beyond: dict[str, int | None]) -> None:
    with pytest.raises(ValueError, match="outside the trace"):
        draw(HEAD_PATTERN, trace, view(0, beyond, PLAIN))


def test_a_token_is_never_missing(trace: Trace) -> None:
    knobs = {"direction": "looks_at", "scale": "whole"}
    with pytest.raises(ValueError, match="pos is outside"):
        draw(TOKEN_ATTENTION, trace, view(0, NO_HEAD, knobs) | {"pos": None})


def test_what_is_shown_is_the_models_pattern(text_model: GPT2) -> None:
    trace = traced(text_model, 7)
    figure = draw(HEAD_PATTERN, trace, view(0, LAST_HEAD, PLAIN)).figure
    shown = np.nan_to_num(figure.data[0].z, nan=0.0)
    np.testing.assert_array_equal(shown, trace.head_pattern(LAST_HEAD["layer"], LAST_HEAD["head"]))


def test_without_a_head_the_foot_says_which_one_is_shown(text_model: GPT2) -> None:
    foot = draw(HEAD_PATTERN, traced(text_model, 7), view(0, NO_HEAD, PLAIN)).foot
    assert foot.startswith("No head is selected. Shown: layer ")
    chosen = draw(HEAD_PATTERN, traced(text_model, 7), view(0, LAST_HEAD, PLAIN)).foot
    assert chosen.startswith("Shown: layer 2, head 1.")


def test_without_a_head_one_tokens_foot_says_that_it_is_a_mean(text_model: GPT2) -> None:
    knobs = {"direction": "looks_at", "scale": "whole"}
    foot = draw(TOKEN_ATTENTION, traced(text_model, 7), view(3, NO_HEAD, knobs)).foot
    assert foot.startswith("No head is selected: the mean over all 6 heads of all layers.")
    assert foot.endswith("sum to 1, over 4 tokens.")


def test_pooled_cells_are_said_to_be() -> None:
    assert "pooled: 65 tokens on 64 × 64 cells" in head_grid._foot(65)
    assert "pooled" not in head_grid._foot(64)


def foot_of_head(n_tokens: int, *, is_score: bool = False, is_narrow: bool = False) -> str:
    frame = Frame(theme="dark", is_narrow=is_narrow)
    return head_pattern._foot(Head(layer=0, head=0), n_tokens, is_chosen=True, is_score=is_score, frame=frame)


def test_a_crop_is_said_on_a_telephone_alone() -> None:
    assert "Cropped to 80 of 1,024 tokens" in foot_of_head(1024, is_narrow=True)
    assert "Cropped" not in foot_of_head(1024)


def test_a_pattern_of_many_tokens_is_said_to_be_pooled_and_told_within_a_255th() -> None:
    pooled = "a cell is 2 × 2 tokens and has the largest weight in it."
    assert f"{pooled} Each weight is told on hover, within 1/255; a click selects the two tokens" in foot_of_head(513)
    assert f"{pooled} A click selects the first token" in foot_of_head(513, is_score=True)
    assert "Too many" not in foot_of_head(512)


def test_the_browser_knows_every_kind_of_mark() -> None:
    script = (Path(__file__).parents[2] / "dashapp/assets/js/40-panels.js").read_text(encoding="utf-8")
    kinds = script.partition("const KINDS = {")[2].partition("\n  };")[0]
    assert re.findall(r"^    (\w+): \{$", kinds, flags=re.MULTILINE) == list(get_args(Mark))
