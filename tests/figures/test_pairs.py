"""Figures of pairs of tokens, of lines and of the sink: what they hold, and how large they are."""

from __future__ import annotations

import numpy as np
import pytest

from dashapp.analysis.attention import Head
from dashapp.analysis.pairs import Match, Source, Sources, Writes
from dashapp.figures.attention import Square, attention_square, pattern_cells, square_detail
from dashapp.figures.lines import HeadLines, token_lines
from dashapp.figures.pairs import match_bars, source_rows, write_bars
from dashapp.figures.sink import sink_heads, sink_rows
from dashapp.figures.theme import Frame
from tests.figures.test_attention import LIMIT_BYTES, made_pattern

LIGHT, NARROW = Frame(theme="light"), Frame(theme="dark", is_narrow=True)
TEXTS = ["a", " b", "<i>", "d"]


def test_scores_have_a_sign_and_show_the_future_where_it_is_there() -> None:
    raw = np.array([[1.0, -3], [2, 0.5]], dtype=np.float32)
    shown = Square(values=raw, where="layer 0, head 1", is_score=True, quantity="scaled score")
    heat = attention_square(shown, texts=TEXTS[:2], shade="even", frame=LIGHT).data[0]
    np.testing.assert_array_equal(heat.z, raw)
    assert (heat.zmin, heat.zmax) == (-3, 3)
    assert "scaled score %{z:.3~g}" in heat.hovertemplate


def test_pooled_scores_keep_the_largest_by_size() -> None:
    scores = np.array([[1, np.nan, np.nan], [-4, 2, np.nan], [0.5, 3, -1]], dtype=np.float32)
    cells = pattern_cells(scores, 2, is_signed=True)
    np.testing.assert_array_equal(cells, np.array([[-4, np.nan], [3, -1]], dtype=np.float32))


def test_what_must_not_be_overlooked_stands_above_the_figure() -> None:
    shown = Square(values=made_pattern(3), where="x", note="First token hidden, rows made to sum to 1")
    (note,) = attention_square(shown, texts=TEXTS[:3], shade="even", frame=LIGHT).layout.annotations
    assert note.text == "First token hidden, rows made to sum to 1"


@pytest.mark.parametrize("is_score", [False, True])
def test_a_square_of_the_whole_context_fits_a_response(is_score: bool) -> None:
    shown = Square(values=made_pattern(1024), where="layer 11, head 11", is_score=is_score)
    figure = attention_square(shown, texts=["\U0001f642<&>" * 5] * 1024, shade="root", frame=LIGHT)
    assert len(figure.to_json()) < LIMIT_BYTES


def test_a_part_of_a_square_is_exact_and_says_where_it_is() -> None:
    pattern = made_pattern(40)
    shown = Square(values=pattern[10:14, 5:9], where="layer 0, head 1")
    figure = square_detail(shown, at=(10, 5), texts=["t"] * 40, shade="even", frame=LIGHT)
    np.testing.assert_array_equal(figure.data[0].z, pattern[10:14, 5:9])
    assert (figure.layout.meta["first_row"], figure.layout.meta["first_column"]) == (10, 5)
    assert figure.data[0].y[0] == "10 t"
    assert len(figure.data[1].text) == 16
    assert len(square_detail(shown, at=(10, 5), texts=["t"] * 40, shade="even", frame=NARROW).data) == 1


def test_a_row_of_sources_names_head_and_token() -> None:
    source = Source(of=Head(layer=2, head=1), key=2, weight=0.25)
    figure = source_rows(Sources(pos=3, strongest=(source,), rest=5.75, n_rest=23), texts=TEXTS, frame=LIGHT)
    assert figure.layout.yaxis.ticktext == ("2.1 → 2 &lt;i&gt;",)
    assert figure.data[0].customdata == ([2, 1, 2],)
    assert figure.data[0].hovertext[0] == ("layer 2, head 1:<br>token 3 d looks at token 2 &lt;i&gt;, 0.25")


def test_products_stand_in_their_order_over_the_vectors() -> None:
    query, key = np.array([1.0, -2, 3]), np.array([2.0, 1, 0.5])
    found = Match(query=query, key=key, products=query * key / 2, score=0.75, weight=0.5)
    figure = match_bars(found, order=np.array([2, 0, 1]), names=("x", "y"), frame=LIGHT)
    np.testing.assert_allclose(figure.data[0].y, [0.75, 1.0, -1.0])
    np.testing.assert_allclose(figure.data[1].z, [[3, 1, -2], [0.5, 2, 1]])
    assert figure.data[0].hovertext[0].startswith("dimension 2: +3 × +0.5 / √d_head = +0.75")


def test_promoted_tokens_stand_above_suppressed_ones_most_at_the_ends() -> None:
    found = Writes(
        promoted=np.array([5, 6]),
        promoted_by=np.array([2.0, 1.0]),
        suppressed=np.array([7, 8]),
        suppressed_by=np.array([-3.0, -0.5]),
        target=1.0,
        norm=2.0,
    )
    figure = write_bars(found, texts=([" up", "b"], ["down", "c"]), frame=LIGHT)
    np.testing.assert_allclose(figure.data[0].x, [2, 1, -0.5, -3])
    assert figure.layout.yaxis.ticktext == ("‘·up’", "‘b’", "‘c’", "‘down’")


def test_lines_are_as_thick_as_weights_and_heads_lie_beside_each_other() -> None:
    heads = [
        HeadLines(of=Head(layer=0, head=0), weights=np.array([0.5, 0.005, 0.4])),
        HeadLines(of=Head(layer=0, head=1), weights=np.array([0.0, 1.0, 0.0])),
    ]
    listed = np.array([0, 1, 3])
    figure = token_lines(heads, listed, pos=3, direction="looks_at", texts=TEXTS, frame=LIGHT)
    left, right, one, other = figure.data
    assert left.customdata == right.customdata == (0, 1, 3)
    # Corners of a band: at the token's row on the left, at the row of the one looked at on the right.
    np.testing.assert_allclose(one.y[:5], [1.7, -0.3, -0.1, 1.9, 1.7])
    np.testing.assert_allclose(other.y[:5], [2.0, 1.0, 1.4, 2.4, 2.0])
    assert figure.layout.meta["partners"] == [1, 0, 3]
    assert right.hovertext[1] == "token 3 d looks at token 1 ·b:<br>layer 0, head 0: 0.005<br>layer 0, head 1: 1"
    back = token_lines(heads[:1], listed, pos=3, direction="looked_at_by", texts=TEXTS, frame=LIGHT)
    assert back.data[0].hovertext[0].startswith("token 0 a looks at token 3 d:")
    np.testing.assert_allclose(back.data[2].y[:2], [-0.2, 1.8])


def test_the_sink_has_a_bar_a_head_and_a_bar_a_row() -> None:
    given = np.array([[0.1, 0.2], [0.9, 1.0], [0, 0.5]])
    figure = sink_heads(given, frame=LIGHT)
    np.testing.assert_array_equal(figure.data[0].y, given.ravel())
    assert figure.data[0].customdata[3] == [1, 1]
    rows = sink_rows(given[0], Head(layer=0, head=0), texts=TEXTS[:2], frame=LIGHT)
    np.testing.assert_array_equal(rows.data[0].y, [0.1, 0.2])
    assert tuple(rows.layout.yaxis.range) == (0, 1)
    long = sink_rows(np.linspace(0, 1, 1024), Head(layer=0, head=0), texts=["\U0001f642<&>" * 5] * 1024, frame=LIGHT)
    assert len(long.to_json()) < LIMIT_BYTES
