"""The figure of the comparison with Hugging Face's model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dashapp.experiments.results import Parity
from dashapp.figures.parity import FLOOR, differences
from dashapp.figures.theme import Frame

PARITY = Parity(
    dtype="float64",
    n_tokens=7,
    resid=np.array([0.0, 2e-14, 3e-13, 8e-13]),
    resid_scale=np.array([1.0, 2.0, 30.0, 40.0]),
    pattern=np.array([1e-15, 2e-15, 0.0]),
    logits=5e-13,
    logits_scale=25.0,
    n_same_top=7,
    seconds=1.5,
)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_points_are_differences_as_shares_of_the_largest_value_there(theme: str) -> None:
    figure = differences(PARITY, n_layer=3, frame=Frame(theme="dark" if theme == "dark" else "light"))
    resid, pattern, logits, line = figure.data
    assert list(resid.x) == [0, 1, 2, 3]
    np.testing.assert_allclose(resid.y, [FLOOR, 1e-14, 1e-14, 2e-14], rtol=1e-12)
    assert list(pattern.x) == [1, 2, 3]
    np.testing.assert_allclose(pattern.y, [1e-15, 2e-15, FLOOR], rtol=1e-12)
    assert (list(logits.x), list(logits.y)) == ([4], [2e-14])
    assert set(line.y) == {1e-11}
    assert list(figure.layout.xaxis.ticktext) == ["embeddings", "layer 0", "layer 1", "layer 2", "logits"]
    assert len({resid.marker.symbol, pattern.marker.symbol, logits.marker.symbol}) == 3  # not told by colour


def test_all_points_and_the_tolerance_are_inside_the_axis() -> None:
    figure = differences(PARITY, n_layer=3, frame=Frame(theme="light"))
    low, high = figure.layout.yaxis.range
    drawn = np.log10(np.concatenate([np.asarray(each.y, dtype=float) for each in figure.data]))
    assert low < drawn.min()
    assert drawn.max() < high


def test_a_large_difference_is_inside_the_axis_too() -> None:
    wrong = dataclasses.replace(PARITY, logits=50.0)
    figure = differences(wrong, n_layer=3, frame=Frame(theme="light"))
    assert figure.layout.yaxis.range[1] > np.log10(2)
    assert "beyond the tolerance: the largest is 2." in figure.layout.meta["summary"]


def test_hover_says_what_and_where() -> None:
    figure = differences(PARITY, n_layer=3, frame=Frame(theme="light"))
    assert figure.data[0].text[0] == "residual stream, embeddings: no difference"
    assert figure.data[1].text[1] == "attention weights, layer 1: 2e−15 of the largest value"


def test_no_difference_at_all_has_a_place_of_its_own() -> None:
    axis = differences(PARITY, n_layer=3, frame=Frame(theme="light")).layout.yaxis
    assert dict(zip(axis.tickvals, axis.ticktext, strict=True))[FLOOR] == "none"


def test_before_the_comparison_only_the_tolerances_are_drawn() -> None:
    figure = differences(None, n_layer=3, frame=Frame(theme="light", is_narrow=True))
    assert [set(line.y) for line in figure.data] == [{1e-4}, {1e-11}]
    assert figure.layout.meta["summary"] == "Nothing is compared yet."
