from __future__ import annotations

import json

import numpy as np
import pytest

from dashapp.analysis.embeddings import Similarity, dimensions, similarity
from dashapp.figures.embeddings import (
    EXACT_BELOW,
    MAP_ROOM_NARROW,
    MOST_COLUMNS_NARROW,
    MOST_ROWS,
    N_CROPPED,
    N_MARKED,
    by_position,
    colour_limit,
    degree_cells,
    degree_scale,
    furthest_of_blocks,
    map_shape,
    pooled,
    similarity_square,
    vector_map,
    vector_rows,
    with_room_for_names,
)
from dashapp.figures.theme import Frame, ThemeName, enlarged

LIMIT_BYTES = 2_000_000  # of one response, uncompressed
LIGHT = Frame(theme="light")
NARROW = Frame(theme="light", is_narrow=True)
HOSTILE = "\U0001f642<&>" * 5  # the longest labels


def made(n_tokens: int, d_model: int = 20) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n_tokens, d_model), dtype=np.float32)


# Rows of colour ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d_model", [10, 768, 1600])
@pytest.mark.parametrize("n_tokens", [1, 300, 1024])
@pytest.mark.parametrize("frame", [LIGHT, NARROW])
def test_rows_fit_a_response_at_every_size(n_tokens: int, d_model: int, frame: Frame) -> None:
    values = np.random.default_rng(0).uniform(0.5, 2, (n_tokens, d_model)).astype(np.float32)  # slashes, in base64
    figure = vector_rows(values, dimensions(values), texts=[HOSTILE] * n_tokens, order="variance", frame=frame)
    assert len(figure.to_json()) < LIMIT_BYTES


def test_what_fits_is_drawn_as_it_is() -> None:
    values = made(50, 768)
    shown = pooled(values, LIGHT)
    assert (shown.n_down, shown.n_across) == (1, 1)
    np.testing.assert_array_equal(shown.cells, values)


def test_a_pooled_cell_holds_the_value_furthest_from_zero() -> None:
    values = made(1024, 1600)
    shown = pooled(values, NARROW)
    assert shown.cells.shape[0] <= MOST_ROWS
    assert shown.cells.shape[1] <= MOST_COLUMNS_NARROW
    for row, column in ((0, 0), (3, 100), (shown.cells.shape[0] - 1, shown.cells.shape[1] - 1)):
        down, across = row * shown.n_down, column * shown.n_across
        block = values[down : down + shown.n_down, across : across + shown.n_across].ravel()
        assert shown.cells[row, column] == block[np.abs(block).argmax()]
    assert shown.cells.min() == values.min()
    assert shown.cells.max() == values.max()


def test_rows_and_columns_say_which_tokens_and_dimensions_they_pool() -> None:
    values = made(1023, 520)
    found = vector_rows(values, dimensions(values), texts=["a"] * 1023, order="number", frame=NARROW).data[0]
    assert (found.y[0], found.y[-1]) == ("0–3", "1020–1022")
    assert (found.x[0], found.x[-1]) == ("0, 1, 2", "519")
    assert found.hovertemplate.startswith("tokens %{y}, dimensions %{x}:<br>%{z} is the furthest from zero")


def test_short_rows_name_token_and_dimension() -> None:
    found = vector_rows(made(2, 3), dimensions(made(2, 3)), texts=[" a", "<b>"], order="number", frame=LIGHT).data[0]
    assert list(found.y) == ["0 ·a", "1 &lt;b&gt;"]
    assert list(found.x) == ["0", "1", "2"]
    assert found.hovertemplate.startswith("token %{y}, dimension %{x}:<br>%{z}<")


def test_columns_by_variance_are_the_same_values_in_another_order() -> None:
    values = made(6) * np.linspace(1, 9, 20, dtype=np.float32)
    measured = dimensions(values)
    found = vector_rows(values, measured, texts=["a"] * 6, order="variance", frame=LIGHT).data[0]
    assert [int(name) for name in found.x] == measured.by_variance.tolist()
    for name, column in zip(found.x, found.z.T, strict=True):
        np.testing.assert_array_equal(column, values[:, int(name)])


