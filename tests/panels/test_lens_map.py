"""What the lens of a whole text says and weighs, what it asks for, and what stands while it is computed."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dashapp
from dashapp.analysis.lens_map import LensMap, lens_map
from dashapp.figures.tokens import label
from dashapp.jobs.lens_map import lens_arrays
from dashapp.jobs.works import KINDS
from dashapp.model.tokenizer import token_text
from dashapp.panels.catalogue import PANELS
from dashapp.panels.panel import Drawn, draw, work_of
from dashapp.traces.record import Trace
from tests.panels.test_attribution import LARGEST_RESPONSE_BYTES, largest

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

PANEL = PANELS["lens-map"]
COLOURS = list(PANEL.knobs[0].options)


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The <b> sat on a mat", cache=False)


def view(pos: int = 2, target: int | None = None, **knobs: str) -> dict[str, Any]:
    chosen = {knob.name: knob.default for knob in PANEL.knobs} | knobs
    return {"theme": "light", "text": 1, "pos": pos, "target": target, "knobs": chosen}


def drawn(trace: Trace, found: LensMap | None, **chosen: Any) -> Drawn:
    return draw(PANEL, trace, view(**chosen), result=found.arrays() if found else None)


def test_meanwhile_the_output_stands_in_the_last_row(trace: Trace) -> None:
    shown = drawn(trace, None, colour="kl")
    cells = np.asarray(shown.figure.data[0].z)
    np.testing.assert_allclose(cells[-1], np.exp(trace.read("top_logprobs")[:, 0]), rtol=1e-6)
    assert np.isnan(cells[:-1]).all()
    assert shown.foot.startswith("This is the last row")


@pytest.mark.parametrize("colour", COLOURS)
def test_rows_that_are_computed_stand_above_those_that_are_not(trace: Trace, colour: str) -> None:
    parts: list[LensMap] = []
    found = lens_map(trace, scale="recomputed", target=262, so_far=parts.append)
    n_point = len(found.top_ids)
    for n_known, part in enumerate(parts[:-1], 1):
        shown = drawn(trace, part, target=262, colour=colour)
        cells = np.asarray(shown.figure.data[0].z)
        assert np.isnan(cells[:-n_known]).all()
        np.testing.assert_array_equal(cells[-n_known:], values(trace, found, "recomputed", colour)[-n_known:])
        assert shown.foot.startswith(f"So far {n_known} of {n_point} rows are computed. ")
        assert "settles" not in shown.foot
    assert "So far" not in drawn(trace, parts[-1], target=262, colour=colour).foot


@pytest.mark.parametrize("scale", ["recomputed", "frozen"])
def test_each_colour_shows_its_number(trace: Trace, scale: Any) -> None:
    found = lens_map(trace, scale=scale, target=262)
    np.testing.assert_allclose(values(trace, found, scale, "top"), np.exp(found.top_logprobs), rtol=1e-6)
    np.testing.assert_allclose(values(trace, found, scale, "entropy"), found.entropy_bits)
    np.testing.assert_allclose(values(trace, found, scale, "kl"), found.kl_bits)
    np.testing.assert_allclose(10 ** values(trace, found, scale, "rank"), found.ranks + 1, rtol=1e-5)
    probs = values(trace, found, scale, "prob")
    output = np.exp(trace.logits[:, 262].astype(np.float64) - trace.read("logsumexp"))
    np.testing.assert_allclose(probs[-1], output, atol=1e-5)
    np.testing.assert_allclose(2.0 ** values(trace, found, scale, "logprob"), probs, rtol=1e-4)


def values(trace: Trace, found: LensMap, scale: str, colour: str) -> np.ndarray:
    shown = drawn(trace, found, target=262, colour=colour, scale=scale)
    assert ("The target is ‘·the’." in shown.foot) == (colour in ("prob", "logprob", "rank"))
    return np.asarray(shown.figure.data[0].z)


def test_without_a_target_each_column_has_its_own(trace: Trace) -> None:
    found = lens_map(trace, scale="recomputed", target=None)
    shown = drawn(trace, found, colour="prob")
    best = np.exp(trace.read("top_logprobs")[:, 0])
    np.testing.assert_allclose(np.asarray(shown.figure.data[0].z)[-1], best, atol=1e-5)
    assert "No target is chosen" in shown.foot
    assert "the output’s favourite has" in shown.figure.data[0].hovertemplate


def test_only_ranks_are_counted_for_a_target(trace: Trace) -> None:
    def arguments(**chosen: Any) -> Any:
        work = work_of(PANEL, trace, view(**chosen))
        assert work is not None
        return work.arguments

    assert arguments(target=262, colour="prob") == arguments() == {"scale": "recomputed", "target": None}
    assert arguments(target=262, colour="rank", scale="frozen") == {"scale": "frozen", "target": 262}


def test_the_job_computes_it_by_the_trace_s_own_weights(trace: Trace) -> None:
    class OnlyThese:
        def of(self, fingerprint: str, *, name: str) -> Any:
            assert (fingerprint, name) == (trace.fingerprint, trace.model_name)
            return trace.weights

    shares: list[float] = []
    models: Any = OnlyThese()
    arrays = lens_arrays(trace, shares.append, scale="frozen", target=None, models=models)
    again = lens_map(trace, scale="frozen", target=None).arrays()
    assert {name: array.tolist() for name, array in arrays.items()} == {n: a.tolist() for n, a in again.items()}
    assert shares[-1] == 1
    assert KINDS["lens"].function == "dashapp.jobs.lens_map:lens_of_trace"


@cache
def made_map() -> LensMap:
    """Of 1,024 tokens in GPT-2 small's shape, every word the one that takes the most bytes."""
    longest = max(range(50_257), key=lambda token: len(json.dumps(label(token_text(token), longest=6))))
    shape, generator = (25, 1024), np.random.default_rng(0)
    numbers = generator.uniform(0, 9, shape).astype(np.float32)
    return LensMap(
        top_ids=np.full(shape, longest, dtype=np.int32),
        top_logprobs=-numbers,
        entropy_bits=numbers,
        kl_bits=numbers,
        logsumexp=numbers,
        ranks=generator.integers(10_000, 50_257, shape).astype(np.int32),
        followed=np.full(1024, longest, dtype=np.int32),
    )


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("span", ["around", "all"])
def test_no_response_is_over_two_megabytes_at_the_longest_prompt(colour: str, span: str) -> None:
    shown = drawn(largest(), made_map(), pos=500, colour=colour, span=span)
    assert len(shown.figure.to_json().encode()) + len(json.dumps(shown.foot)) < LARGEST_RESPONSE_BYTES
    assert ("Shown: tokens" in shown.foot) == (span == "around")
    assert len(shown.figure.data[0].x) == (18 if span == "around" else 1024)
