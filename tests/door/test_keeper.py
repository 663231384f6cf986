"""A password or a proxy's word: without it everything is closed but health, with it everything is as before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashapp.door.keeper import WRONG_AT_ONCE, ask_for_password, believe_proxy
from dashapp.door.visitors import tell_visitors_apart, visitor

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"


def made(*, password: str = "", header: str = "", secret_key: str = "0123456789abcdef") -> FlaskClient:
    server = Flask("kept")
    server.secret_key = secret_key
    tell_visitors_apart(server, port=8050, n_proxies=1)
    if header:
        believe_proxy(server, header)
    if password:
        ask_for_password(server, password)
    server.add_url_rule("/", view_func=visitor)
    server.add_url_rule("/ask", "ask", visitor, methods=["POST"])
    server.add_url_rule("/assets/a.css", "file", lambda: ("", {"Cache-Control": "public, max-age=9"}))
    server.add_url_rule("/healthz", "healthz", lambda: {"ok": True})
    return server.test_client()


@pytest.fixture
def client() -> FlaskClient:
    return made(password=PASSWORD)


def sign_in(client: FlaskClient, password: str = PASSWORD, wanted: str = "/") -> tuple[int, str]:
    """Status and where the browser is sent, or what the page says."""
    response = client.post("/sign-in", data={"password": password, "next": wanted})
    return response.status_code, response.headers.get("Location", response.text)


def test_strangers_see_the_sign_in_page_and_nothing_else(client: FlaskClient) -> None:
    page = client.get("/?prompt=<Hi>")
    assert page.status_code == 401
    assert 'type="password"' in page.text
    assert 'name="next" value="/?prompt=&lt;Hi&gt;"' in page.text or "%3CHi%3E" in page.text
    assert "<script" not in page.text
    assert client.get("/healthz").status_code == 200
    for response in (client.post("/ask"), client.get("/assets/a.css")):
        assert (response.status_code, response.get_json()["rule"][:11]) == (401, "This server")


def test_who_says_the_password_is_in_and_led_to_what_was_wanted(client: FlaskClient) -> None:
    assert sign_in(client, wanted="/attention?prompt=Hi") == (303, "/attention?prompt=Hi")
    assert client.get("/").status_code == 200
    assert client.post("/ask").status_code == 200


def test_files_of_a_closed_server_are_kept_by_the_browser_alone(client: FlaskClient) -> None:
    sign_in(client)
    assert client.get("/assets/a.css").headers["Cache-Control"] == "private, max-age=9"


@pytest.mark.parametrize("said", ["", "x", PASSWORD + " ", PASSWORD.upper(), "é" * 40, "\ud83d", "x" * 100_000])
def test_a_wrong_password_is_said_to_be_one(client: FlaskClient, said: str) -> None:
    status, text = sign_in(client, said.encode(errors="replace").decode())
    assert status == 401
    assert 'role="alert">That is not the password.' in text
    assert client.get("/").status_code == 401


@pytest.mark.parametrize(
    "wanted", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere", "x", "", "/a\r\nX: y"]
)
def test_nobody_is_led_to_another_server(client: FlaskClient, wanted: str) -> None:
    assert sign_in(client, wanted=wanted) == (303, "/")


def test_guessing_is_slowed_down_for_one_address_and_not_for_others(client: FlaskClient) -> None:
    for _ in range(int(WRONG_AT_ONCE) + 5):
        sign_in(client, "guess")
    status, text = sign_in(client)
    assert status == 429
    assert "From yours there were too many." in text
    elsewhere = {"X-Forwarded-For": "192.0.2.9"}
    response = client.post("/sign-in", data={"password": PASSWORD}, headers=elsewhere)
    assert response.status_code == 303


def test_another_password_or_key_signs_everybody_out(client: FlaskClient) -> None:
    sign_in(client)
    cookie = client.get_cookie("dashapp-8050")
    assert cookie is not None
    for other in (made(password="another password"), made(password=PASSWORD, secret_key="another key of ours")):
        other.set_cookie("dashapp-8050", cookie.value)
        assert other.get("/").status_code == 401


def test_a_program_says_the_password_with_each_request(client: FlaskClient) -> None:
    assert client.get("/", headers={"Authorization": f"Bearer {PASSWORD}"}).status_code == 200
    assert client.get("/", auth=("anybody", PASSWORD)).status_code == 200
    assert client.get("/", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/", headers={"Authorization": "Bearer"}).status_code == 401
    assert client.get("/").status_code == 401, "it stays outside"


def test_a_proxy_names_who_is_in() -> None:
    client = made(header="X-Forwarded-User")
    assert client.get("/", headers={"X-Forwarded-User": "ada"}).text == "user ada"
    for headers in ({}, {"X-Forwarded-User": " "}):
        response = client.get("/", headers=headers)
        assert (response.status_code, "in the header X-Forwarded-User" in response.text) == (401, True)
    assert client.get("/healthz").status_code == 200


def test_every_route_of_the_app_is_closed_and_opens(model_folder: Path, tmp_path: Path) -> None:
    """In a process of its own, for one serves one app: the whole table of routes, with what Dash adds."""
    program = f"""
from pathlib import Path
from dashapp.app import create_app
from dashapp.settings import Settings
app = create_app(Settings(model={str(model_folder)!r}, cache_dir=Path({str(tmp_path)!r}), password={PASSWORD!r}))
client = app.server.test_client()
shut, n_rules = [], 0
for rule in app.server.url_map.iter_rules():
    path = "/" + "x".join(part.split(">")[-1] for part in rule.rule[1:].split("<"))
    for method in rule.methods:
        n_rules += 1
        if client.open(path, method=method).status_code != 401:
            shut.append((method, rule.rule))
print(n_rules > 30, sorted({{path for _, path in shut}}))
for path in ("/", "/nowhere", "/_dash-layout", "/assets/css/10-app.css"):
    assert client.get(path).status_code == 401, path
    assert "Content-Security-Policy" in client.get(path).headers
assert client.post("/sign-in", data={{"password": {PASSWORD!r}}}).status_code == 303
assert client.get("/").status_code == client.get("/_dash-layout").status_code == 200
assert client.get("/assets/css/10-app.css?m=1").headers["Cache-Control"].startswith("private")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "True ['/healthz', '/readyz', '/sign-in']"