def test_colours_are_centred_on_zero_and_leave_out_the_largest_half_percent() -> None:
    values = np.zeros((10, 100), dtype=np.float32)
    values.flat[:996] = np.linspace(-2, 2, 996)
    values.flat[996:] = 300
    assert colour_limit(values) == 2
    assert colour_limit(values[:1]) == 2
    assert colour_limit(values[9:]) == 300  # of a hundred none is left out
    cells = vector_rows(values, dimensions(values), texts=["a"] * 10, order="number", frame=LIGHT).data[0]
    assert cells.zmin == -cells.zmax == -colour_limit(values)
    assert cells.colorscale[1] == (0.5, LIGHT.colours.paper)
    assert colour_limit(np.zeros((1, 4))) > 0  # a scale of no width is refused by Plotly


@pytest.mark.parametrize("frame", [LIGHT, NARROW])
def test_marks_stand_over_the_largest_dimensions(frame: Frame) -> None:
    values = made(9, 600)
    values[:, 500] += 40
    figure = vector_rows(values, dimensions(values), texts=["a"] * 9, order="number", frame=frame)
    marks = {mark.text.split("<br>")[0]: mark for mark in figure.layout.annotations}
    assert len(marks) == N_MARKED
    assert "500" in figure.data[0].x[marks["500"].x].split(", ")
    assert marks["500"].hovertext.startswith("dimension 500: root mean square 4")


def test_numbers_of_neighbouring_dimensions_do_not_lie_on_each_other() -> None:
    values = made(9, 600)
    values[:, 100:103] += 40
    figure = vector_rows(values, dimensions(values), texts=["a"] * 9, order="number", frame=LIGHT)
    n_lines = [mark.text.count("<br>") for mark in figure.layout.annotations]
    assert sorted(n_lines) == [1, 2, 3]
    assert all(mark.text.endswith("▼") for mark in figure.layout.annotations)


@pytest.mark.parametrize("text", [1, 1.5])
def test_the_colour_bar_stands_above_the_marks_and_in_no_margin(text: float) -> None:
    values = made(9, 600)
    values[:, 100:103] += 40  # numbers on three lines, over a line of marks
    frame = Frame(theme="light", text=text)
    drawn = vector_rows(values, dimensions(values), texts=["a"] * 9, order="number", frame=frame)
    figure = enlarged(drawn, text)
    bar, layout = figure.data[0].colorbar, figure.layout
    assert (bar.y, bar.yanchor) == (1, "top")
    within = layout.height - layout.margin.t - layout.margin.b
    assert within * (1 - layout.yaxis.domain[1]) >= (4 * 17 + 48) * text  # four lines; a title, the bar, its numbers
    assert within * layout.yaxis.domain[1] == pytest.approx(160 * text)
    assert {mark.yref for mark in layout.annotations} == {"y domain"}


# Points of a map -----------------------------------------------------------------------------------------------------


def test_circles_are_of_the_prompt_and_diamonds_were_generated() -> None:
    points = made(5, 2)
    figure = vector_map(
        points,
        texts=list("abcde"),
        n_prompt=3,
        axes=("one", "two"),
        colouring=by_position(5, LIGHT),
        revision="r",
        frame=LIGHT,
    )
    prompt, generated = figure.data
    assert (prompt.marker.symbol, generated.marker.symbol) == ("circle", "diamond")
    assert list(prompt.customdata) == [0, 1, 2]
    assert list(generated.customdata) == [3, 4]
    np.testing.assert_array_equal(np.concatenate([prompt.x, generated.x]), points[:, 0])
    np.testing.assert_array_equal(np.concatenate([prompt.y, generated.y]), points[:, 1])
    assert generated.hovertext[1] == "token 4 ‘e’, generated"
    assert prompt.hovertext[0] == "token 0 ‘a’, of the prompt"


def test_a_prompt_alone_has_no_diamonds_and_one_token_is_a_map() -> None:
    figure = vector_map(
        np.zeros((1, 2)),
        texts=["a"],
        n_prompt=1,
        axes=("one", "two"),
        colouring=by_position(5, LIGHT),
        revision="r",
        frame=LIGHT,
    )
    assert [points.marker.symbol for points in figure.data] == ["circle"]
    assert figure.data[0].text == ("a",)


