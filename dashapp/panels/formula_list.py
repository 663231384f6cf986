"""All formulas of the app in one list, folded until somebody opens it."""

from __future__ import annotations

from dash import html

from dashapp.panels.formulas import FORMULAS, Formula
from dashapp.panels.panel import aria


def layout() -> html.Section:
    """Each formula with its name and where it is from."""
    return html.Section(
        [
            html.H2("Formulas", id="formulas-title"),
            html.P("What do the figures of this app compute?", className="question"),
            html.Details(
                [
                    html.Summary(f"All {len(FORMULAS)} formulas"),
                    html.Dl([_entry(name) for name in FORMULAS], className="formulas"),
                ]
            ),
        ],
        className="panel",
        **aria(labelledby="formulas-title"),
    )


def _entry(name: str) -> html.Div:
    notation = FORMULAS[name]
    drawn = html.Dd([Formula(name).drawn(), html.Small(f"Source: {notation.source}")])
    return html.Div([html.Dt(notation.title), drawn])
