"""The panel and the table of checks: nothing before somebody asks, and then verdicts in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dashapp
from dashapp.analysis.identities import SAID
from dashapp.experiments.checks import PARITY, Checks, rows
from dashapp.experiments.published import published
from dashapp.figures.theme import Frame
from dashapp.jobs.works import KINDS
from dashapp.panels.checks import CHECKS, draw, numbers, patching_cost, verdict, work
from dashapp.panels.checks_table import cells_of, table
from dashapp.traces.record import Trace

FRAME = Frame(theme="light")


@pytest.fixture(scope="module")
def trace(model_folder: Path) -> Trace:
    return dashapp.trace(dashapp.load(model_folder), "a b c", cache=False)


@pytest.fixture
def checks() -> Checks:
    found = {**dict.fromkeys([*SAID, *PARITY], np.array(2e-7)), **{each.name: each.expected for each in published()}}
    wrong = np.array(found["head-parts"])
    wrong[9, 9] += 0.5
    return Checks(
        depth="all", dtype="float32", applies="yes", loss=5.33186, seconds=65.4, found={**found, "head-parts": wrong}
    )


def other(applies: Any) -> Checks:
    loss = 10.81234 if applies == "other loss" else np.nan
    found = {str(name): np.array(2e-7) for name in SAID}
    return Checks(depth="quick", dtype="float32", applies=applies, loss=loss, seconds=2.0, found=found)


def test_nothing_is_computed_before_somebody_asks(trace: Trace) -> None:
    assert CHECKS.knobs[0].default == "no"
    assert work(trace, depth="no") is None
    drawn = draw(trace, frame=FRAME, depth="no", result=None)
    assert drawn.foot.startswith("Nothing is checked yet. Choose which checks to run: 12 identities")
    assert "another shape than GPT-2 small" in drawn.foot
    assert drawn.figure.layout.meta["summary"] == "Nothing is checked yet."
    wanted = work(trace, depth="all")
    assert wanted is not None
    assert (wanted.kind, wanted.trace, dict(wanted.arguments)) == ("checks", trace.key, {"depth": "all"})
    assert KINDS["checks"].function == "dashapp.jobs.checks:check_trace"
    assert "passes and about" in patching_cost(trace)


def test_the_verdict_names_what_failed_and_counts_the_rest(trace: Trace, checks: Checks) -> None:
    said = draw(trace, frame=FRAME, depth="all", result=checks.arrays()).foot
    assert said == verdict(checks)
    assert said.startswith("Failed: What each head adds, right name over wrong name, mean over")
    assert f"Of {len(rows(checks))} checks: {len(rows(checks)) - 1} pass, 1 fails." in said
    assert "published weights of GPT-2 small, by their shape and their loss of 5.33186" in said


def test_other_weights_are_told_why_published_numbers_are_not_about_them() -> None:
    assert "these weights have another shape than GPT-2 small" in verdict(other("other shape"))
    assert "lose 10.81234 nats a token on “Hello world!”, the published ones 5.33186" in verdict(other("other loss"))
    n_published, n_parity = len(published()), len(PARITY)
    assert f"{len(SAID)} pass, {n_published} do not apply, {n_parity} were not asked for." in verdict(
        other("other loss")
    )


def test_the_figure_has_a_mark_for_each_check_that_was_computed(checks: Checks, trace: Trace) -> None:
    passed, failed, _line = draw(trace, frame=FRAME, depth="all", result=checks.arrays()).figure.data
    assert (len(passed.x), len(failed.x)) == (len(rows(checks)) - 1, 1)
    assert failed.x[0] == pytest.approx(0.5 / 1e-3)
    assert "500 of what is allowed" in failed.text[0].replace("5e+02", "500")
    assert passed.marker.symbol != failed.marker.symbol


def test_cells_say_expected_found_and_allowed_where_they_are_furthest_apart(checks: Checks) -> None:
    by_name = {row.name: cells_of(row, is_done=True) for row in rows(checks)}
    verdict_, expected, found, apart, allowed = by_name["head-parts"]
    assert verdict_ == "✗ fail"
    assert expected == "2.9855 at layer 9, head 9, of 144 values"
    assert (found, apart, allowed) == ("3.4855", "0.5", "0.001 nats")
    assert by_name["hello-loss"] == ("✓ pass", "5.331856", "5.331856", "0", "4e−5 nats a token")
    assert by_name["mlp"] == ("✓ pass", "no difference", "2e−7", "2e−7", "0.0001")
    of_other = {row.name: cells_of(row, is_done=True) for row in rows(other("other shape"))}
    assert of_other["hello-loss"] == ("– does not apply", "5.331856", "", "", "4e−5 nats a token")
    assert of_other["parity-resid"][0] == "· not asked for"


def test_the_table_has_a_row_for_each_check_under_its_kind(checks: Checks) -> None:
    head, *bodies = table(rows(checks), is_done=True).children[1:]
    assert len(head.children.children) == 6
    assert sum(len(body.children) - 1 for body in bodies) == len(rows(checks))
    assert "Patching" in [body.children[0].children.children for body in bodies]
    assert sum(row.className == "check-fails" for body in bodies for row in body.children[1:]) == 1
    assert [cells_of(row, is_done=False)[0] for row in rows(None)] == [""] * len(rows(None))


def test_numbers_are_the_largest_differences(checks: Checks, trace: Trace) -> None:
    found = numbers(trace, result=checks.arrays())
    assert found.values.shape == (len(rows(checks)), 3)
    place = [row.name for row in rows(checks)].index("head-parts")
    np.testing.assert_allclose(found.values[place], [0.5, 1e-3, 0])
    none = numbers(trace, result=other("other shape").arrays())
    assert np.isnan(none.values[place][[0, 2]]).all()