def test_distances_on_a_map_are_the_same_in_both_directions_and_colour_is_position() -> None:
    figure = vector_map(
        made(5, 2),
        texts=list("abcde"),
        n_prompt=3,
        axes=("one", "two"),
        colouring=by_position(5, LIGHT),
        revision="r",
        frame=LIGHT,
    )
    assert (figure.layout.yaxis.scaleanchor, figure.layout.yaxis.scaleratio) == ("x", 1)
    assert [(data.marker.cmin, data.marker.cmax) for data in figure.data] == [(0, 4), (0, 4)]
    assert list(figure.data[1].marker.color) == [3, 4]
    assert [bool(data.marker.showscale) for data in figure.data] == [True, False]


def test_a_map_has_the_shape_of_its_points_and_room_for_them() -> None:
    points = np.array([[0, 0], [10, 8], [4, 2], [np.nan, np.nan]])
    centre, half = map_shape(points)
    assert centre.tolist() == [5, 4]
    assert half == pytest.approx([5.75, 4.6])
    figure = vector_map(
        points,
        texts=list("abcd"),
        n_prompt=4,
        axes=("one", "two"),
        colouring=by_position(5, LIGHT),
        revision="r",
        frame=LIGHT,
    )
    assert figure.layout.xaxis.range == pytest.approx((-0.75, 10.75))
    assert figure.layout.yaxis.range == pytest.approx((-0.6, 8.6))
    assert (figure.layout.xaxis.constrain, figure.layout.yaxis.constrain) == ("domain", "domain")
    assert figure.layout.height <= 560
    narrow = vector_map(
        points,
        texts=list("abcd"),
        n_prompt=4,
        axes=("one", "two"),
        colouring=by_position(5, LIGHT),
        revision="r",
        frame=NARROW,
    )
    assert narrow.layout.height == round(MAP_ROOM_NARROW[0] * 0.8) + 104


def test_a_map_of_points_on_a_line_or_in_one_place_is_still_a_map() -> None:
    assert map_shape(np.array([[0.0, 1], [10, 1]]))[1] == pytest.approx([5.75, 2.3])
    assert map_shape(np.zeros((3, 2)))[1].tolist() == [1, 1]


def test_names_are_left_out_where_they_would_lie_on_each_other() -> None:
    points = np.array([[0, 0], [100, 0], [0.1, 0.01], [50, 50], [np.nan, np.nan]])
    assert with_room_for_names(points, ["word"] * 5, LIGHT).tolist() == [True, True, False, True, False]


def test_a_name_that_would_lie_on_another_point_is_left_out() -> None:
    points = np.array([[0, 0], [0, 8], [100, 38], [-100, 38]])  # 5 pixels a unit
    assert with_room_for_names(points, ["word"] * 4, LIGHT).tolist() == [True, True, True, True]
    points[1, 1] = 2  # where the first one's name would be
    assert with_room_for_names(points, ["word"] * 4, LIGHT).tolist() == [False, True, True, True]


def test_all_names_of_equal_points_but_the_first_are_left_out() -> None:
    assert with_room_for_names(np.zeros((3, 2)), ["a"] * 3, LIGHT).tolist() == [True, False, False]


def test_a_map_of_a_thousand_tokens_fits_a_response() -> None:
    figure = vector_map(
        made(1024, 2),
        texts=[HOSTILE] * 1024,
        n_prompt=1000,
        axes=("one", "two"),
        colouring=by_position(1024, LIGHT),
        revision="r",
        frame=LIGHT,
    )
    assert len(figure.to_json()) < LIMIT_BYTES


# Likeness ------------------------------------------------------------------------------------------------------------


def likeness(cosines: np.ndarray) -> Similarity:
    return Similarity(cosines=cosines.astype(np.float32), n_without=0, mean=0.0)


@pytest.mark.parametrize("n_tokens", [1, 40, EXACT_BELOW - 1, EXACT_BELOW, 1024])
@pytest.mark.parametrize("centre", [-0.05, 0, 0.3, 0.5, 0.7])
def test_a_square_fits_a_response_at_every_length(n_tokens: int, centre: float) -> None:
    """Around 0.5 and 0.7 the bytes of a float32, around −0.05 those of a small integer, are slashes in base64."""
    noise = np.random.default_rng(0).standard_normal((n_tokens, n_tokens)) * 0.1
    found = likeness(np.clip(centre + noise, -1, 1))
    figure = similarity_square(found, texts=[HOSTILE] * n_tokens, frame=LIGHT)
    assert len(figure.to_json()) < LIMIT_BYTES


