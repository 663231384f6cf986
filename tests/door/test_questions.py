"""What is no question of a page is refused by its shape, before Dash reads it."""

from __future__ import annotations

from typing import Any

import pytest
from dash import ALL, Input, Output

from dashapp.door.questions import is_asked_by_a_page

ONE = {"id": "figure", "property": "data"}
OF_PATTERN = {"id": {"type": "panel", "name": "a"}, "property": "figure"}
CALLBACKS: dict[str, dict[str, Any]] = {
    "figure.data": {
        "output": Output("figure", "data"),
        "inputs": [Input("view", "data")],
        "state": [],
        "callback": print,
    },
    "..panels..": {
        "output": [Output({"type": "panel", "name": ALL}, "figure")],
        "inputs": [Input({"type": "view", "name": ALL}, "data")],
        "state": [],
        "callback": print,
    },
}
PLAIN = {"output": "figure.data", "outputs": ONE, "inputs": [{"id": "view", "property": "data"}], "state": []}
OF_MANY = {"output": "..panels..", "outputs": [[OF_PATTERN]], "inputs": [[OF_PATTERN, OF_PATTERN]], "state": []}


@pytest.mark.parametrize("asked", [PLAIN, OF_MANY, {**PLAIN, "changedPropIds": ["view.data"]}])
def test_what_a_page_asks_is_let_through(asked: dict[str, Any]) -> None:
    assert is_asked_by_a_page(asked, CALLBACKS)


@pytest.mark.parametrize(
    "asked",
    [
        None,
        [],
        {**PLAIN, "output": ["figure.data"]},
        {**PLAIN, "output": "figure.other"},
        {**PLAIN, "outputs": [ONE]},
        {**PLAIN, "outputs": {"id": "other", "property": "data"}},
        {**PLAIN, "inputs": []},
        {**PLAIN, "inputs": [{"id": ["view"], "property": "data"}]},
        {**PLAIN, "changedPropIds": [None]},
        {**OF_MANY, "outputs": [[[]]]},
        {**OF_MANY, "outputs": [[[OF_PATTERN]]]},
        {**OF_MANY, "inputs": [[[OF_PATTERN]]]},
        {**OF_MANY, "inputs": [[[]]]},
    ],
)
def test_what_no_page_asks_is_not(asked: object) -> None:
    assert not is_asked_by_a_page(asked, CALLBACKS)
