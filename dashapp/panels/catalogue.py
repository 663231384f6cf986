"""All panels by name, the one callback that draws them, and the one that asks for what takes long."""

from __future__ import annotations

import logging
from typing import Any, Final

from dash import MATCH, Input, Output, State, callback, no_update
from dash.exceptions import PreventUpdate
from flask import current_app

from dashapp import ids
from dashapp.door.visitors import visitor
from dashapp.errors import AGAIN, DashappError
from dashapp.jobs.works import WORKS, Works
from dashapp.panels.ablation import ABLATION
from dashapp.panels.attribution import ATTRIBUTION, HEAD_ATTRIBUTION
from dashapp.panels.awaiting import has_more, is_another, order_of, state_as_json
from dashapp.panels.between_layers import BETWEEN_LAYERS
from dashapp.panels.checks import CHECKS
from dashapp.panels.continuations import CONTINUATIONS
from dashapp.panels.drawing import awaited_by, drawn_for
from dashapp.panels.gelu import GELU
from dashapp.panels.head_atlas import HEAD_ATLAS
from dashapp.panels.head_grid import HEAD_GRID
from dashapp.panels.head_pattern import HEAD_PATTERN
from dashapp.panels.inner_changes import CHANGED_HEADS, CHANGED_NEURONS, CHANGED_STREAM
from dashapp.panels.layer_norm import NORM_STATISTICS, NORM_VECTOR
from dashapp.panels.layer_steps import LAYER_STEPS
from dashapp.panels.lens_change import LENS_CHANGE
from dashapp.panels.lens_map import LENS_MAP
from dashapp.panels.logit_lens import LOGIT_LENS
from dashapp.panels.mlp_neurons import MLP_NEURONS
from dashapp.panels.nearest_tokens import NEAREST_TOKENS
from dashapp.panels.neuron import MLP_SPARSITY, NEURON, NEURON_ATTRIBUTION
from dashapp.panels.next_tokens import NEXT_TOKENS
from dashapp.panels.output_changes import CHANGED_SURPRISAL, CHANGED_TOKENS
from dashapp.panels.pair_heads import PAIR_HEADS, TOKEN_SOURCES
from dashapp.panels.pair_why import PAIR_MATCH, PAIR_WRITES
from dashapp.panels.panel import Panel
from dashapp.panels.parity import PARITY
from dashapp.panels.patch_cell import PATCH_CELL
from dashapp.panels.patching import PATCHING
from dashapp.panels.pattern_detail import PATTERN_DETAIL
from dashapp.panels.positions import POSITION_CURVE, POSITION_LIKENESS, POSITION_LINES, SUM_SHARES
from dashapp.panels.resid_norms import RESID_NORMS
from dashapp.panels.resid_writes import RESID_DIMENSIONS, RESID_WRITES
from dashapp.panels.sampler import SAMPLER
from dashapp.panels.sink import SINK_HEADS, SINK_ROWS
from dashapp.panels.source import Source
from dashapp.panels.surprisal import SURPRISAL
from dashapp.panels.together import HEADS_TOGETHER, TOKEN_ORIGINS
from dashapp.panels.token_attention import TOKEN_ATTENTION
from dashapp.panels.token_heads import TOKEN_HEADS
from dashapp.panels.token_lines import TOKEN_LINES
from dashapp.panels.vector_map import VECTOR_MAP
from dashapp.panels.vector_paths import VECTOR_PATHS
from dashapp.panels.vector_rows import VECTOR_ROWS
from dashapp.panels.vector_similarity import VECTOR_SIMILARITY
from dashapp.panels.vocabulary_map import VOCABULARY_MAP

logger = logging.getLogger(__name__)

# By the page that shows them, in its order.
BY_PAGE: Final[dict[str, tuple[Panel, ...]]] = {
    "Generation": (NEXT_TOKENS, SAMPLER, CONTINUATIONS, SURPRISAL),
    "Attention": (
        *(HEAD_GRID, HEAD_PATTERN, TOKEN_ATTENTION),
        *(TOKEN_LINES, PATTERN_DETAIL, PAIR_HEADS, TOKEN_SOURCES, PAIR_MATCH, PAIR_WRITES),
        *(HEADS_TOGETHER, TOKEN_ORIGINS, SINK_HEADS, SINK_ROWS, TOKEN_HEADS, HEAD_ATLAS),
    ),
    "Embeddings": (
        *(
            VECTOR_ROWS,
            VECTOR_MAP,
            VECTOR_PATHS,
            LAYER_STEPS,
            VOCABULARY_MAP,
            NEAREST_TOKENS,
            VECTOR_SIMILARITY,
            BETWEEN_LAYERS,
        ),
        *(SUM_SHARES, POSITION_LIKENESS, POSITION_CURVE, POSITION_LINES),
    ),
    "Activations": (
        *(LOGIT_LENS, LENS_MAP, ATTRIBUTION, HEAD_ATTRIBUTION),
        *(NEURON_ATTRIBUTION, NEURON, MLP_SPARSITY),
        *(GELU, MLP_NEURONS, RESID_NORMS, RESID_WRITES, RESID_DIMENSIONS),
        *(NORM_STATISTICS, NORM_VECTOR),
    ),
    "Model": (CHECKS, PARITY),
}

