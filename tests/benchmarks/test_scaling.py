from __future__ import annotations

from benchmarks.scaling import Used, trace_cost
from dashapp.traces.names import trace_bytes
from tests.doubles import TINY_TEXT, tiny_model


def test_what_a_text_costs_is_the_difference_divided_by_the_texts() -> None:
    before, after = Used(1.0, 2.0, 100, 10, 1_000), Used(3.0, 6.0, 500, 50, 9_000)
    assert after.for_each(before, 4) == Used(0.5, 1.0, 100.0, 10.0, 2_000.0)


def test_a_traces_cost_tells_its_bytes_and_those_of_a_heads_panel() -> None:
    cost = trace_cost(tiny_model(TINY_TEXT), 7)
    q_of_a_layer = TINY_TEXT.n_head * 7 * TINY_TEXT.d_head * 4
    assert (cost.n_tokens, cost.size_bytes, cost.slice_bytes) == (7, trace_bytes(TINY_TEXT, 7), 2 * q_of_a_layer)
    assert cost.core_s > 0
