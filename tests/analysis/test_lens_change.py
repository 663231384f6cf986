"""The lens of two prompts: against the lens of each at one token, and the divergence of two distributions."""

from __future__ import annotations

import numpy as np
import pytest

import dashapp
from dashapp.analysis import lens_change as module
from dashapp.analysis.alignment import align
from dashapp.analysis.changes import aligned_pairs
from dashapp.analysis.divergence import divergence
from dashapp.analysis.lens_change import LensChange, lens_change
from dashapp.analysis.logit_lens import Scale, lens_logits
from dashapp.errors import OtherSizes
from dashapp.model.gpt2 import GPT2
from dashapp.traces.record import Trace
from tests.analysis.test_logit_lens import SCALES
from tests.doubles import TINY_TEXT, tiny_model

# Sums over 50,257 float32 probabilities, pairwise: 16 halvings, each rounded by 6e-8, of entropies of up to 16 bits.
FLOAT32_ATOL = 2e-5
A, B = "a b c d e", "a b x y d e"


@pytest.fixture(scope="module")
def traces(text_model: GPT2) -> tuple[Trace, Trace]:
    return dashapp.trace(text_model, A, cache=False), dashapp.trace(text_model, B, cache=False)


def pairs_of(traces: tuple[Trace, Trace]) -> np.ndarray:
    return aligned_pairs(align(traces[0].token_ids, traces[1].token_ids))


@pytest.mark.parametrize("scale", SCALES)
def test_each_cell_is_the_divergence_of_both_lenses(
    traces: tuple[Trace, Trace], scale: Scale, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 2)  # more than one block, and the last is not full
    pairs = pairs_of(traces)
    found = lens_change(*traces, pairs, scale=scale)
    for place, (pos_a, pos_b) in enumerate(pairs.T):
        lens = [lens_logits(trace, pos, scale=scale) for trace, pos in zip(traces, (pos_a, pos_b), strict=True)]
        for layer in range(TINY_TEXT.n_layer):
            in_a, in_b = (of[2 * layer + 2] for of in lens)
            assert found.js_bits[layer, place] == pytest.approx(divergence(in_a, in_b).js, abs=FLOAT32_ATOL)
            for logits, top, prob in (
                (in_a, found.top_a, found.prob_a),
                (in_b, found.top_b, found.prob_b),
            ):
                assert top[layer, place] == logits.argmax()
                exact = 1 / np.exp(logits.astype(np.float64) - logits.max()).sum()
                assert prob[layer, place] == pytest.approx(exact, rel=1e-4)


def test_before_the_first_token_that_differs_nothing_does(traces: tuple[Trace, Trace]) -> None:
    found = lens_change(*traces, pairs_of(traces), scale="recomputed")
    assert found.js_bits[:, 0].tolist() == [0, 0, 0]
    assert found.js_bits[:, 3:].min() > 0
    same = lens_change(traces[0], traces[0], np.array([[0, 3], [0, 3]]), scale="frozen")
    assert not same.js_bits.any()


def test_the_arrays_give_the_change_again_and_progress_is_told(traces: tuple[Trace, Trace]) -> None:
    told: list[float] = []
    found = lens_change(*traces, pairs_of(traces), scale="frozen", progress=told.append)
    again = LensChange.from_arrays(found.arrays())
    np.testing.assert_array_equal(again.js_bits, found.js_bits)
    assert told == sorted(told)
    assert told[-1] == 1


def test_models_of_other_depths_are_refused(traces: tuple[Trace, Trace]) -> None:
    from dataclasses import replace

    other = dashapp.trace(tiny_model(replace(TINY_TEXT, n_layer=2)), B, cache=False)
    with pytest.raises(OtherSizes, match="layers"):
        lens_change(traces[0], other, pairs_of((traces[0], other)), scale="frozen")
