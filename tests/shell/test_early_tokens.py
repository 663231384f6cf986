"""The first token's own route: which questions it answers, and with what."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashapp.shell.callbacks import MANAGER
from dashapp.shell.early_tokens import PATH, add_route

KNOWN = "0123456789abcdef" * 2
TOLD = {"id": KNOWN, "doing": "generating", "tokens": ["Hi", "!"], "n_prompt": 1}


class Talking:
    """A manager with one job."""

    def told(self, request_id: str) -> dict[str, Any] | None:
        return TOLD if request_id == KNOWN else None


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    server = Flask(__name__)
    server.extensions[MANAGER] = Talking()
    add_route(server)
    return server.test_client()


def test_a_request_is_told_what_its_job_told_and_nobody_keeps_it(client: FlaskClient) -> None:
    response = client.post(PATH, json={"id": KNOWN})
    assert response.json == TOLD
    assert response.headers["Cache-Control"] == "no-store"


def test_a_request_without_a_job_is_told_nothing(client: FlaskClient) -> None:
    response = client.post(PATH, json={"id": "f" * 32})
    assert (response.status_code, response.json) == (200, None)


@pytest.mark.parametrize("asked", [None, [], {}, {"id": 7}, {"id": ""}, {"id": KNOWN.upper()}, {"id": KNOWN + "0"}])
def test_what_is_no_request_is_refused(client: FlaskClient, asked: object) -> None:
    assert client.post(PATH, json=asked).status_code == 400
