"""The header: the pages, the model, text size, light or dark, share."""

from __future__ import annotations

from typing import Final

import dash_bootstrap_components as dbc
from dash import dcc, html, page_registry

from dashapp import ids
from dashapp.figures.theme import TEXT_FACTORS, UNITS
from dashapp.panels.panel import aria
from dashapp.shell.models import model_picker

TEXT_SIZES: Final = [{"value": f"{factor:g}", "label": f"Text {factor:.0%}"} for factor in TEXT_FACTORS]


def header() -> html.Header:
    """One line on top of every page."""
    return html.Header(
        [
            html.Span("Inside GPT-2", className="brand"),
            html.Nav(_links(), className="pages", **aria(label="Pages")),
            html.Div(
                [
                    model_picker(),
                    html.Button("Copy link", id=ids.SHARE, className="quiet", type="button"),
                    _units(),
                    _text_size(),
                    html.Button("Dark", id=ids.THEME_BUTTON, className="quiet", type="button"),
                ],
                className="tools",
            ),
        ],
        className="header",
    )


def _text_size() -> html.Label:
    choice = dbc.Select(id=ids.TEXT_SIZE, options=TEXT_SIZES, value="1", size="sm", class_name="text-size")
    return html.Label([html.Span("Text size", className="visually-hidden"), choice])


def _units() -> html.Label:
    """Of surprisal, entropy and divergence everywhere in the app; kept in this browser and in the link."""
    options = [{"value": units, "label": units.capitalize()} for units in UNITS]
    choice = dbc.Select(id=ids.UNITS_CHOICE, options=options, value=UNITS[0], size="sm", class_name="text-size")
    return html.Label([html.Span("Information in", className="visually-hidden"), choice])


def _links() -> list[dcc.Link]:
    pages = [page for page in page_registry.values() if page["path_template"] is None and page["path"] != "/404"]
    return [
        dcc.Link(page["name"], href=page["path"], id=ids.nav_link(page["path"]), className="nav-link")
        for page in pages
        if page["module"] != "pages.not_found_404"
    ]
