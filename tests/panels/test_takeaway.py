"""What is taken away of every panel: its numbers are those drawn, and its Python computes them anew."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dashapp.analysis.rollout import attention_flow, rollout
from dashapp.analysis.table import Table
from dashapp.errors import NotThereYet, OtherPlaces
from dashapp.experiments.interventions import ablate, estimate_patches, patch, patch_one
from dashapp.figures import plot
from dashapp.jobs.checks import check_among
from dashapp.jobs.heads import probe_among
from dashapp.jobs.lens_map import change_arrays, lens_arrays
from dashapp.jobs.parity import compare_trace
from dashapp.jobs.paths import paths_of_trace
from dashapp.jobs.works import KINDS, Work
from dashapp.panels.catalogue import PAIR_PANELS, PANELS
from dashapp.panels.panel import Panel, draw, work_of
from dashapp.panels.snippet import WORKS
from dashapp.panels.source import Source
from dashapp.panels.takeaway import shown_by
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from flask.testing import FlaskClient

    from dashapp.model.gpt2 import GPT2
    from dashapp.settings import Settings

ALL = PANELS | PAIR_PANELS
DOCUMENTED = ("dashapp.analysis.", "dashapp.experiments.", "dashapp.figures.", "dashapp.errors")
TAKEN = {name: panel for name, panel in ALL.items() if panel.numbers}


def view_of(panel: Panel, traces: tuple[Trace, Trace], turned: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A view as the browser sends it; turned: what is not as at first, knobs with a "=" after their names."""
    (a, b), turned = traces, turned or {}
    knobs = {knob.name: turned.get(f"{knob.name}=", knob.default) for knob in panel.knobs}
    chosen = {"pos": 5, "key_pos": 2, "layer": 1, "head": 1, "neuron": 3, "target": 262, "against": 11, "n_prompt": 6}
    looks = {"theme": "light", "text": 1, "units": "bits", "narrow": False, "drawn_with": None, "branches": None}
    chosen, looks = ({name: turned.get(name, value) for name, value in of.items()} for of in (chosen, looks))
    view = {"key": a.key, **looks, **chosen, "knobs": knobs, "beside": None}
    decided = {"pins": turned["pins"]} if "pins" in turned else {}
    return view | ({"beside": {"key": b.key, **chosen}, **decided} if panel.pairs else {})


def turns(panel: Panel) -> Iterator[dict[str, Any]]:
    """Every option of each knob in turn, a selection of nothing, and the other unit on a telephone."""
    yield {}
    yield {"key_pos": None, "layer": None, "head": None, "neuron": None, "target": None, "against": None}
    yield {"units": "nats", "narrow": True}
    if "pins" in panel.reads:
        yield {"pins": "3-2.b4"}
    for knob in panel.knobs:
        for option in knob.options:
            if option != knob.default:
                yield {f"{knob.name}=": option}


def imports_of(python: str) -> Iterator[str]:
    """The modules that a program imports from."""
    for node in ast.walk(ast.parse(python)):
        if isinstance(node, ast.ImportFrom):
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def result_of(work: Work, traces: tuple[Trace, Trace], model: GPT2) -> dict[str, np.ndarray]:
    """What its job would leave, by the job's own functions."""
    (trace,) = (each for each in traces if each.key == work.trace)
    models, nothing, arguments = Source.here().models, lambda share: None, dict(work.arguments)
    match work.kind:
        case "lens":
            return lens_arrays(trace, nothing, models=models, **arguments)
        case "lens-change":
            del arguments["other"]
            return change_arrays(*traces, nothing, models=models, **arguments)
        case "heads":
            return probe_among(trace, nothing, models=models)
        case "parity" | "checks":
            compare = compare_trace if work.kind == "parity" else check_among
            return compare(trace, nothing, models=models, **arguments)
        case "patching" | "estimate" | "cell" | "ablation":
            do = {"patching": patch, "estimate": estimate_patches, "cell": patch_one, "ablation": ablate}[work.kind]
            return do(model, trace, nothing, **arguments)  # type: ignore[operator]
        case "paths":
            return paths_of_trace(trace, nothing, **arguments)
        case "rollout" | "flow":
            is_flow = work.kind == "flow"
            return {"flow": attention_flow(trace, **arguments)} if is_flow else rollout(trace, **arguments)
        case "vocabulary" | "umap":  # any points: UMAP itself takes half a minute to compile
            n = trace.n_tokens if work.kind == "umap" else trace.config.d_vocab
            return {"points": np.random.default_rng(0).standard_normal((n, 2)).astype(np.float32)}
    raise AssertionError(work.kind)


