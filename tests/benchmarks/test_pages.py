"""A head change is timed by drawing the page's own panels, each time another head."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.interleaved import Timings
from benchmarks.make_model import make_model
from benchmarks.pages import MOST_S, SEEN, head_rows, head_works, page_rows
from dashapp.model.config import GPT2Config
from dashapp.panels.catalogue import PANELS
from tests.doubles import tiny_model
from tests.panels.test_embeddings import traced

SMALL = GPT2Config(n_layer=2, n_head=2, d_model=16, d_mlp=32, n_ctx=80)

pytestmark = pytest.mark.reference


def test_every_panel_that_shows_the_head_is_timed_with_another_head_each_time() -> None:
    works = head_works(traced(tiny_model(SMALL), 9))
    assert set(SEEN) <= set(works)
    assert all("head" in PANELS[name].reads for name in works)
    one, other = works["head-pattern"](), works["head-pattern"]()
    assert "layer 0, head 0" in str(one)
    assert "layer 0, head 1" in str(other)


def test_rows_add_up_run_by_run_and_know_the_limit() -> None:
    seconds = {"head-pattern": [0.1, 0.3, 0.2], "token-attention": [0.05, 0.01, 0.02], "other": [0.25, 0.2, 0.3]}
    seen, slowest, every = head_rows(Timings(seconds), 1024)
    assert (seen.value.median, seen.value.largest) == (pytest.approx(0.22), pytest.approx(0.31))
    assert (seen.target, seen.is_reached) == (MOST_S, False)
    assert "other" in slowest.what
    assert every.value.median == pytest.approx(0.51)


def test_the_page_of_a_made_model_is_timed(tmp_path: Path) -> None:
    rows = list(page_rows(make_model(SMALL, tmp_path / "made"), n_tokens=40, n_runs=5, clock="cpu"))
    assert [row.unit for row in rows] == ["s", "s", "s"]
    assert all(row.value.least > 0 for row in rows)
