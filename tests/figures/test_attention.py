from __future__ import annotations

import re

import numpy as np
import pytest

from dashapp.analysis.attention import Head, TokenAttention, strongest
from dashapp.analysis.head_names import HeadName
from dashapp.analysis.heads import KindScores
from dashapp.figures.attention import (
    MOST_CELLS,
    N_CROPPED,
    Square,
    arranged,
    attention_square,
    block_names,
    fitting,
    head_grid,
    head_pattern,
    in_rows,
    palette,
    pattern_cells,
    shaded,
    token_bars,
    token_names,
    tokens_a_cell,
    weight,
)
from dashapp.figures.theme import Frame, ThemeName

LIMIT_BYTES = 2_000_000  # of one response, uncompressed
LIGHT = Frame(theme="light")
NARROW = Frame(theme="light", is_narrow=True)
THEME_NAMES: tuple[ThemeName, ...] = ("light", "dark")


def made_scores(n_layer: int, n_head: int) -> KindScores:
    ramp = np.linspace(0, 1, n_layer * n_head).reshape(n_layer, n_head)
    return KindScores(
        entropy_nats=2 * ramp,
        distance_tokens=10 * ramp,
        first=ramp,
        previous=1 - ramp,
        duplicate=ramp / 2,
        induction=ramp / 4,
    )


def made_pattern(n_tokens: int) -> np.ndarray:
    """Random rows that sum to 1, float32 [query key]."""
    weights = np.random.default_rng(0).random((n_tokens, n_tokens), dtype=np.float32) ** 4 * np.tri(n_tokens)
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def random_tiles(n_layer: int, n_head: int, n_cell: int = 64) -> np.ndarray:
    """Noise, which nothing compresses."""
    return np.random.default_rng(0).integers(256, size=(n_layer, n_head, n_cell, n_cell), dtype=np.uint8)


@pytest.mark.parametrize(("n_layer", "n_head"), [(6, 8), (12, 12), (24, 16), (36, 20), (48, 25)])
def test_the_picture_of_all_heads_fits_a_response_for_every_size_of_gpt2(n_layer: int, n_head: int) -> None:
    figure = head_grid(random_tiles(n_layer, n_head), made_scores(n_layer, n_head), shade="even", frame=LIGHT)
    assert len(figure.to_json()) < LIMIT_BYTES


@pytest.mark.parametrize("n_tokens", [1, 40, MOST_CELLS, MOST_CELLS + 1, 1024])
def test_a_pattern_fits_a_response_at_every_length(n_tokens: int) -> None:
    texts = ["\U0001f642<&>" * 5] * n_tokens  # the longest labels
    figure = head_pattern(made_pattern(n_tokens), Head(layer=3, head=5), texts=texts, shade="even", frame=LIGHT)
    assert len(figure.to_json()) < LIMIT_BYTES


def test_a_hover_over_a_head_tells_its_scores_in_a_sentence() -> None:
    figure = head_grid(random_tiles(2, 3, 5), made_scores(2, 3), shade="even", frame=LIGHT)
    assert figure.data[0].text[1][0] == (
        "layer 1, head 0: entropy 1.7 bits,<br>mean distance 6 tokens,<br>0.6 on the first token, 0.4 on the one "
        "before,<br>0.3 on earlier copies, 0.15 on what followed them"
    )
    nats = Frame(theme="light", units="nats")
    figure = head_grid(random_tiles(2, 3, 5), made_scores(2, 3), shade="even", frame=nats)
    assert figure.data[0].text[1][0].startswith("layer 1, head 0: entropy 1.2 nats,<br>")


def test_heads_in_another_order_say_who_they_are_and_gaps_are_empty() -> None:
    heads = [Head(layer=1, head=2), Head(layer=0, head=0), Head(layer=1, head=0), Head(layer=0, head=1)]
    places = in_rows(heads, 3)
    assert places[1] == [heads[3], None, None]
    name = HeadName(letter="I", measured="induction head (0.93 on the probe)", published="")
    figure = head_grid(
        random_tiles(2, 3, 5), made_scores(2, 3), places=places, names={heads[0]: name}, shade="even", frame=LIGHT
    )
    grid, corners = figure.data[0], figure.data[2]
    assert grid.customdata[0][0] == [1, 2]
    assert grid.customdata[1][1] is None
    assert np.isnan(grid.z[1, 1])
    assert grid.text[0][0].endswith("<br>induction head (0.93 on the probe)")
    assert list(corners.text) == ["1.2 <b>I</b>", "0.0", "1.0", "0.1"]
    tiles = random_tiles(2, 3, 5)
    np.testing.assert_array_equal(arranged(tiles, places)[0, 1], tiles[0, 0])
    assert not arranged(tiles, places)[1, 2].any()


