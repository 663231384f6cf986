"""A panel that awaits a work: drawn without its result, then with it, and told how it fares meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dash import no_update
from dash.exceptions import PreventUpdate
from flask import Flask

from dashapp.door.visitors import tell_visitors_apart
from dashapp.figures import plot
from dashapp.figures.theme import Frame
from dashapp.jobs.works import WORKS, Seen, Work, Works
from dashapp.model.opened import Models
from dashapp.model.weights import Weights
from dashapp.panels import catalogue
from dashapp.panels.awaiting import order_of, parts
from dashapp.panels.catalogue import ask_for_work, draw_panel
from dashapp.panels.panel import Drawn, Knob, Panel, layout, work_of
from dashapp.panels.source import Source
from dashapp.panels.vector_map import FEWEST, VECTOR_MAP
from dashapp.store.disk import TraceStore
from dashapp.traces.record import Trace
from tests.store.made import made_trace

VIEW = {"theme": "light", "text": 1, "narrow": False, "knobs": {"how": "slow"}, "layer": None}
ID = {"type": "view", "panel": "small", "slot": "a"}
ASK = {"do": "ask", "asker": "page-small-a", "at": 1.5}


def draw_small(
    trace: Trace, *, layer: int | None, how: str, frame: Frame, result: Mapping[str, np.ndarray] | None
) -> Drawn:
    drawn = [0.0] if result is None else result["points"].tolist()
    return Drawn(figure=plot.Figure([plot.Scatter(y=drawn)], {"meta": {"summary": "Small."}}), foot=how)


def work_small(trace: Trace, *, layer: int | None, how: str) -> Work | None:
    return Work(kind="umap", trace=trace.key, arguments={"layer": layer}) if how == "slow" else None


SMALL = Panel(
    name="small",
    title="Small",
    question="Is it there?",
    about=("Nothing.",),
    draw=draw_small,
    work=work_small,
    reads=("layer",),
    knobs=(Knob(name="how", label="How", options={"slow": "slowly", "quick": "at once"}),),
)


class Bench:
    """Begins everything and ends nothing, until it is told."""

    def __init__(self) -> None:
        self.works: dict[str, Seen] = {}

    def has_room(self, home: str | None) -> bool:
        return True

    def begin_work(self, order: Mapping[str, Any], home: str | None) -> None:
        self.works[order["id"]] = Seen(told=None, outcome=None, is_alive=True)

    def see(self, key: str) -> Seen:
        return self.works[key]

    def ask_to_stop(self, request_id: str) -> None: ...

    def end_work(self, key: str) -> None: ...

    def forget_work(self, key: str) -> None: ...


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def store(tmp_path: Path) -> TraceStore:
    kept = TraceStore(tmp_path, size_limit_bytes=10**7)
    kept.put_trace(made_trace())
    return kept


@pytest.fixture(autouse=True)
def app(bench: Bench, store: TraceStore, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An app with one small panel, whose bench does nothing."""
    monkeypatch.setitem(catalogue.PANELS, "small", SMALL)
    server = Flask("test")
    tell_visitors_apart(server, port=8050, n_proxies=0)
    models = Models(Weights.open(model_folder), dtype="float32")
    Source(models=models, store=store, dtype="float32", device="cpu").install(server)
    desk = server.extensions[WORKS] = Works(bench, store)
    with server.test_request_context():
        yield
    with desk._lock:
        desk._entries.clear()


def view(**change: object) -> dict[str, Any]:
    return {"key": made_trace().key, **VIEW, **change}


def meta(figure: Any) -> dict[str, Any]:
    return dict(json.loads(figure.to_json())["layout"]["meta"])


def the_work() -> Work:
    found = work_of(SMALL, made_trace(), view())
    assert found is not None
    return found


def test_a_figure_says_which_work_would_complete_it_and_keeps_what_it_said() -> None:
    figure, foot, fault = draw_panel(view(), ID)
    assert (meta(figure), foot, fault) == ({"summary": "Small.", "awaits": the_work().key, "starts": False}, "slow", "")
    assert list(figure.data[0].y) == [0.0]


def test_a_figure_that_needs_no_work_awaits_none() -> None:
    assert "awaits" not in meta(draw_panel(view(knobs={"how": "quick"}), ID)[0])


def test_a_figure_whose_result_is_known_is_drawn_with_it_at_once(store: TraceStore) -> None:
    store.put_result(the_work().key, {"points": np.arange(3)})
    figure = draw_panel(view(), ID)[0]
    assert list(figure.data[0].y) == [0, 1, 2]
    assert "awaits" not in meta(figure)


def test_asking_tells_how_it_fares_and_at_the_end_brings_the_figure(store: TraceStore, bench: Bench) -> None:
    state, figure, foot = ask_for_work(ASK, view(), ID)
    assert (state["phase"], state["key"], state["title"], state["at"]) == ("running", the_work().key, "UMAP", ASK["at"])
    assert figure is foot is no_update
    bench.works[the_work().key] = Seen(told={"doing": "computing", "share": 0.5}, outcome=None, is_alive=True)
    state = ask_for_work({**ASK, "at": 12.5}, view(), ID)[0]
    assert (state["doing"], state["share"], state["at"]) == ("computing", 0.5, 12.5)
    store.put_result(the_work().key, {"points": np.arange(3)})
    state, figure, foot = ask_for_work(ASK, view(), ID)
    assert (state["phase"], list(figure.data[0].y), foot) == ("done", [0, 1, 2], "slow")


