"""The panels of pairs, lines, all heads together and the sink: what they say of what they show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dashapp
from dashapp.analysis.rollout import MOST_FLOW_TOKENS, attention_flow, rollout
from dashapp.model.config import GPT2Config
from dashapp.model.gpt2 import GPT2
from dashapp.panels import together
from dashapp.panels.pair_heads import PAIR_HEADS, TOKEN_SOURCES
from dashapp.panels.pair_why import PAIR_MATCH, PAIR_WRITES
from dashapp.panels.panel import Drawn, Panel, draw, work_of
from dashapp.panels.pattern_detail import PATTERN_DETAIL, around
from dashapp.panels.sink import SINK_HEADS, SINK_ROWS
from dashapp.panels.together import AT_ONCE, HEADS_TOGETHER, TOKEN_ORIGINS
from dashapp.panels.token_lines import MOST_LISTED, TOKEN_LINES, listed_tokens
from dashapp.traces.record import Trace
from tests.doubles import tiny_model

CONFIG = GPT2Config(n_layer=2, n_head=3, d_model=6, d_mlp=7, n_ctx=200)
NOTHING = {"pos": 0, "key_pos": None, "layer": None, "head": None, "target": None, "against": None}


@pytest.fixture(scope="module")
def long() -> Trace:
    """Of more tokens than are rolled out at once."""
    return dashapp.trace(tiny_model(CONFIG), " a b" * 75, cache=False)


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "a b c a b", cache=False)


def view(panel: Panel, **chosen: Any) -> dict[str, Any]:
    knobs = {knob.name: chosen.pop(knob.name, knob.default) for knob in panel.knobs}
    return {"theme": "light", "text": 1, "units": "nats", "narrow": False, **NOTHING, **chosen, "knobs": knobs}


def shown(panel: Panel, trace: Trace, result: dict[str, np.ndarray] | None = None, **chosen: Any) -> Drawn:
    return draw(panel, trace, view(panel, **chosen), result=result)


def test_without_a_second_token_panels_of_pairs_say_which_they_show(trace: Trace) -> None:
    for panel in (PATTERN_DETAIL, PAIR_MATCH, PAIR_WRITES):
        foot = shown(panel, trace, pos=4).foot
        assert "No head is selected. Shown: layer " in foot
        assert "No second token is selected" in foot
        chosen = shown(panel, trace, pos=4, key_pos=2, layer=1, head=0).foot
        assert "selected" not in chosen
        assert "token 2 ‘·b’" in chosen
    assert "No second token is selected" in shown(PAIR_HEADS, trace, pos=4).foot


def test_a_later_token_is_said_to_be_masked(trace: Trace) -> None:
    later = {"pos": 2, "key_pos": 4, "layer": 1, "head": 0}
    assert "which is masked" in shown(PAIR_MATCH, trace, **later).foot
    assert "it looks there with 0" in shown(PAIR_WRITES, trace, **later).foot
    assert "comes later, so no head can look at it" in shown(PAIR_HEADS, trace, **later).foot
    assert not shown(PAIR_HEADS, trace, **later).figure.data[0].z.any()


def test_a_part_of_a_long_pattern_is_the_model_s(long: Trace) -> None:
    drawn = shown(PATTERN_DETAIL, long, pos=140, key_pos=3, layer=1, head=2)
    part = drawn.figure.data[0].z
    np.testing.assert_array_equal(part, long.head_pattern(1, 2)[127:151, :24])
    assert "queries 127 to 150 and keys 0 to 23 of 151 tokens" in drawn.foot
    assert np.isnan(shown(PATTERN_DETAIL, long, pos=9, key_pos=3).figure.data[0].z[2, 3])  # the future
    assert around(5, 10, 24) == (0, 10)


def test_sources_tell_how_much_they_hold(trace: Trace) -> None:
    foot = shown(TOKEN_SOURCES, trace, pos=3, first="shown").foot
    assert "hold" in foot
    assert " of 6, for each head’s row sums to 1" in foot
    assert "There is no other token to look at" in shown(TOKEN_SOURCES, trace, pos=0).foot


def test_lines_of_a_layer_and_of_the_strongest_heads(long: Trace) -> None:
    layer = shown(TOKEN_LINES, long, pos=149, layer=1, head=2, which="layer")
    assert [each.name for each in layer.figure.data[2:]] == [f"layer 1, head {head}" for head in range(3)]
    assert layer.figure.layout.showlegend
    assert "111 tokens are not listed; no head gives them more than" in layer.foot
    one = shown(TOKEN_LINES, long, pos=149, layer=1, head=2)
    assert [each.name for each in one.figure.data[2:]] == ["layer 1, head 2"]
    assert "The heads that look hardest" in shown(TOKEN_LINES, long, pos=149, which="strongest").foot
    listed = listed_tokens(np.arange(100) / 100, 3)
    assert (len(listed), listed[0], listed[1]) == (MOST_LISTED, 3, 61)


def test_rollout_of_a_short_prompt_is_there_at_once_and_of_a_long_one_a_work(trace: Trace, long: Trace) -> None:
    assert work_of(HEADS_TOGETHER, trace, view(HEADS_TOGETHER, mix="rollout")) is None
    np.testing.assert_allclose(
        np.nan_to_num(shown(HEADS_TOGETHER, trace, mix="rollout").figure.data[0].z),
        rollout(trace, is_first_out=False)["rollout"],
    )
    assert long.n_tokens > AT_ONCE
    work = work_of(HEADS_TOGETHER, long, view(HEADS_TOGETHER, mix="rollout", first="hidden"))
    assert work is not None
    assert (work.kind, work.arguments) == ("rollout", {"is_first_out": True})
    waiting = shown(HEADS_TOGETHER, long, mix="rollout")
    assert "What you chose is being computed" in waiting.foot
    done = shown(HEADS_TOGETHER, long, rollout(long, is_first_out=False), mix="rollout")
    assert done.foot.startswith("Rollout: how much of each input token")
    assert work_of(HEADS_TOGETHER, long, view(HEADS_TOGETHER)) is None  # the mean of one layer


def test_flow_is_a_work_for_early_tokens_alone(trace: Trace, long: Trace) -> None:
    early = work_of(TOKEN_ORIGINS, long, view(TOKEN_ORIGINS, pos=MOST_FLOW_TOKENS - 1, method="flow"))
    assert early is not None
    assert early.kind == "flow"
    late = work_of(TOKEN_ORIGINS, long, view(TOKEN_ORIGINS, pos=MOST_FLOW_TOKENS, method="flow"))
    assert late is not None
    assert late.kind == "rollout"
    assert "for the first 64 tokens alone" in shown(TOKEN_ORIGINS, long, pos=MOST_FLOW_TOKENS, method="flow").foot
    assert "Flow is being computed" in shown(TOKEN_ORIGINS, trace, pos=4, method="flow").foot
    flow = attention_flow(trace, 4, is_first_out=False)
    drawn = shown(TOKEN_ORIGINS, trace, {"flow": flow}, pos=4, method="flow")
    np.testing.assert_array_equal(drawn.figure.data[0].x, np.sort(flow)[::-1])
    assert len(drawn.figure.data) == 1  # flows have no sum, so no bar of all others
    assert "Maximum flow from each token to token 4" in drawn.foot
    assert together.MOST_FLOW_TOKENS == MOST_FLOW_TOKENS


def test_the_sink_is_told_by_head_and_by_row(trace: Trace) -> None:
    heads = shown(SINK_HEADS, trace)
    np.testing.assert_allclose(heads.figure.data[0].y, trace.read("attn_first")[..., 1:].mean(axis=-1).ravel())
    rows = shown(SINK_ROWS, trace, layer=2, head=1)
    np.testing.assert_array_equal(rows.figure.data[0].y, trace.read("attn_first")[2, 1])
    assert rows.foot.startswith("Shown: layer 2, head 1.")
    assert shown(SINK_ROWS, trace).foot.startswith("No head is selected.")