@pytest.mark.parametrize(("n_layer", "n_head", "height"), [(6, 8, 6 * 128), (12, 12, 1080), (1, 1, 128)])
def test_all_heads_fill_the_width_up_to_a_sensible_size(n_layer: int, n_head: int, height: int) -> None:
    figure = head_grid(random_tiles(n_layer, n_head, 2), made_scores(n_layer, n_head), shade="even", frame=LIGHT)
    assert figure.layout.height == max(200, height + 112)


def test_heads_lie_where_their_hover_is() -> None:
    figure = head_grid(random_tiles(2, 3, 5), made_scores(2, 3), shade="even", frame=LIGHT)
    (image,) = figure.layout.images
    assert (image.x, image.y, image.sizex, image.sizey) == (-0.5, -0.5, 3, 2)
    assert tuple(figure.layout.xaxis.range) == (-0.5, 2.5)
    assert tuple(figure.layout.yaxis.range) == (1.5, -0.5)  # layer 0 on top, like query 0 in each square
    assert figure.data[0].z.shape == (2, 3)


def test_tiles_too_many_for_a_response_keep_the_largest_weight_of_each_cell() -> None:
    tiles = np.zeros((48, 25, 64, 64), dtype=np.uint8)
    tiles[47, 24, 63, 10] = 200
    smaller = fitting(tiles)
    assert smaller.shape == (48, 25, 32, 32)
    assert smaller[47, 24, 31, 5] == 200
    assert smaller.sum() == 200
    assert fitting(tiles[:12, :12]).shape == (12, 12, 64, 64)


def test_a_short_prompts_weights_are_exact_and_the_future_is_left_out() -> None:
    pattern = made_pattern(6)
    cells = pattern_cells(pattern, 1)
    assert cells.dtype == np.float32
    np.testing.assert_array_equal(cells[np.tri(6, dtype=bool)], pattern[np.tri(6, dtype=bool)])
    assert np.isnan(cells[~np.tri(6, dtype=bool)]).all()


@pytest.mark.parametrize("n_tokens", [1023, 1024])
def test_a_cell_of_a_long_pattern_has_the_largest_weight_of_its_tokens(n_tokens: int) -> None:
    pattern = made_pattern(n_tokens)
    cells = pattern_cells(pattern, 2)
    assert cells.shape == (MOST_CELLS, MOST_CELLS)
    for row, column in ((0, 0), (7, 7), (300, 41), (MOST_CELLS - 1, MOST_CELLS - 1)):
        assert cells[row, column] == pattern[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].max()
    assert np.isnan(cells[~np.tri(MOST_CELLS, dtype=bool)]).all()


def test_a_diagonal_below_the_edge_is_unbroken_in_a_long_pattern() -> None:
    previous = np.eye(1024, k=-1, dtype=np.float32)
    cells = pattern_cells(previous, tokens_a_cell(1024))
    assert (np.diagonal(cells) == 1).all()  # of each two tokens, the later looks at the earlier


def test_a_long_pattern_says_which_tokens_it_pools() -> None:
    assert [tokens_a_cell(n) for n in (1, MOST_CELLS, MOST_CELLS + 1, 1024)] == [1, 1, 2, 2]
    assert block_names(["a"] * 5, 2) == ["0–1", "2–3", "4"]
    scores = Square(values=made_pattern(600), where="layer 0, head 1", is_score=True)
    figure = attention_square(scores, texts=["a"] * 600, shade="even", frame=LIGHT)
    assert "query of tokens %{y}, key of tokens %{x},<br>the largest by size" in figure.data[0].hovertemplate
    assert (figure.data[0].x[-1], figure.layout.meta["tokens_a_row"]) == ("598–599", 2)


@pytest.mark.parametrize("n_tokens", [601, 1024])
def test_a_long_pattern_tells_each_weight_within_a_255th_over_a_picture_of_the_largest(n_tokens: int) -> None:
    pattern = made_pattern(n_tokens)
    figure = head_pattern(pattern, Head(layer=0, head=1), texts=["a"] * n_tokens, shade="even", frame=LIGHT)
    over, picture = figure.data[:2]
    is_past = np.tri(n_tokens, dtype=bool)
    assert not over.z[~is_past].any()
    told = (over.z[is_past].astype(float) - 1) / figure.layout.meta["byte_steps"]
    assert np.abs(told - pattern[is_past]).max() <= 0.5 / 254 + 1e-7  # half a step, and float32
    assert over.hovertemplate.endswith("token %{y} looks at token %{x}, %{z:.3~g}, within 1/255<extra></extra>")
    assert (over.x[-1], figure.layout.meta["tokens_a_row"]) == (f"{n_tokens - 1} a", 1)
    assert picture.hoverinfo == "skip"
    assert (picture.x0, picture.dx) == (0.5, 2)  # its first cell is over tokens 0 and 1
    largest = pattern[598:600, 40:42].max()
    assert picture.z[299, 20] == round(1 + 254 * float(largest))
    assert (picture.zmin, picture.zmax) == (1, 255)


