"""The figure of a tree of continuations: a mark a token, its text above and its log-probability below."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from dashapp.analysis.continuations import Kind, Node
from dashapp.figures import plot
from dashapp.figures.numbers import percent
from dashapp.figures.theme import MONO, Frame, framed
from dashapp.figures.tokens import label

ROW: Final = 54  # pixels
BELOW: Final = 0.3  # of a row, from a mark to its number
SYMBOLS: Final[dict[Kind, str]] = {
    "shown": "circle",
    "branch": "square",
    "beam": "diamond",
    "alternative": "circle-open",
}
SAID: Final[dict[Kind, str]] = {
    "shown": "in the text on screen: click to select it",
    "branch": "in a branch: click to open it",
    "beam": "found by beam search: click to open it",
    "alternative": "likely here: click to branch",
}


def tree(
    nodes: Sequence[Node], *, texts: Mapping[int, str], root: str, before: float, depth: int, frame: Frame
) -> plot.Figure:
    """A tree from left to right, a column a token.

    texts: of each token by id. root: the text of the token that all have before them. before: see `tree_of`. Each mark
    has its place in `nodes` as customdata; the root has −1.
    """
    colours = frame.colours
    n_rows = max((node.row for node in nodes), default=0) + 1
    edges = plot.Scatter(
        x=[x for node in nodes for x in _elbow(node, nodes)[0]],
        y=[y for node in nodes for y in _elbow(node, nodes)[1]],
        mode="lines",
        line={"color": colours.edge, "width": 1.5},
        hoverinfo="skip",
    )
    marks = plot.Scatter(
        x=[0, *(node.depth for node in nodes)],
        y=[0, *(node.row for node in nodes)],
        mode="markers+text",
        text=[f"<b>{label(root, longest=12)}</b>", *(label(texts[node.token], longest=10) for node in nodes)],
        textposition="top center",
        textfont={"family": MONO},
        cliponaxis=False,
        customdata=list(range(-1, len(nodes))),
        hovertext=[f"‘{label(root)}’: the tree begins here", *(_sentence(node, texts, frame) for node in nodes)],
        hoverinfo="text",
        marker={
            "symbol": ["circle", *(SYMBOLS[node.kind] for node in nodes)],
            "size": 11,
            "color": [colours.selection, *(colours.amount for _ in nodes)],
        },
    )
    totals = plot.Scatter(
        x=[0, *(node.depth for node in nodes)],
        y=[BELOW, *(node.row + BELOW for node in nodes)],
        mode="text",
        text=[number(before, frame), *(number(node.total, frame) for node in nodes)],
        textfont={"family": MONO, "size": 11, "color": colours.muted},
        cliponaxis=False,
        hoverinfo="skip",
    )
    says = f"log-probability since the prompt ({frame.units})"
    summary = f"After ‘{label(root)}’ {n_rows} ways to go on, {len(nodes)} tokens."
    figure = framed(edges, marks, totals, frame=frame, height=ROW * n_rows + 72, summary=summary)
    figure.update_layout(margin={"l": 16, "r": 24, "t": 30, "b": 44}, hovermode="closest")
    figure.update_xaxes(
        title_text=says if frame.is_narrow else f"tokens after ‘{label(root)}’; below each the {says}",
        range=[-0.5, depth + 0.5],
        tickvals=list(range(1, depth + 1)),
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_yaxes(visible=False, range=[n_rows - 0.4, -0.6], fixedrange=True)
    return figure


def number(nats: float, frame: Frame) -> str:
    """A log-probability in the frame's units, with three digits and a true minus."""
    return f"{frame.of_nats(nats):.3g}".replace("-", "−")


def _elbow(node: Node, nodes: Sequence[Node]) -> tuple[list[float | None], list[float | None]]:
    """The line from a node's parent: down first, then across, so that rows stay straight."""
    row, depth = (0, 0) if node.parent is None else (nodes[node.parent].row, nodes[node.parent].depth)
    turn = depth + 0.28
    return [depth, turn, turn, node.depth, None], [row, row, node.row, node.row, None]


def _sentence(node: Node, texts: Mapping[int, str], frame: Frame) -> str:
    said = "".join(label(texts[token], longest=12) for token in node.path)
    prob = percent(math.exp(node.logprob))
    return (
        f"‘{said}’<br>last token: probability {prob}, {SAID[node.kind]}<br>"
        f"log-probability since the prompt: {number(node.total, frame)} {frame.units}"
    )
