"""The buttons of a panel whose figure holds several states and shows one: 42-steps.js shows the others."""

from __future__ import annotations

from typing import Any

from dash import html
from dash.development.base_component import Component


def parts() -> list[Component]:
    """Back, Next and Play, and which state is shown; hidden until the figure has states."""
    buttons = [_button("Back", "back"), _button("Next", "next"), _button("Play", "play")]
    status: dict[str, Any] = {"role": "status"}
    says = html.Span("", className="steps-says", **status)
    return [html.Div([*buttons, says], className="panel-steps", hidden=True)]


def _button(name: str, does: str) -> html.Button:
    data: dict[str, Any] = {"data-step": does}
    return html.Button(name, className=f"quiet step-{does}", type="button", **data)