def test_the_colour_scale_is_fixed_from_0_to_1() -> None:
    figure = head_pattern(made_pattern(6) / 10, Head(layer=3, head=5), texts=list("abcdef"), shade="even", frame=LIGHT)
    assert (figure.data[0].zmin, figure.data[0].zmax) == (0, 1)
    assert figure.data[0].hovertemplate.startswith("layer 3, head 5:<br>token %{y} looks at token %{x}, ")
    assert (figure.data[1].marker.cmin, figure.data[1].marker.cmax) == (0, 1)


def test_tokens_that_read_alike_stay_apart_and_markup_is_text() -> None:
    assert token_names([" cat", " cat", "<b>"]) == ["0 ·cat", "1 ·cat", "2 &lt;b&gt;"]


def test_only_a_telephone_crops_and_only_what_is_too_large() -> None:
    of = Head(layer=0, head=0)
    for frame, n_tokens, cropped in ((NARROW, N_CROPPED + 1, N_CROPPED), (NARROW, N_CROPPED, None), (LIGHT, 99, None)):
        figure = head_pattern(made_pattern(n_tokens), of, texts=["a"] * n_tokens, shade="even", frame=frame)
        assert figure.layout.meta.get("cropped") == cropped


@pytest.mark.parametrize("theme", THEME_NAMES)
def test_no_attention_has_the_papers_colour_in_both_shades(theme: ThemeName) -> None:
    frame = Frame(theme=theme)
    paper = tuple(bytes.fromhex(frame.colours.paper[1:]))
    assert palette("even", frame)[0] == palette("root", frame)[0] == paper
    assert palette("even", frame)[254] == palette("root", frame)[254]
    assert len(palette("even", frame)) == 256


def test_the_root_shade_gives_a_weight_the_colour_of_its_square_root() -> None:
    even, root = palette("even", LIGHT), palette("root", LIGHT)
    quarter, half = round(254 / 4), 254 // 2
    assert np.abs(np.subtract(root[quarter], even[half])).max() <= 2  # 64/254 is not quite a quarter
    by_weight = dict(shaded("root", LIGHT))
    assert by_weight[0.25] == f"rgb{even[half]}"


def bars_of(weights: np.ndarray, n_top: int, frame: Frame = LIGHT) -> tuple[list[str], list[float], list[str]]:
    found = TokenAttention(pos=len(weights) - 1, direction="looks_at", of=None, weights=weights)
    texts = [f" t{pos}" for pos in range(len(weights))]
    figure = token_bars(found, strongest(found, n_top), texts=texts, scale="whole", frame=frame)
    lengths = [float(value) for bar in figure.data for value in bar.x]
    return list(figure.layout.yaxis.ticktext), lengths, [text for bar in figure.data for text in bar.hovertext]


def test_bars_go_from_the_strongest_down_and_end_with_the_sum_of_the_rest() -> None:
    rows, lengths, hovers = bars_of(np.array([0.1, 0.5, 0.25, 0.15]), 2)
    assert rows == ["1 ·t1", "2 ·t2", "2 others"]
    assert lengths == pytest.approx([0.5, 0.25, 0.25])
    assert hovers[0] == "token 3 ·t3 looks at token 1 ·t1: 0.5"
    assert hovers[-1] == "2 others, together: 0.25"


def test_a_bar_knows_its_token_and_the_rest_selects_none() -> None:
    found = TokenAttention(pos=0, direction="looked_at_by", of=None, weights=np.array([1.0, 0.25, 0.5]))
    figure = token_bars(found, strongest(found, 2), texts=["a", "b", "c"], scale="fit", frame=LIGHT)
    assert list(figure.data[0].customdata) == [0, 2]
    assert figure.data[0].hovertext[1] == "token 2 c looks at token 0 a: 0.5"
    assert figure.data[1].customdata is None


def test_one_token_has_one_bar_and_no_rest() -> None:
    assert bars_of(np.array([1.0]), 20)[:2] == (["0 ·t0"], [1.0])


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "0"), (1.0, "1"), (0.61749, "0.617"), (0.00043, "0.00043"), (2.13e-7, "2.1e−7")]
)
def test_weights_are_said_with_three_digits_at_most(value: float, said: str) -> None:
    assert weight(value) == said
    assert not re.search(r"\d{4}", weight(value).removeprefix("0.000"))
