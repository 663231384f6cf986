"""Edits of an alignment by hand: each panel that reads one heeds it, by formulas written out anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from dashapp.analysis.alignment import Pins
from dashapp.analysis.table import MEASURE
from dashapp.errors import OtherPlaces
from dashapp.experiments.sweeps import Places, Sweep
from dashapp.model.tap import Tap
from dashapp.panels.catalogue import PAIR_PANELS
from dashapp.panels.panel import pins_of, work_of
from dashapp.panels.takeaway import shown_by
from dashapp.traces.record import Trace
from tests.panels.test_takeaway import result_of, taken, view_of
from tests.report.asking import page_asked

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from dashapp.model.gpt2 import GPT2

EDITS = "3-2.b4"  # by itself token 3 of a stands for token 3 of b
ALIGNED = [name for name, panel in PAIR_PANELS.items() if "pins" in panel.reads]

pytestmark = pytest.mark.usefixtures("context")


def test_whatever_reads_an_alignment_reads_its_edits() -> None:
    assert {*PAIR_PANELS} - {*ALIGNED} == {"changed-tokens", "changed-neurons"}  # which show two tokens, whichever


@pytest.mark.parametrize("name", ALIGNED)
def test_numbers_change_with_an_edit_and_come_back_without(
    name: str, traces: tuple[Trace, Trace], folder_model: GPT2
) -> None:
    """Resampled at every token, patched at token 2 of b from a; results of works are told apart by their keys."""
    panel = PAIR_PANELS[name]
    turned = {"mode=": "resample"} if name == "ablation" else {"pos": 2} if name == "patch-cell" else {}
    views = [view_of(panel, traces, turned | pins) for pins in ({}, {"pins": EDITS}, {"pins": ""})]
    for view in views:
        view["layer"] = 0
    tables = [taken(panel, view, traces, folder_model)[0].values for view in views]
    assert not np.array_equal(tables[0], tables[1], equal_nan=True)
    np.testing.assert_array_equal(tables[0], tables[2])


def test_surprisal_is_that_of_the_token_that_a_person_named(traces: tuple[Trace, Trace], folder_model: GPT2) -> None:
    """−log₂ softmax of the logits before it, in float64."""
    panel = PAIR_PANELS["changed-surprisal"]
    table = taken(panel, view_of(panel, traces, {"pins": EDITS}), traces, folder_model)[0]
    b, in_b = traces[1], table.values[:, [*table.axes[MEASURE]].index("b")]
    logits = b.logits_at(1).astype(np.float64)
    expected = (np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[b.token_ids[2]]) / np.log(2)
    assert in_b[3] == pytest.approx(expected, rel=1e-5)  # float32 logits
    assert np.isnan(in_b[2])  # which stood for it before


def test_a_patch_takes_what_stands_at_the_token_that_a_person_named(
    traces: tuple[Trace, Trace], folder_model: GPT2
) -> None:
    """Every cell that an edit changes, by a whole pass with the other run's stream put in by hand; float32."""
    a, b = traces
    panel = PAIR_PANELS["patching"]
    view = view_of(panel, traces, {"pins": EDITS}) | {"n_prompt": b.n_tokens}
    view["beside"] = view["beside"] | {"n_prompt": b.n_tokens}
    work = work_of(panel, a, view, b)
    assert work is not None
    assert work.arguments["pins"] == "2-3.a4"  # of target and source
    plain = work_of(panel, a, view | {"pins": ""}, b)
    assert plain is not None
    assert work.key != plain.key
    assert "pins" not in plain.arguments
    found, without = (Sweep.from_arrays(result_of(each, traces, folder_model)) for each in (work, plain))
    answer, other = work.arguments["tokens"]
    for layer in range(a.config.n_layer):

        def put(stream: torch.Tensor, at: int | None, layer: int = layer) -> torch.Tensor:
            if at == layer:
                stream = stream.clone()
                stream[0, 2] = torch.from_numpy(np.array(a.resid_pre[layer, 3]))
            return stream

        with torch.inference_mode():
            ids = torch.from_numpy(b.token_ids.astype(np.int64))[None]
            logits = folder_model(ids, tap=Tap({("resid_pre", layer): put}))[0, -1].double().numpy()
        moved = found.values[0, layer, 2]
        assert moved == pytest.approx(logits[answer] - logits[other], abs=1e-4)  # float32 over two routes
        assert moved != pytest.approx(float(without.values[0, layer, 2]), abs=1e-4)
    assert np.isnan(found.values[0, :, 4]).all()  # alone: nothing takes its place


def test_edits_of_what_was_generated_are_no_part_of_a_patch(traces: tuple[Trace, Trace]) -> None:
    """Both prompts are six tokens: a token paired with one beyond has no counterpart in the other prompt."""
    panel = PAIR_PANELS["patching"]
    a, b = traces
    beyond = work_of(panel, a, view_of(panel, traces, {"pins": f"6-{b.n_tokens - 1}"}), b)
    plain = work_of(panel, a, view_of(panel, traces), b)
    across = work_of(panel, a, view_of(panel, traces, {"pins": "5-6"}), b)
    assert beyond is not None
    assert plain is not None
    assert across is not None
    assert beyond.key == plain.key
    assert across.arguments["pins"] == "b5"


def test_where_prompts_begin_alike_an_edit_makes_a_patch_do_something() -> None:
    ids = np.array([5, 6, 7, 8])
    assert Places.of_ends(ids, ids).changing.tolist() == []
    shifted = Places.of_ends(ids, ids, Pins(pairs=((2, 1),)))
    assert shifted.changing.tolist() == [2, 3]
    assert shifted.n_shared == 2
    assert not shifted.is_straight
    alone = Places.of_ends(ids, ids, Pins(alone_a=(1,)))
    assert (alone.n_shared, alone.refused.tolist()) == (4, [1])


def test_a_pattern_fits_no_tokens_that_were_moved(traces: tuple[Trace, Trace]) -> None:
    panel = PAIR_PANELS["patching"]
    with pytest.raises(OtherPlaces, match="leave their alignment as it is"):
        work_of(panel, traces[0], view_of(panel, traces, {"site=": "pattern", "pins": EDITS}), traces[1])


@pytest.mark.parametrize("pins", ["x", "0-99", "2-3.3-2", 7, ["1-1"], "a" * 10_000])
def test_edits_that_no_page_sends_are_refused(traces: tuple[Trace, Trace], client: FlaskClient, pins: Any) -> None:
    panel = PAIR_PANELS["changed-surprisal"]
    view = view_of(panel, traces) | {"pins": pins}
    with pytest.raises(ValueError, match=r".+") as refused:
        pins_of(view, *traces)
    assert type(refused.value) is ValueError
    asked = {"panel": panel.name, "view": view, "as": "csv"}
    with pytest.raises(ValueError, match=r".+"):
        shown_by(asked)
    assert client.post("/take-away", json=asked).status_code == 400
    page = page_asked(traces[0], "Generation", ["surprisal"])
    page["prompts"]["b"] = page["prompts"]["a"] | {"key": traces[1].key}
    assert client.post("/report", json=page | {"pins": pins}).status_code == 400
    assert client.post("/report", json=page | {"pins": EDITS}).status_code == 200
