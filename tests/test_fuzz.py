"""Nothing that somebody sends makes the server fail: every callback and route asked with what no page of ours sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import dashapp
from dashapp.app import manager_of
from dashapp.jobs.request import EXAMPLE
from dashapp.panels.catalogue import PANELS
from dashapp.panels.source import Source

if TYPE_CHECKING:
    from dash import Dash
    from flask.testing import FlaskClient

    from dashapp.model.gpt2 import GPT2

POST: Final = "/_dash-update-component"
FAST: Final = settings(
    max_examples=300,
    deadline=timedelta(seconds=20),  # a hang, not slowness, on a busy machine too
    derandomize=True,  # what fails here fails again
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
SLOW: Final = settings(FAST, max_examples=10_000, derandomize=False)

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 1, 12, 13, 2**31, 2**63, 10**30]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=20),
    st.sampled_from(["", "../../etc/passwd", "<script>", "a" * 64, "0" * 32, "\u202e\x00", "light", "a", "1", "done"]),
)
JUNK = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def key(app: Dash, text_model: GPT2) -> str:
    """The key of a trace that the app has."""
    trace = dashapp.trace(text_model, "a b c d", cache=False)
    with app.server.app_context():
        Source.here().store.put_trace(trace)
    return trace.key


def right(key: str, panel: str) -> list[dict[str, Any]]:
    """What pages send, for callbacks to be asked with almost that."""
    knobs = {knob.name: knob.default for knob in PANELS[panel].knobs}
    seen = {"pos": 2, "key": 1, "layer": 1, "head": 0, "neuron": 3, "target": 7, "against": None, "n_prompt": 3}
    looks = {"theme": "light", "text": 1, "narrow": False, "knobs": knobs, "beside": None}
    return [
        {**seen, **looks, "key": key},
        {**seen, "key": key, "direction": "looks_at"},
        EXAMPLE.as_json() | {"model": "tiny", "prompt": "Hi"},
        {"do": "ask", "asker": "x"},
        {"id": 1, "text": "?prompt=a"},
        {"a": key, "b": key},
    ]


def almost(key: str, panel: str) -> st.SearchStrategy[Any]:
    """What pages send with some of it replaced, or anything at all."""
    changed = [
        st.dictionaries(st.sampled_from(sorted(whole)), JUNK, max_size=2).map(
            lambda some, whole=whole: {**whole, **some}
        )  # type: ignore[misc]
        for whole in right(key, panel)
    ]
    return st.one_of(*changed, JUNK)


def concrete(pattern: str, panel: str) -> Any:
    """The id that a page would send for one of a callback's: wildcards replaced, a list of one where all are meant."""
    if not pattern.startswith("{"):
        return pattern
    parts, chosen = json.loads(pattern), {"panel": panel, "slot": "a", "name": "scale"}
    found = {part: chosen.get(part, "x") if isinstance(value, list) else value for part, value in parts.items()}
    return [found] if ["ALL"] in parts.values() else found


@pytest.fixture(scope="module")
def callbacks(app: Dash) -> Iterator[dict[str, dict[str, Any]]]:
    """All that the server answers, by output; Dash knows them after a first request.

    The app has no places meanwhile: what is asked for waits, and no process starts.
    """
    app.server.test_client().get("/")
    manager = manager_of(app)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manager, "n_jobs", 0)
        patch.setattr(manager.admission, "n_places", 0)
        yield {output: known for output, known in app.callback_map.items() if known.get("callback")}


def sent(pattern: dict[str, str], panel: str, **value: Any) -> Any:
    """A component's property as a browser sends it."""
    found = concrete(pattern["id"], panel)
    if isinstance(found, list):
        return [{"id": each, "property": pattern["property"], **value} for each in found]
    return {"id": found, "property": pattern["property"], **value}


def body_of(output: str, known: dict[str, Any], panel: str, values: list[Any]) -> dict[str, Any]:
    """A callback as a browser sends it, with these values."""
    parts = output[2:-2].split("...") if output.startswith("..") else [output]
    split = [part.rsplit(".", 1) for part in parts]
    outputs = [sent({"id": name, "property": property_.split("@")[0]}, panel) for name, property_ in split]
    patterns = [*known["inputs"], *known["state"]]
    told = [sent(pattern, panel, value=value) for pattern, value in zip(patterns, values, strict=True)]
    first = told[0][0] if isinstance(told[0], list) else told[0]
    name = (
        first["id"] if isinstance(first["id"], str) else json.dumps(first["id"], separators=(",", ":"), sort_keys=True)
    )
    return {
        "output": output,
        "outputs": outputs if output.startswith("..") else outputs[0],
        "inputs": told[: len(known["inputs"])],
        "state": told[len(known["inputs"]) :],
        "changedPropIds": [f"{name}.{first['property']}"],
    }


