"""Components of a page as HTML that needs no Dash: what stands still on a page stands in a report too."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from dash.development.base_component import Component

from dashapp import ids
from dashapp.panels.fixed import Fixed

# Of a component's properties, those that mean something without an app, and what HTML calls them.
ATTRIBUTES: Final = {
    "className": "class",
    "class_name": "class",
    "colSpan": "colspan",
    "scope": "scope",
    "role": "role",
}
SAID: Final = ("aria-label", "aria-hidden")
ELEMENTS: Final = {"dash_html_components", "dash_bootstrap_components"}  # whose components are called as elements are
COUNT: Final = ids.n_tokens(0)["type"]


def html_of(part: object, *, n_tokens: int) -> str:
    """A component and all within it. n_tokens: of the prompt, which pages write into shapes.

    Links lead nowhere without the app and are their words alone. Raises: ValueError for a component that draws itself
    in the browser.
    """
    if part is None:
        return ""
    if isinstance(part, list | tuple):
        return "".join(html_of(each, n_tokens=n_tokens) for each in part)
    if not isinstance(part, Component):
        return escape(str(part))
    properties = part.to_plotly_json()["props"]
    if isinstance(part, Fixed):
        return str(properties["html"])
    if isinstance(name := properties.get("id"), Mapping) and name.get("type") == COUNT:
        return f"{n_tokens:,}"
    within = html_of(properties.get("children"), n_tokens=n_tokens)
    if part._type == "Link":
        return within
    if part._namespace not in ELEMENTS:
        raise ValueError(f"{part._type} is no element")
    tag = part._type.lower()
    return f"<{tag}{_attributes(properties)}>{within}</{tag}>"


def _attributes(properties: Mapping[str, Any]) -> str:
    known = {ATTRIBUTES[name]: value for name, value in properties.items() if name in ATTRIBUTES}
    known |= {
        name: value for name, value in properties.items() if name.startswith("aria-") and name != "aria-labelledby"
    }
    return "".join(f' {name}="{escape(str(value))}"' for name, value in known.items() if value)
