"""What differs inside two runs: by hand, by another formula over the model's own activations, and the identities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

import dashapp
from dashapp.analysis import inner_changes
from dashapp.analysis.alignment import align
from dashapp.analysis.changes import aligned_pairs
from dashapp.analysis.inner_changes import POINTS, attention_change, neuron_change, stream_change
from dashapp.errors import OtherSizes
from dashapp.traces.record import Trace
from tests.doubles import TINY, random_ids, tiny_model

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

A, B = "a b c d e", "a b x y d e"  # with <|endoftext|>; the fourth token is replaced, y has no counterpart
DIFFERS = 3  # the first token that does
# Patterns of the model are float32, here float64 from q and k: 1e-5 a weight (docs/numerics.md). A divergence is the
# mean of logs of ratios of such weights.
PATTERN = 1e-5
# A run of another length rounds otherwise: activations of about 1 to 10 by some 1e-6.
OTHER_LENGTH = 1e-4


@pytest.fixture(scope="module")
def pair(text_model: GPT2) -> tuple[Trace, Trace]:
    return dashapp.trace(text_model, A, cache=False), dashapp.trace(text_model, B, cache=False)


@pytest.fixture(scope="module")
def pairs(pair: tuple[Trace, Trace]) -> np.ndarray:
    return aligned_pairs(align(pair[0].token_ids, pair[1].token_ids))


# Attention ------------------------------------------------------------------------------------------------------------


def own_divergence(a: Trace, b: Trace, pairs: np.ndarray, of: tuple[int, int], pair: int) -> tuple[float, float]:
    """From whole patterns, by scipy: JS of two rows over the aligned tokens, bits; and the weight of b on others."""
    p, q = a.head_pattern(*of)[pairs[0, pair]], b.head_pattern(*of)[pairs[1, pair]]
    distance = jensenshannon(p[pairs[0]].astype(np.float64), q[pairs[1]].astype(np.float64), base=2)
    return float(distance**2), 1 - float(q[pairs[1]].sum())


@pytest.mark.parametrize("at", range(1, 6))
def test_rows_of_one_pair_differ_as_scipy_says(pair: tuple[Trace, Trace], pairs: np.ndarray, at: int) -> None:
    a, b = pair
    found = attention_change(a, b, pairs, at=(int(pairs[0, at]), int(pairs[1, at])))
    assert (found.n_rows, found.n_possible) == (1, 1)
    for layer, head in np.ndindex(3, 2):
        js, alone = own_divergence(a, b, pairs, (layer, head), at)
        assert found.js_bits[layer, head] == pytest.approx(js, abs=PATTERN)
        assert found.alone_b[layer, head] == pytest.approx(alone, abs=PATTERN)
    assert (found.alone_a < 1e-12).all()  # every token of a has a counterpart
    assert (found.alone_b > 0).any() == (at > 3)  # y comes before the last two


def test_the_mean_is_over_all_pairs_but_the_first(pair: tuple[Trace, Trace], pairs: np.ndarray) -> None:
    found = attention_change(*pair, pairs)
    each = [attention_change(*pair, pairs, at=(int(i), int(j))).js_bits for i, j in pairs.T[1:]]
    np.testing.assert_allclose(found.js_bits, np.mean(each, axis=0), atol=1e-14)
    assert (found.n_rows, found.n_possible) == (5, 5)


def test_of_many_pairs_some_are_taken_evenly(
    pair: tuple[Trace, Trace], pairs: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inner_changes, "MOST_ROWS", 3)
    found = attention_change(*pair, pairs)
    each = [attention_change(*pair, pairs, at=(int(i), int(j))).js_bits for i, j in pairs.T[[1, 3, 5]]]
    np.testing.assert_allclose(found.js_bits, np.mean(each, axis=0), atol=1e-14)
    assert (found.n_rows, found.n_possible) == (3, 5)


def test_a_run_against_itself_looks_the_same(pair: tuple[Trace, Trace]) -> None:
    a = pair[0]
    found = attention_change(a, a, aligned_pairs(align(a.token_ids, a.token_ids)))
    assert (found.js_bits == 0).all()
    assert max(found.alone_a.max(), found.alone_b.max()) < 1e-12


def test_attention_is_equal_before_the_first_token_that_differs_and_at_most_a_bit(
    pair: tuple[Trace, Trace], pairs: np.ndarray
) -> None:
    for at in range(DIFFERS):
        assert attention_change(*pair, pairs, at=(at, at)).js_bits.max() < 1e-9  # a square of a rounding
    assert 0 < attention_change(*pair, pairs, at=(DIFFERS, DIFFERS)).js_bits.max() <= 1


def test_divergence_of_rows_is_the_same_both_ways(pair: tuple[Trace, Trace], pairs: np.ndarray) -> None:
    one, other = attention_change(*pair, pairs), attention_change(*pair[::-1], pairs[::-1])
    np.testing.assert_allclose(one.js_bits, other.js_bits, atol=1e-14)
    np.testing.assert_array_equal(one.alone_a, other.alone_b)


def test_ends_that_are_no_pair_are_compared_over_what_both_can_see(pair: tuple[Trace, Trace]) -> None:
    a, b = pair
    pairs = aligned_pairs(align(a.token_ids, b.token_ids))
    found = attention_change(a, b, pairs, at=(5, 4))  # the end of a, and y
    p, q = a.head_pattern(1, 0)[5], b.head_pattern(1, 0)[4]
    js = jensenshannon(p[:4].astype(np.float64), q[:4].astype(np.float64), base=2) ** 2
    assert found.js_bits[1, 0] == pytest.approx(float(js), abs=PATTERN)


# The residual stream --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", POINTS)
def test_streams_are_as_far_apart_as_the_law_of_cosines_says(
    pair: tuple[Trace, Trace], pairs: np.ndarray, at: inner_changes.At
) -> None:
    a, b = pair
    found = stream_change(a, b, pairs, at=at)
    names = {"pre": "resid_pre", "mid": "resid_mid", "post": "resid_post"}
    for layer, (k, (i, j)) in ((layer, each) for layer in range(3) for each in enumerate(pairs.T)):
        x, y = (getattr(trace, names[at])[layer][pos].astype(np.float64) for trace, pos in ((a, i), (b, j)))
        n, m = np.sqrt((x**2).sum()), np.sqrt((y**2).sum())
        cosine = float(np.dot(x / n, y / m))
        assert found.cosines[layer, k] == pytest.approx(cosine, abs=1e-12)
        apart = np.sqrt(max(0.0, n**2 + m**2 - 2 * n * m * cosine)) / ((n + m) / 2)
        assert found.distances[layer, k] == pytest.approx(apart, abs=1e-6)  # the root of a difference of 1e-15


def test_a_run_against_itself_has_one_stream(pair: tuple[Trace, Trace]) -> None:
    a = pair[0]
    found = stream_change(a, a, aligned_pairs(align(a.token_ids, a.token_ids)), at="post")
    assert (found.distances == 0).all()
    np.testing.assert_allclose(found.cosines, 1, atol=1e-14)


def test_streams_are_equal_before_the_first_token_that_differs(pair: tuple[Trace, Trace], pairs: np.ndarray) -> None:
    found = stream_change(*pair, pairs, at="post")
    assert found.distances[:, :DIFFERS].max() < OTHER_LENGTH
    assert (found.distances[:, DIFFERS:] > 0.01).all()
    turned = stream_change(*pair[::-1], pairs[::-1], at="post")
    np.testing.assert_allclose(found.distances, turned.distances, atol=1e-14)


# Neurons --------------------------------------------------------------------------------------------------------------


def test_neurons_that_change_most_are_found_by_what_they_write(pair: tuple[Trace, Trace], text_model: GPT2) -> None:
    """By another way: the vectors that each neuron writes in both runs, and the length of their difference."""
    import torch

    a, b = pair
    found = neuron_change(a, 5, b, 6, n=4)
    apart = {}
    for layer, block in enumerate(text_model.h):
        out = block.mlp.c_proj.weight.detach().double()  # [d_mlp d_model]
        post = [
            torch.nn.functional.gelu(torch.tensor(trace.mlp_pre[layer][pos]).double(), approximate="tanh")
            for trace, pos in ((a, 5), (b, 6))
        ]
        lengths = ((post[0] - post[1])[:, None] * out).norm(dim=-1)
        apart |= {(layer, neuron): float(length) for neuron, length in enumerate(lengths)}
    strongest = sorted(apart, key=lambda place: -apart[place])
    assert [tuple(place) for place in found.places] == strongest[:4]
    np.testing.assert_allclose(np.abs(found.moved), [apart[place] for place in strongest[:4]], rtol=1e-5)
    assert found.left_out == pytest.approx(apart[strongest[4]], rel=1e-5)
    np.testing.assert_array_equal(np.sign(found.moved), np.sign(found.in_a - found.in_b))


def test_no_neuron_differs_from_itself_or_before_the_first_difference(pair: tuple[Trace, Trace]) -> None:
    assert not neuron_change(pair[0], 3, pair[0], 3, n=5).moved.any()
    assert np.abs(neuron_change(*(x for each in pair for x in (each, 2)), n=5).moved).max() < OTHER_LENGTH


def test_models_of_two_sizes_are_refused_with_both(pair: tuple[Trace, Trace]) -> None:
    from dataclasses import replace

    wide = dashapp.trace(tiny_model(replace(TINY, n_layer=2, d_mlp=7)), random_ids(TINY, 5).tolist(), cache=False)
    pairs = np.array([[0, 1], [0, 1]])
    for compare in (
        lambda: attention_change(pair[0], wide, pairs),
        lambda: stream_change(pair[0], wide, pairs, at="pre"),
        lambda: neuron_change(pair[0], 0, wide, 0, n=3),
    ):
        with pytest.raises(OtherSizes, match="number of layers"):
            compare()
