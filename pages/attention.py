"""The page `/attention`: where every head looks, one head closely, one token, one pair, and all heads together."""

from __future__ import annotations

from typing import Final

from dash import html, register_page

from dashapp.panels.catalogue import PANELS
from dashapp.panels.page_index import page_index
from dashapp.panels.rows import panel_row

# A panel a row, or two beside each other.
ROWS: Final = (
    (PANELS["head-grid"],),
    (PANELS["head-pattern"], PANELS["token-attention"]),
    (PANELS["token-lines"],),
    (PANELS["pattern-detail"], PANELS["pair-heads"]),
    (PANELS["token-sources"], PANELS["pair-writes"]),
    (PANELS["pair-match"],),
    (PANELS["heads-together"], PANELS["token-origins"]),
    (PANELS["sink-heads"],),
    (PANELS["sink-rows"],),
    (PANELS["token-heads"],),
    (PANELS["head-atlas"],),
)


def layout(**query: str) -> html.Div:
    """The page; knobs stand in the query string, and the shell reads the rest of it."""
    rows = [panel_row(panels, query) for panels in ROWS]
    index = page_index(panel for panels in ROWS for panel in panels)
    return html.Div([html.H1("Attention", className="visually-hidden"), index, *rows], className="page")


register_page(__name__, path="/attention", name="Attention", title="Attention · Inside GPT-2", order=1, layout=layout)
