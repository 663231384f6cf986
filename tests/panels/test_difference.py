"""A panel as a − b: every panel that has one, against the tables of both; and what leaves it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from dash import no_update
from flask import current_app

from dashapp.analysis.alignment import NONE, Pins, align
from dashapp.analysis.table import MEASURE, Table
from dashapp.figures.difference import MOST_CELLS, block_of, difference_figure
from dashapp.figures.theme import Frame
from dashapp.jobs.works import WORKS, Work, WorkState
from dashapp.panels.catalogue import PAIR_PANELS, PANELS, ask_for_work
from dashapp.panels.difference import WAITS
from dashapp.panels.drawing import drawn_for
from dashapp.panels.panel import Panel
from dashapp.panels.source import Source
from dashapp.panels.takeaway import Subtracted, shown_by, shown_of
from dashapp.traces.record import Trace
from tests.panels.test_takeaway import DOCUMENTED, computed, imports_of, result_of, view_of

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2
    from dashapp.settings import Settings

EDITS = "3-2.b4"  # of the alignment
WITH_ONE = [name for name, panel in PANELS.items() if panel.difference is not None]


def view_of_b(panel: Panel, traces: tuple[Trace, Trace], **turned: Any) -> dict[str, Any]:
    """A view of slot b beside slot a that asks for a − b; both with the same selection."""
    of_a = view_of(panel, traces, turned)
    names = ("pos", "key_pos", "layer", "head", "neuron", "target", "against", "n_prompt", "drawn_with", "branches")
    beside = {"key": traces[0].key, **{name: of_a[name] for name in names}}
    return of_a | {"key": traces[1].key, "knobs": of_a["knobs"] | {"minus": "difference"}, "beside": beside}


def do_works(panel: Panel, traces: tuple[Trace, Trace], view: dict[str, Any], model: GPT2) -> None:
    for trace in traces:
        shown = shown_of(panel, trace, view)
        if shown.work is not None and shown.awaits:
            Source.here().store.put_result(shown.work.key, result_of(shown.work, traces, model))


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(("name", "pins"), [*((name, "") for name in WITH_ONE), ("head-pattern", EDITS)])
def test_what_is_drawn_is_the_table_of_a_less_that_of_b(
    name: str,
    pins: str,
    traces: tuple[Trace, Trace],
    folder_model: GPT2,
) -> None:
    panel = PANELS[name]
    view = view_of_b(panel, traces) | {"pins": pins}
    do_works(panel, traces, view, folder_model)
    shown, _form = shown_by({"panel": name, "view": view, "as": "csv"})
    assert isinstance(shown, Subtracted)
    table, of_a, of_b = shown.table(), shown.of_a.table(), shown.of_b.table()
    figure = drawn_for(panel, traces[1], view).figure
    assert figure.layout.meta["slot"] == "a"
    drawn = figure.data[0]
    values = np.asarray(drawn.y if drawn.type == "bar" else drawn.z, dtype=np.float64)
    np.testing.assert_allclose(np.nan_to_num(values), np.nan_to_num(table.values), rtol=1e-5, atol=1e-6)
    lookup = dict(_cells(of_b, shown.measure))
    aligned = align(traces[0].token_ids, traces[1].token_ids, Pins.read(pins))
    n_compared = 0
    for labels, value in _cells(of_a, shown.measure):
        other = tuple(_label_in_b(label, traces, aligned.b_of_a) for label in labels)
        found = table.values[_place(table, labels)]
        if other in lookup:
            n_compared += 1
            assert found == pytest.approx(value - lookup[other], nan_ok=True)
        else:
            assert np.isnan(found)
    assert n_compared


def _cells(table: Table, measure: str) -> list[tuple[tuple[str, ...], float]]:
    """Each number of a table by the labels of its place, of one measure."""
    names, axes = [*table.axes], [*table.axes.values()]
    cells = []
    for place in np.ndindex(table.values.shape):
        labels = {name: axes[i][place[i]] for i, name in enumerate(names)}
        if not measure or labels.pop(MEASURE) == measure:
            cells.append((tuple(labels.values()), float(table.values[place])))
    return cells


def _label_in_b(label: str, traces: tuple[Trace, Trace], b_of_a: np.ndarray) -> str:
    """What a label of a is called in b: a token by its counterpart, anything else the same."""
    for pos, text in enumerate(traces[0].token_texts):
        if label == f"{pos} {text!r}" and not label.isdigit():
            other = int(b_of_a[pos])
            return "" if other == NONE else f"{other} {traces[1].token_texts[other]!r}"
    return label


def _place(table: Table, labels: tuple[str, ...]) -> tuple[int, ...]:
    return tuple([*axis].index(label) for axis, label in zip(table.axes.values(), labels, strict=True))


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(
    "shown", [("head-pattern", ""), ("head-pattern", EDITS), ("gelu", ""), ("heads-together", ""), ("head-atlas", "")]
)
def test_python_of_a_difference_computes_it(
    shown: tuple[str, str],
    traces: tuple[Trace, Trace],
    folder_model: GPT2,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (name, pins), panel = shown, PANELS[shown[0]]
    view = view_of_b(panel, traces) | {"pins": pins}
    do_works(panel, traces, view, folder_model)
    difference, _form = shown_by({"panel": name, "view": view, "as": "python"})
    found, figure = computed(difference.python(), settings, monkeypatch)
    np.testing.assert_array_equal(found.values, difference.table().values)
    assert found.quantity == difference.table().quantity
    assert figure is not None
    drawn, page = (json.loads(each.to_json()) for each in (figure, drawn_for(panel, traces[1], view).figure))
    assert drawn["data"] == page["data"]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("name", WITH_ONE)
def test_python_of_a_difference_imports_what_is_documented_for_everybody(
    name: str, traces: tuple[Trace, Trace]
) -> None:
    shown, _form = shown_by({"panel": name, "view": view_of_b(PANELS[name], traces), "as": "python"})
    ours = {module for module in imports_of(shown.python()) if module.startswith("dashapp")}
    assert {module for module in ours if not module.startswith(DOCUMENTED)} == {"dashapp"}


@pytest.mark.usefixtures("context")
def test_a_difference_awaits_b_and_then_a_and_is_drawn_when_both_are_there(
    traces: tuple[Trace, Trace], folder_model: GPT2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser names the work that its figure awaits, and is sent the next figure when that one is there."""
    panel, store, part = PANELS["token-origins"], Source.here().store, {"panel": "token-origins", "slot": "b"}
    view = view_of_b(panel, traces, **{"method=": "flow", "pos": 4})
    of_b, of_a = (shown_of(panel, trace, view).work for trace in reversed(traces))
    assert of_b is not None
    assert of_a is not None
    running = WorkState(phase="running", doing="computing", share=0.5)

    def asked_while(*known: Work) -> tuple[dict[str, Any], Any, Any]:
        def answer(work: Work, *_others: object) -> WorkState:
            return WorkState(phase="done") if work in known else running

        monkeypatch.setattr(current_app.extensions[WORKS], "ask", answer)
        with current_app.test_request_context():
            return ask_for_work({"do": "ask", "asker": "x", "awaits": awaits()}, view, part)

    def awaits() -> Any:
        return figures[-1].layout.meta["awaits"]

    figures = [drawn_for(panel, traces[1], view).figure]
    assert awaits() == of_b.key
    assert asked_while()[1] is no_update
    store.put_result(of_b.key, result_of(of_b, traces, folder_model))
    state, figure, foot = asked_while(of_b)
    assert (state["key"], state["phase"], foot) == (of_a.key, "running", WAITS)
    figures.append(figure)
    assert awaits() == of_a.key
    assert not figure.data
    assert asked_while(of_b)[1] is no_update
    store.put_result(of_a.key, result_of(of_a, traces, folder_model))
    state, figure, foot = asked_while(of_b, of_a)
    assert state["phase"] == "done"
    assert "awaits" not in figure.layout.meta
    assert figure.data
    assert foot.startswith("a − b of flow")