@contextmanager
def no_failure() -> Iterator[None]:
    """Inside, no callback may raise what nobody foresaw: the app would tell the browser so and go on."""
    told: list[Exception] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dashapp.shell.toasts.tell_failure", told.append)
        yield
    unforeseen = [error for error in told if not isinstance(error, dashapp.errors.DashappError)]
    assert unforeseen == []


def ask_at_random(callbacks: dict[str, dict[str, Any]], client: FlaskClient, key: str, data: st.DataObject) -> None:
    output = data.draw(st.sampled_from(sorted(name for name in callbacks if "_pages" not in name)))
    panel = data.draw(st.sampled_from(sorted(PANELS)))
    known = callbacks[output]
    values = [data.draw(almost(key, panel)) for _ in (*known["inputs"], *known["state"])]
    body = json.dumps(body_of(output, known, panel, values))
    with no_failure():
        response = client.post(POST, data=body, content_type="application/json")
    assert response.status_code in (200, 204, 400), response.text[:2000]
    assert "Traceback" not in response.text


@FAST
@given(data=st.data())
def test_no_callback_fails_whatever_it_is_sent(
    callbacks: dict[str, dict[str, Any]], client: FlaskClient, key: str, data: st.DataObject
) -> None:
    ask_at_random(callbacks, client, key, data)


@pytest.mark.slow
@SLOW
@given(data=st.data())
def test_no_callback_fails_in_ten_thousand_requests(
    callbacks: dict[str, dict[str, Any]], client: FlaskClient, key: str, data: st.DataObject
) -> None:
    ask_at_random(callbacks, client, key, data)


@FAST
@given(data=st.data())
def test_no_route_of_ours_fails_whatever_it_is_sent(
    app: Dash, client: FlaskClient, key: str, data: st.DataObject
) -> None:
    rules = [rule for rule in app.server.url_map.iter_rules() if "POST" in (rule.methods or ())]
    path = data.draw(st.sampled_from(sorted(rule.rule for rule in rules if "_dash" not in rule.rule)))
    body = data.draw(st.one_of(almost(key, "head-grid").map(json.dumps), st.text(max_size=50)))
    kind = data.draw(st.sampled_from(["application/json", "text/plain"]))
    assert client.post(path, data=body, content_type=kind).status_code in (200, 204, 400, 405, 413, 415)


NAMES = ("prompt", "b.prompt", "new", "t", "layer", "head", "pos", "slot", "model", "r", "weights", "head-grid.scale")


@FAST
@given(
    path=st.sampled_from(["/", "/attention", "/embeddings", "/activations", "/compare", "/model", "/nowhere"]),
    query=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=10), st.text(max_size=40), max_size=6),
)
def test_every_page_opens_whatever_its_query(
    callbacks: dict[str, dict[str, Any]], client: FlaskClient, path: str, query: dict[str, str]
) -> None:
    search = f"?{urlencode(query, errors='replace')}"
    assert client.get(path + search).status_code == (404 if path == "/nowhere" else 200)
    output = ".._pages_content.children..._pages_store.data.."
    known = callbacks[output]
    values = [
        {"pathname": path, "search": search}.get(each["property"]) for each in (*known["inputs"], *known["state"])
    ]
    with no_failure():
        response = client.post(POST, json=body_of(output, known, "head-grid", values))
    assert response.status_code == 200, response.text[:2000]
    assert response.get_json()["response"]["_pages_content"]["children"]


def mutated(data: st.DataObject, whole: Any, depth: int = 0) -> Any:
    """A question with one part of it, however deep, replaced by anything or left out."""
    if isinstance(whole, dict) and whole and (depth == 0 or data.draw(st.booleans())):
        name = data.draw(st.sampled_from(sorted(whole)))
        if data.draw(st.booleans()):
            return {**whole, name: mutated(data, whole[name], depth + 1)}
        return {each: value for each, value in whole.items() if each != name}
    if isinstance(whole, list) and whole and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(whole) - 1))
        return [*whole[:place], mutated(data, whole[place], depth + 1), *whole[place + 1 :]]
    return data.draw(JUNK)


@FAST
@given(data=st.data())
def test_no_question_of_another_shape_fails(
    callbacks: dict[str, dict[str, Any]], client: FlaskClient, key: str, data: st.DataObject
) -> None:
    output = data.draw(st.sampled_from(sorted(name for name in callbacks if "_pages" not in name)))
    known = callbacks[output]
    values = [right(key, "head-grid")[0] for _ in (*known["inputs"], *known["state"])]
    body = json.dumps(mutated(data, body_of(output, known, "head-grid", values)))
    query = data.draw(st.sampled_from(["", "?cacheKey=x&job=1", "?oldJob=1&endId=x", "?cacheKey=" + "a" * 999]))
    with no_failure():
        response = client.post(POST + query, data=body, content_type="application/json")
    assert response.status_code in (200, 204, 400), response.text[:2000]
