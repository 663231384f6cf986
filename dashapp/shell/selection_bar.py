"""The selection bar: what is selected, in words, and the ways to change it that are there on every page."""

from __future__ import annotations

from dash import html

from dashapp import ids
from dashapp.panels.panel import aria
from dashapp.shell.strip_attention import direction_switch
from dashapp.shell.strip_measures import colour_choice
from dashapp.shell.vocabulary import token_fields


def selection_bar() -> html.Div:
    """A sentence, parts of the model (the browser fills the lists for the run's), tokens to ask for, undo and clear."""
    return html.Div(
        [
            html.P(id=ids.SELECTION_TEXT, className="selection-text", **aria(live="polite")),
            html.Div(
                [
                    colour_choice(),
                    direction_switch(),
                    html.Label(["Layer", html.Select(id=ids.SELECTION_LAYER)]),
                    html.Label(["Head", html.Select(id=ids.SELECTION_HEAD)]),
                    *token_fields(),
                    html.Button("Undo", id=ids.SELECTION_UNDO, className="quiet", type="button", hidden=True),
                    html.Button(
                        "Clear selection", id=ids.SELECTION_CLEAR, className="quiet", type="button", hidden=True
                    ),
                ],
                className="selection-tools",
            ),
        ],
        className="selection-bar",
    )