def taken(panel: Panel, view: Mapping[str, Any], traces: tuple[Trace, Trace], model: GPT2) -> tuple[Table, str]:
    """The table of a view and its Python, its work done first."""
    shown, _form = shown_by({"panel": panel.name, "view": view, "as": "csv"})
    if shown.work is not None and shown.awaits:
        Source.here().store.put_result(shown.work.key, result_of(shown.work, traces, model))
    return shown.table(), shown.python()


def computed(python: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> tuple[Table, go.Figure | None]:
    """What the Python of a figure computes and draws, run as anybody runs it, in an empty namespace."""
    monkeypatch.setenv("DASHAPP_CACHE_DIR", str(settings.cache_dir))
    monkeypatch.setenv("DASHAPP_MODELS_DIR", str(settings.model.rsplit("/", 1)[0]))
    space: dict[str, Any] = {}
    exec(compile(python, "taken", "exec"), space)
    return space["table"], space.get("figure")


def drawn_as(panel: Panel, view: Mapping[str, Any], traces: tuple[Trace, Trace]) -> plot.Figure:
    """The figure that the page has of a view, with the result of the work that its table needs."""
    other = traces[1] if panel.pairs else None
    shown, _form = shown_by({"panel": panel.name, "view": view, "as": "csv"})
    result = Source.here().store.get_result(shown.work.key) if shown.work and shown.awaits else None
    return draw(panel, traces[0], view, result=result, other=other).figure


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("name", TAKEN)
def test_python_of_a_figure_computes_its_numbers(
    name: str, traces: tuple[Trace, Trace], folder_model: GPT2, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last digit: the same functions on the same machine; NaN where nothing is."""
    panel = TAKEN[name]
    for turned in turns(panel):
        view = view_of(panel, traces, turned)
        if turned.get("method=") == "umap":
            continue  # of which the points above are not
        try:
            table, python = taken(panel, view, traces, folder_model)
        except (OtherPlaces, NotThereYet):  # patterns of prompts that are not straight; no work chosen
            continue
        anew, figure = computed(python, settings, monkeypatch)
        assert anew.quantity == table.quantity, turned
        assert dict(anew.axes) == dict(table.axes), turned
        if (
            "parity" in name or turned.get("depth=") == "all"
        ):  # rounding of two programs depends on the number of threads
            continue
        np.testing.assert_array_equal(anew.values, table.values, err_msg=str(turned))
        assert figure is not None
        assert json.loads(figure.to_json()) == json.loads(drawn_as(panel, view, traces).to_json()), turned


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("name", TAKEN)
def test_python_of_a_figure_imports_what_is_documented_for_everybody(name: str, traces: tuple[Trace, Trace]) -> None:
    """Nothing of panels, jobs or models, at any knob: what panels define themselves is written out."""
    n_seen = 0
    for turned in turns(TAKEN[name]):
        try:
            shown, _form = shown_by({"panel": name, "view": view_of(TAKEN[name], traces, turned), "as": "python"})
            python = shown.python()
        except (OtherPlaces, NotThereYet):
            continue
        ours = {module for module in imports_of(python) if module.startswith("dashapp")}
        assert {module for module in ours if not module.startswith(DOCUMENTED)} == {"dashapp"}, turned
        n_seen += 1
    assert n_seen


# Where a figure has other numbers than its table on purpose.
OTHERWISE = {
    "head-grid": "a picture under a heatmap without colours",
    "sampler": "bars of groups of tokens",
    "head-atlas": "shares of a column's largest value",
    "parity": "its quotients",
    "checks": "its quotients",
    "gelu": "points, no bars",
    "vocabulary-map": "WebGL",
    "layer-steps": "points of a layer, made to fill the map",
    "token-lines": "ribbons as wide as weights",
    "neuron": "its bars are of the vocabulary, its table of the text",
}


# Figures of points and lines, of which the table has the places.
PLACES = ("vector-map", "vector-paths", "position-curve", "position-lines")


def drawn_values(figure: go.Figure, *, has_places: bool) -> np.ndarray:
    """All finite numbers of heatmaps and along bars; or the heights of points in the plane."""
    found = [np.empty(0)]
    for trace in figure.data:
        if trace.type == "heatmap":
            found.append(np.asarray(trace.z, dtype=np.float64).ravel())
        if trace.type == "scatter" and has_places:
            found.append(np.asarray(trace.y, dtype=np.float64).ravel())
        if trace.type == "bar":
            found.append(np.asarray(trace.x if trace.orientation == "h" else trace.y, dtype=np.float64).ravel())
    values = np.concatenate(found)
    return values[np.isfinite(values)]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("name", [name for name in TAKEN if name not in OTHERWISE])
def test_what_is_drawn_is_in_the_table(name: str, traces: tuple[Trace, Trace], folder_model: GPT2) -> None:
    """Each number of a heatmap or bar, up to float32; 0 may also stand for nothing."""
    panel = TAKEN[name]
    n_compared = 0
    for turned in turns(panel):
        if turned in ({"against=": "others"}, {"colour=": "rank"}, {"shown=": "scale"}):  # a quotient, logarithms
            continue
        view = view_of(panel, traces, turned)
        try:
            table, _python = taken(panel, view, traces, folder_model)
        except (OtherPlaces, NotThereYet):
            continue
        work = work_of(panel, traces[0], view, traces[1] if panel.pairs else None)
        result = Source.here().store.get_result(work.key) if work else None
        other = traces[1] if panel.pairs else None
        drawn = drawn_values(draw(panel, traces[0], view, result=result, other=other).figure, has_places=name in PLACES)
        values = np.append(np.asarray(table.values, dtype=np.float64).ravel(), 0.0)
        values = np.sort(values[np.isfinite(values)])
        near = values[np.clip(np.searchsorted(values, drawn), 0, len(values) - 1)]
        below = values[np.clip(np.searchsorted(values, drawn) - 1, 0, len(values) - 1)]
        away = np.minimum(np.abs(near - drawn), np.abs(below - drawn))
        assert (away <= 1e-5 * np.maximum(1, np.abs(drawn))).all(), (turned, drawn[away.argmax()])
        n_compared += len(drawn)
    assert n_compared


@pytest.mark.usefixtures("context")
def test_a_pattern_is_the_models_own_by_another_route(folder_model: GPT2, traces: tuple[Trace, Trace]) -> None:
    """Against softmax(q kᵀ / √d) of the stored q and k, float64; rows are labelled by token."""
    trace = traces[0]
    view = view_of(PANELS["head-pattern"], traces)
    table = taken(PANELS["head-pattern"], view, traces, folder_model)[0]
    q, k = (part[1, 1].astype(np.float64) for part in (trace.q, trace.k))
    scores = np.where(np.tri(len(q), dtype=bool), q @ k.T / np.sqrt(trace.config.d_head), -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(table.values, weights / weights.sum(axis=1, keepdims=True), rtol=2e-5, atol=1e-7)
    assert table.axes["query"][1:3] == ["1 'a'", "2 ' b'"]


@pytest.mark.usefixtures("context")
def test_numbers_that_a_job_computes_are_said_not_to_be_there(traces: tuple[Trace, Trace], client: FlaskClient) -> None:
    trace = traces[0]
    lens = view_of(PANELS["lens-map"], traces, {"scale=": "frozen", "target": 7, "colour=": "rank"})
    shown, _form = shown_by({"panel": "lens-map", "view": lens, "as": "csv"})
    with pytest.raises(NotThereYet, match="Logit lens"):
        shown.table()
    answer = client.post("/take-away", json={"panel": "lens-map", "view": lens, "as": "npz"})
    assert "wait until the figure is complete." in answer.get_json()["fault"]
    assert "lens_map(trace" in shown.python()  # which computes them itself
    assert trace.key[:16] in shown.python()


@pytest.mark.usefixtures("context")
def test_a_work_that_nobody_has_chosen_has_no_numbers_and_no_python(traces: tuple[Trace, Trace]) -> None:
    shown, _form = shown_by({"panel": "parity", "view": view_of(PANELS["parity"], traces), "as": "csv"})
    for take in (shown.table, shown.python):
        with pytest.raises(NotThereYet, match="Parity with Hugging Face"):
            take()


def test_csv_and_npz_leave_by_a_plain_route(traces: tuple[Trace, Trace], client: FlaskClient) -> None:
    view = view_of(PANELS["head-pattern"], traces)
    answer = client.post("/take-away", json={"panel": "head-pattern", "view": view, "as": "csv"})
    assert answer.mimetype == "text/csv"
    assert f"head-pattern-{traces[0].key[:8]}.csv" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    head, *rows = csv.reader(io.StringIO(answer.get_data(as_text=True), newline=""))
    npz = client.post("/take-away", json={"panel": "head-pattern", "view": view, "as": "npz"})
    with np.load(io.BytesIO(npz.get_data()), allow_pickle=False) as file:
        values, keys = file["values"], file["labels_key"].tolist()
    assert head[1:] == keys
    assert (np.array([[np.float32(cell) for cell in row[1:]] for row in rows]) == values).all()


@pytest.mark.parametrize(
    "change",
    [
        {"panel": "no-such"},
        {"panel": "continuations"},  # which offers no numbers
        {"panel": None},
        {"as": "xlsx"},
        {"as": None},
        {"view": None},
        {"view": {}},
        {"pos": 10_000},
        {"layer": "1; import os"},
        {"knobs": {}},
        {"knobs": {"shade": "__import__('os')", "stage": "pattern", "first": "shown"}},
        {"theme": "blue"},
    ],
)
def test_what_no_page_asks_is_refused(traces: tuple[Trace, Trace], client: FlaskClient, change: dict[str, Any]) -> None:
    asked: dict[str, Any] = {
        "panel": "pattern-detail",
        "view": view_of(PANELS["pattern-detail"], traces),
        "as": "python",
    }
    of_view = {name: value for name, value in change.items() if name not in asked}
    asked |= {name: value for name, value in change.items() if name in asked}
    if of_view:
        asked["view"] |= of_view
    answer = client.post("/take-away", json=asked)
    assert answer.status_code == (200 if change.get("view") == {} else 400)


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "0" * 64, "0" * 63, "G" * 64, None, 7])
def test_a_trace_that_is_not_here_is_said_to_be_gone(
    traces: tuple[Trace, Trace], client: FlaskClient, key: object
) -> None:
    view = view_of(PANELS["head-pattern"], traces) | {"key": key}
    answer = client.post("/take-away", json={"panel": "head-pattern", "view": view, "as": "csv"})
    assert "no longer there" in answer.get_json()["fault"]


def test_a_typed_line_is_quoted_in_the_python(
    traces: tuple[Trace, Trace], client: FlaskClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a person typed stands in it as a string, whatever it says."""
    typed = "');import os#\\"
    view = view_of(PANELS["logit-lens"], traces, {"follow=": typed})
    python = client.post("/take-away", json={"panel": "logit-lens", "view": view, "as": "python"}).get_data(True)
    assert f"follow={typed!r}" in python
    computed(python, settings, monkeypatch)


def test_every_panel_offers_numbers_or_says_why_not() -> None:
    for panel in ALL.values():
        assert bool(panel.numbers) != bool(panel.no_numbers), panel.name
    kinds = {*KINDS} - {"beams", "file"}  # of the tree and of a run that came by a file, which are no panels
    assert {*WORKS} == kinds
