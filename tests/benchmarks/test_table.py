from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import PAGE
from benchmarks.interleaved import Spread
from benchmarks.table import Row, table, write_into

HALF = Spread(0.5, 0.4, 0.61)


@pytest.mark.parametrize(
    ("target", "better", "reached"),
    [(0.5, "below", True), (0.49, "below", False), (0.5, "above", True), (0.51, "above", False), (None, "below", None)],
)
def test_a_target_is_reached_by_the_median(target: float | None, better: str, reached: bool | None) -> None:
    row = Row(what="a", beside="b", value=HALF, target=target, better=better)  # type: ignore[arg-type]
    assert row.is_reached is reached


def test_a_row_tells_median_spread_and_target() -> None:
    rows = [Row(what="a", beside="b", value=HALF, target=0.45), Row(what="c", beside="", value=HALF, unit="s")]
    assert table(rows).splitlines()[2:] == [
        "| a | b | 0.5 × | 0.4 – 0.61 | at most 0.45 × | no |",
        "| c |  | 0.5 s | 0.4 – 0.61 |  |  |",
    ]


def test_what_was_measured_before_is_replaced_and_the_rest_of_the_page_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    marks = "<!-- measured: written by `{}` -->", "<!-- end of what `{}` writes -->"
    before = "before\n{0}\nold\n{1}\nbetween\n{2}\nolder\n{3}\nafter\n"
    places = [mark.format(by) for by in ("make bench", "another") for mark in marks]
    page.write_text(before.format(*places), encoding="utf-8")
    write_into(page, "new")
    write_into(page, "newer", by="another")
    after = before.replace("\nold\n", "\n\nnew\n\n").replace("\nolder\n", "\n\nnewer\n\n")
    assert page.read_text(encoding="utf-8") == after.format(*places)
    page.write_text("no place", encoding="utf-8")
    with pytest.raises(ValueError, match="no place for measurements"):
        write_into(page, "new")


@pytest.mark.parametrize("by", ["make bench", "python -m benchmarks.browser"])
def test_the_page_has_a_place_for_what_is_measured(by: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    write_into(page, "what was measured", by=by)
    assert page.read_text(encoding="utf-8").count("what was measured") == 1
