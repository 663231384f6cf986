from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dash.exceptions import PreventUpdate
from flask import Flask

from dashapp.shell.recipes import RECIPES, keep, opened
from dashapp.store.recipes import LARGEST_BYTES, RecipeStore


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Flask]:
    server = Flask("test")
    server.secret_key = "a secret of this server"
    server.extensions[RECIPES] = RecipeStore(tmp_path / "recipes")
    with server.app_context():
        yield server


def test_a_long_link_is_kept_and_opened_by_its_key(server: Flask) -> None:
    kept = keep({"id": 7, "text": "prompt=long"})
    assert kept["id"] == 7
    assert opened(kept["key"]) == {"key": kept["key"], "text": "prompt=long"}


def test_the_key_needs_this_servers_secret(server: Flask) -> None:
    before = keep({"id": 1, "text": "prompt=long"})["key"]
    server.secret_key = "another secret than before"
    assert keep({"id": 1, "text": "prompt=long"})["key"] != before


def test_a_key_that_leads_nowhere_is_told_in_a_sentence(server: Flask) -> None:
    told = opened("0" * 32)
    assert told["key"] == "0" * 32
    assert "nothing under the key '00000000'" in told["instance"]
    assert told["rule"]
    assert told["remedy"]


def test_what_is_too_large_to_keep_is_told_in_a_sentence(server: Flask) -> None:
    told = keep({"id": 2, "text": "x" * (LARGEST_BYTES + 1)})
    assert told["id"] == 2
    assert "1,000,001" in told["instance"]


@pytest.mark.parametrize("nonsense", [None, {}, {"id": 1, "text": 5}, "prompt=Hi", []])
def test_what_no_page_sends_is_not_answered(server: Flask, nonsense: object) -> None:
    with pytest.raises(PreventUpdate):
        keep(nonsense)
    with pytest.raises(PreventUpdate):
        opened(nonsense if not isinstance(nonsense, str) else None)
