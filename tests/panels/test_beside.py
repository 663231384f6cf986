"""Two prompts side by side: what is said of them, and figures that share their ranges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from dash import no_update
from dash.exceptions import PreventUpdate
from flask import Flask

import dashapp
from dashapp.analysis.alignment import align
from dashapp.model.opened import Models
from dashapp.model.weights import Weights
from dashapp.panels.beside import (
    GONE,
    align_runs,
    draw_beside,
    expectations_sentence,
    tell_difference,
    tokens_sentence,
    told,
)
from dashapp.panels.catalogue import PANELS, draw_panel
from dashapp.panels.panel import Drawn, draw
from dashapp.panels.source import Source
from dashapp.store.disk import TraceStore
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2


@pytest.fixture(scope="module")
def a(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The cat sat on", cache=False)


@pytest.fixture(scope="module")
def b(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "A very old dog sat", cache=False)


def view(name: str, *, pos: int, **knobs: str) -> dict[str, Any]:
    values = {knob.name: knob.default for knob in PANELS[name].knobs} | knobs
    return {
        "theme": "light",
        "text": 1,
        "narrow": False,
        "knobs": values,
        "pos": pos,
        "layer": None,
        "head": None,
        "n_prompt": 1,
    }


def shown(name: str, trace: Trace, other: Trace, *, pos: int = 1, beside: int = 2, **knobs: str) -> Drawn:
    drawn = draw(PANELS[name], trace, view(name, pos=pos, **knobs))
    return draw_beside(PANELS[name], drawn, other, view(name, pos=beside, **knobs))


@pytest.mark.parametrize(
    ("one", "other", "sentence"),
    [
        ([1, 2, 3], [1, 2, 3], "Both prompts have the same 3 tokens."),
        ([1], [1], "Both prompts have the same 1 token."),
        (
            [1, 2, 3],
            [1, 9, 3],
            "Aligned: 3 of 3 tokens of a, 3 of 3 of b. The same in both: 2; replaced by another token: 1.",
        ),
        (
            [1, 2, 3],
            [1, 2, 8, 3],
            "Aligned: 3 of 3 tokens of a, 3 of 4 of b. The same in both: 3; replaced by another token: 0; "
            "without counterpart: 1 of b.",
        ),
        (
            [1, 2, 3, 4, 5],
            [6, 4, 7, 8],
            "Aligned: 3 of 5 tokens of a, 3 of 4 of b. The same in both: 1; replaced by another token: 2; "
            "without counterpart: 2 of a and 1 of b.",
        ),
    ],
)
def test_the_tokens_are_counted_in_a_sentence(one: list[int], other: list[int], sentence: str) -> None:
    assert tokens_sentence(align(one, other)) == sentence


def test_the_expectations_are_compared_in_a_sentence_with_the_right_numbers(a: Trace, b: Trace) -> None:
    p, q = (np.exp(row - row.max()) for row in (a.logits[2].astype(float), b.logits[4].astype(float)))
    p, q = p / p.sum(), q / q.sum()
    said = expectations_sentence(a, b, 2, 4)
    assert said.startswith("After token 2 ‘·cat’ of a and token 4 ‘·dog’ of b: the two next-token distributions are ")
    assert f"KL(a‖b) is {(p * np.log2(p / q)).sum():.3g} bits, KL(b‖a) {(q * np.log2(q / p)).sum():.3g} bits." in said
    middle = (p + q) / 2
    js = ((p * np.log2(p / middle)).sum() + (q * np.log2(q / middle)).sum()) / 2
    assert f" {js:.3g} bits apart" in said


def test_no_number_is_made_up_for_a_token_without_counterpart(a: Trace, b: Trace) -> None:
    assert expectations_sentence(a, b, 2, None).startswith("The selected token of a has no counterpart in b")
    assert expectations_sentence(a, b, None, 2).startswith("The selected token of b has no counterpart in a")


def test_expectations_over_other_vocabularies_are_not_compared(a: Trace, model: GPT2) -> None:
    other = dashapp.trace(model, [1, 2, 3], cache=False)
    assert "50,257 and 17 tokens: expectations cannot be compared" in expectations_sentence(a, other, 1, 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "less than 0.001 bits"),
        (1e-9, "less than 0.001 bits"),
        (1.234e-5, "less than 0.001 bits"),
        (0.1234, "0.123 bits"),
        (12.345, "12.3 bits"),
    ],
)
def test_a_divergence_has_three_digits_and_none_below_rounding(value: float, text: str) -> None:
    assert told(value) == text


def test_divergences_are_told_in_nats_too(a: Trace, b: Trace) -> None:
    in_bits, in_nats = (expectations_sentence(a, b, 2, 2, units=units) for units in ("bits", "nats"))  # type: ignore[arg-type]
    numbers = [[float(each) for each in re.findall(r"([\d.]+) (?:bits|nats)", said)] for said in (in_bits, in_nats)]
    np.testing.assert_allclose(numbers[1], np.multiply(numbers[0], np.log(2)), rtol=0.01)  # three digits of both
    assert "0.693 for ones without a common token" in in_nats
    assert told(1e-9, "nats") == "less than 0.001 nats"


def test_bars_of_both_slots_end_on_one_scale(a: Trace, b: Trace) -> None:
    one = shown("surprisal", a, b).figure.layout.yaxis.range
    assert one == shown("surprisal", b, a).figure.layout.yaxis.range
    longest = max(-trace.read("logprob")[1:].min() / np.log(2) for trace in (a, b))
    assert one[1] >= longest


def test_the_other_slot_is_measured_at_its_own_token(a: Trace, b: Trace) -> None:
    one = shown("next-tokens", a, b, pos=1, beside=3, scale="fit").figure.layout.xaxis.range
    assert one == shown("next-tokens", b, a, pos=3, beside=1, scale="fit").figure.layout.xaxis.range


def test_colours_of_both_slots_mean_the_same_and_the_foot_says_that_they_reach_further(a: Trace, b: Trace) -> None:
    drawn = [shown("mlp-neurons", *pair) for pair in ((a, b), (b, a))]
    reaches = {(each.figure.data[0].zmin, each.figure.data[0].zmax) for each in drawn}
    assert len(reaches) == 1
    assert sum("Beside the other prompt, colours reach to ±" in each.foot for each in drawn) == 1


def test_a_panel_without_ranges_is_not_drawn_a_second_time(a: Trace, b: Trace) -> None:
    def refuse(_trace: Trace, **_chosen: Any) -> Drawn:
        raise AssertionError("drawn again")

    wanted = view("head-grid", pos=1)
    drawn = draw(PANELS["head-grid"], a, wanted)
    assert draw_beside(replace(PANELS["head-grid"], draw=refuse), drawn, b, wanted) == drawn


@pytest.mark.parametrize("name", PANELS)
def test_every_panel_stands_beside_itself(name: str, a: Trace, b: Trace) -> None:
    for one, other in ((a, b), (b, a)):
        assert shown(name, one, other).figure.layout.meta["summary"]


def test_the_curves_of_both_slots_run_over_the_same_values(a: Trace, b: Trace) -> None:
    one, other = (shown("gelu", *pair, pos=2, beside=2).figure.layout for pair in ((a, b), (b, a)))
    for axis in ("xaxis", "yaxis", "yaxis2"):
        assert one[axis].range == other[axis].range


# What the browser asks ------------------------------------------------------------------------------------------------


@pytest.fixture
def server(a: Trace, b: Trace, model_folder: Path, tmp_path: Path) -> Iterator[None]:
    """An app's source that holds both traces and the weights that made them."""
    store = TraceStore(tmp_path, size_limit_bytes=10**7)
    for trace in (a, b):
        store.put_trace(trace)
    flask = Flask("test")
    models = Models(Weights.open(model_folder), dtype="float32")
    Source(models=models, store=store, dtype="float32", device="cpu").install(flask)
    with flask.app_context():
        yield


