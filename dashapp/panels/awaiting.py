"""What a panel shows below its figure while a work is awaited: a sentence, its progress, Start, Cancel and Retry.

45-works.js asks for the work and fills these in; `catalogue` answers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from dash import dcc, html
from dash.development.base_component import Component

from dashapp import ids
from dashapp.jobs.works import KINDS, Work, WorkState

if TYPE_CHECKING:
    from dashapp.figures import plot

PULSE_MS: Final = 400
LONGEST_ASKER: Final = 100


def parts(panel: str, slot: ids.Slot) -> list[Component]:
    """The components of a panel that has a work; hidden while nothing is awaited."""
    buttons: list[Any] = [
        html.Button("Start", id=ids.part("work-start", panel, slot), className="quiet", type="button", hidden=True),
        html.Button("Cancel", id=ids.part("work-cancel", panel, slot), className="quiet", type="button", hidden=True),
        html.Button("Retry", id=ids.part("work-retry", panel, slot), className="quiet", type="button", hidden=True),
    ]
    attributes: dict[str, Any] = {"aria-label": "Progress of the analysis"}
    bar = html.Progress(
        id=ids.part("work-bar", panel, slot), value="0", max="1", className="bar", hidden=True, **attributes
    )
    return [
        html.Div(
            [html.P(id=ids.part("work-says", panel, slot), role="status"), *buttons, bar],
            id=ids.part("work", panel, slot),
            className="panel-work",
            hidden=True,
        ),
        dcc.Interval(id=ids.part("work-pulse", panel, slot), interval=PULSE_MS, disabled=True),
        dcc.Store(id=ids.part("work-asked", panel, slot)),
        dcc.Store(id=ids.part("work-state", panel, slot)),
    ]


def marked(figure: plot.Figure, work: Work, *, starts: bool = False) -> plot.Figure:
    """A figure that tells the browser which work would complete it. starts: only when a person presses Start."""
    return figure.update_layout(meta={**(figure.layout.meta or {}), "awaits": work.key, "starts": starts})


def state_as_json(work: Work, state: WorkState, asked: object) -> dict[str, Any]:
    """How a work fares, as 45-works.js reads it. at: when the question was asked that this answers, as it says."""
    at = asked.get("at") if isinstance(asked, Mapping) else None
    return {**asdict(state), "key": work.key, "title": KINDS[work.kind].title, "at": at}


def is_another(work: Work, asked: object) -> bool:
    """Whether the figure of who asks awaits another work than this, which then is there, and another figure too."""
    return isinstance(asked, Mapping) and asked.get("awaits", work.key) != work.key


def has_more(state: WorkState, asked: object) -> bool:
    """Whether a work that runs shows more of its result than who asks was told of."""
    part = asked.get("part") if isinstance(asked, Mapping) else None
    return state.part > (part if isinstance(part, int) else 0)


def order_of(asked: object) -> tuple[str, str]:
    """What is wanted ("ask", "cancel", "retry") and by whom. Raises: ValueError for what no page of ours sends."""
    match asked:
        case Mapping() if isinstance(asked.get("asker"), str) and len(asked["asker"]) <= LONGEST_ASKER:
            if asked.get("do") in ("ask", "cancel", "retry"):
                return asked["do"], asked["asker"]
    raise ValueError("a panel asks for a work, cancels it or tries it again, and says who it is")