PANELS: Final[dict[str, Panel]] = {panel.name: panel for panels in BY_PAGE.values() for panel in panels}

# What two prompts have to do with each other: once each, on Compare.
PAIR_PANELS: Final[dict[str, Panel]] = {
    panel.name: panel
    for panel in (
        *(CHANGED_TOKENS, CHANGED_NEURONS, CHANGED_SURPRISAL),
        *(CHANGED_HEADS, CHANGED_STREAM, LENS_CHANGE),
        *(PATCHING, PATCH_CELL, ABLATION),
    )
}

GONE: Final = f"What the model did with this prompt is no longer in the cache. {AGAIN}"


@callback(
    Output(ids.part("figure", MATCH, MATCH), "figure"),
    Output(ids.part("foot", MATCH, MATCH), "children"),
    Output(ids.part("fault", MATCH, MATCH), "children"),
    Input(ids.part("view", MATCH, MATCH), "data"),
    State(ids.part("view", MATCH, MATCH), "id"),
    prevent_initial_call=True,
)
def draw_panel(view: object, view_id: object) -> tuple[Any, Any, str]:
    """Figure, foot line and fault of the panel whose view has changed."""
    panel = _panel_of(view_id)
    if panel is None or not isinstance(view, dict):
        raise PreventUpdate
    try:
        trace = Source.here().trace(view.get("key"))
        if trace is None:
            return no_update, "", GONE
        drawn = drawn_for(panel, trace, view)
    except ValueError as error:  # only a made-up request comes here
        logger.warning("Drew nothing for %s: %s", panel.name, error)
        raise PreventUpdate from error
    except DashappError as error:
        return no_update, "", str(error)
    return drawn.figure, drawn.foot, ""


@callback(
    Output(ids.part("work-state", MATCH, MATCH), "data"),
    Output(ids.part("figure", MATCH, MATCH), "figure", allow_duplicate=True),
    Output(ids.part("foot", MATCH, MATCH), "children", allow_duplicate=True),
    Input(ids.part("work-asked", MATCH, MATCH), "data"),
    State(ids.part("view", MATCH, MATCH), "data"),
    State(ids.part("view", MATCH, MATCH), "id"),
    prevent_initial_call=True,
)
def ask_for_work(asked: object, view: object, view_id: object) -> tuple[dict[str, Any], Any, Any]:
    """How the work of a panel's view fares; when more of it is there, or another follows, figure and foot line too."""
    panel = _panel_of(view_id)
    trace = Source.here().trace(view.get("key")) if isinstance(view, dict) else None
    if panel is None or not isinstance(view, dict) or trace is None:
        raise PreventUpdate
    try:
        do, asker = order_of(asked)
        work = awaited_by(panel, trace, view)
        if work is None:
            raise PreventUpdate
        state = getattr(_works(), do)(work, asker, visitor())
        told = state_as_json(work, state, asked)
        is_new = state.phase == "done" or is_another(work, asked) or (panel.draws_parts and has_more(state, asked))
        drawn = drawn_for(panel, trace, view) if is_new else None
    except ValueError as error:  # only a made-up request comes here
        logger.warning("Asked for nothing for %s: %s", panel.name, error)
        raise PreventUpdate from error
    if drawn is None:
        return told, no_update, no_update
    return told, drawn.figure, drawn.foot


def _panel_of(part_id: object) -> Panel | None:
    """The panel of a part's id that a browser sent."""
    name = part_id.get("panel") if isinstance(part_id, dict) else None
    return (PANELS.get(name) or PAIR_PANELS.get(name)) if isinstance(name, str) else None


def _works() -> Works:
    found: Works = current_app.extensions[WORKS]
    return found
