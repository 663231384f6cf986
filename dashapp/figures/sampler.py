"""The figure of the sampler's steps: a row a token, a column a step, each cell a number over a thin bar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dashapp.analysis.sampler import SamplerRow, SamplerSteps
from dashapp.figures import plot
from dashapp.figures.numbers import percent, percent_label
from dashapp.figures.theme import MONO, Frame, framed
from dashapp.figures.tokens import label

ROW: Final = 30  # pixels
GAP: Final = 0.02  # between columns, as a share of the width
HEAD: Final = 68  # pixels for three lines
NAMES, NAMES_NARROW, RIGHT = 148, 104, 12  # pixels left and right of the columns
PHONE, COLUMN_NARROW = 360, 57  # pixels of a telephone's figure, and that a column needs there
BAR_HEIGHT, BAR_BELOW = 0.12, 0.33  # of a row, from its middle
SMALLEST: Final = 1e-4  # smaller probabilities are not told exactly on a telephone, but in the hover


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """head: lines of its heading. texts: a cell's number or word, by row. shares: its bar, 0..1; None for no bars."""

    head: tuple[str, ...]
    texts: list[str]
    shares: list[float] | None = None


def sampler_table(
    steps: SamplerSteps, rows: Sequence[SamplerRow], *, texts: Mapping[int, str], after: str, frame: Frame
) -> plot.Figure:
    """The steps from the logits to what is drawn with; all bars have one scale, from 0 to 1.

    rows: of `sampler_rows`. texts: of each token in them by id. after: the token that they would follow. A broken line
    stands where a cut is. The row of the token that came is outlined in amber and marked by ▸, that of the token on
    which the random number falls by ◆. On a telephone the
    logits are in the hover, as are numbers below 0.01%, and the two cuts in one column; larger text leaves room for
    fewer columns, and what has none is in the hover too.
    """
    columns = _narrow_columns(steps, rows, frame.text) if frame.is_narrow else _wide_columns(steps, rows)
    hover = [_sentence(steps, row, texts) for row in rows]
    traces: list[plot.Bar | plot.Scatter] = []
    for i, column in enumerate(columns):
        axis = f"x{i + 1}" if i else "x"
        if column.shares is not None:
            traces.append(_bars(column.shares, rows, axis, frame))
        traces.append(_numbers(column.texts, rows, hover, axis, frame))
    summary = _summary(steps, after)
    figure = framed(*traces, frame=frame, height=ROW * len(rows) + HEAD + 12, summary=summary)
    _place_columns(figure, columns, frame)
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[_name(row, texts, longest=9 if frame.is_narrow else 14) for row in rows],
        tickfont_family=MONO,
        range=[len(rows) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_layout(
        margin={"l": NAMES_NARROW if frame.is_narrow else NAMES, "r": RIGHT, "t": HEAD, "b": 12},
        barmode="overlay",
        hovermode="y",
        shapes=[*_cuts(rows, frame), *_outlines(rows, frame)] or None,
    )
    return figure


# Columns --------------------------------------------------------------------------------------------------------------


def _wide_columns(steps: SamplerSteps, rows: Sequence[SamplerRow]) -> list[Column]:
    return [
        Column(head=("", "logit", ""), texts=["" if math.isnan(row.logit) else _logit(row.logit) for row in rows]),
        *_uncut_columns(steps, rows),
        _cut_column("top-k", steps, steps.n_top_k, rows),
        _cut_column("top-p", steps, steps.n_top_p, rows),
        _final_column(steps, rows),
    ]


def _narrow_columns(steps: SamplerSteps, rows: Sequence[SamplerRow], text: float) -> list[Column]:
    """Three columns of numbers and one that names the cuts; with larger text as many of them as have room."""
    n_cut = steps.n_tempered - steps.n_top_p
    mass = percent_label(float(steps.tempered[steps.n_top_p : steps.n_tempered].sum()))
    cuts = Column(
        head=("cut by", f"{n_cut:,}", mass) if n_cut else ("cut by", "nothing", "is cut"),
        texts=["" if row.fate in ("kept", "temperature") else row.fate for row in rows],
    )
    model, tempered = (replace(column, head=("", "prob.", column.head[-1])) for column in _uncut_columns(steps, rows))
    final = replace(_final_column(steps, rows), head=("prob.", "to draw", "100%"))
    instead = [cut or number for cut, number in zip(cuts.texts, final.texts, strict=True)]
    merged = replace(final, texts=instead)
    fitting = {4: [model, tempered, cuts, final], 3: [model, tempered, merged], 2: [model, merged], 1: [merged]}
    return [replace(column, texts=_shorter(column)) for column in fitting[_n_fitting(text)]]


def _n_fitting(text: float) -> int:
    """How many columns a telephone has room for beside the names, with text so many times larger."""
    return min(4, max(1, int((PHONE / text - NAMES_NARROW - RIGHT) / COLUMN_NARROW)))


def _shorter(column: Column) -> list[str]:
    """A column's texts for a telephone, where 0.000123% has no room."""
    shares = column.shares or [1.0] * len(column.texts)
    short = f"&lt;{percent_label(SMALLEST)}"
    return [short if 0 < share < SMALLEST else text for text, share in zip(column.texts, shares, strict=True)]


def _uncut_columns(steps: SamplerSteps, rows: Sequence[SamplerRow]) -> list[Column]:
    probs, tempered = [row.prob for row in rows], [row.tempered for row in rows]
    return [
        Column(head=("", "probability", "T = 1"), texts=[percent_label(p) for p in probs], shares=probs),
        Column(
            head=("after", "temperature", f"T = {steps.settings.temperature:g}"),
            texts=[percent_label(p) for p in tempered],
            shares=tempered,
        ),
    ]


def _cut_column(name: str, steps: SamplerSteps, n_kept: int, rows: Sequence[SamplerRow]) -> Column:
    """What passes a cut keeps its probability; what does not is called cut, and is gone from the next column."""
    shares = [row.tempered if row.place < n_kept else 0.0 for row in rows]
    texts = [percent_label(row.tempered) if row.place < n_kept else "cut" if row.fate == name else "" for row in rows]
    n_before = steps.n_tempered if name == "top-k" else steps.n_top_k
    kept = "all kept" if n_kept == n_before else f"{n_kept:,} kept"
    return Column(
        head=(f"after {name}", kept, percent_label(float(steps.tempered[:n_kept].sum()))), texts=texts, shares=shares
    )


def _final_column(steps: SamplerSteps, rows: Sequence[SamplerRow]) -> Column:
    shares = [row.final for row in rows]
    head = ("renormalised", f"{steps.n_top_p:,} kept", "100%")
    return Column(head=head, texts=[percent_label(p) for p in shares], shares=shares)


# Drawn ----------------------------------------------------------------------------------------------------------------


def _bars(shares: list[float], rows: Sequence[SamplerRow], axis: str, frame: Frame) -> plot.Bar:
    """Thin bars below the numbers; those of several tokens together are hollow."""
    colours = frame.colours
    hollow = [row.token is None for row in rows]
    return plot.Bar(
        x=shares,
        y=[i + BAR_BELOW for i in range(len(rows))],
        xaxis=axis,
        orientation="h",
        width=BAR_HEIGHT,
        hoverinfo="skip",
        marker={
            "color": [colours.paper if each else colours.amount for each in hollow],
            "line": {
                "color": colours.edge,
                "width": [1 if each and x else 0 for each, x in zip(hollow, shares, strict=True)],
            },
        },
    )


def _numbers(texts: list[str], rows: Sequence[SamplerRow], hover: list[str], axis: str, frame: Frame) -> plot.Scatter:
    """A column's texts, ending at its right edge; of what is cut in the weaker ink."""
    colours = frame.colours
    return plot.Scatter(
        x=[1] * len(rows),
        y=list(range(len(rows))),
        xaxis=axis,
        mode="text",
        text=texts,
        textposition="middle left",
        textfont={"family": MONO, "color": [colours.ink if row.fate == "kept" else colours.muted for row in rows]},
        cliponaxis=False,
        hovertext=hover,
        hoverinfo="text",
    )


def _place_columns(figure: plot.Figure, columns: Sequence[Column], frame: Frame) -> None:
    """Give each column its part of the width and its heading."""
    width = (1 - GAP * (len(columns) - 1)) / len(columns)
    plain: dict[str, Any] = {"range": [0, 1], "showgrid": False, "zeroline": False, "visible": False}
    for i, column in enumerate(columns):
        start = i * (width + GAP)
        end = min(1.0, start + width)
        figure.update_layout({f"xaxis{i + 1 if i else ''}": plain | {"domain": [start, end], "fixedrange": True}})
        figure.add_annotation(
            text="<br>".join(column.head),
            x=end,
            xref="paper",
            xanchor="right",
            y=1,
            yref="paper",
            yanchor="bottom",
            yshift=4,
            align="right",
            showarrow=False,
            font={"color": frame.colours.muted},
        )


def _cuts(rows: Sequence[SamplerRow], frame: Frame) -> list[dict[str, Any]]:
    """A broken line wherever one fate ends and another begins."""
    places = [i for i in range(1, len(rows)) if rows[i].fate != rows[i - 1].fate]
    line = {"color": frame.colours.ink, "width": 1.5, "dash": "dash"}
    return [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": place - 0.5, "y1": place - 0.5, "line": line}
        for place in places
    ]


def _outlines(rows: Sequence[SamplerRow], frame: Frame) -> list[dict[str, Any]]:
    line = {"color": frame.colours.selection, "width": 2}
    return [
        {"type": "rect", "xref": "paper", "x0": 0, "x1": 1.01, "y0": i - 0.43, "y1": i + 0.43, "line": line}
        for i, row in enumerate(rows)
        if row.came
    ]


# In words -------------------------------------------------------------------------------------------------------------


def _name(row: SamplerRow, texts: Mapping[int, str], *, longest: int) -> str:
    if row.token is None:
        return "1 other" if row.n == 1 else f"{row.n:,} others"
    name = label(texts[row.token], longest=longest)
    return f"{'▸' * row.came}{'◆' * row.hit} {name}".strip()


def _logit(logit: float) -> str:
    return f"{logit:.2f}".replace("-", "−")


def _sentence(steps: SamplerSteps, row: SamplerRow, texts: Mapping[int, str]) -> str:
    """A row in words, in lines that a telephone has room for."""
    temperature = f"{steps.settings.temperature:g}"
    if row.token is None:
        first = f"{row.n:,} other token{'' if row.n == 1 else 's'} together"
    else:
        first = f"‘{label(texts[row.token])}’, number {row.place + 1:,} of the vocabulary, logit {_logit(row.logit)}"
    second = f"probability {percent(row.prob)}, at temperature {temperature} {percent(row.tempered)}"
    return f"{first}<br>{second}<br>{_fate_sentence(row)}"


def _fate_sentence(row: SamplerRow) -> str:
    if row.fate == "temperature":
        return "never drawn: temperature 0 takes the most likely token"
    if row.fate != "kept":
        return f"cut by {row.fate}: never drawn"
    if row.interval is None:
        return f"drawn with probability {percent(row.final)}"
    low, high = row.interval
    hit = ", as that of the run is" if row.hit else ""
    return f"drawn with probability {percent(row.final)}<br>by random numbers from {low:.4f} to {high:.4f}{hit}"


def _summary(steps: SamplerSteps, after: str) -> str:
    n_kept, n = steps.n_top_p, len(steps.ids)
    return f"After ‘{label(after)}’ the sampler leaves {n_kept:,} of {n:,} tokens to draw from."
