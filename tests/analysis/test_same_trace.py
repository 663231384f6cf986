"""A trace is held to our own of its tokens: rounding passes, and no number of it can be another one unseen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest

import dashapp
from dashapp.analysis.same_trace import NUMBERS, SameTrace, same_trace
from dashapp.model.gpt2 import GPT2
from dashapp.traces.names import TENSORS
from dashapp.traces.record import Trace, new_trace


@pytest.fixture(scope="module")
def own(model: GPT2) -> Trace:
    return dashapp.trace(model, [3, 1, 4, 1, 5, 9], cache=False)


def changed(own: Trace, **changes: Callable[[np.ndarray], object]) -> Trace:
    tensors = {name: np.array(own.read(name)) for name in TENSORS}
    for name, change in changes.items():
        change(tensors[name])
    return new_trace(tensors, own.metadata, weights=own.weights)


def test_a_trace_is_itself_and_every_number_of_it_was_compared(own: Trace) -> None:
    found = same_trace(own, own)
    assert found.is_same
    assert (found.logits.tolist(), found.numbers.tolist()) == ([0.0] * 6, [0.0] * len(NUMBERS))
    assert (found.n_top, found.n_ranks, found.thumbnail) == (0, 0, 0.0)
    assert found.logits_scale == pytest.approx(float(np.abs(own.logits).max()), rel=1e-6)
    assert {*NUMBERS, "token_ids", "top_ids", "rank", "thumbnails"} == set(TENSORS)


def test_rounding_passes(own: Trace) -> None:
    generator = np.random.default_rng(0)

    def rounded(array: np.ndarray) -> None:
        array *= 1 + generator.uniform(-1, 1, array.shape).astype(np.float32) * 3e-6  # as far as processors differ

    assert same_trace(changed(own, **dict.fromkeys(NUMBERS, rounded)), own).is_same


def at(place: Any, value: float) -> Callable[[np.ndarray], object]:
    return lambda array: array.__setitem__(place, value)


LIES: Final[dict[str, Callable[[np.ndarray], object]]] = {
    **{name: lambda array: array.__setitem__((-1,) * array.ndim, array[(-1,) * array.ndim] + 0.5) for name in NUMBERS},
    "rank": lambda array: array.__setitem__(5, (array[5] + 8) % 17),
    "top_ids": lambda array: array.__setitem__((1, slice(None)), array[1, ::-1]),
    "thumbnails": at((0, 0, 0, 0), 7),
}


@pytest.mark.parametrize("name", LIES)
def test_no_tensor_can_hold_another_number_unseen(own: Trace, name: str) -> None:
    found = same_trace(changed(own, **{name: LIES[name]}), own)
    assert not found.is_same
    if name in NUMBERS:
        assert found.farthest == name
    assert SameTrace.from_arrays(found.arrays()).is_same is False


def test_a_lie_in_the_last_stream_shows_in_the_logits_of_its_token_alone(own: Trace) -> None:
    found = same_trace(changed(own, resid=at((6, 2, 3), 5.0)), own)
    assert np.flatnonzero(found.logits).tolist() == [2]
    expected = np.abs(changed(own, resid=at((6, 2, 3), 5.0)).logits[2] - own.logits[2]).max()
    assert found.logits[2] == pytest.approx(expected, rel=1e-5)
