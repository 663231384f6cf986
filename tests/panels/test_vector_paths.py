from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dashapp.analysis.layers import paths, states_between_layers
from dashapp.figures.paths import path_map
from dashapp.figures.theme import Frame
from dashapp.jobs.paths import paths_of_trace
from dashapp.model.gpt2 import GPT2
from dashapp.panels import vector_paths
from dashapp.traces.record import Trace
from tests.doubles import TINY_TEXT
from tests.panels.test_embeddings import traced

LIGHT = Frame(theme="light")


@pytest.fixture(scope="module")
def seven(text_model: GPT2) -> Trace:
    return traced(text_model, 7)


def drawn(trace: Trace, **chosen: Any) -> Any:
    return vector_paths.draw(trace, **{"pos": 3, "first": "in", "others": "lines", "frame": LIGHT, **chosen})


def test_the_job_finds_the_paths_of_the_trace(seven: Trace) -> None:
    told: list[float] = []
    result = paths_of_trace(seven, told.append, without_first=True)
    expected = paths(states_between_layers(seven), without_first=True)
    np.testing.assert_array_equal(result["points"], expected.points)
    np.testing.assert_array_equal(result["shares"], expected.shares)
    assert told == [0.0]
    assert result["points"].shape == (TINY_TEXT.n_layer + 1, 7, 2)


def test_the_selected_tokens_path_goes_through_all_its_states(seven: Trace) -> None:
    result = paths_of_trace(seven, lambda share: None, without_first=False)
    _, ends, path = drawn(seven, result=result).figure.data
    np.testing.assert_array_equal(np.stack([path.x, path.y], axis=1), result["points"][:, 3])
    np.testing.assert_array_equal(np.stack([ends.x, ends.y], axis=1), result["points"][-1])
    assert list(path.text) == ["", "0", "1", "2"]
    assert path.hovertext[0].endswith("into layer 0")
    assert path.hovertext[-1].endswith("out of layer 2")


def test_other_tokens_have_a_line_each_or_none(seven: Trace) -> None:
    result = paths_of_trace(seven, lambda share: None, without_first=False)
    lines = drawn(seven, result=result).figure.data[0]
    assert np.isnan(lines.x).sum() == 7  # a gap after each
    assert len(drawn(seven, result=result, others="ends").figure.data) == 2


def test_until_the_paths_are_there_the_start_is_shown_and_said(seven: Trace) -> None:
    shown = drawn(seven)
    assert "Until the paths are there, this is the PCA of what enters layer 0 alone." in shown.foot
    assert len(shown.figure.data[-1].x) == 1
    assert (
        shown.figure.layout.uirevision
        != drawn(seven, result=paths_of_trace(seven, lambda share: None, without_first=False)).figure.layout.uirevision
    )


def test_the_first_token_is_left_out_with_its_path(seven: Trace) -> None:
    result = paths_of_trace(seven, lambda share: None, without_first=True)
    shown = drawn(seven, pos=0, first="out", result=result)
    assert np.isnan(shown.figure.data[1].x[0])
    assert shown.foot.endswith("The first token is left out. So it has no path.")


def test_one_work_serves_every_selection(seven: Trace, text_model: GPT2) -> None:
    asked = [
        vector_paths.work(seven, pos=pos, first=first, others=others)  # type: ignore[arg-type]
        for pos, first, others in ((0, "out", "lines"), (3, "out", "ends"), (3, "in", "lines"))
    ]
    assert asked[0].key == asked[1].key != asked[2].key
    few = traced(text_model, 2)
    assert vector_paths.work(few, pos=0, first="out", others="lines").arguments == {"without_first": False}


def test_paths_of_a_thousand_tokens_fit_a_response() -> None:
    points = np.random.default_rng(0).standard_normal((49, 1024, 2), dtype=np.float32)  # as many layers as GPT-2 XL
    figure = path_map(
        points, texts=["<&>" * 5] * 1024, pos=3, axes=("a", "b"), shows_others=True, revision="r", frame=LIGHT
    )
    assert len(figure.to_json()) < 2_000_000
