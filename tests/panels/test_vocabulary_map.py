"""The panel of the whole vocabulary on one map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dashapp.analysis.layers import states_between_layers
from dashapp.analysis.vocabulary import nearest_tokens, token_embeddings, vocabulary_pca
from dashapp.errors import NotOneToken
from dashapp.figures.theme import Frame
from dashapp.model.gpt2 import GPT2
from dashapp.panels import vocabulary_map as panel
from dashapp.panels.panel import Drawn, work_of
from dashapp.panels.vocabulary_map import N_NEAR, NOWHERE, VOCABULARY_MAP
from dashapp.traces.record import Trace
from tests.panels.test_embeddings import traced

LIMIT_BYTES = 2_000_000
LIGHT = Frame(theme="light")
CAT = 3797
D_VOCAB = 50_257


@pytest.fixture(scope="module")
def seven(text_model: GPT2) -> Trace:
    return traced(text_model, 7)


def drawn(trace: Trace, **chosen: Any) -> Drawn:
    knobs: dict[str, Any] = {knob.name: knob.default for knob in VOCABULARY_MAP.knobs}
    return panel.draw(trace, **{"pos": None, "target": None, "frame": LIGHT, **knobs, **chosen})


def umap_result() -> dict[str, np.ndarray]:
    return {"points": np.random.default_rng(0).standard_normal((D_VOCAB, 2), dtype=np.float32)}


def test_every_token_is_a_dot_in_its_place_and_the_prompts_are_diamonds(seven: Trace) -> None:
    shown = drawn(seven)
    dots, prompt = shown.figure.data
    found = vocabulary_pca(seven)
    np.testing.assert_array_equal(np.stack([dots.x, dots.y], axis=1), found.points)
    assert (dots.type, dots.x.dtype) == ("scattergl", np.float32)
    ids = np.unique(seven.token_ids)
    assert list(prompt.customdata) == ids.tolist()
    np.testing.assert_array_equal(prompt.y, found.points[ids, 1])
    assert prompt.marker.symbol == "diamond"
    assert shown.figure.layout.meta["token_ids"] == seven.token_ids.tolist()
    assert shown.foot.startswith("50,257 tokens. The two axes hold ")


@pytest.mark.parametrize("chosen", [{"search": "cat"}, {"target": CAT}])
def test_a_token_searched_or_clicked_has_its_nearest_around_it(seven: Trace, chosen: dict[str, Any]) -> None:
    shown = drawn(seven, **chosen)
    circles, star = shown.figure.data[2:]
    table = seven.weights.float32("wte.weight").astype(np.float64)
    table -= table.mean(axis=0)
    cosines = table @ table[CAT] / np.linalg.norm(table, axis=1) / np.linalg.norm(table[CAT])
    expected = np.argsort(-cosines)[1 : N_NEAR + 1]
    np.testing.assert_array_equal(circles.customdata, expected)
    assert (star.customdata, star.text) == ((CAT,), ("<b>·cat</b>",))
    assert star.x[0] == vocabulary_pca(seven).points[CAT, 0]
    assert "Circles are nearest to ‘·cat’ in all dimensions" in shown.foot
    assert f"{cosines[expected[0]]:.3f}" in circles.hovertext[0]


def test_what_is_typed_comes_before_what_was_clicked_and_must_be_a_token(seven: Trace) -> None:
    assert drawn(seven, search="cat", target=5).figure.data[3].customdata == (CAT,)
    with pytest.raises(NotOneToken):
        drawn(seven, search="xyzzyplugh")


@pytest.mark.parametrize("length", ["own", "token"])
def test_states_are_placed_by_the_components_of_the_vocabulary(seven: Trace, length: str) -> None:
    shown = drawn(seven, states="shown", length=length, pos=3)
    path = shown.figure.data[-1]
    rows = states_between_layers(seven)[:, 3].astype(np.float64)
    if length == "token":
        rows *= (token_embeddings(seven).lengths.mean() / np.linalg.norm(rows, axis=1))[:, None]
    found = vocabulary_pca(seven)
    np.testing.assert_allclose(np.stack([path.x, path.y], axis=1), (rows - found.mean) @ found.axes.T, rtol=1e-9)
    assert list(path.text) == ["", "0", "1", "2"]
    low, high = shown.figure.layout.xaxis.range
    assert low < min(path.x) <= max(path.x) < high
    assert "The amber path is the selected token’s state" in shown.foot


def test_umap_has_no_place_for_states_and_says_so(seven: Trace) -> None:
    result = umap_result()
    shown = drawn(seven, method="umap", states="shown", pos=3, result=result)
    assert NOWHERE in shown.foot
    assert len(shown.figure.data) == 2
    np.testing.assert_array_equal(shown.figure.data[0].x, result["points"][:, 0])
    assert "UMAP with 15 neighbours, minimum distance 0.1, angle between vectors, seed 0." in shown.foot


def test_until_umap_is_there_it_is_pca_and_waits_for_start(seven: Trace) -> None:
    assert "This is PCA, until UMAP is there" in drawn(seven, method="umap").foot
    knobs = {knob.name: knob.default for knob in VOCABULARY_MAP.knobs}
    view = {"pos": 2, "target": None, "knobs": knobs}
    assert work_of(VOCABULARY_MAP, seven, view) is None
    work = work_of(VOCABULARY_MAP, seven, {**view, "knobs": {**knobs, "method": "umap"}})
    assert work is not None
    assert (work.kind, work.weights) == ("vocabulary", seven.fingerprint)
    assert VOCABULARY_MAP.starts


def test_the_whole_of_it_fits_a_response(seven: Trace) -> None:
    shown = drawn(seven, method="umap", target=CAT, result=umap_result())
    assert len(shown.figure.to_json()) < LIMIT_BYTES / 2


def test_a_token_without_a_direction_has_nothing_near_it(seven: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = np.zeros(seven.config.d_model)
    monkeypatch.setattr(panel, "sum_of_tokens", lambda *_args, **_kwargs: zeros)
    assert not nearest_tokens(seven, zeros, 3, centred=True).has_direction
    assert "has no direction of its own, so nothing is nearest to it." in drawn(seven, target=CAT).foot
