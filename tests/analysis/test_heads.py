"""Head scores: TransformerLens' hand case, the formula over whole patterns, and heads that are made to be of a kind."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from dashapp.analysis import heads
from dashapp.analysis.attention import Head
from dashapp.analysis.heads import (
    KINDS,
    HeadProbe,
    Kind,
    KindScores,
    copying_scores,
    detected,
    expected_pairs,
    is_gpt2_small,
    mean_scores,
    measured_kinds,
    scores_on_probe,
    scores_on_prompt,
)
from dashapp.model.checkpoint import weights_of
from dashapp.model.gpt2 import GPT2
from dashapp.traces.capture import capture
from dashapp.traces.record import Trace, trace_metadata
from tests.analysis.test_attention import full_pattern, stored_rtol
from tests.doubles import TINY

IDS = np.array([3, 1, 4, 1, 5, 3, 1, 4, 4], dtype=np.int32)

# The 4 × 4 pattern of TransformerLens' Head_Detector_Demo, with the previous-token detector's result.
HAND = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.2, 0.3, 0.5, 0], [0.1, 0.15, 0.5, 0.25]])


def traced(model: GPT2, ids: np.ndarray = IDS) -> Trace:
    metadata = trace_metadata(TINY, fingerprint=weights_of(model).fingerprint, model="tiny", dtype="float32")
    return capture(model, ids, metadata, weights=weights_of(model))


@pytest.fixture(scope="module")
def trace(model: GPT2) -> Trace:
    return traced(model)


def test_the_hand_case_of_transformer_lens() -> None:
    previous = expected_pairs(np.arange(4), "previous")
    assert detected(HAND, previous) == pytest.approx(1.3 / 4)
    assert detected(HAND, previous, first=False, self_=False) == pytest.approx(0.8 / 0.95)


def test_the_pairs_that_a_head_of_a_kind_would_look_at() -> None:
    ids = np.array([7, 8, 7, 7])
    assert expected_pairs(ids, "previous").tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    assert expected_pairs(ids, "duplicate").tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0]]
    # What followed the first 7 is the 8; what followed the second is the third 7, which is the query itself.
    assert expected_pairs(ids, "induction").tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 1]]
    assert expected_pairs(ids, "first")[:, 0].all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "first"])
def test_scores_on_a_prompt_are_those_of_the_whole_pattern(trace: Trace, kind: Kind) -> None:
    expected = expected_pairs(IDS, kind)
    found = getattr(scores_on_prompt(trace), kind)
    for layer in range(TINY.n_layer):
        for head, pattern in enumerate(full_pattern(trace, layer)):
            # A sum of float32 products, each with the stored row's rounding and one more of a float32 exponential.
            assert found[layer, head] == pytest.approx(detected(pattern, expected), rel=2 * stored_rtol(trace))


def test_without_copies_nothing_is_a_duplicate(model: GPT2) -> None:
    scores = scores_on_prompt(traced(model, np.arange(6, dtype=np.int32)))
    assert not scores.duplicate.any()
    assert not scores.induction.any()
    assert not scores_on_prompt(traced(model, IDS[:1])).previous.any()


def test_scores_on_the_probe_are_means_along_diagonals(model: GPT2) -> None:
    block = IDS[:5]
    trace = traced(model, np.concatenate([block, block]))
    found = scores_on_probe(trace, 5)
    pattern = full_pattern(trace, 1)[1]
    for score, pairs in (
        (found.previous, [(i, i - 1) for i in range(1, 10)]),
        (found.duplicate, [(i, i - 5) for i in range(5, 10)]),
        (found.induction, [(i, i - 4) for i in range(4, 10)]),
        (found.first, [(i, 0) for i in range(1, 10)]),
    ):
        assert score[1, 1] == pytest.approx(np.mean([pattern[pair] for pair in pairs]), rel=1e-4)


def test_copying_is_that_of_the_matrix_over_the_vocabulary(model: GPT2, trace: Trace) -> None:
    """The definition itself, [d_vocab d_vocab]: of 17 tokens it fits."""
    weights = weights_of(model)

    def weight(name: str) -> np.ndarray:
        return weights.float32(name).astype(np.float64)

    centre = np.eye(TINY.d_model) - 1 / TINY.d_model
    embedding, d = weight("wte.weight"), TINY.d_head
    found = copying_scores(trace)
    for layer in range(TINY.n_layer):
        read = centre @ np.diag(weight(f"h.{layer}.ln_1.weight")) @ weight(f"h.{layer}.attn.c_attn.weight")[:, -10:]
        for head in range(TINY.n_head):
            part = slice(head * d, head * d + d)
            out = weight(f"h.{layer}.attn.c_proj.weight")[part] @ centre @ np.diag(weight("ln_f.weight"))
            eigenvalues = np.linalg.eigvals(embedding @ read[:, part] @ out @ embedding.T)
            # Rounding of a 17 × 17 matrix of rank 5 leaves eigenvalues near 1e-14, and float32 sums in the Gram matrix.
            ratio = eigenvalues.sum().real / np.abs(eigenvalues).sum()
            assert found[layer, head] == pytest.approx(ratio, abs=1e-4)


def test_a_head_that_writes_what_it_reads_copies() -> None:
    positive, rotation = np.diag([1.0, 2, 3]), np.array([[0.0, -1], [1, 0]])
    assert heads._sign_of_sum(np.linalg.eigvals(positive)) == pytest.approx(1)
    assert heads._sign_of_sum(np.linalg.eigvals(-positive)) == pytest.approx(-1)
    assert heads._sign_of_sum(np.linalg.eigvals(rotation)) == pytest.approx(0)
    assert heads._sign_of_sum(np.zeros(3)) == 0


def scores(**of: list[list[float]]) -> KindScores:
    nothing = np.zeros((1, 3))
    return KindScores(**{name: np.array(of.get(name, nothing)) for name in KindScores.__dataclass_fields__})


def test_a_head_is_called_what_most_of_its_attention_says() -> None:
    found = measured_kinds(scores(previous=[[0.45, 0.39, 0]], induction=[[0.5, 0, 0]], first=[[0, 0, 1]]))
    assert found == {Head(layer=0, head=0): "induction", Head(layer=0, head=2): "first"}
    assert set(get_args(Kind)) == set(KINDS)


def test_results_come_back_as_they_were_kept() -> None:
    probe = HeadProbe(scores=scores(previous=[[0.1, 0.2, 0.3]]), copying=np.ones((1, 3)), n_block=6, loss=float("nan"))
    back = HeadProbe.from_arrays(probe.arrays())
    np.testing.assert_array_equal(back.scores.previous, [[0.1, 0.2, 0.3]])
    assert (back.n_block, np.isnan(back.loss)) == (6, True)
    mean = mean_scores([probe.scores, scores(previous=[[0.3, 0.2, 0.1]])])
    np.testing.assert_allclose(mean.previous, [[0.2, 0.2, 0.2]])


def test_gpt2_small_is_known_by_its_loss_and_not_by_its_shape_alone(trace: Trace) -> None:
    probe = HeadProbe(scores=scores(), copying=np.ones((1, 3)), n_block=100, loss=5.331855773925781)
    small = Trace({}, {"config": "{}", "fingerprint": "f", "model": "gpt2", "dtype": "float32"})
    assert is_gpt2_small(small, probe)
    assert not is_gpt2_small(small, replace(probe, loss=5.3323))
    assert not is_gpt2_small(small, replace(probe, loss=float("nan")))
    assert not is_gpt2_small(trace, probe)
