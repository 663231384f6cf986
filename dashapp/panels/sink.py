"""The panel of the first token as a sink: how much of its attention each head rests there, and each row of one head."""

from __future__ import annotations

from typing import Final

from dashapp.analysis.attention import head_scores, head_to_begin_with
from dashapp.analysis.table import Table, counted, token_names
from dashapp.figures.attention import weight
from dashapp.figures.sink import sink_heads, sink_rows
from dashapp.figures.theme import Frame
from dashapp.panels.formulas import Formula
from dashapp.panels.head_pattern import selected_head
from dashapp.panels.panel import Drawn, Panel
from dashapp.traces.record import Trace


def draw_heads(trace: Trace, *, frame: Frame) -> Drawn:
    """A bar a head."""
    given = head_scores(trace).first
    n_most = int((given >= 0.5).sum())
    foot = (
        f"Mean over all tokens but the first, which has nothing else: {weight(float(given.mean()))} over all heads; "
        f"{n_most} of {given.size} give it half or more. Click a bar to select its head."
    )
    return Drawn(figure=sink_heads(given, frame=frame), foot=foot)


def draw_rows(trace: Trace, *, layer: int | None, head: int | None, frame: Frame) -> Drawn:
    """A bar a token, in the selected head."""
    of = selected_head(layer, head)
    shown = of or head_to_begin_with(trace)
    given = trace.read("attn_first", shown.layer)[shown.head].astype(float)
    figure = sink_rows(given, shown, texts=trace.token_texts, frame=frame)
    which = f"layer {shown.layer}, head {shown.head}"
    said = f"Shown: {which}." if of else f"No head is selected. Shown: {which}."
    return Drawn(figure=figure, foot=f"{said} The first token gives all to itself: it sees nothing else.")


def numbers_of_heads(trace: Trace) -> Table:
    """What each head gives to the first token on average."""
    values = head_scores(trace).first
    axes = {"layer": counted(len(values)), "head": counted(values.shape[1])}
    return Table("attention to the first token, mean over the others", values, axes)


def numbers_of_rows(trace: Trace, *, layer: int | None, head: int | None) -> Table:
    """What each token gives to the first, in the selected head."""
    of = selected_head(layer, head) or head_to_begin_with(trace)
    values = trace.read("attn_first", of.layer)[of.head]
    about = f"attention to the first token, layer {of.layer} head {of.head}"
    return Table(about, values, {"token": token_names(trace.token_texts)})


_SINK: Final = (
    "Many heads of trained models give most of their attention to the first token, whatever it is: a softmax must give "
    "its 1 to somebody, and there it does little, for the first token’s value is short in such heads.",
    Formula("attention"),
    "Source: Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks.",
)

SINK_HEADS = Panel(
    name="sink-heads",
    title="The first token, head by head",
    question="How much of its attention does each head rest on the first token?",
    about=(*_SINK, "It does not show whether a head is idle: one that rests there on this text may work on another."),
    marks="head",
    draw=draw_heads,
    numbers=numbers_of_heads,
    difference="",
)

SINK_ROWS = Panel(
    name="sink-rows",
    title="The first token, row by row",
    question="Which tokens of the selected head rest on the first token, and which look elsewhere?",
    about=(*_SINK, "It does not show where the rest goes: One head does, with the first token hidden."),
    reads=("layer", "head"),
    marks="pos",
    draw=draw_rows,
    numbers=numbers_of_rows,
    difference="",
)
