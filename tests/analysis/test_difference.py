"""Differences of tables whose places are tokens, labels, or measures."""

from __future__ import annotations

import numpy as np
import pytest

from dashapp.analysis.alignment import align
from dashapp.analysis.difference import table_difference
from dashapp.analysis.table import Table, columns, token_names
from dashapp.errors import NoDifference

A, B = ["x", "y", "z"], ["x", "new", "y", "z"]
NAMES = (token_names(A), token_names(B))
ALIGNED = align([1, 2, 3], [1, 9, 2, 3])  # a's y and z stand for b's third and fourth


def subtract(a: Table, b: Table, measure: str = "") -> Table:
    return table_difference(a, b, measure=measure, names=NAMES, aligned=ALIGNED)


def test_tokens_are_compared_with_their_counterparts() -> None:
    a = Table("q", np.array([5.0, 7, 9]), {"token": NAMES[0]})
    b = Table("q", np.array([1.0, 100, 2, 3]), {"token": NAMES[1]})
    found = subtract(a, b)
    assert found.values.tolist() == [4, 5, 6]
    assert (found.quantity, found.axes) == ("q", a.axes)


def test_tokens_without_a_counterpart_are_left_empty_and_short_rows_stay_short() -> None:
    a = Table("q of b", np.array([1.0, 100, 2]), {"token": NAMES[1][:3]})
    b = Table("q of a", np.array([5.0, 7]), {"token": NAMES[0][:2]})
    turned = align([1, 9, 2, 3], [1, 2, 3])
    found = table_difference(a, b, measure="", names=NAMES[::-1], aligned=turned)
    np.testing.assert_array_equal(found.values, [-4, np.nan, -5])
    assert found.quantity == "“q of b” less “q of a”"


def test_both_axes_of_a_pattern_are_aligned() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((3, 3)), rng.standard_normal((4, 4))
    axes = [{"query": names, "key": names} for names in NAMES]
    found = subtract(Table("w", a, axes[0]), Table("w", b, axes[1]))
    keep = [0, 2, 3]
    np.testing.assert_allclose(found.values, a - b[np.ix_(keep, keep)], rtol=0, atol=0)


def test_other_places_go_by_their_labels() -> None:
    a = Table("q", np.array([[1.0, 2], [3, 4]]), {"neuron": ["7", "3"], "layer": ["0", "1"]})
    b = Table("q", np.array([[10.0, 20], [30, 40]]), {"neuron": ["3", "5"], "layer": ["0", "1"]})
    np.testing.assert_array_equal(subtract(a, b).values, [[np.nan, np.nan], [-7, -16]])


def test_one_measure_of_several_is_taken() -> None:
    a = columns("q", "neuron", ["0", "1"], {"before": np.array([1, 2]), "after": np.array([3, 4])})
    b = columns("q", "neuron", ["0", "1"], {"after": np.array([1, 1]), "before": np.array([0, 0])})
    found = subtract(a, b, "after")
    assert (found.quantity, found.values.tolist(), [*found.axes]) == ("after", [2, 3], ["neuron"])
    with pytest.raises(NoDifference, match="beside"):
        subtract(a, b, "beside")


def test_nothing_in_common_is_said() -> None:
    a, b = (Table("q", np.zeros(1), {"source": [label]}) for label in ("one", "two"))
    with pytest.raises(NoDifference, match="in common: source"):
        subtract(a, b)
