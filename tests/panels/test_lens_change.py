"""The panel of what the lens says differently: its cells, what it says, and the work it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import dashapp
from dashapp.analysis.alignment import align
from dashapp.analysis.changes import aligned_pairs
from dashapp.analysis.lens_change import lens_change
from dashapp.figures.theme import Frame
from dashapp.jobs.works import KINDS
from dashapp.panels.lens_change import draw, numbers, work
from dashapp.traces.record import Trace
from tests.analysis.test_lens_change import A, B

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2


@pytest.fixture(scope="module")
def traces(text_model: GPT2) -> tuple[Trace, Trace]:
    return dashapp.trace(text_model, A, cache=False), dashapp.trace(text_model, B, cache=False)


def test_cells_stand_at_the_tokens_of_a_that_have_a_counterpart(traces: tuple[Trace, Trace]) -> None:
    a, b = traces
    pairs = aligned_pairs(align(b.token_ids, a.token_ids))  # of b, the longer one, some have none
    result = lens_change(b, a, pairs, scale="frozen").arrays()
    shown = draw(b, other=a, scale="frozen", frame=Frame(theme="light", units="nats"), result=result)
    heat = shown.figure.data[0]
    z = np.array(heat.z, dtype=np.float64)
    np.testing.assert_allclose(z[:, pairs[0]], result["js_bits"] * np.log(2), rtol=1e-6)
    assert np.isnan(np.delete(z, pairs[0], axis=1)).all()
    assert shown.figure.data[1].x.size == b.config.n_layer * (b.n_tokens - pairs.shape[1])  # a cross in each
    assert heat.text[-1][pairs[0, -1]].startswith("a ‘")
    assert "Furthest apart after layer" in shown.foot
    assert "Left out, for want of a counterpart" in shown.foot
    table = numbers(b, other=a, units="bits", result=result)
    np.testing.assert_array_equal(table.values[0][:, pairs[0]], result["js_bits"])


def test_while_it_is_computed_the_map_is_empty_and_says_so(traces: tuple[Trace, Trace]) -> None:
    shown = draw(traces[0], other=traces[1], scale="frozen", frame=Frame(theme="dark"))
    assert np.isnan(np.array(shown.figure.data[0].z, dtype=np.float64)).all()
    assert shown.foot == "Being computed."


def test_the_same_prompt_twice_is_said_to_say_the_same(traces: tuple[Trace, Trace]) -> None:
    a = traces[0]
    result = lens_change(a, a, np.array([range(a.n_tokens)] * 2), scale="recomputed").arrays()
    assert draw(a, other=a, scale="recomputed", frame=Frame(theme="light"), result=result).foot == (
        "The lens says the same everywhere."
    )


def test_the_work_is_of_both_traces(traces: tuple[Trace, Trace]) -> None:
    asked = work(traces[0], other=traces[1], scale="frozen")
    assert (asked.trace, asked.arguments) == (traces[0].key, {"other": traces[1].key, "scale": "frozen"})
    assert KINDS[asked.kind].function == "dashapp.jobs.lens_map:lens_change_of_traces"
