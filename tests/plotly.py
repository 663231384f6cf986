"""That Plotly would take a figure: figures are put together without its checks (`dashapp/figures/plot.py`)."""

from __future__ import annotations

import json
from typing import Any

import plotly.graph_objects as go

from dashapp.figures.plot import Figure


def taken_by_plotly(figure: Figure) -> dict[str, Any]:
    """A figure as JSON, once Plotly has refused none of it and changed none of it.

    It refuses what it does not know, and mends in silence what it can (a title that is a text, an empty part), which
    plotly.js would get unmended.
    """
    sent: dict[str, Any] = json.loads(figure.to_json())
    assert json.loads(go.Figure(figure.as_dict()).to_json()) == sent
    return sent
