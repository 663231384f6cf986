"""What the web process counts, as Prometheus reads it."""

from __future__ import annotations

import json

import pytest
from dash import Dash
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.visitor import Visitor, view_of
from dashapp import ids
from dashapp.app import METRICS, manager_of
from dashapp.errors import JobTimedOut, StoreUnavailable
from dashapp.jobs.outcome import failure
from dashapp.jobs.request import EXAMPLE
from dashapp.metrics import PATH
from dashapp.model.gpt2 import GPT2
from dashapp.panels.source import Source
from dashapp.traces.names import trace_bytes

Samples = dict[tuple[str, str], float]  # (name, its labels' values in the order of their names) → value


def told(client: FlaskClient) -> Samples:
    """All numbers, as a program reads them."""
    response = client.get(PATH)
    assert response.status_code == 200
    families = text_string_to_metric_families(response.text)
    return {
        (each.name, " ".join(each.labels[of] for of in sorted(each.labels))): each.value
        for family in families
        for each in family.samples
    }


def grown(before: Samples, after: Samples, name: str, labels: str = "") -> float:
    return after.get((name, labels), 0) - before.get((name, labels), 0)


def ask(client: FlaskClient, request: object) -> None:
    name = ids.of(ids.ANSWER, "a")
    inputs = [
        {"id": ids.of(ids.REQUEST, "a"), "property": "data", "value": request},
        {"id": ids.of(ids.ASK, "a"), "property": "data", "value": None},
    ]
    body = {
        "output": f"{name}.data",
        "outputs": {"id": name, "property": "data"},
        "inputs": inputs,
        "changedPropIds": [f"{ids.of(ids.REQUEST, 'a')}.data"],
    }
    assert client.post("/_dash-update-component", json=body).status_code == 200


def test_answers_are_counted_by_kind_and_timed_by_callback(app: Dash, client: FlaskClient) -> None:
    client.get("/")
    before = told(client)
    ask(client, EXAMPLE.as_json() | {"id": "e" * 32, "model": "tiny", "prompt": "Hi", "temperature": -1})
    after = told(client)
    assert grown(before, after, "dashapp_answers_total", "refused") == 1
    timed = f"{ids.of(ids.ANSWER, 'a')}.data /_dash-update-component"
    assert grown(before, after, "dashapp_answer_seconds_count", timed) == 1
    assert grown(before, after, "dashapp_answer_seconds_sum", timed) > 0
    assert grown(before, after, "dashapp_answer_seconds_count", f" {PATH}") == 1


def test_runs_are_counted_with_their_seconds_and_bytes(app: Dash, client: FlaskClient, text_model: GPT2) -> None:
    before = told(client)
    with app.server.app_context():
        name = Source.here().weights.name
        outcome = {"id": "x", "status": "done", "model": name, "seconds": 1.5, "tokens": ["a"] * 7}
        manager_of(app).on_outcome(outcome)
        manager_of(app).on_outcome(failure("y", JobTimedOut(3)))
    after = told(client)
    assert grown(before, after, "dashapp_jobs_ended_total", " done") == 1
    assert grown(before, after, "dashapp_jobs_ended_total", "JobTimedOut failed") == 1
    assert grown(before, after, "dashapp_run_seconds_sum", name) == 1.5
    assert grown(before, after, "dashapp_trace_bytes_sum", name) == trace_bytes(text_model.config, 7)


def test_the_queue_and_the_cache_are_told_as_they_are_now(app: Dash, client: FlaskClient) -> None:
    manager = manager_of(app)
    before = told(client)
    manager.admission.place("f" * 32, n_running=99, now=10**9)
    try:
        assert told(client)["dashapp_jobs_waiting", ""] >= 0
    finally:
        manager.admission.leave("f" * 32)
    with app.server.app_context():
        store = Source.here().store
    assert before["dashapp_store_limit_bytes", ""] == store.size_limit_bytes
    assert before["dashapp_store_traces", ""] == store.stats().n_traces
    assert before["dashapp_store_evicted", ""] == store.stats().n_evicted
    assert {"dashapp_jobs_running", "dashapp_works_running", "dashapp_works_waiting"} <= {name for name, _ in before}


def test_a_cache_that_cannot_be_read_costs_its_numbers_alone(
    app: Dash, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_: object) -> object:
        raise StoreUnavailable("/cache", "gone")

    monkeypatch.setattr("dashapp.store.disk.TraceStore.stats", unreadable)
    found = told(client)
    assert str(found["dashapp_store_bytes", ""]) == "nan"
    assert found["dashapp_jobs_running", ""] >= 0


def test_a_figure_is_timed_under_its_panel(client: FlaskClient) -> None:
    def send(path: str, body: bytes | None) -> tuple[int, bytes]:
        response = client.open(path, method="POST" if body else "GET", data=body, content_type="application/json")
        return response.status_code, response.data

    visitor = Visitor(send)
    visitor.open()
    before = told(client)
    view = view_of("head-grid", {"trace": "0" * 64, "n_prompt": 1})
    assert any("no longer in the cache" in str(part) for part in visitor.draw("head-grid", view).values())
    counted = grown(before, told(client), "dashapp_answer_seconds_count", "head-grid /_dash-update-component")
    assert counted == 1


def test_no_label_holds_what_somebody_wrote(app: Dash, client: FlaskClient) -> None:
    for body in ({"output": "made-up.data"}, {"output": 3}, [], "x"):
        response = client.post("/_dash-update-component", data=json.dumps(body), content_type="application/json")
        assert response.status_code == 400
    client.get("/a-made-up-address?prompt=mine")
    text = client.get(PATH).text
    assert "made-up" not in text
    assert "mine" not in text
    assert METRICS in app.server.extensions
