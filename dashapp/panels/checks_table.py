"""Every check of the loaded weights in a table: what was expected, found and allowed, and the verdict in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Any, Final

import dash_bootstrap_components as dbc
from dash import MATCH, Input, Output, callback, html
from dash.exceptions import PreventUpdate

from dashapp import ids
from dashapp.experiments.checks import OF_LARGEST, Checks, Row, Verdict, rows
from dashapp.panels.checks import CHECKS
from dashapp.panels.panel import aria, work_of
from dashapp.panels.source import Source

SIGNS: Final[dict[Verdict, str]] = {"pass": "✓", "fail": "✗", "does not apply": "–", "not asked for": "·"}
HEADS: Final = ("Check", "Verdict", "Expected", "Found", "Largest difference", "Allowed")


def layout() -> html.Section:
    """The table, filled in when there is a run on screen."""
    filled: dict[str, Any] = {"id": ids.part("rows", CHECKS.name, "a"), "tabIndex": 0, "role": "region"}
    return section(table(rows(None)), **filled, **aria(label="Table of checks"))


def section(shown: dbc.Table, **frame: Any) -> html.Section:
    """A table under its title. frame: properties of what holds it."""
    return html.Section(
        [
            html.H2("What is checked", id="checks-title"),
            html.P("What was expected of each check, and what was found?", className="question"),
            html.Div(shown, className="checks-table", **frame),
        ],
        className="panel checks",
        **aria(labelledby="checks-title"),
    )


@callback(
    Output(ids.part("rows", MATCH, MATCH), "children"),
    Input(ids.part("view", MATCH, MATCH), "data"),
    Input(ids.part("work-state", MATCH, MATCH), "data"),
    prevent_initial_call=True,
)
def show_checks(view: object, _state: object) -> Any:
    """The table of the view on screen, with what its checks found if they are done."""
    trace = Source.here().trace(view.get("key")) if isinstance(view, dict) else None
    if trace is None or not isinstance(view, dict):
        raise PreventUpdate
    try:
        work = work_of(CHECKS, trace, view)
    except ValueError as error:  # only a made-up request comes here
        raise PreventUpdate from error
    result = Source.here().store.get_result(work.key) if work else None
    return table(rows(Checks.from_arrays(result) if result else None, dtype=trace.dtype), is_done=result is not None)


def table(found: Sequence[Row], *, is_done: bool = False) -> dbc.Table:
    """All checks, group by group. is_done: there are verdicts."""
    head = html.Thead(html.Tr([html.Th(each, scope="col") for each in HEADS]))
    groups = [(title, list(of_group)) for title, of_group in groupby(found, key=_title)]
    bodies = [
        html.Tbody(
            [
                html.Tr(html.Th(title, scope="rowgroup", colSpan=len(HEADS)), className="check-group"),
                *(_tr(row, before, is_done=is_done) for before, row in pairwise([None, *of_group]) if row is not None),
            ]
        )
        for title, of_group in groups
    ]
    return dbc.Table([html.Caption("Checks", className="visually-hidden"), head, *bodies], borderless=True, size="sm")


def _title(row: Row) -> str:
    return f"{row.group} (differences as shares of the largest value)" if row.unit == OF_LARGEST else row.group


def _tr(row: Row, before: Row | None, *, is_done: bool) -> html.Tr:
    """A check; what must be computed so is said once, where it is the same as of the check before it."""
    is_said = before is not None and before.convention == row.convention
    name: list[Any] = [row.what] if is_said or not row.convention else [row.what, html.Small(row.convention)]
    return html.Tr(
        [html.Th(name, scope="row"), *(html.Td(text) for text in cells_of(row, is_done=is_done))],
        className="check-fails" if row.verdict == "fail" else "",
    )


def cells_of(row: Row, *, is_done: bool) -> tuple[str, str, str, str, str]:
    """Verdict, expected, found, largest difference and allowed as texts."""
    verdict = f"{SIGNS[row.verdict]} {row.verdict}" if is_done else ""
    if row.unit == OF_LARGEST:
        apart = "" if row.difference is None else _small(row.difference)
        return verdict, "no difference", apart, apart, _small(row.tolerance)
    expected = _at(row, float(row.expected[row.place]))
    allowed = f"{_small(row.tolerance)} {row.unit}".strip()
    if row.found is None or row.difference is None:
        return verdict, expected, "", "", allowed
    found = _number(float(row.found[row.place]), row.tolerance)
    return verdict, expected, found, _small(row.difference), allowed


def _small(amount: float) -> str:
    return f"{amount:.2g}".replace("e-0", "e−").replace("e-", "e−")


def _at(row: Row, value: float) -> str:
    """A value and where it stands: "2.9850 at layer 9, head 9, of 144 values"."""
    told = _number(value, row.tolerance)
    if not row.axes:
        return told
    where = ", ".join(f"{axis} {place}" for axis, place in zip(row.axes.split(), row.place, strict=True))
    return f"{told} at {where}, of {row.expected.size} values"


def _number(value: float, tolerance: float) -> str:
    """A value with a digit more than what is allowed."""
    return f"{value:.{1 - math.floor(math.log10(tolerance))}f}".replace("-", "−")
