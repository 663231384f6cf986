from __future__ import annotations

import numpy as np
import pytest

from dashapp.analysis.positions import SumParts, position_table, sum_parts
from dashapp.model.gpt2 import GPT2
from dashapp.traces.record import Trace
from tests.analysis.test_embeddings import IDS, traced
from tests.doubles import TINY, random_weights


@pytest.fixture(scope="module")
def trace(model: GPT2) -> Trace:
    return traced(model, IDS)


def test_the_table_has_every_position_and_is_aligned(trace: Trace) -> None:
    table = position_table(trace)
    np.testing.assert_array_equal(table, random_weights(TINY)["wpe.weight"])
    assert table.flags.aligned
    assert len(table) == TINY.n_ctx > trace.n_tokens


def test_parts_sum_to_the_squared_length_of_what_enters_layer_0(trace: Trace) -> None:
    whole = np.square(trace.resid_pre[0].astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(sum_parts(trace).whole, whole, rtol=1e-6)  # the stream was rounded to float32


def test_parts_of_a_hand_case() -> None:
    parts = SumParts(token=np.array([9.0, 0.0]), position=np.array([16.0, 0.0]), both=np.array([-24.0, 0.0]))
    assert parts.whole.tolist() == [1, 0]
    assert parts.position_shares[0] == pytest.approx(0.64)
    assert np.isnan(parts.position_shares[1])


def test_parts_are_those_of_the_tables(trace: Trace) -> None:
    weights, parts = random_weights(TINY), sum_parts(trace)
    for pos, token in enumerate(IDS):
        t, p = weights["wte.weight"][token].astype(np.float64), weights["wpe.weight"][pos].astype(np.float64)
        expected = (t @ t, p @ p, 2 * t @ p)
        assert (parts.token[pos], parts.position[pos], parts.both[pos]) == pytest.approx(expected)
