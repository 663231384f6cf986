"""The route that tells which tokens fit a text."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashapp.panels.source import Source
from dashapp.shell.vocabulary import add_route
from tests.doubles import TINY_TEXT


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    source = SimpleNamespace(weights=SimpleNamespace(config=TINY_TEXT))
    monkeypatch.setattr(Source, "here", staticmethod(lambda: source))
    server = Flask(__name__)
    add_route(server)
    return server.test_client()


def test_a_word_is_told_with_its_number_and_suggestions(client: FlaskClient) -> None:
    answer = client.post("/vocabulary", json={"typed": "cat"}).get_json()
    assert (answer["id"], answer["name"]) == (3797, "·cat #3797")
    assert "·cat #3797" in answer["suggestions"]


def test_nothing_is_no_token(client: FlaskClient) -> None:
    answer = client.post("/vocabulary", json={"typed": "zebrafish"}).get_json()
    assert (answer["id"], answer["name"]) == (None, "")
    assert "'zebrafish' is 3 tokens" in answer["fault"]
    assert client.post("/vocabulary", json={"typed": ""}).get_json()["suggestions"] == []


@pytest.mark.parametrize("asked", [None, [], {}, {"typed": 3}, {"typed": "a" * 61}])
def test_what_no_page_sends_is_refused(client: FlaskClient, asked: object) -> None:
    assert client.post("/vocabulary", json=asked).status_code == 400


def test_the_names_of_all_tokens_are_told_by_number(client: FlaskClient) -> None:
    response = client.get("/vocabulary/names")
    names = response.get_json()
    assert len(names) == 50_257
    assert (names[3797], names[27], names[-1]) == ("·cat", "&lt;", "&lt;|endoftext|&gt;")
    assert "max-age" in response.headers["Cache-Control"]
    assert len(response.data) < 2_000_000
