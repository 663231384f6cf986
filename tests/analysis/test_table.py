"""Tables as CSV and NPZ, read back by other people's readers."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from dashapp.analysis.table import Table, columns, counted, csv_lines, harmless, npz_bytes, token_names


def read(table: Table) -> list[list[str]]:
    return list(csv.reader(io.StringIO("".join(csv_lines(table)), newline="")))


def test_a_table_of_two_axes_is_a_row_and_a_column_a_place() -> None:
    table = Table(
        "weight", np.array([[1.0, np.nan, 3.0], [4.5, 5.0, 6.0]]), {"query": ["q0", "q1"], "key": list("abc")}
    )
    head, *rows = read(table)
    assert head == ["query \\ key: weight", "a", "b", "c"]
    assert rows == [["q0", "1.0", "", "3.0"], ["q1", "4.5", "5.0", "6.0"]]


def test_a_table_of_one_axis_has_its_quantity_over_the_values() -> None:
    assert read(Table("bits", np.array([0.25, 2]), {"token": ["x", "y"]})) == [
        ["token", "bits"],
        ["x", "0.25"],
        ["y", "2.0"],
    ]


def test_a_table_of_three_axes_names_two_of_them_in_every_row() -> None:
    values = np.arange(12).reshape(2, 3, 2)
    table = Table("id", values, {"layer": counted(2), "head": counted(3), "key": ["k0", "k1"]})
    head, *rows = read(table)
    assert head == ["layer", "head \\ key: id", "k0", "k1"]
    assert [row[:2] for row in rows] == [["0", "0"], ["0", "1"], ["0", "2"], ["1", "0"], ["1", "1"], ["1", "2"]]
    assert [int(cell) for row in rows for cell in row[2:]] == list(range(12))


def test_numbers_come_back_to_the_last_digit() -> None:
    values = np.random.default_rng(0).standard_normal(50).astype(np.float32)
    back = [np.float32(row[1]) for row in read(Table("x", values, {"i": counted(50)}))[1:]]
    assert (np.array(back) == values).all()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", '=HYPERLINK("x")'])
def test_no_label_is_taken_for_a_formula(text: str) -> None:
    head, row = read(Table(text, np.array([[-1.5]]), {text: [text], "key": [text]}))
    assert not [cell for cell in (*head, row[0]) if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))]
    assert row == [f"'{text}", "-1.5"]  # a number stays one


def test_a_label_that_begins_otherwise_stays_as_it_is() -> None:
    assert harmless("3 '=x'") == "3 '=x'"


def test_labels_of_tokens_tell_place_and_exact_text() -> None:
    assert token_names([" cat", "\n", "\u202e"]) == ["0 ' cat'", r"1 '\n'", r"2 '\u202e'"]
    assert token_names(["The"], numbers=[464]) == ["464 'The'"]


def test_npz_opens_without_pickle_and_knows_its_labels() -> None:
    table = columns("lens", "point", ["in", "out"], {"p": np.array([0.5, 1]), "rank": np.array([3, 1])})
    with np.load(io.BytesIO(npz_bytes(table)), allow_pickle=False) as file:
        assert str(file["quantity"]) == "lens"
        assert file["axes"].tolist() == ["point", "measure"]
        assert file["labels_measure"].tolist() == ["p", "rank"]
        assert file["values"].tolist() == [[0.5, 3], [1, 1]]


def test_a_label_too_few_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="labels for"):
        Table("x", np.zeros((2, 2)), {"a": ["1", "2"], "b": ["1"]})
