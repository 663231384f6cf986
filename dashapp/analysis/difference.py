"""What two tables of one kind differ by, place by place, where their places can be told to be the same.

Knows tables and alignments; knows nothing of what their numbers are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dashapp.analysis.alignment import NONE, Alignment
from dashapp.analysis.table import MEASURE, Table
from dashapp.errors import NoDifference


def table_difference(
    a: Table, b: Table, *, measure: str, names: tuple[Sequence[str], Sequence[str]], aligned: Alignment
) -> Table:
    """a − b at each place of a: float64 [… as a], NaN where b has no such place.

    measure: which of several, "" where the tables have one. names: of all tokens of a and of b, by which axes of tokens
    are known; along these a token is compared with its counterpart, along any other axis a place with the one of the
    same label. Raises: NoDifference, where nothing of an axis is in both.
    """
    first, second = (_one(table, measure) for table in (a, b))
    values = second.values.astype(np.float64)
    for place, (axis, labels) in enumerate(first.axes.items()):
        of_b = [*second.axes.values()][place] if len(second.axes) > place else []
        others = _counterparts(labels, of_b, names, aligned)
        if not (others != NONE).any():
            raise NoDifference(axis)
        values = np.take(values, np.maximum(others, 0), axis=place)
        shape = [-1 if axis == place else 1 for axis in range(values.ndim)]
        values = np.where((others == NONE).reshape(shape), np.nan, values)
    is_one = first.quantity == second.quantity
    quantity = first.quantity if is_one else f"“{first.quantity}” less “{second.quantity}”"
    return Table(quantity, first.values - values, first.axes)


def _one(table: Table, measure: str) -> Table:
    """A measure of a table as a table of its own. Raises: NoDifference where there is none of that name."""
    if not measure:
        return table
    labels = [*table.axes[MEASURE]]
    if measure not in labels:
        raise NoDifference(measure)
    place = [*table.axes].index(MEASURE)
    axes = {axis: labels for axis, labels in table.axes.items() if axis != MEASURE}
    return Table(measure, np.take(table.values, labels.index(measure), axis=place), axes)


def _counterparts(
    labels: Sequence[str], others: Sequence[str], names: tuple[Sequence[str], Sequence[str]], aligned: Alignment
) -> np.ndarray:
    """Which place of another axis stands for each of an axis: int64 [place], −1 for none."""
    if is_of_tokens(labels, names[0]) and is_of_tokens(others, names[1]):
        found = aligned.b_of_a[: len(labels)].astype(np.int64)
        return np.where(found < len(others), found, NONE)
    place_of = {label: place for place, label in enumerate(others)}
    return np.array([place_of.get(label, NONE) for label in labels], dtype=np.int64)


def is_of_tokens(labels: Sequence[str], names: Sequence[str]) -> bool:
    """Whether an axis's places are the tokens of a text, or those that it begins with."""
    return 0 < len(labels) <= len(names) and [*labels] == [*names[: len(labels)]]
