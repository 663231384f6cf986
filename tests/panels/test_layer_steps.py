"""The panel of the tokens' states layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dashapp.figures.paths import step_map
from dashapp.figures.theme import Frame
from dashapp.jobs.paths import paths_of_trace
from dashapp.model.gpt2 import GPT2
from dashapp.panels import layer_steps, vector_paths
from dashapp.panels.panel import Drawn
from dashapp.traces.record import Trace
from tests.panels.test_embeddings import traced

LIGHT = Frame(theme="light")


@pytest.fixture(scope="module")
def seven(text_model: GPT2) -> Trace:
    return traced(text_model, 7)


@pytest.fixture(scope="module")
def result(seven: Trace) -> dict[str, np.ndarray]:
    return paths_of_trace(seven, lambda share: None, without_first=False)


def drawn(trace: Trace, **chosen: Any) -> Drawn:
    return layer_steps.draw(trace, **{"layer": None, "first": "in", "extent": "all", "frame": LIGHT, **chosen})


def test_every_state_is_in_the_basis_of_the_paths(seven: Trace, result: dict[str, np.ndarray]) -> None:
    figure = drawn(seven, result=result).figure
    steps = figure.layout.meta["steps"]
    told = np.stack([steps["x"], steps["y"]], axis=-1)
    np.testing.assert_allclose(told, result["points"], rtol=1e-4)  # five digits
    assert steps["names"] == ["into layer 0", "out of layer 0", "out of layer 1", "out of layer 2"]
    assert list(figure.data[0].x) == steps["x"][0]
    assert steps["wide"] == []
    assert len(steps["labels"]) == 7
    assert [text for text in figure.data[0].text if text] == [steps["labels"][pos] for pos in steps["named"][0]]
    assert layer_steps.work(seven, first="in", layer=1, extent="all") == vector_paths.paths_work(seven, "in")


def test_a_selected_layer_is_where_it_starts(seven: Trace, result: dict[str, np.ndarray]) -> None:
    figure = drawn(seven, result=result, layer=1).figure
    assert list(figure.data[0].y) == figure.layout.meta["steps"]["y"][2]


@pytest.mark.parametrize("is_narrow", [False, True])
def test_each_layer_fills_the_map_and_keeps_its_shape(
    seven: Trace, result: dict[str, np.ndarray], is_narrow: bool
) -> None:
    frame = Frame(theme="light", is_narrow=is_narrow)
    figure = drawn(seven, result=result, extent="each", frame=frame).figure
    steps, points = figure.layout.meta["steps"], result["points"].astype(float)
    across = figure.layout.xaxis.range[1]
    for x, y, state, wide in zip(steps["x"], steps["y"], points, steps["wide"], strict=True):
        assert max(np.abs(x).max() / across, np.abs(y).max()) == pytest.approx(1 / 1.15, rel=1e-3)  # with a margin
        scales = [np.ptp(shown) / np.ptp(state[:, side]) for side, shown in enumerate((x, y))]
        assert scales[0] == pytest.approx(scales[1], rel=1e-3)
        assert wide == pytest.approx(np.ptp(state[:, 0]), rel=5e-3)  # three digits
    assert {*figure.layout.xaxis.ticktext} == {"\N{NO-BREAK SPACE}"}  # numbers would be of no layer


def test_the_first_token_can_be_left_out_and_has_no_place(seven: Trace) -> None:
    without = paths_of_trace(seven, lambda share: None, without_first=True)
    shown = drawn(seven, result=without, first="out")
    assert [state[0] for state in shown.figure.layout.meta["steps"]["x"]] == [None] * 4
    assert "The first token is left out." in shown.foot


def test_until_the_layers_are_there_it_is_the_first_alone(seven: Trace) -> None:
    shown = drawn(seven, layer=2)
    assert len(shown.figure.layout.meta["steps"]["names"]) == 1
    assert "Until all layers are there" in shown.foot


def test_a_thousand_tokens_through_48_layers_fit_a_response() -> None:
    points = np.random.default_rng(0).standard_normal((49, 1024, 2)) * 1e-3
    axes = ("component 1", "component 2")
    made: dict[str, Any] = {
        "at": 0,
        "texts": ["\U0001f642<&>" * 5] * 1024,
        "axes": axes,
        "revision": "",
        "frame": LIGHT,
    }
    assert len(step_map(points, is_fitted=False, **made).to_json()) < 2_000_000
