"""The panels of heads: what they say before the probe is there, and what they show when it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import dashapp
from dashapp.analysis.attention import Head
from dashapp.analysis.head_names import HeadName, head_names
from dashapp.analysis.heads import MOST_KEPT, HeadProbe, KindScores, _kept, prompt_scores
from dashapp.experiments.head_probe import probe_heads
from dashapp.model.checkpoint import weights_of
from dashapp.model.gpt2 import GPT2
from dashapp.panels.head_atlas import HEAD_ATLAS
from dashapp.panels.head_facts import said_of_names
from dashapp.panels.head_grid import HEAD_GRID
from dashapp.panels.panel import Drawn, Panel, draw, work_of
from dashapp.traces.record import Trace

LOOKS = {"theme": "light", "text": 1, "units": "nats", "narrow": False, "layer": None}


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "a b a b a b", cache=False)


@pytest.fixture(scope="module")
def probed(text_model: GPT2) -> Mapping[str, np.ndarray]:
    return probe_heads(text_model, weights_of(text_model)).arrays()


def shown(panel: Panel, trace: Trace, result: Mapping[str, np.ndarray] | None, **chosen: Any) -> Drawn:
    knobs = {knob.name: knob.default for knob in panel.knobs}
    fields = {name: value for name, value in chosen.items() if name not in knobs}
    knobs |= {name: value for name, value in chosen.items() if name in knobs}
    return draw(panel, trace, {**LOOKS, **fields, "knobs": knobs}, result=result)


def named(probe: Mapping[str, np.ndarray], **scores: list[float]) -> Mapping[str, np.ndarray]:
    """The same probe with these scores of six heads."""
    return {**probe, **{kind: np.array(values).reshape(3, 2) for kind, values in scores.items()}}


def test_the_probe_is_asked_for_by_weights(trace: Trace, text_model: GPT2) -> None:
    other = dashapp.trace(text_model, "something else", cache=False)
    knobs = {knob.name: knob.default for knob in HEAD_GRID.knobs}
    works = [work_of(HEAD_GRID, each, {"knobs": knobs}) for each in (trace, other)]
    assert works[0] is not None
    assert works[1] is not None
    assert works[0].key == works[1].key


def test_before_the_probe_is_there_the_panels_say_so(trace: Trace) -> None:
    for panel in (HEAD_GRID, HEAD_ATLAS):
        assert "when the probe of these weights is done" in shown(panel, trace, None).foot
    heat = shown(HEAD_ATLAS, trace, None).figure.data[0]
    assert np.isnan(heat.z[:, 3:]).all()
    assert not np.isnan(heat.z[:, :2]).any()


def test_maps_show_the_scores_of_prompt_and_probe(trace: Trace, probed: Mapping[str, np.ndarray]) -> None:
    heat = shown(HEAD_ATLAS, trace, probed, score="induction").figure.data[0]
    np.testing.assert_array_equal(heat.z[:, :2], prompt_scores(trace).induction)
    np.testing.assert_array_equal(heat.z[:, 3:], probed["induction"])
    copying = shown(HEAD_ATLAS, trace, probed, score="copying").figure.data[0]
    np.testing.assert_array_equal(copying.z, probed["copying"])


@pytest.mark.parametrize(("units", "per_nat"), [("nats", 1), ("bits", 1 / np.log(2))])
def test_entropies_are_told_in_the_unit_of_the_page(
    trace: Trace, probed: Mapping[str, np.ndarray], units: str, per_nat: float
) -> None:
    maps = shown(HEAD_ATLAS, trace, probed, score="entropy_nats", units=units)
    entropies = prompt_scores(trace).entropy_nats * per_nat
    np.testing.assert_allclose(maps.figure.data[0].z[:, :2], entropies, rtol=1e-12)
    assert maps.figure.data[0].text[1][0].endswith(f", {entropies[1, 0]:.3g} {units}")
    assert f"0 to {max(entropies.max(), probed['entropy_nats'].max() * per_nat):.3g} {units}." in maps.foot
    table = shown(HEAD_ATLAS, trace, probed, show="table", units=units).figure.data[0]
    assert any(said.endswith(f" {units}") and "entropy, here" in said for said in table.text[0])


def test_the_table_is_sorted_and_filtered(trace: Trace, probed: Mapping[str, np.ndarray]) -> None:
    result = named(probed, previous=[0.1, 0.9, 0.5, 0.2, 0.3, 0], duplicate=[0] * 6, induction=[0] * 6, first=[0] * 6)
    chosen = {"show": "table", "on": "probe"}
    table = shown(HEAD_ATLAS, trace, result, **chosen)
    assert [row[0] for row in table.figure.data[0].customdata] == [[0, 1], [1, 0], [2, 0], [1, 1], [0, 0], [2, 1]]
    assert table.figure.layout.yaxis.ticktext[0] == "0.1 P"
    assert "sorted by token before on the probe" in table.foot
    some = shown(HEAD_ATLAS, trace, result, only="named", **chosen)
    assert [row[0] for row in some.figure.data[0].customdata] == [[0, 1], [1, 0]]
    layer = shown(HEAD_ATLAS, trace, result, only="layer", layer=2, **chosen)
    assert [row[0] for row in layer.figure.data[0].customdata] == [[2, 0], [2, 1]]
    assert "No layer is selected" in shown(HEAD_ATLAS, trace, result, only="layer", **chosen).foot


def test_the_grid_is_sorted_filtered_and_lettered(
    trace: Trace, probed: Mapping[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = named(probed, previous=[0] * 6, duplicate=[0] * 6, induction=[0, 0, 0.5, 0, 0, 0.6], first=[0] * 6)
    by_layer = shown(HEAD_GRID, trace, result)
    assert list(by_layer.figure.data[2].text) == ["<b>I</b>", "<b>I</b>"]
    assert "Letters are kinds of heads" in by_layer.foot
    named_only = shown(HEAD_GRID, trace, result, only="named")
    assert named_only.figure.data[0].customdata == ([[1, 0], [2, 1]],)
    ordered = shown(HEAD_GRID, trace, result, order="first")
    values = prompt_scores(trace).first
    found = [values[layer, head] for row in ordered.figure.data[0].customdata for layer, head in row]
    assert found == sorted(found, reverse=True)
    assert "Sorted by first token on this prompt" in ordered.foot
    monkeypatch.setattr("dashapp.panels.head_grid.N_TOP", 3)
    strongest = shown(HEAD_GRID, trace, result, order="first", only="top")
    some = [head for row in strongest.figure.data[0].customdata for head in row if head is not None]
    assert [values[layer, head] for layer, head in some] == sorted(values.ravel().tolist(), reverse=True)[:3]
    assert "Only the first 3 are shown." in strongest.foot
    assert "All heads are shown" in shown(HEAD_GRID, trace, result, only="top").foot


def test_no_name_is_made_up(trace: Trace, probed: Mapping[str, np.ndarray]) -> None:
    nobody = HeadProbe.from_arrays(named(probed, **{kind: [0.39] * 6 for kind in ("previous", "duplicate")}))
    quiet = KindScores(**{name: np.zeros((3, 2)) for name in KindScores.__dataclass_fields__})
    probe = HeadProbe(scores=quiet, copying=nobody.copying, n_block=6, loss=5.33186)
    assert head_names(trace, probe) == {}  # the loss of GPT-2 small, in another shape
    assert said_of_names({}, probe).startswith("No head has a name")


def test_published_roles_are_told_of_gpt2_small_alone_and_with_their_source(probed: Mapping[str, np.ndarray]) -> None:
    small = Trace({}, {"config": "{}", "fingerprint": "f", "model": "gpt2", "dtype": "float32"})
    scores = KindScores(**{name: np.zeros((12, 12)) for name in KindScores.__dataclass_fields__})
    scores.induction[6, 9] = 0.926
    probe = HeadProbe(scores=scores, copying=np.zeros((12, 12)), n_block=100, loss=5.331855773925781)
    names = head_names(small, probe)
    assert len(names) == 26
    assert names[Head(layer=9, head=9)] == HeadName(letter="N", measured="", published="name mover")
    assert names[Head(layer=6, head=9)].words == (
        "induction head (0.93 on the probe), induction head (Wang et al. 2022)"
    )
    assert "Wang et al. 2022" in said_of_names(names, probe)


def test_scores_of_a_few_prompts_are_kept(text_model: GPT2) -> None:
    for i in range(MOST_KEPT + 2):
        prompt_scores(dashapp.trace(text_model, f"prompt {i}", cache=False))
    assert len(_kept) == MOST_KEPT
