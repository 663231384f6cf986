"""A panel beside itself as a difference, a − b, in the place of b: whatever the panel's table holds of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from dashapp.analysis.alignment import NONE, Alignment, align
from dashapp.analysis.difference import is_of_tokens
from dashapp.analysis.table import Table, token_names
from dashapp.errors import NotThereYet
from dashapp.figures.difference import HEIGHT, block_of, difference_figure
from dashapp.figures.theme import enlarged, unfilled
from dashapp.panels.awaiting import marked
from dashapp.panels.inner_changes import other_weights
from dashapp.panels.panel import Drawn, Panel, frame_of, waits_for_start
from dashapp.panels.shown import Subtracted, subtracted
from dashapp.traces.record import Trace

WAITS: Final = "a is still being computed. The difference appears here when it is complete."


def draw_difference(panel: Panel, a: Trace, b: Trace, view: Mapping[str, Any]) -> Drawn:
    """a − b of what a panel shows, at a's places; marked as awaiting a's work until that is there.

    view: of the panel in slot b. Raises: NoDifference, DashappError where one of the two cannot be drawn; ValueError as
    `draw`.
    """
    frame = frame_of(view)
    shown = subtracted(panel, a, b, view)
    try:
        table = shown.table()
    except NotThereYet:
        if shown.of_a.work is None:
            raise
        figure = unfilled(frame, height=HEIGHT, summary=WAITS)
        return Drawn(figure=marked(figure, shown.of_a.work, starts=waits_for_start(panel, view)), foot=WAITS)
    names = token_names(a.token_texts)
    tokens = [is_of_tokens(labels, names) for labels in table.axes.values()]
    figure = difference_figure(table, texts=a.token_texts, is_of_tokens=tokens, frame=frame)
    return Drawn(figure=enlarged(figure, frame.text), foot=" ".join(filter(None, _words(table, tokens, shown))))


def _words(table: Table, tokens: list[bool], shown: Subtracted) -> list[str]:
    """What is subtracted, where the two differ most, and what is left out."""
    a, b = shown.of_a.trace, shown.of_b.trace
    away = np.nan_to_num(table.values)
    place = np.unravel_index(int(np.abs(away).argmax()), away.shape)
    where = ", ".join(f"{axis} {labels[int(at)]}" for (axis, labels), at in zip(table.axes.items(), place, strict=True))
    most = f"{float(away[place]):+.3g}".replace("-", "−")
    said = f"a − b of {table.quantity}: largest at {where}, {most}. Blue is more in a; 0 has no colour."
    block = block_of(table)
    pooled = f"A cell is the largest of {block} × {block}." if block > 1 else ""
    return [
        said if away[place] else f"a − b of {table.quantity}: nothing differs.",
        *_gaps(table, tokens, align(a.token_ids, b.token_ids, shown.pins)),
        pooled,
        other_weights(a, b),
    ]


def _gaps(table: Table, tokens: list[bool], aligned: Alignment) -> list[str]:
    """Places of a that b does not have, axis by axis, each sentence once."""
    has_none = aligned.b_of_a == NONE
    said = []
    for place, (axis, labels) in enumerate(table.axes.items()):
        if tokens[place]:
            n = int(has_none[: len(labels)].sum())
            said.append(f"Left empty: {n:,} of a’s tokens, which have no counterpart." if n else "")
        else:
            others = tuple(each for each in range(table.values.ndim) if each != place)
            n = int(np.isnan(table.values).all(axis=others).sum())
            said.append(f"Left empty: {n:,} of {len(labels):,} along {axis}, which b does not show." if n else "")
    return [*dict.fromkeys(said)]
