"""The index of a page names every panel of it, in their order."""

from __future__ import annotations

from typing import Any

import pytest
from dash import Dash, page_registry

from dashapp.panels.catalogue import PANELS
from dashapp.panels.page_index import page_index


def test_a_link_leads_to_the_heading_of_its_panel() -> None:
    index = page_index([PANELS["gelu"], PANELS["neuron"]])
    links = [item.children for item in index.children.children]
    assert [(link.children, link.href) for link in links] == [
        ("Neurons on the GELU curve", "#title-gelu-a"),
        ("One neuron", "#title-neuron-a"),
    ]


def found(component: Any, kind: str) -> list[Any]:
    """All components of a kind below one, in order."""
    own = [component] if type(component).__name__ == kind else []
    children = getattr(component, "children", None)
    below = children if isinstance(children, list | tuple) else [children] if children is not None else []
    return own + [each for child in below for each in found(child, kind)]


@pytest.mark.parametrize("path", ["/activations", "/attention", "/embeddings"])
def test_the_index_of_a_page_has_all_its_headings_and_no_others(app: Dash, path: str) -> None:
    page = next(page for page in page_registry.values() if page["path"] == path)["layout"]()
    (index,) = [nav for nav in found(page, "Nav") if nav.className == "page-index"]
    headings = [(heading.children, f"#{heading.id}") for heading in found(page, "H2")]
    assert [(link.children, link.href) for link in found(index, "A")] == headings
    assert len(headings) > 5
