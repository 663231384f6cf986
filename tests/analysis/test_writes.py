"""What was written into the stream: against the model's own parts, by hand, and as identities."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

import dashapp
from dashapp.analysis.writes import largest_dimensions, writes
from dashapp.model.tap import Tap
from dashapp.traces.record import Trace, trace_metadata
from tests.analysis.test_attribution import SEEDS, trace_of
from tests.doubles import TINY

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

HALF_UNIT = float(np.finfo(np.float32).eps) / 2


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The cat sat on a", cache=False)


def with_stream(resid: np.ndarray) -> Trace:
    """A trace with this stream [point pos d_model]."""
    n_point, n_tokens, d_model = resid.shape
    config = dataclasses.replace(TINY, n_layer=(n_point - 1) // 2, n_head=1, d_model=d_model)
    tensors = {"resid": resid.astype(np.float32), "token_ids": np.arange(n_tokens, dtype=np.int32)}
    return Trace(tensors, trace_metadata(config, fingerprint="f" * 64, model="planted", dtype="float32"))


# What was written ----------------------------------------------------------------------------------------------------


def test_parts_are_what_attention_and_mlp_of_the_model_put_out(trace: Trace, text_model: GPT2) -> None:
    import torch

    seen = Tap.reading("attn_out", "mlp_out", "embed", "pos_embed")
    with torch.no_grad():
        text_model(torch.from_numpy(np.array(trace.token_ids, dtype=np.int64))[None], tap=seen)
    out = {name: seen.activations[name][0].double().numpy() for name in seen.activations}
    # A point is rounded once when a part is added, and the two passes may differ as numerics.md measures: 3e-6.
    atol = 1e-5 + HALF_UNIT * float(np.abs(trace.read("resid")).max()) * math.sqrt(trace.config.d_model)
    found = writes(trace)
    embedded = out["embed", None] + out["pos_embed", None]
    np.testing.assert_allclose(found.lengths[0], np.sqrt((embedded**2).sum(axis=-1)), atol=atol)
    for layer in range(trace.config.n_layer):
        for site, parts in (("attn_out", found.attention), ("mlp_out", found.mlp)):
            wrote = out[site, layer]
            np.testing.assert_allclose(found.lengths[parts][layer], np.sqrt((wrote**2).sum(axis=-1)), atol=atol)
            before = (trace.resid_pre if site == "attn_out" else trace.resid_mid)[layer].astype(np.float64)
            for pos in range(trace.n_tokens):
                reached = float(wrote[pos] @ before[pos]) / math.hypot(*before[pos])
                assert found.along[parts][layer, pos] == pytest.approx(reached, abs=atol)


@pytest.mark.parametrize("seed", SEEDS)
def test_shares_of_the_last_stream_sum_to_one_and_are_projections_on_it(seed: int) -> None:
    trace = trace_of(seed)
    found = writes(trace)
    np.testing.assert_allclose(found.shares.sum(axis=0), 1, atol=1e-12)
    final = trace.resid_post[-1].astype(np.float64)
    wrote = trace.resid_mid[1].astype(np.float64) - trace.resid_pre[1]
    for pos in range(trace.n_tokens):
        by_hand = float(wrote[pos] @ final[pos]) / float(final[pos] @ final[pos])
        assert found.shares[found.attention][1, pos] == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stream_grows_as_the_law_of_cosines_says(seed: int) -> None:
    """‖r + w‖² = ‖r‖² + 2 ‖r‖ · along + ‖w‖²: length and reach together tell the next length."""
    trace = trace_of(seed)
    found = writes(trace)
    norms = np.linalg.norm(trace.read("resid").astype(np.float64), axis=-1)
    grown = norms[:-1] ** 2 + 2 * norms[:-1] * found.along[1:] + found.lengths[1:] ** 2
    np.testing.assert_allclose(norms[1:] ** 2, grown, rtol=1e-12)


def test_writes_by_hand() -> None:
    # embeddings (3, 4); attention adds (−3, 0), which takes 9/5 away along (3, 4); the MLP adds (0, 6)
    found = writes(with_stream(np.array([[[3, 4]], [[0, 4]], [[0, 10]]])))
    assert found.lengths.ravel().tolist() == [5, 3, 6]
    assert found.along.ravel()[1:].tolist() == pytest.approx([-9 / 5, 6])
    assert math.isnan(found.along[0, 0])
    assert found.shares.ravel().tolist() == pytest.approx([0.4, 0, 0.6])


def test_a_stream_of_nothing_has_no_shares() -> None:
    found = writes(with_stream(np.zeros((3, 2, 4))))
    assert np.isnan(found.shares).all()
    assert (found.lengths == 0).all()


# The largest dimensions ----------------------------------------------------------------------------------------------


def test_dimensions_of_a_token_are_those_of_a_search_through_all(trace: Trace) -> None:
    stream = trace.read("resid").astype(np.float64)[:, 3]
    share = {
        dimension: max(float(vector[dimension]) ** 2 / float(vector @ vector) for vector in stream)
        for dimension in range(trace.config.d_model)
    }
    found = largest_dimensions(trace, at=3, n_shown=4)
    assert found.dimensions.tolist() == sorted(share, key=lambda dimension: -share[dimension])[:4]
    np.testing.assert_array_equal(found.values, stream[:, found.dimensions].T)
    assert [float(found.shares[i].max()) for i in range(4)] == pytest.approx([share[d] for d in found.dimensions])
    assert found.n_tokens == 1


def test_shares_of_all_dimensions_are_the_whole(trace: Trace) -> None:
    found = largest_dimensions(trace, at=None, n_shown=trace.config.d_model)
    np.testing.assert_allclose(found.shares.sum(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(found.together, 1, rtol=1e-12)


def test_the_mean_leaves_position_zero_out_unless_it_is_alone() -> None:
    stream = np.ones((3, 3, 4))
    stream[:, 0, 1] = 1e6
    stream[1:, 1:, 2] = [[-30, -50], [-5, -7]]
    found = largest_dimensions(with_stream(stream), at=None, n_shown=2)
    assert found.dimensions.tolist() == [2, 0]
    assert found.values[0].tolist() == [1, -40, -6]
    assert found.shares[0].tolist() == pytest.approx([1 / 4, 1600 / 1603, 36 / 39])
    assert (found.peaks[0], found.n_tokens) == (1, 2)
    alone = largest_dimensions(with_stream(stream[:, :1]), at=None, n_shown=1)
    assert (alone.dimensions.tolist(), alone.n_tokens) == ([1], 1)


def test_a_large_dimension_is_found_though_the_stream_is_longer_later() -> None:
    """What counts is the share of a point's length: raw values would name those of the last layers alone."""
    stream = np.ones((3, 1, 4)) * np.array([1, 1, 1000])[:, None, None]
    stream[0, 0, 3] = 10
    found = largest_dimensions(with_stream(stream), at=0, n_shown=1)
    assert (found.dimensions.tolist(), found.peaks.tolist()) == ([3], [0])


def test_a_stream_of_nothing_has_no_large_dimension() -> None:
    found = largest_dimensions(with_stream(np.zeros((3, 2, 4))), at=0, n_shown=2)
    assert found.shares.max() == 0