def test_a_part_of_a_result_is_drawn_once_by_panels_that_draw_parts(
    store: TraceStore, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def has_shown(part: int) -> None:
        store.put_result(the_work().part_key, {"points": np.arange(part)})
        told = {"doing": "computing", "share": part / 9, "part": part}
        bench.works[the_work().key] = Seen(told=told, outcome=None, is_alive=True)

    ask_for_work(ASK, view(), ID)
    has_shown(2)
    assert ask_for_work(ASK, view(), ID)[1] is no_update
    monkeypatch.setitem(catalogue.PANELS, "small", replace(SMALL, draws_parts=True))
    state, figure, foot = ask_for_work(ASK, view(), ID)
    assert (state["phase"], state["part"], list(figure.data[0].y), foot) == ("running", 2, [0, 1], "slow")
    assert meta(figure)["awaits"] == the_work().key
    assert ask_for_work({**ASK, "part": 2}, view(), ID)[1] is no_update
    has_shown(3)
    assert list(ask_for_work({**ASK, "part": 2}, view(), ID)[1].data[0].y) == [0, 1, 2]
    assert list(draw_panel(view(), ID)[0].data[0].y) == [0, 1, 2]  # whoever comes later sees it at once
    assert ask_for_work({**ASK, "part": "2"}, view(), ID)[1] is not no_update  # no page of ours sends this


def test_a_failure_is_told_and_can_be_tried_again(bench: Bench) -> None:
    ask_for_work(ASK, view(), ID)
    said = {"rule": "Rule.", "instance": "Instance.", "remedy": "Remedy."}
    bench.works[the_work().key] = Seen(told=None, outcome={"status": "failed", **said}, is_alive=False)
    state = ask_for_work(ASK, view(), ID)[0]
    assert {name: state[name] for name in ("phase", *said)} == {"phase": "failed", **said}
    assert ask_for_work({**ASK, "do": "retry"}, view(), ID)[0]["phase"] == "running"


def test_cancelling_is_answered() -> None:
    ask_for_work(ASK, view(), ID)
    assert ask_for_work({**ASK, "do": "cancel"}, view(), ID)[0]["phase"] == "cancelled"


@pytest.mark.parametrize(
    "asked",
    [
        None,
        {},
        {"do": "ask"},
        {"do": "close", "asker": "a"},
        {"do": "ask", "asker": 3},
        {"do": "ask", "asker": "a" * 101},
        {"do": "_advance", "asker": "a"},
        [],
    ],
)
def test_what_no_page_of_ours_sends_is_refused(asked: object) -> None:
    with pytest.raises(ValueError, match="asks for a work"):
        order_of(asked)
    with pytest.raises(PreventUpdate):
        ask_for_work(asked, view(), ID)


def test_a_work_is_never_what_a_browser_says_but_what_its_view_says() -> None:
    made_up = {**ASK, "kind": "other", "key": "0" * 64}
    assert ask_for_work(made_up, view(), ID)[0]["key"] == the_work().key
    for wrong in (view(layer=99), view(knobs={"how": "?"}), view(key="0" * 64), view(knobs={"how": "quick"}), None):
        with pytest.raises(PreventUpdate):
            ask_for_work(ASK, wrong, ID)


def test_only_a_panel_with_a_work_has_the_parts_for_one() -> None:
    with_work, without = (
        {str(each.id) for each in layout(panel, "a", {})._traverse() if hasattr(each, "id")}
        for panel in (SMALL, catalogue.PANELS["surprisal"])
    )
    mine = [each for part in parts("small", "a") for each in (part, *part._traverse())]
    work_parts = {str(each.id) for each in mine if hasattr(each, "id")}
    assert len(work_parts) == 9
    assert work_parts <= with_work
    assert not any("work-" in each for each in without)


# The map of tokens, the first panel that has one ----------------------------------------------------------------------


def map_view(**knobs: str) -> dict[str, Any]:
    chosen = {knob.name: knob.default for knob in VECTOR_MAP.knobs} | {"method": "umap"} | knobs
    return {**VIEW, "knobs": chosen, "n_prompt": 2}


def test_the_map_asks_for_umap_only_where_it_is_wanted_and_possible() -> None:
    assert work_of(VECTOR_MAP, made_trace(n_tokens=FEWEST), map_view()) is not None
    assert work_of(VECTOR_MAP, made_trace(n_tokens=FEWEST - 1), map_view()) is None
    assert work_of(VECTOR_MAP, made_trace(), map_view(method="pca")) is None


def test_knobs_of_pca_ask_for_no_other_map_and_those_of_umap_do() -> None:
    keys = {}
    for name, value in {"first": "out", "n_neighbors": "20", "min_dist": "0.8", "seed": "2"}.items():
        found = work_of(VECTOR_MAP, made_trace(), map_view(**{name: value}))
        assert found is not None
        keys[name] = found.key
    plain = work_of(VECTOR_MAP, made_trace(), map_view())
    assert plain is not None
    assert keys["first"] == plain.key
    assert len({*keys.values()}) == 4
