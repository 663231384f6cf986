from __future__ import annotations

import numpy as np

from dashapp.analysis.attention import Head
from dashapp.figures.heads import Column, ScoreMap, _short, score_maps, score_table
from dashapp.figures.theme import Frame

LIGHT, NARROW = Frame(theme="light"), Frame(theme="dark", is_narrow=True)
VALUES = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, np.nan]])
LIMIT_BYTES = 2_000_000


def test_two_maps_stand_beside_each_other_and_below_on_a_telephone() -> None:
    maps = [ScoreMap(title="here", values=VALUES), ScoreMap(title="there", values=1 - VALUES, unit=" nats")]
    wide = score_maps(maps, low=0, high=1, frame=LIGHT).data[0]
    assert wide.z.shape == (2, 7)
    assert np.isnan(wide.z[:, 3]).all()
    np.testing.assert_array_equal(wide.z[:, 4:], 1 - VALUES)
    assert wide.customdata[1][5] == [1, 1]
    assert wide.customdata[1][3] is None
    assert wide.text[1][5] == "there:<br>layer 1, head 1, 0.5 nats"
    assert (wide.zmin, wide.zmax) == (0, 1)
    narrow = score_maps(maps, low=0, high=1, frame=NARROW).data[0]
    assert narrow.z.shape == (6, 3)
    np.testing.assert_array_equal(narrow.z[4:], 1 - VALUES)
    assert narrow.customdata[5][2] == [1, 2]


def test_what_has_a_sign_is_centred() -> None:
    heat = score_maps([ScoreMap(title="copying", values=VALUES - 0.3)], low=-1, high=1, frame=LIGHT).data[0]
    assert (heat.zmin, heat.zmax) == (-1, 1)
    assert heat.colorscale[1][1] == LIGHT.colours.paper


def test_a_row_of_the_table_is_a_head() -> None:
    heads = [Head(layer=2, head=1), Head(layer=0, head=0)]
    columns = [
        Column(title="entropy", values=np.array([2.0, 1.0]), most=4.0, unit=" nats"),
        Column(title="copying", values=np.array([-0.5, 1.0]), most=1.0),
    ]
    figure = score_table(heads, ["2.1 I", "0.0"], columns, frame=LIGHT)
    np.testing.assert_allclose(figure.data[0].z, [[0.5, 0], [0.25, 1]])
    assert figure.data[0].customdata[0] == [[2, 1], [2, 1]]
    assert figure.data[0].text[0][0] == "2.1 I:<br>entropy, 2 nats"
    assert list(figure.data[1].text) == ["2.00", "−.50", "1.00", "1.00"]


def test_numbers_in_cells_are_short() -> None:
    assert [_short(value) for value in (0.617, -0.1, 1.0, 14.2, -12.6, 0.0)] == [
        ".62",
        "−.10",
        "1.00",
        "14",
        "−13",
        ".00",
    ]


def test_maps_of_the_largest_gpt2_fit_a_response() -> None:
    values = np.random.default_rng(0).random((48, 25))
    figure = score_maps([ScoreMap(title="x", values=values)] * 2, low=0, high=1, frame=LIGHT)
    assert len(figure.to_json()) < LIMIT_BYTES