def test_short_cosines_are_exact_between_natural_bounds() -> None:
    found = similarity(made(6), centred=True)
    cells, bar = similarity_square(found, texts=list("abcdef"), frame=LIGHT).data
    np.testing.assert_array_equal(cells.z, found.cosines)
    assert (cells.zmin, cells.zmax) == (bar.marker.cmin, bar.marker.cmax) == (-1, 1)
    assert cells.hovertemplate.startswith("token %{y} and token %{x}:<br>cosine %{z:.3f}")


def test_long_cosines_are_within_what_the_hover_promises() -> None:
    found = similarity(made(EXACT_BELOW), centred=False)
    cells = degree_cells(found.cosines)
    assert cells.dtype == np.uint8
    exact = np.degrees(np.arccos(found.cosines.astype(np.float64)))
    assert np.abs(cells - exact).max() <= 0.5 + 1e-4  # float32's arc cosine; near 1 it turns 6e-8 into 0.02°
    drawn = similarity_square(found, texts=["a"] * EXACT_BELOW, frame=LIGHT).data[0]
    assert "%{z}° apart, within half a degree" in drawn.hovertemplate
    assert (drawn.zmin, drawn.zmax) == (0, 180)


def test_a_cell_of_many_cosines_has_the_one_furthest_from_zero() -> None:
    found = similarity(made(1023), centred=True).cosines
    cells = furthest_of_blocks(found, 2)
    assert cells.shape == (512, 512)
    for row, column in ((0, 0), (3, 100), (511, 7), (511, 511)):
        block = found[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].ravel()
        assert cells[row, column] == block[np.abs(block).argmax()]
    found = np.array([[np.nan, np.nan, 1], [np.nan, np.nan, -0.5], [1, -0.5, 1]], dtype=np.float32)
    np.testing.assert_array_equal(furthest_of_blocks(found, 2), np.array([[np.nan, 1], [1, 1]], dtype=np.float32))


def test_a_long_square_says_which_tokens_it_pools() -> None:
    figure = similarity_square(similarity(made(600), centred=False), texts=["a"] * 600, frame=LIGHT)
    assert figure.data[0].y[-1] == "598–599"
    assert figure.data[0].hovertemplate.startswith(
        "tokens %{y} and tokens %{x}:<br>furthest from a right angle: cosine"
    )
    assert figure.layout.meta["tokens_a_row"] == 2


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_angle_has_the_colour_of_its_cosine(theme: ThemeName) -> None:
    frame = Frame(theme=theme)
    by_degrees = {round(180 * place): colour for place, colour in degree_scale(frame)}
    ends = (frame.colours.slot_a, frame.colours.paper, frame.colours.slot_b)
    assert [by_degrees[degrees] for degrees in (0, 90, 180)] == [f"rgb{tuple(bytes.fromhex(end[1:]))}" for end in ends]
    paper, blue = (np.array(list(bytes.fromhex(colour[1:]))) for colour in (ends[1], ends[0]))
    at_60 = np.array([int(channel) for channel in by_degrees[60].removeprefix("rgb(").rstrip(")").split(",")])
    assert np.abs(at_60 - (paper + blue) / 2).max() <= 0.51  # a rounded channel; the cosine of 60° is 0.5 but for 1e-16


def test_what_has_no_cosine_is_no_cell() -> None:
    nothing = likeness(np.full((2, 2), np.nan))
    figure = similarity_square(nothing, texts=["a", "b"], frame=LIGHT)
    assert json.loads(figure.to_json())["data"][0]["hoverongaps"] is False
    assert degree_cells(nothing.cosines).tolist() == [[90, 90], [90, 90]]


def test_only_a_telephone_crops_and_only_what_is_too_large() -> None:
    for frame, n_tokens, cropped in ((NARROW, N_CROPPED + 1, N_CROPPED), (NARROW, N_CROPPED, None), (LIGHT, 99, None)):
        found = similarity(made(n_tokens), centred=False)
        figure = similarity_square(found, texts=["a"] * n_tokens, frame=frame)
        assert figure.layout.meta.get("cropped") == cropped