@pytest.mark.usefixtures("context")
def test_a_prompt_beside_itself_differs_nowhere(traces: tuple[Trace, Trace]) -> None:
    panel, same = PANELS["head-pattern"], (traces[0], traces[0])
    drawn = drawn_for(panel, traces[0], view_of_b(panel, same))
    assert "nothing differs" in drawn.foot
    assert not np.asarray(drawn.figure.data[0].z).any()


def test_large_maps_show_the_largest_of_blocks() -> None:
    rng = np.random.default_rng(0)
    n = 700
    values = rng.standard_normal((n, n))
    names = [str(place) for place in range(n)]
    table = Table("q", values, {"query": names, "key": names})
    block = block_of(table)
    texts = ["x"] * n
    figure = difference_figure(table, texts=texts, is_of_tokens=[False, False], frame=Frame(theme="light"))
    z = np.asarray(figure.data[0].z)
    assert z.size <= MOST_CELLS
    some = values[block : 2 * block, 3 * block : 4 * block]
    assert z[1, 3] == pytest.approx(some.flat[np.abs(some).argmax()], rel=1e-6)
    last = values[block * (z.shape[0] - 1) :, block * (z.shape[1] - 1) :]  # what is left over at the end
    assert z[-1, -1] == pytest.approx(last.flat[np.abs(last).argmax()], rel=1e-6)


def test_what_is_behind_a_panel_of_pairs_is_a_panel_of_that_title() -> None:
    for panel in PAIR_PANELS.values():
        for name, title in panel.behind.items():
            assert PANELS[name].title == title


def test_heads_that_b_does_not_have_are_no_zeros() -> None:
    values = np.array([[0.5, -0.25], [np.nan, np.nan]])
    table = Table("q", values, {"layer": ["0", "1"], "head": ["0", "1"]})
    figure = difference_figure(table, texts=["x"], is_of_tokens=[False, False], frame=Frame(theme="light"))
    np.testing.assert_array_equal(np.asarray(figure.data[0].z), values)
