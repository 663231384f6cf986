"""The pages: what each shows is what the catalogue says of it, and Compare lists it under that page's name."""

from __future__ import annotations

import json
from typing import Any

import dash
import pytest
from dash import Dash

from dashapp import ids
from dashapp.panels.catalogue import BY_PAGE, PAIR_PANELS
from tests.test_app import elements


def shown(app: Dash, name: str) -> list[dict[str, Any]]:
    """The components of a page."""
    layout = next(page["layout"] for page in dash.page_registry.values() if page["name"] == name)
    with app.server.app_context():
        drawn = layout().to_plotly_json()
    return list(elements(json.loads(json.dumps(drawn, default=lambda each: each.to_plotly_json()))))


def panels_of(app: Dash, name: str) -> list[str]:
    specs = [each["props"].get("id") for each in shown(app, name)]
    return [spec["panel"] for spec in specs if isinstance(spec, dict) and spec.get("type") == "spec"]


@pytest.mark.parametrize("name", BY_PAGE)
def test_a_page_shows_the_panels_that_the_catalogue_has_under_its_name(app: Dash, name: str) -> None:
    assert sorted(panels_of(app, name)) == sorted(panel.name for panel in BY_PAGE[name])


def test_compare_shows_each_panel_of_pairs_once_and_lists_all_others_by_page(app: Dash) -> None:
    found = panels_of(app, "Compare")
    assert [name for name in found if name in PAIR_PANELS] == list(PAIR_PANELS)
    lists = {
        json.dumps(each["props"]["id"]): each["props"]
        for each in shown(app, "Compare")
        if isinstance(each["props"].get("id"), dict) and each["props"]["id"]["type"] == "compare-open"
    }
    for page, panels in BY_PAGE.items():
        options = lists[json.dumps(ids.compare_open(page))]["options"]
        assert [option["value"] for option in options] == [panel.name for panel in panels]
    assert lists[json.dumps(ids.compare_open("Generation"))]["value"] == ["next-tokens"]
