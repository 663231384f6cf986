"""The panel of the comparison with Hugging Face: nothing before somebody asks, and then a verdict."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import dashapp
from dashapp.errors import WeightsMissing
from dashapp.experiments.results import Parity
from dashapp.figures.theme import Frame
from dashapp.jobs.parity import compare_trace
from dashapp.jobs.works import KINDS
from dashapp.model.opened import Models
from dashapp.model.weights import Weights
from dashapp.panels.parity import PARITY, draw, offer, verdict, work
from dashapp.traces.record import Trace
from tests.doubles import save_model_folder


@pytest.fixture(scope="module")
def trace(model_folder: Path) -> Trace:
    return dashapp.trace(dashapp.load(model_folder), "a b c", cache=False)


@pytest.fixture(scope="module")
def parity(trace: Trace, model_folder: Path) -> Parity:
    models = Models(Weights.open(model_folder), dtype="float32")
    return Parity.from_arrays(compare_trace(trace, lambda share: None, dtype="float64", models=models))


def test_nothing_is_computed_before_somebody_asks(trace: Trace) -> None:
    assert PARITY.knobs[0].default == "no"
    assert work(trace, compute="no") is None
    drawn = draw(trace, frame=Frame(theme="light"), compute="no", result=None)
    assert "Nothing is compared yet" in drawn.foot
    assert "these 4 tokens" in drawn.foot
    params = 2 * trace.config.n_params
    assert f"{(params * 4 + 200_000_000) / 1e6:,.0f} MB in float32" in drawn.foot
    assert f"{(params * 8 + 200_000_000) / 1e6:,.0f} MB in float64" in drawn.foot


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_choice_asks_for_the_comparison_of_this_trace(trace: Trace, dtype: str) -> None:
    wanted = work(trace, compute=dtype)
    assert wanted is not None
    assert (wanted.kind, wanted.trace, dict(wanted.arguments)) == ("parity", trace.key, {"dtype": dtype})
    assert KINDS["parity"].function == "dashapp.jobs.parity:parity_of_trace"
    assert offer(trace, dtype).startswith("Comparing: ")
    assert dtype in offer(trace, dtype)


def test_the_comparison_is_of_the_traces_tokens_and_weights(trace: Trace, parity: Parity) -> None:
    assert parity.n_tokens == trace.n_tokens == 4
    assert len(parity.resid) == trace.config.n_layer + 1
    assert parity.is_same


def test_the_verdict_has_the_numbers(trace: Trace, parity: Parity) -> None:
    said = draw(trace, frame=Frame(theme="light"), compute="float64", result=parity.arrays()).foot
    assert said == verdict(parity)
    assert said.startswith("Passed in float64: no difference is more than 1e−11 of the largest value.")
    assert f"logits {parity.logits:.3g} (of values up to {parity.logits_scale:.3g})".replace("e-", "e−") in said
    assert "the same at 4 of 4 positions" in said


def test_a_failure_says_what_to_do_next(parity: Parity) -> None:
    wrong = dataclasses.replace(parity, logits=1e-3 * parity.logits_scale)
    assert verdict(wrong).startswith("Failed in float64: a difference is more than 1e−11")
    assert verdict(wrong).endswith("one of the two computes something else.")
    assert "Compare in float64" in verdict(dataclasses.replace(wrong, dtype="float32"))
    assert verdict(dataclasses.replace(parity, pattern=np.array([np.nan]))).startswith("Failed")


def test_a_trace_of_weights_that_are_elsewhere_says_so(trace: Trace, tmp_path: Path) -> None:
    other = Models(Weights.open(save_model_folder(tmp_path / "other", seed=3)), dtype="float32")
    with pytest.raises(WeightsMissing, match="they are not on this machine"):
        compare_trace(trace, lambda share: None, dtype="float32", models=other)
