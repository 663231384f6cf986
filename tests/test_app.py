"""The app as a whole: what it is made of, what it answers, what it refuses. One app in this process, for all tests."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dash import Dash
from flask.testing import FlaskClient

from dashapp import ids
from dashapp.app import HEADERS, LARGEST_REQUEST, create_app, manager_of, open_source
from dashapp.errors import ObjectStoreUnavailable
from dashapp.jobs.request import EXAMPLE
from dashapp.panels.cache_facts import held_by
from dashapp.panels.catalogue import draw_panel
from dashapp.panels.source import Source
from dashapp.settings import Settings
from dashapp.shell.plotly_script import ADDRESS as PLOTLY_JS

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "dashapp" / "assets"


def elements(node: Any) -> Iterator[dict[str, Any]]:
    """All components in a layout as JSON."""
    if isinstance(node, list):
        for each in node:
            yield from elements(each)
    elif isinstance(node, dict) and "props" in node:
        yield node
        yield from elements(node["props"].get("children"))


def callback(client: FlaskClient, output: str, inputs: list[dict[str, Any]], **more: Any) -> Any:
    """What the server answers to a callback as the browser would send it; None for no update."""
    name, prop = output.rsplit(".", 1)
    body = {
        "output": output,
        "outputs": {"id": name, "property": prop},
        "inputs": inputs,
        "changedPropIds": [f"{inputs[0]['id']}.{inputs[0]['property']}"],
        **more,
    }
    response = client.post("/_dash-update-component", json=body)
    assert response.status_code in (200, 204), response.text
    return response.get_json()["response"] if response.status_code == 200 else None


def ask(client: FlaskClient, request: object) -> Any:
    """The answer to a request, as the prompt bar sends it."""
    inputs = [
        {"id": ids.of(ids.REQUEST, "a"), "property": "data", "value": request},
        {"id": ids.of(ids.ASK, "a"), "property": "data", "value": None},
    ]
    answered = callback(client, f"{ids.of(ids.ANSWER, 'a')}.data", inputs)
    return answered[ids.of(ids.ANSWER, "a")]["data"] if answered else None


# The web process -----------------------------------------------------------------------------------------------------


def test_the_web_process_holds_no_torch_and_nothing_as_heavy(model_folder: Path, tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from dashapp.app import create_app
from dashapp.settings import Settings
app = create_app(Settings(model={str(model_folder)!r}, cache_dir=Path({str(tmp_path)!r})))
client = app.server.test_client()
assert client.get("/").status_code == 200
assert client.get("/_dash-layout").status_code == 200
print([name for name in ("torch", "transformers", "umap", "numba", "sklearn", "scipy") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (run.stdout.strip(), run.returncode) == ("[]", 0), run.stderr


@pytest.mark.parametrize(("has_gpu", "said"), [(False, "cpu"), (True, "auto")])
def test_the_device_is_known_where_there_is_no_gpu(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, has_gpu: bool, said: str
) -> None:
    assert settings.device == "auto"
    monkeypatch.setattr("dashapp.app.may_compute_on_device", lambda _: has_gpu)
    assert open_source(settings).device == said


def test_a_second_app_in_one_process_is_refused(app: Dash, settings: Settings) -> None:
    with pytest.raises(RuntimeError, match="one process serves one app"):
        create_app(settings)


def test_the_secret_key_is_made_once_and_only_we_can_read_it(app: Dash, settings: Settings) -> None:
    kept = settings.cache_dir / "secret_key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert app.server.secret_key == kept.read_text()
    assert len(kept.read_text()) == 64


def test_the_job_cache_is_ours_alone(app: Dash, settings: Settings) -> None:
    assert stat.S_IMODE((settings.cache_dir / "jobs").stat().st_mode) == 0o700


# What it serves ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/model", "/nowhere", "/?x=1&prompt=Hi&pos=99"])
def test_every_address_answers_with_the_headers(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert policy.count("'sha256-") >= 1


def test_an_unknown_address_is_said_to_be_one(client: FlaskClient) -> None:
    assert client.get("/nowhere?prompt=Hi").status_code == 404
    assert [client.get(path).status_code for path in ("/", "/attention", "/embeddings", "/model?x=1")] == [200] * 4


def test_inline_scripts_of_a_page_are_those_that_the_policy_names(app: Dash, client: FlaskClient) -> None:
    response = client.get("/")
    inline = re.findall(
        r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>(.+?)</script>", response.text, re.DOTALL
    )
    assert len(inline) <= response.headers["Content-Security-Policy"].count("'sha256-")


def test_a_page_names_no_other_machine(client: FlaskClient) -> None:
    text = client.get("/").text
    assert re.findall(r'(?:src|href)="(?:https?:)?//[^"]+', text) == []


def test_plotly_js_is_the_strict_build_of_the_version_that_figures_are_made_for(client: FlaskClient) -> None:
    """The build in the package compiles WebGL programs at run time, which the content policy refuses."""
    from plotly.offline import get_plotlyjs_version

    address = "/_dash-component-suites/plotly/package_data/plotly.min.js"
    with client.get(address) as response:
        assert response.status_code == 200
        assert f"plotly.js (strict - minified) v{get_plotlyjs_version()}" in response.text[:200]
        assert response.mimetype == "text/javascript"
        known = {"If-None-Match": response.headers["ETag"]}
    with client.get(address, headers=known) as response:
        assert response.status_code == 304  # a browser has it already


def test_every_stylesheet_font_and_script_is_answered(client: FlaskClient) -> None:
    text = client.get("/").text
    paths = re.findall(r'(?:src|href)="(/[^"]+)"', text)
    paths += [f"/assets/fonts/{path.name}" for path in (ASSETS / "fonts").glob("*.woff2")]
    assert len(paths) > 12
    for path in paths:
        with client.get(path) as response:
            assert response.status_code == 200, path


def test_a_question_of_many_megabytes_is_refused_unread(client: FlaskClient) -> None:
    whole = EXAMPLE.as_json() | {"model": "tiny", "prompt": "x" * LARGEST_REQUEST}
    assert client.post("/_dash-update-component", json=whole).status_code == 413


def test_a_megabyte_of_text_is_refused_in_words(client: FlaskClient) -> None:
    answer = ask(client, EXAMPLE.as_json() | {"model": "tiny", "prompt": "\u202e" * 1_000_000})
    assert (answer["kind"], answer["error"]) == ("refused", "PromptTooLarge")


def test_answers_are_compressed(client: FlaskClient) -> None:
    response = client.get("/_dash-layout", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"


# Flask-Compress leaves the file that it compressed piece by piece to be closed with the last reference to it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "identity"])
def test_a_browser_that_has_a_file_is_not_sent_it_again(client: FlaskClient, encoding: str) -> None:
    """Issue 9: a compressed file never was "not modified", and every visit fetched plotly.js again."""
    for path in (PLOTLY_JS, "/assets/css/10-app.css", "/assets/fonts/inter-latin.woff2"):
        with client.get(path, headers={"Accept-Encoding": encoding}) as first:
            assert first.data, path
            headers = {"Accept-Encoding": encoding, "If-None-Match": first.headers["ETag"]}
        with client.get(path, headers=headers) as again:
            assert (again.status_code, again.data) == (304, b""), path


def test_styles_and_scripts_whose_address_names_their_time_are_kept_without_asking(client: FlaskClient) -> None:
    text = client.get("/").text
    paths = [path.replace("&amp;", "&") for path in re.findall(r'(?:src|href)="(/assets/[^"]+)"', text)]
    assert len(paths) > 12
    for path in paths:
        with client.get(path) as response:
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable", path
    with client.get("/assets/css/10-app.css") as unnamed:
        assert "immutable" not in unnamed.headers["Cache-Control"]
    with client.get("/assets/css/none.css?m=1") as absent:
        assert "immutable" not in absent.headers.get("Cache-Control", "")


def test_health_is_answered_and_readiness_waits_for_the_jobs(client: FlaskClient) -> None:
    assert client.get("/healthz").get_json() == {"ok": True}
    response = client.get("/readyz")
    said = {"weights": True, "store": True, "queue": True, "jobs": False}
    assert (response.status_code, response.get_json()) == (503, said)


def test_ids_are_unique_on_every_page(app: Dash, client: FlaskClient) -> None:
    shell = list(elements(client.get("/_dash-layout").get_json()))
    for path in ("/", "/model", "/nowhere"):
        inputs = [
            {"id": "_pages_location", "property": "pathname", "value": path},
            {"id": "_pages_location", "property": "search", "value": "?unknown=1"},
        ]
        body = {
            "output": ".._pages_content.children..._pages_store.data..",
            "outputs": [
                {"id": "_pages_content", "property": "children"},
                {"id": "_pages_store", "property": "data"},
            ],
            "inputs": inputs,
            "changedPropIds": ["_pages_location.pathname"],
        }
        page = client.post("/_dash-update-component", json=body).get_json()["response"]["_pages_content"]["children"]
        named = [json.dumps(each["props"]["id"]) for each in [*shell, *elements(page)] if "id" in each["props"]]
        assert [name for name, n in Counter(named).items() if n > 1] == []


def test_every_graph_is_without_plotlys_cloud_and_logo(app: Dash) -> None:
    graphs = [each for each in app.validation_layout._traverse() if type(each).__name__ == "Graph"]
    assert graphs
    for graph in graphs:
        assert graph.config["showSendToCloud"] is False
        assert graph.config["displaylogo"] is False


def test_every_clientside_callback_has_its_function(app: Dash) -> None:
    tables = (ROOT / "dashapp" / "clientside.py", *(ROOT / "pages").glob("*.py"))
    table = "".join(path.read_text() for path in tables)
    wanted = set(re.findall(r'ClientsideFunction\("(\w+)", "(\w+)"\)', table))
    assert len(wanted) >= 9
    for namespace, function in wanted:
        (source,) = (path.read_text() for path in (ASSETS / "js").glob(f"*-{namespace}.js"))
        exported = re.search(rf"const {namespace} = \{{(.+?)\}};", source, re.DOTALL)
        assert exported, namespace
        assert function in re.findall(r"\w+", exported[1]), f"{namespace}.{function}"


# What it answers to a prompt -----------------------------------------------------------------------------------------


def test_a_prompt_that_fits_is_admitted_with_its_settings(client: FlaskClient) -> None:
    request = EXAMPLE.as_json() | {"id": "a" * 32, "model": "tiny", "prompt": "Hi"}
    assert ask(client, request) == {"id": "a" * 32, "kind": "admitted", "request": request}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prompt": "word " * 50}, "at most 13 tokens"),
        ({"prompt": "", "bos": False}, "at least one token"),
        ({"temperature": -1}, "Here it is −1."),
        ({"top_k": None}, "Fill it in."),
        ({"max_new_tokens": 1.5}, "Here it is 1.5."),
        ({"model": "gpt2-xl"}, "only the models that its operator allows"),
        ({"weights": "0123456789ab"}, "It was made with 'tiny' of fingerprint 0123456789ab"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_reason(
    client: FlaskClient, change: dict[str, object], sentence: str
) -> None:
    answer = ask(client, EXAMPLE.as_json() | {"model": "tiny", "prompt": "Hi"} | change)
    assert answer["kind"] == "refused"
    assert sentence in f"{answer['rule']} {answer['instance']} {answer['remedy']}"


def test_a_store_that_does_not_answer_is_said_in_words_wherever_a_trace_is_asked_for(
    app: Dash, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.server.app_context():
        store = Source.here().store

    def refuse(*_: object, **__: object) -> None:
        raise ObjectStoreUnavailable("s3://traces", None, "it is down")

    for name in ("get_trace", "get_run", "stats"):
        monkeypatch.setattr(store, name, refuse)
    view = {"key": "a" * 64, "pos": 0, "layer": None, "head": None, "direction": "looks_at"}
    for path in ("/strip-attention", "/strip-measures"):
        answer = client.post(path, json=view)
        assert (answer.status_code, "'s3://traces' did not" in answer.get_json()["fault"]) == (200, True)
    with app.server.app_context():
        assert "'s3://traces' did not" in draw_panel(view, {"panel": "next-tokens", "slot": "a"})[2]
        assert "'s3://traces' did not" in held_by(store)


@pytest.mark.parametrize(
    "request_data",
    [None, 3, "x", [], {}, {"id": "x"}, {"id": "0" * 32}, {"id": "0" * 32, "prompt": 3, "bos": True}],
)
def test_what_no_page_sends_gets_no_answer(client: FlaskClient, request_data: object) -> None:
    assert ask(client, request_data) is None


@pytest.mark.parametrize("request_id", [None, "x", "../x", 3, {}])
def test_only_ids_can_be_stopped(client: FlaskClient, request_id: object) -> None:
    inputs = [{"id": ids.of(ids.STOP, "a"), "property": "data", "value": request_id}]
    assert callback(client, f"{ids.of(ids.STOPPED, 'a')}.data", inputs) is None


def test_a_job_that_was_not_admitted_is_refused_without_a_process(app: Dash, client: FlaskClient) -> None:
    inputs = [{"id": ids.of(ids.ADMITTED, "a"), "property": "data", "value": EXAMPLE.as_json() | {"id": "b" * 32}}]
    body = {
        "output": f"{ids.of(ids.JOB_RESULT, 'a')}.data",
        "outputs": {"id": ids.of(ids.JOB_RESULT, "a"), "property": "data"},
        "inputs": inputs,
        "changedPropIds": [f"{ids.ADMITTED}.data"],
    }
    started = client.post("/_dash-update-component", json=body).get_json()
    handles = {"cacheKey": started["cacheKey"], "job": started["job"]}
    result = client.post("/_dash-update-component", json=body, query_string=handles).get_json()
    outcome = result["response"][ids.of(ids.JOB_RESULT, "a")]["data"]
    assert (outcome["status"], outcome["error"], outcome["id"]) == ("failed", "JobRefused", "b" * 32)


def test_a_request_waits_as_one_of_its_visitors(app: Dash, monkeypatch: pytest.MonkeyPatch) -> None:
    visitors: list[str] = []

    def remember(_: object, *, visitor: str, **__: object) -> int:
        visitors.append(visitor)
        return 1

    monkeypatch.setattr(manager_of(app).admission, "place", remember)
    one, other, without = app.server.test_client(), app.server.test_client(), app.server.test_client(use_cookies=False)
    for person in (one, one, other, without):
        person.get("/")
        request = EXAMPLE.as_json() | {"id": "d" * 32, "model": "tiny", "prompt": "Somebody's"}
        assert ask(person, request)["kind"] == "waiting"
    assert visitors[0] == visitors[1] != visitors[2]
    assert visitors[3] == "address 127.0.0.1"


def test_the_store_is_ready_when_it_can_be_written_now(
    app: Dash, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    assert client.get("/readyz").get_json()["store"] is False
