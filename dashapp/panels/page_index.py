"""The index of a page: a link to the heading of each of its panels, in their order."""

from __future__ import annotations

from collections.abc import Iterable

from dash import html

from dashapp import ids
from dashapp.panels.panel import Panel, aria


def page_index(panels: Iterable[Panel], slot: ids.Slot = "a") -> html.Nav:
    """Links to panels of a slot. The script of fragments follows them, and the address stays as it is."""
    links = [html.Li(html.A(panel.title, href=f"#{ids.title(panel.name, slot)}")) for panel in panels]
    return html.Nav(html.Ul(links), className="page-index", **aria(label="On this page"))
