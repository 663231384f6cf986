"""A table: an array whose axes have names, and labels along them; what the numbers of a figure are taken away as.

Knows arrays, CSV and NPZ; knows nothing of traces or figures.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

MEASURE: Final = "measure"  # the axis along which columns of different quantities lie
FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")  # with these a spreadsheet begins what it computes or opens


@dataclass(frozen=True, slots=True)
class Table:
    """quantity: what the values are, with the unit. values: of any shape. axes: a name for each axis of `values`, in
    its order, with a label for each place along it.
    """

    quantity: str
    values: np.ndarray
    axes: Mapping[str, Sequence[str]]

    def __post_init__(self) -> None:
        lengths = tuple(len(labels) for labels in self.axes.values())
        assert lengths == self.values.shape, f"labels for {lengths}, values of {self.values.shape}"


def columns(quantity: str, axis: str, labels: Sequence[str], measures: Mapping[str, np.ndarray]) -> Table:
    """A table of several measures [place] of the same places, a column each: float64 [place measure]."""
    values = np.stack([np.asarray(each, dtype=np.float64) for each in measures.values()], axis=-1)
    return Table(quantity, values, {axis: labels, MEASURE: [*measures]})


def token_names(texts: Sequence[str], *, numbers: Sequence[int] | np.ndarray | None = None) -> list[str]:
    """Tokens as labels: "3 ' cat'", a number and the exact text. numbers: positions from 0, unless others are given."""
    places = range(len(texts)) if numbers is None else numbers
    return [f"{number} {text!r}" for number, text in zip(places, texts, strict=True)]


def counted(n: int) -> list[str]:
    """Labels of places that have a number alone, from 0."""
    return [str(number) for number in range(n)]


def csv_lines(table: Table) -> Iterator[str]:
    """A table as lines of CSV: the last axis along columns, a column of labels for each other one. NaN is left empty.

    A table of one axis has its quantity over the values; another has it over its last column of labels. Numbers have
    all digits that their precision has. No label can be taken for a formula (see `harmless`).
    """
    *down, across = table.axes.items() if table.values.ndim > 1 else [*table.axes.items(), (table.quantity, [])]
    names = [name for name, _ in down]
    if table.values.ndim > 1:
        names[-1] = f"{names[-1]} \\ {across[0]}: {table.quantity}"
        yield _line([*names, *across[1]])
    else:
        yield _line([*names, table.quantity])
    rows = table.values.reshape(-1, len(across[1]) or 1)
    for labels, row in zip(product(*(labels for _, labels in down)), rows, strict=True):
        yield _line(labels, [_number(value) for value in row])


def npz_bytes(table: Table) -> bytes:
    """A table as NumPy's NPZ, which opens without pickle: `values`, `quantity`, `axes` (their names) and the labels of
    each as `labels_…`."""
    file = io.BytesIO()
    labels = {f"labels_{name}": np.array(list(labels), dtype=np.str_) for name, labels in table.axes.items()}
    named = {"quantity": np.array(table.quantity), "axes": np.array([*table.axes], dtype=np.str_), **labels}
    np.savez(file, values=table.values, **named)  # type: ignore[arg-type]  # its annotation takes them for options
    return file.getvalue()


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe stands before one that begins as they do.

    Source: OWASP, CSV Injection.
    """
    return f"'{text}" if text.startswith(FORMULA) else text


def _line(texts: Sequence[str], numbers: Sequence[str] = ()) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([*(harmless(text) for text in texts), *numbers])
    return line.getvalue()


def _number(value: np.generic) -> str:
    return "" if value != value else str(value)  # noqa: PLR0124  NaN
