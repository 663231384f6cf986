"""The page `/embeddings`: the prompt's vectors as numbers, as a map, and against each other."""

from __future__ import annotations

from typing import Final

from dash import html, register_page

from dashapp.panels.catalogue import PANELS
from dashapp.panels.page_index import page_index
from dashapp.panels.panel import layout as panel_layout

SHOWN: Final = (
    *("vector-rows", "vector-map", "vector-paths", "layer-steps", "vocabulary-map", "nearest-tokens"),
    *("vector-similarity", "between-layers"),
    *("sum-shares", "position-likeness", "position-curve", "position-lines"),
)


def layout(**query: str) -> html.Div:
    """The page; knobs stand in the query string, and the shell reads the rest of it."""
    return html.Div(
        [
            html.H1("Embeddings", className="visually-hidden"),
            page_index(PANELS[name] for name in SHOWN),
            *(panel_layout(PANELS[name], "a", query) for name in SHOWN),
        ],
        className="page",
    )


register_page(
    __name__, path="/embeddings", name="Embeddings", title="Embeddings · Inside GPT-2", order=2, layout=layout
)
