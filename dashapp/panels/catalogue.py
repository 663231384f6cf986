"""All panels by name, and the one callback that draws them."""

from __future__ import annotations

import logging
from typing import Any, Final

from dash import MATCH, Input, Output, State, callback, no_update
from dash.exceptions import PreventUpdate

from dashapp import ids
from dashapp.errors import DashappError
from dashapp.panels.gelu import GELU
from dashapp.panels.head_grid import HEAD_GRID
from dashapp.panels.head_pattern import HEAD_PATTERN
from dashapp.panels.mlp_neurons import MLP_NEURONS
from dashapp.panels.next_tokens import NEXT_TOKENS
from dashapp.panels.panel import Panel, draw
from dashapp.panels.resid_norms import RESID_NORMS
from dashapp.panels.source import Source
from dashapp.panels.surprisal import SURPRISAL
from dashapp.panels.token_attention import TOKEN_ATTENTION

logger = logging.getLogger(__name__)

PANELS: Final[dict[str, Panel]] = {
    panel.name: panel
    for panel in (
        *(NEXT_TOKENS, SURPRISAL),
        *(HEAD_GRID, HEAD_PATTERN, TOKEN_ATTENTION),
        *(GELU, MLP_NEURONS, RESID_NORMS),
    )
}

GONE = "What the model did with this prompt is no longer in the cache. Press Generate to compute it again."


@callback(
    Output(ids.part("figure", MATCH, MATCH), "figure"),
    Output(ids.part("foot", MATCH, MATCH), "children"),
    Output(ids.part("fault", MATCH, MATCH), "children"),
    Input(ids.part("view", MATCH, MATCH), "data"),
    State(ids.part("view", MATCH, MATCH), "id"),
    prevent_initial_call=True,
)
def draw_panel(view: object, view_id: dict[str, str]) -> tuple[Any, Any, str]:
    """Figure, foot line and fault of the panel whose view has changed."""
    panel = PANELS.get(view_id.get("panel", ""))
    if panel is None or not isinstance(view, dict):
        raise PreventUpdate
    trace = Source.here().trace(view.get("key"))
    if trace is None:
        return no_update, "", GONE
    try:
        drawn = draw(panel, trace, view)
    except ValueError as error:  # only a made-up request comes here
        logger.warning("Drew nothing for %s: %s", panel.name, error)
        raise PreventUpdate from error
    except DashappError as error:
        return no_update, "", str(error)
    return drawn.figure, drawn.foot, ""
