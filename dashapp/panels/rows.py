"""Panels as rows of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dash import html

from dashapp.panels.panel import Panel, layout


def panel_row(panels: Sequence[Panel], query: Mapping[str, str]) -> html.Section | html.Div:
    """Panels of slot a beside each other; one alone takes the whole width. query: of the address."""
    drawn = [layout(panel, "a", query) for panel in panels]
    return drawn[0] if len(drawn) == 1 else html.Div(drawn, className="beside")
