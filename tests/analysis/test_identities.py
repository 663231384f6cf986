"""Identities of a trace: a right one keeps all of them, and each way of being wrong breaks the one it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dashapp.analysis.identities import SAID, TOLERANCE, Identity, identities, share_apart
from dashapp.traces.record import Trace
from tests.doubles import TINY_TEXT

if TYPE_CHECKING:
    from pathlib import Path

import dashapp
from dashapp.model.config import GPT2Config
from dashapp.model.weights import Weights
from tests.doubles import save_model_folder

PROMPT = "a b c a b =d e"


@pytest.fixture(scope="module")
def trace(model_folder: Path) -> Trace:
    return dashapp.trace(dashapp.load(model_folder), PROMPT, cache=False)


def altered(trace: Trace, name: str, where: tuple[int, ...], by: float) -> Trace:
    """The same trace with one number changed."""
    tensors = {key: np.array(array) for key, array in trace._all_tensors().items()}
    tensors[name][where] += by
    return Trace(tensors, trace.metadata, weights=trace.weights)


def broken(trace: Trace) -> set[Identity]:
    return {name for name, share in identities(trace).items() if not share <= TOLERANCE[trace.dtype]}


def test_a_trace_keeps_all_identities_with_room_to_spare(trace: Trace) -> None:
    found = identities(trace)
    assert list(found) == list(SAID)
    assert max(found.values()) < TOLERANCE["float32"] / 20
    assert max(found.values()) > 0, "two orders of summation: nothing is compared with itself"


def test_weights_that_were_trained_keep_them() -> None:
    assert broken(dashapp.trace(dashapp.load("demo"), "The cat sat on the mat, and then", cache=False)) == set()


@pytest.mark.parametrize("prompt", ["", "a b c d e f g h i j k l"])
def test_one_token_and_a_full_context_keep_them_too(model_folder: Path, prompt: str) -> None:
    model = dashapp.load(model_folder)
    made = dashapp.trace(model, prompt or [50256], cache=False)
    assert made.n_tokens in (1, TINY_TEXT.n_ctx)
    assert broken(made) == set()


def test_other_options_of_the_model_keep_them(tmp_path: Path) -> None:
    import dataclasses

    odd: GPT2Config = dataclasses.replace(TINY_TEXT, scale_attn_by_inverse_layer_idx=True, layer_norm_epsilon=0.1)
    assert broken(dashapp.trace(dashapp.load(save_model_folder(tmp_path / "odd", odd)), PROMPT, cache=False)) == set()


def test_a_bfloat16_trace_keeps_them_to_its_eight_bits(model_folder: Path) -> None:
    made = dashapp.trace(dashapp.load(model_folder, dtype="bfloat16"), PROMPT, cache=False)
    found = identities(made)
    assert broken(made) == set()
    assert TOLERANCE["float32"] < found["mlp"] < TOLERANCE["bfloat16"] / 4


@pytest.mark.parametrize(
    ("name", "where", "by", "breaks"),
    [
        ("resid", (0, 2, 3), 0.01, {"embeddings"}),
        ("resid", (1, 2, 3), 0.01, {"attention", "mlp"}),
        ("resid", (6, 2, 3), 0.01, {"mlp"}),
        ("q", (1, 0, 2, 1), 0.01, {"queries"}),
        ("k", (1, 0, 2, 1), 0.01, {"queries"}),
        ("v", (1, 0, 2, 1), 0.01, {"queries", "attention"}),
        ("ln_scale", (1, 4), 0.001, {"norms"}),
        ("ln_scale", (6, 2), 0.001, {"norms"}),
        ("mlp_pre", (2, 3, 5), 0.01, {"neurons"}),
        ("attn_entropy", (1, 1, 3), 0.001, {"summaries"}),
        ("attn_distance", (2, 1, 3), 0.01, {"summaries"}),
        ("attn_first", (0, 1, 3), 0.001, {"summaries"}),
        ("attn_previous", (0, 1, 3), 0.001, {"summaries"}),
        ("logprob", (3,), 0.01, {"predictions"}),
        ("entropy", (3,), 0.01, {"predictions"}),
        ("top_logprobs", (3, 1), 0.01, {"predictions"}),
        ("rank", (3,), 1000, {"predictions"}),
    ],
)
def test_a_wrong_number_breaks_the_identity_it_is_in(
    trace: Trace, name: str, where: tuple[int, ...], by: float, breaks: set[Identity]
) -> None:
    assert breaks <= broken(altered(trace, name, where, by))


def test_a_number_that_is_none_breaks_it_as_well(trace: Trace) -> None:
    assert "mlp" in broken(altered(trace, "resid", (6, 2, 3), float("nan")))


def test_other_weights_break_all_that_reads_them(trace: Trace, tmp_path: Path) -> None:
    other = Weights.open(save_model_folder(tmp_path / "other", seed=3))
    metadata = {**trace.metadata, "fingerprint": other.fingerprint}
    found = broken(Trace(trace._all_tensors(), metadata, weights=other))
    assert found >= {"embeddings", "queries", "attention", "neurons", "mlp", "predictions", "attribution"}
    assert not found & {"norms", "rows", "summaries", "rollout"}, "which need no weights"


def test_a_share_is_of_the_largest_value() -> None:
    assert share_apart(np.array([1.0, 4.5]), np.array([1.0, -5.0])) == pytest.approx(9.5 / 5)
    assert share_apart(np.array([0.25]), np.zeros(1)) == 0.25
    assert share_apart(np.ones(2), np.zeros(2), of=np.array([4.0])) == 0.25
