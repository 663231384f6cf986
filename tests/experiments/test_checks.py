"""Verdicts on checks: what passes, what fails, and what is not about these weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import dashapp
from dashapp.analysis.heads import GPT2_SMALL_LOSS
from dashapp.analysis.identities import SAID
from dashapp.errors import JobStopped, WeightsMissing
from dashapp.experiments import checking
from dashapp.experiments.checking import check
from dashapp.experiments.checks import PARITY, Checks, Row, rows
from dashapp.experiments.published import published
from dashapp.jobs.checks import check_among
from dashapp.model.opened import Models
from dashapp.model.registry import DEMO_FOLDER
from dashapp.model.weights import Weights
from dashapp.traces.record import Trace
from tests.doubles import save_model_folder

HELLO = [50256, 15496, 995, 0]  # <|endoftext|>Hello world!


@pytest.fixture(scope="module")
def weights(model_folder: Path) -> Weights:
    return Weights.open(model_folder)


@pytest.fixture(scope="module")
def trace(model_folder: Path) -> Trace:
    return dashapp.trace(dashapp.load(model_folder), "a b c", cache=False)


def as_published(**changed: np.ndarray) -> Checks:
    """Checks of weights that compute all that is published, but for what is changed."""
    found = {**dict.fromkeys([*SAID, *PARITY], np.array(1e-7)), **{each.name: each.expected for each in published()}}
    renamed = {name.replace("_", "-"): value for name, value in changed.items()}
    return Checks(depth="all", dtype="float32", applies="yes", loss=5.33186, seconds=3.0, found={**found, **renamed})


def row_of(checks: Checks, name: str) -> Row:
    (found,) = (row for row in rows(checks) if row.name == name)
    return found


def test_what_is_as_published_passes() -> None:
    assert {row.verdict for row in rows(as_published())} == {"pass"}
    assert len(rows(as_published())) == len(SAID) + len(PARITY) + len(published())


@pytest.mark.parametrize("name", ["hello-loss", "previous-scores", "lens-curve", "patch-z", "ablated-spreads", "mlp"])
def test_one_number_beyond_its_tolerance_fails_its_check_alone(name: str) -> None:
    right = row_of(as_published(), name)
    within, beyond = (np.array(right.expected) for _ in range(2))
    within.flat[-1] += 0.9 * right.tolerance
    beyond.flat[-1] -= 1.1 * right.tolerance
    checks = as_published()
    assert row_of(dataclasses.replace(checks, found={**checks.found, name: within}), name).verdict == "pass"
    failing = dataclasses.replace(checks, found={**checks.found, name: beyond})
    assert [row.name for row in rows(failing) if row.verdict == "fail"] == [name]
    assert row_of(failing, name).place == np.unravel_index(beyond.size - 1, beyond.shape)
    assert row_of(failing, name).difference == pytest.approx(1.1 * right.tolerance)


def test_a_number_that_is_none_fails() -> None:
    assert row_of(as_published(ioi_mean=np.array(np.nan)), "ioi-mean").verdict == "fail"


def test_a_result_is_kept_and_read_as_it_was() -> None:
    checks = dataclasses.replace(as_published(), applies="other loss", depth="quick", dtype="bfloat16")
    again = Checks.from_arrays(checks.arrays())
    assert dataclasses.replace(again, found={}) == dataclasses.replace(checks, found={})
    assert again.found.keys() == checks.found.keys()
    np.testing.assert_array_equal(again.found["patch-z"], checks.found["patch-z"])


def test_random_weights_keep_identities_and_published_numbers_do_not_apply(trace: Trace, weights: Weights) -> None:
    checks = check(weights, trace, lambda share: None, depth="quick")
    verdicts = {row.name: row.verdict for row in rows(checks)}
    assert {verdicts[name] for name in SAID} == {"pass"}
    assert {verdicts[name] for name in PARITY} == {"not asked for"}
    assert {verdicts[each.name] for each in published()} == {"does not apply"}
    assert checks.applies == "other shape"
    assert np.isnan(checks.loss)


@pytest.mark.reference
def test_everything_has_hugging_face_too(trace: Trace, weights: Weights) -> None:
    shares: list[float] = []
    checks = check(weights, trace, shares.append, depth="all")
    assert {row.verdict for row in rows(checks) if row.name in PARITY} == {"pass"}
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1


def test_published_numbers_do_not_apply_to_the_demo_model() -> None:
    made = dashapp.trace(dashapp.load("demo"), "The cat sat", cache=False)
    checks = check(Weights.open(DEMO_FOLDER), made, lambda share: None, depth="quick")
    assert {row.verdict for row in rows(checks)} == {"pass", "not asked for", "does not apply"}
    assert {row.verdict for row in rows(checks) if row.name in SAID} == {"pass"}


class Recognised:
    """Stands for the shape of GPT-2 small, its loss, the probe and what is reproduced, for weights that are smaller."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, loss: float) -> None:
        monkeypatch.setattr(checking, "has_gpt2_small_shape", lambda trace: True)
        monkeypatch.setattr(checking, "loss", lambda model, ids: loss if ids.tolist() == HELLO else np.nan)
        monkeypatch.setattr(checking, "probe_heads", lambda model, weights, progress: None)
        monkeypatch.setattr(checking, "reproduce", lambda *_, progress: self.values(patching=False))
        monkeypatch.setattr(checking, "reproduce_patching", lambda *_, progress: self.values(patching=True))

    def values(self, *, patching: bool) -> dict[str, np.ndarray]:
        return {each.name: each.expected for each in published() if each.name.startswith("patch-") == patching}


@pytest.mark.parametrize("apart", [0.0, 3.9e-5, -3.9e-5])
def test_weights_are_recognised_by_their_loss(
    trace: Trace, weights: Weights, monkeypatch: pytest.MonkeyPatch, apart: float
) -> None:
    Recognised(monkeypatch, GPT2_SMALL_LOSS + apart)
    quick = check(weights, trace, lambda share: None, depth="quick")
    assert quick.applies == "yes"
    asked = {row.name for row in rows(quick) if row.verdict == "pass"}
    assert asked >= {each.name for each in published() if not each.name.startswith("patch-")}
    patching = {row.verdict for row in rows(quick) if row.name.startswith("patch-")}
    assert patching == {"not asked for"}


@pytest.mark.parametrize("loss", [GPT2_SMALL_LOSS + 5e-5, 10.8, float("nan")])
def test_the_same_shape_with_another_loss_is_other_weights(
    trace: Trace, weights: Weights, monkeypatch: pytest.MonkeyPatch, loss: float
) -> None:
    Recognised(monkeypatch, loss)
    checks = check(weights, trace, lambda share: None, depth="quick")
    assert checks.applies == "other loss"
    assert {row_of(checks, each.name).verdict for each in published()} == {"does not apply"}
    np.testing.assert_equal(float(checks.found["hello-loss"]), loss)


def test_it_may_be_ended_and_weights_that_are_elsewhere_are_said_to_be(
    trace: Trace, weights: Weights, tmp_path: Path
) -> None:
    def stop(share: float) -> None:
        raise JobStopped

    with pytest.raises(JobStopped):
        check(weights, trace, stop, depth="quick")
    other = Models(Weights.open(save_model_folder(tmp_path / "other", seed=3)), dtype="float32")
    with pytest.raises(WeightsMissing, match="they are not on this machine"):
        check_among(trace, lambda share: None, depth="quick", models=other)
