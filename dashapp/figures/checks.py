"""The figure of all checks at once: how much of what is allowed each difference is, by kind of check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dashapp.experiments.checks import Row, Verdict
from dashapp.figures import plot
from dashapp.figures.theme import Frame, framed

LEAST, MOST = 1e-6, 1e3  # of what is allowed: drawn at the edge beyond
MARKS: Final[dict[Verdict, str]] = {"pass": "circle", "fail": "x"}


def differences(rows: Sequence[Row], *, frame: Frame) -> plot.Figure:
    """A mark for each check that was computed, in the row of its kind; a line where differences are too large."""
    groups = list(dict.fromkeys(row.group for row in rows))
    traces = [_marks(verdict, rows, groups, frame) for verdict in MARKS]
    figure = framed(*traces, _line(len(groups), frame), frame=frame, height=320, summary=_summary(rows))
    figure.update_xaxes(
        type="log",
        range=[np.log10(LEAST) - 0.3, np.log10(MOST) + 0.3],
        tickvals=[1e-6, 1e-4, 1e-2, 1, 1e2],
        ticktext=["10<sup>−6</sup>", "10<sup>−4</sup>", "0.01", "1", "100"],
        title_text="largest difference / allowed",
    )
    figure.update_yaxes(tickvals=list(range(len(groups))), ticktext=groups, range=[len(groups) - 0.5, -0.5])
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    figure.update_layout(margin={"t": 40, "l": 112})
    return figure


def _marks(verdict: Verdict, rows: Sequence[Row], groups: list[str], frame: Frame) -> plot.Scatter:
    shown = [row for row in rows if row.verdict == verdict and row.difference is not None]
    shares = np.array([(row.difference or 0.0) / row.tolerance for row in shown])
    colour = frame.colours.amount if verdict == "pass" else frame.colours.alarm
    marker: dict[str, Any] = {"symbol": MARKS[verdict], "size": 10, "color": colour}
    return plot.Scatter(
        x=np.clip(np.nan_to_num(shares, nan=MOST), LEAST, MOST),
        y=[groups.index(row.group) for row in shown],
        mode="markers",
        name=f"{verdict} ({len(shown)})",
        marker=marker | {"line": {"color": frame.colours.ink, "width": 1}, "opacity": 0.85},
        text=[f"{row.what}: {share:.2g} of what is allowed" for row, share in zip(shown, shares, strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )


def _line(n_groups: int, frame: Frame) -> plot.Scatter:
    return plot.Scatter(
        x=[1, 1],
        y=[-0.5, n_groups - 0.5],
        mode="lines",
        name="allowed",
        line={"color": frame.colours.alarm, "width": 2, "dash": "dash"},
        hoverinfo="skip",
    )


def _summary(rows: Sequence[Row]) -> str:
    counts = {verdict: sum(row.verdict == verdict and row.found is not None for row in rows) for verdict in MARKS}
    if not any(counts.values()):
        return "Nothing is checked yet."
    return f"Differences as shares of what is allowed: {counts['pass']} checks pass and {counts['fail']} fail."