@pytest.mark.usefixtures("server")
def test_two_runs_are_aligned_in_both_directions(a: Trace, b: Trace) -> None:
    found, _refused = align_runs({"a": a.key, "b": b.key})
    expected = align(a.token_ids, b.token_ids)
    assert (found["a"], found["b"]) == (a.key, b.key)
    assert found["b_of_a"] == expected.b_of_a.tolist()
    assert found["a_of_b"] == expected.a_of_b.tolist()
    assert found["is_same"] == expected.is_same.tolist()
    json.dumps(found)


@pytest.mark.usefixtures("server")
def test_edits_that_fit_are_heeded_and_told_and_others_refused(a: Trace, b: Trace) -> None:
    pair = {"a": a.key, "b": b.key}
    found, refused = align_runs(pair | {"pins": "b2.2-3"})
    assert (found["pins"], refused) == ("2-3.b2", no_update)
    assert (found["b_of_a"][2], found["a_of_b"][2]) == (3, -1)
    said, _apart = tell_difference(pair | {"pos_a": 0, "pos_b": 0, "pins": "2-3.b2"}, "bits")
    assert "Edited by hand: token 2 ‘" in said
    assert "’ of b stays alone." in said
    for text in ("2-99", "2-3.3-2", "2-3.2-4", "x", "2-3.", "a" * 5000, ".".join(["1-1"] * 101)):
        found, refused = align_runs(pair | {"pins": text})
        assert found["pins"] == ""
        assert found["b_of_a"] == align(a.token_ids, b.token_ids).b_of_a.tolist()
        assert refused["pins"] == text
        assert refused["says"].startswith("Edits of an alignment pair a token of a with a token of b")
        assert align_runs(pair | {"pins": text, "is_known": True})[0] is no_update  # what it was stays
        with pytest.raises(PreventUpdate):  # no page of ours sends what was refused
            tell_difference(pair | {"pos_a": 0, "pos_b": 0, "pins": text}, "bits")
    with pytest.raises(PreventUpdate):
        align_runs(pair | {"pins": 7})


@pytest.mark.usefixtures("server")
def test_there_is_no_alignment_without_two_traces(a: Trace) -> None:
    assert align_runs(None)[0] is None
    assert align_runs({"a": a.key, "b": "0" * 64})[0] is None
    assert tell_difference({"a": a.key, "b": "0" * 64, "pos_a": 0, "pos_b": 0}, "bits") == (GONE, "")


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("pos", [-1, 10_000, True, "1", 1.0])
def test_a_position_that_no_page_sends_is_refused(a: Trace, b: Trace, pos: object) -> None:
    with pytest.raises(PreventUpdate):
        tell_difference({"a": a.key, "b": b.key, "pos_a": 0, "pos_b": pos}, "bits")


@pytest.mark.usefixtures("server")
def test_a_panel_is_answered_with_the_ranges_of_both_slots(a: Trace, b: Trace) -> None:
    def figure(one: Trace, other: Trace) -> Any:
        wanted = {**view("surprisal", pos=1), "key": one.key, "beside": {"key": other.key}}
        drawn, _foot, fault = draw_panel(wanted, {"panel": "surprisal", "slot": "a"})
        assert fault == ""
        return drawn

    assert figure(a, b).layout.yaxis.range == figure(b, a).layout.yaxis.range
