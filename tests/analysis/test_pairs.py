"""Pairs of tokens: weights are the pattern's, products sum to the score, and writes sum to the head's attribution."""

from __future__ import annotations

import numpy as np
import pytest

from dashapp.analysis.attention import Head
from dashapp.analysis.attribution import attribution
from dashapp.analysis.pairs import key_to_begin_with, match, pair_weights, sources, writes, written_for
from dashapp.analysis.stages import values_written
from dashapp.model.gpt2 import GPT2
from dashapp.traces.record import Trace
from tests.analysis.test_attention import full_pattern
from tests.analysis.test_heads import traced
from tests.doubles import TINY

OF = Head(layer=2, head=1)
FLOAT64_ATOL = 1e-12


@pytest.fixture(scope="module")
def trace(model: GPT2) -> Trace:
    return traced(model)


def whole(trace: Trace) -> np.ndarray:
    return np.stack([full_pattern(trace, layer) for layer in range(TINY.n_layer)])  # [layer head query key]


def test_the_weight_of_a_pair_in_every_head(trace: Trace) -> None:
    np.testing.assert_allclose(pair_weights(trace, 5, 2), whole(trace)[:, :, 5, 2], atol=FLOAT64_ATOL)
    assert not pair_weights(trace, 2, 5).any()  # the future


@pytest.mark.parametrize("is_first_out", [False, True])
def test_the_strongest_sources_of_a_token_over_all_heads(trace: Trace, is_first_out: bool) -> None:
    found, weights = sources(trace, 4, 7, is_first_out=is_first_out), whole(trace)[:, :, 4, :5]
    listed = weights[..., 1:] if is_first_out else weights
    expected = np.sort(listed, axis=None)[::-1][:7]
    np.testing.assert_allclose([source.weight for source in found.strongest], expected, atol=FLOAT64_ATOL)
    for source in found.strongest:
        assert source.weight == pytest.approx(weights[source.of.layer, source.of.head, source.key])
    assert found.rest + expected.sum() == pytest.approx(6)  # each head's row sums to 1
    assert found.n_rest + 7 == weights.size


def test_a_first_token_has_no_source_but_itself(trace: Trace) -> None:
    assert [source.key for source in sources(trace, 0, 3, is_first_out=False).strongest] == [0, 0, 0]
    assert sources(trace, 0, 3, is_first_out=True).strongest == ()
    assert key_to_begin_with(trace, 0, None) == key_to_begin_with(trace, 1, OF) == 0


def test_before_a_second_token_is_selected_it_is_the_one_most_looked_at(trace: Trace) -> None:
    pattern = whole(trace)
    assert key_to_begin_with(trace, 6, OF) == pattern[2, 1, 6, 1:6].argmax() + 1
    assert key_to_begin_with(trace, 6, None) == pattern.mean(axis=(0, 1))[6, 1:6].argmax() + 1


def test_products_sum_to_the_score_whose_softmax_is_the_weight(trace: Trace) -> None:
    scores = [match(trace, OF, 6, key).score for key in range(7)]
    weights = [match(trace, OF, 6, key).weight for key in range(7)]
    np.testing.assert_allclose(np.exp(scores) / np.exp(scores).sum(), weights, rtol=1e-10)
    found = match(trace, OF, 6, 3)
    assert found.products.sum() == pytest.approx(found.score)
    np.testing.assert_allclose(found.query * found.key / np.sqrt(TINY.d_head), found.products, rtol=1e-12)
    assert (len(found.query), len(found.key)) == (TINY.d_head, TINY.d_head)


@pytest.mark.parametrize("against", [None, 4])
def test_what_it_would_write_for_each_key_sums_to_its_attribution(trace: Trace, against: int | None) -> None:
    """The pattern's mean of what the head would write is what it does write."""
    pos, target = 6, 9
    row = whole(trace)[2, 1, pos]
    effects = [writes(trace, OF, pos, key, target=target, against=against, n=3).target for key in range(pos + 1)]
    whole_effect = attribution(trace, pos, target=target, against=against).heads[2, 1]
    # The unembedding is a float32 product of ten terms below 10: some 1e-6 of each.
    assert row[: pos + 1] @ effects == pytest.approx(whole_effect, abs=1e-5)


def test_promoted_and_suppressed_tokens_are_the_ends_of_all(trace: Trace) -> None:
    found = writes(trace, OF, 6, 2, target=0, against=None, n=TINY.d_vocab)
    assert found.promoted.tolist() == found.suppressed[::-1].tolist()
    assert (np.diff(found.promoted_by) <= 0).all()
    assert found.promoted_by.sum() == pytest.approx(0, abs=1e-5)  # over the mean of all
    place = found.promoted.tolist().index(0)
    assert found.promoted_by[place] == pytest.approx(found.target)
    written = written_for(trace, OF, 2)
    assert found.norm == pytest.approx(float(np.linalg.norm(written)))


def test_the_value_bias_is_left_out(trace: Trace) -> None:
    """What is left out is the same for every key."""
    biases = [values_written(trace, OF)[key] - written_for(trace, OF, key) for key in range(4)]
    for other in biases[1:]:
        np.testing.assert_allclose(biases[0], other, atol=FLOAT64_ATOL)
