from __future__ import annotations

import numpy as np
import pytest

from dashapp.analysis.embeddings import dimensions, pca, similarity
from dashapp.analysis.layers import centred_cosines, states_between_layers, unbiased_cka
from dashapp.analysis.positions import position_table, sum_parts
from dashapp.errors import NotADimension
from dashapp.figures.embeddings import EXACT_BELOW
from dashapp.figures.numbers import percent
from dashapp.figures.positions import MOST_LINES, position_curve
from dashapp.figures.theme import Frame
from dashapp.model.gpt2 import GPT2
from dashapp.panels import between_layers, positions
from dashapp.panels.panel import chosen_by
from dashapp.panels.positions import N_LINES, dimensions_of
from dashapp.traces.record import Trace
from tests.doubles import TINY_TEXT
from tests.panels.test_embeddings import traced

LIGHT = Frame(theme="light")
LIMIT_BYTES = 2_000_000


@pytest.fixture(scope="module")
def seven(text_model: GPT2) -> Trace:
    return traced(text_model, 7)


def test_likeness_is_of_all_positions_and_not_the_texts_alone(seven: Trace) -> None:
    for centre in ("raw", "mean"):
        drawn = positions.draw_likeness(seven, centre=centre, frame=LIGHT)  # type: ignore[arg-type]
        expected = similarity(position_table(seven), centred=centre == "mean").cosines
        np.testing.assert_array_equal(drawn.figure.data[0].z, expected)
        assert drawn.figure.layout.meta["n_tokens"] == 7  # later rows select nothing
        assert "All 13 positions of the model; this text fills 7." in drawn.foot
    assert TINY_TEXT.n_ctx < EXACT_BELOW


@pytest.mark.parametrize("components", ["2", "3"])
def test_the_curve_is_the_pca_of_all_positions(seven: Trace, components: str) -> None:
    drawn = positions.draw_curve(seven, dimensions=components, first="in", frame=LIGHT)  # type: ignore[arg-type]
    found = pca(position_table(seven), n_components=int(components))
    points = next(data for data in drawn.figure.data if data.customdata is not None)
    for i, axis in enumerate("xyz"[: int(components)]):
        np.testing.assert_array_equal(points[axis], found.points[:, i])
    assert list(points.customdata) == list(range(13))
    assert percent(float(found.shares[0])) in drawn.foot
    assert points.hovertext[7] == "position 7, behind the end of this text"


def test_a_thousand_positions_fit_a_response() -> None:
    generator = np.random.default_rng(0)
    found = pca(generator.standard_normal((1024, 768), dtype=np.float32), n_components=3)
    figure = position_curve(found, n_tokens=1024, dimensions="3", revision="x", frame=LIGHT)
    assert len(figure.to_json()) < LIMIT_BYTES


def test_lines_are_the_most_variable_dimensions_or_those_named(seven: Trace) -> None:
    table = position_table(seven)
    most = dimensions(table).by_variance[:N_LINES]
    for shown, expected in (("", most), (" 7, 0 ", [7, 0])):
        lines = positions.draw_lines(seven, shown=shown, frame=LIGHT).figure.data
        assert [line.name for line in lines] == [f"dimension {number}" for number in expected]
        for line, number in zip(lines, expected, strict=True):
            np.testing.assert_array_equal(line.y, table[:, number])


@pytest.mark.parametrize("text", ["x", "10", "-1", "1.5", ",", "0 1 2 3 4 5 6"])
def test_what_is_no_dimension_is_refused(text: str) -> None:
    assert dimensions_of("0;1 2,3", d_model=10) == [0, 1, 2, 3]
    assert dimensions_of("3, 3", d_model=10) == [3]
    assert MOST_LINES == 6
    with pytest.raises(NotADimension, match="0 to 9"):
        dimensions_of(text, d_model=10)


def test_bars_are_the_parts_of_the_sum(seven: Trace) -> None:
    drawn, parts = positions.draw_shares(seven, frame=LIGHT), sum_parts(seven)
    for bars, expected in zip(drawn.figure.data, (parts.token, parts.position, parts.both), strict=True):
        np.testing.assert_array_equal(bars.y, expected)
    assert f"{percent(float(parts.position_shares.mean()))} of the squared length" in drawn.foot


def test_layers_are_compared_by_the_measure_chosen(seven: Trace) -> None:
    states = states_between_layers(seven)
    for measure, pos, expected in (
        ("cka", None, unbiased_cka(states)),
        ("cosine", None, centred_cosines(states)),
        ("token", 3, centred_cosines(states, 3)),
    ):
        drawn = between_layers.draw(seven, pos=pos, measure=measure, frame=LIGHT)  # type: ignore[arg-type]
        np.testing.assert_allclose(drawn.figure.data[0].z, expected, atol=1e-7)  # drawn as float32
    assert "n = 6: all tokens but the first." in between_layers.draw(seven, pos=None, measure="cka", frame=LIGHT).foot


def test_too_few_tokens_for_cka_are_said(text_model: GPT2) -> None:
    drawn = between_layers.draw(traced(text_model, 4), pos=None, measure="cka", frame=LIGHT)
    assert np.isnan(drawn.figure.data[0].z).all()
    assert drawn.foot == "n = 3, and the estimator without bias needs at least 4 tokens besides the first."


def test_a_position_counts_only_for_the_measure_that_is_of_one_token(seven: Trace) -> None:
    panel = between_layers.BETWEEN_LAYERS
    assert chosen_by(panel, seven, {"knobs": {"measure": "cka"}})["pos"] is None
    assert chosen_by(panel, seven, {"knobs": {"measure": "token"}, "pos": 3})["pos"] == 3
    with pytest.raises(ValueError, match="outside the trace"):
        chosen_by(panel, seven, {"knobs": {"measure": "token"}})
