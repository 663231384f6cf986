"""The tree's panel: whose texts it shows, with which numbers, and what a browser needs to open them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dashapp
from dashapp.figures.theme import Frame
from dashapp.panels.continuations import CONTINUATIONS, N_ALTERNATIVES, work
from dashapp.panels.panel import Branches, Drawn, draw, work_of
from dashapp.panels.source import Source

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2
    from dashapp.traces.record import Trace

# Told with three digits.
THREE_DIGITS = 6e-3


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "a cat sat on a", cache=False)


@pytest.fixture(scope="module")
def branch(text_model: GPT2, trace: Trace) -> Trace:
    """Leaves the text after its third token."""
    return dashapp.trace(text_model, [*trace.token_ids[:3], 11, 12], cache=False)


@pytest.fixture(autouse=True)
def shelf(monkeypatch: pytest.MonkeyPatch, branch: Trace) -> None:
    class Shelf:
        def trace(self, key: object) -> Trace | None:
            return branch if key == branch.key else None

    monkeypatch.setattr(Source, "here", staticmethod(Shelf))


def drawn(trace: Trace, *, pos: int = 2, keys: tuple[str, ...] = (), result: Any = None, **knobs: str) -> Drawn:
    chosen = {knob.name: knob.default for knob in CONTINUATIONS.knobs} | knobs
    view = {"theme": "light", "text": 1, "pos": pos, "n_prompt": 2, "knobs": chosen}
    return draw(CONTINUATIONS, trace, view | {"branches": {"n_typed": 2, "keys": list(keys)}}, result=result)


def tree(shown: Drawn) -> Any:
    return shown.figure.layout.meta["tree"]


def logprob_of(trace: Trace, first: int, end: int) -> float:
    """Of tokens first to end, from softmax of the logits in float64."""
    logits = trace.logits.astype(np.float64)
    rows = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return float(sum(rows[pos - 1, trace.token_ids[pos]] for pos in range(first, end)))


def test_a_text_and_its_branch_are_there_with_their_logprobs(trace: Trace, branch: Trace) -> None:
    told = tree(drawn(trace, keys=(branch.key,)))
    assert [(path["kind"], path["key"]) for path in told["paths"]] == [("shown", None), ("branch", branch.key)]
    for path, of in zip(told["paths"], (trace, branch), strict=True):
        assert list(path["tokens"]) == of.token_ids[3:].tolist()
        bits = float(path["total"].removesuffix(" bits").replace("−", "-"))
        assert bits == pytest.approx(logprob_of(of, 2, of.n_tokens) / np.log(2), rel=THREE_DIGITS)
    assert (told["key"], told["root"], told["start"]) == (trace.key, 2, trace.token_ids[2:3].tolist())


def test_each_mark_has_the_logprob_since_the_prompt_below_it(trace: Trace) -> None:
    figure = drawn(trace).figure
    _, marks, totals = figure.data
    told = tree(drawn(trace))["nodes"]
    for place, text in zip(marks.customdata, totals.text, strict=True):
        if place >= 0 and told[place]["kind"] == "shown":
            expected = logprob_of(trace, 2, 3 + told[place]["depth"]) / np.log(2)
            assert float(text.replace("−", "-")) == pytest.approx(expected, rel=THREE_DIGITS)


def test_likely_tokens_can_be_branched_at(trace: Trace) -> None:
    alternatives = [node for node in tree(drawn(trace))["nodes"] if node["kind"] == "alternative"]
    likeliest = trace.read("top_ids")[2, :N_ALTERNATIVES].tolist()
    came = int(trace.token_ids[3])
    assert [node["tokens"] for node in alternatives] == [(token,) for token in likeliest if token != came]
    assert all(node["path"] is None for node in alternatives)


def test_beams_are_paths_of_their_own(trace: Trace) -> None:
    result = {
        "tokens": np.array([[500, 501], [500, -1]], dtype=np.int32),
        "logprobs": np.array([[-1.0, -2.0], [-1.0, np.nan]]),
    }
    shown = drawn(trace, result=result, width="2")
    beams = [path for path in tree(shown)["paths"] if path["kind"] == "beam"]
    assert [path["tokens"] for path in beams] == [(500, 501), (500,)]
    assert "kept the 2 most probable texts" in shown.foot
    marks = shown.figure.data[1]
    assert list(marks.marker.symbol).count("diamond") == 2  # 500 once: both begin with it


def test_a_branch_that_leaves_earlier_is_counted_and_not_drawn(trace: Trace, branch: Trace) -> None:
    shown = drawn(trace, pos=4, keys=(branch.key, "0" * 64))
    assert [path["kind"] for path in tree(shown)["paths"]] == ["shown"]
    assert "2 branches leave earlier or end here" in shown.foot


def test_a_tree_begins_at_the_end_of_the_prompt_at_the_earliest(trace: Trace) -> None:
    shown = drawn(trace, pos=0)
    assert tree(shown)["root"] == 1
    assert shown.foot.startswith("The tree begins at the end of the prompt")
    assert not drawn(trace, pos=2).foot.startswith("The tree")


def test_a_search_is_asked_for_where_there_is_room(trace: Trace, text_model: GPT2) -> None:
    branches = Branches(n_typed=2, keys=())
    asked = work(trace, pos=0, n_prompt=2, branches=branches, width="3", length="8")
    assert asked is not None
    assert (asked.kind, asked.arguments) == ("beams", {"pos": 1, "width": 3, "length": 8})
    assert work(trace, pos=0, n_prompt=2, branches=branches, width="0", length="8") is None
    whole = dashapp.trace(text_model, "a b c d e f g h i j k l", cache=False)
    assert work(whole, pos=12, n_prompt=2, branches=None, width="3", length="8") is None
    nodes = tree(drawn(whole, pos=12))["nodes"]
    assert len(nodes) == 0  # no token fits


def test_what_no_page_remembers_is_refused(trace: Trace) -> None:
    knobs = {knob.name: knob.default for knob in CONTINUATIONS.knobs}
    view = {"theme": "light", "text": 1, "pos": 1, "n_prompt": 2, "knobs": knobs}
    for wrong in ({}, {"n_typed": -1, "keys": []}, {"n_typed": 1, "keys": ["k"] * 13}, {"n_typed": 1, "keys": [5]}, 3):
        with pytest.raises(ValueError, match="branches"):
            work_of(CONTINUATIONS, trace, view | {"branches": wrong})


def test_larger_text_leaves_what_the_browser_is_told_alone(trace: Trace) -> None:
    knobs = {knob.name: knob.default for knob in CONTINUATIONS.knobs}
    view = {"theme": "light", "text": 2, "pos": 2, "n_prompt": 2, "branches": None, "knobs": knobs}
    large = draw(CONTINUATIONS, trace, view).figure
    assert large.layout.meta["tree"] == draw(CONTINUATIONS, trace, view | {"text": 1}).figure.layout.meta["tree"]
    assert Frame(theme="light", units="nats").of_nats(2) == 2
