"""The figure of the logit lens at one token: the likeliest tokens at each point, and how one measure goes along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np

from dashapp.analysis.logit_lens import Lens
from dashapp.figures import plot
from dashapp.figures.cells import ABOVE, bar_above, say_above, texts_on_cells
from dashapp.figures.numbers import percent, percent_label
from dashapp.figures.theme import TEXT_SIZE, Frame, framed
from dashapp.figures.token_map import MOST_TALL, point_name
from dashapp.figures.tokens import label

Measure = Literal["probability", "rank", "kl", "entropy"]

MEASURES: Final[Mapping[Measure, str]] = {
    "probability": "probability",
    "rank": "rank",
    "kl": "KL to the output",
    "entropy": "entropy",
}
CELL: Final = 24  # pixels of a row
N_ACROSS: Final = 5
N_ACROSS_NARROW: Final = 2
BELOW: Final = 52
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash")  # lines and marks go on in turn,
SYMBOLS: Final = ("circle", "square", "diamond", "cross", "triangle-up", "x", "star", "pentagon")  # so no two are alike
MARK: Final = "▸"  # the favourite, wherever it stands


def lens_figure(
    lens: Lens, *, names: Mapping[int, str], followed: Sequence[str], after: str, measure: Measure, frame: Frame
) -> plot.Figure:
    """A row a point of the stream, embeddings at the bottom; its likeliest tokens as cells, coloured by probability.

    names: id → text, of all that the lens shows. followed: what each token of `lens.followed` is, the favourite first.
    A dashed line stands below the point from which on the likeliest token is the model's.
    """
    n_point = len(lens.top_ids)
    texts = [f"{label(names[token])} ({role})" for token, role in zip(lens.followed, followed, strict=True)]
    summary = _summary(lens, names, after)
    figure = framed(
        _cells(lens, names, n_point, frame),
        _cell_texts(lens, names, frame),
        *_lines(lens, texts, measure, frame),
        _settling(lens, n_point, frame),
        frame=frame,
        height=CELL * n_point + ABOVE + BELOW + _legend_height(frame),
        summary=summary,
    )
    say_above(figure, "probability", frame)
    _axes(figure, n_point, lens, frame)
    _measure_axis(figure, lens, measure, frame)
    return figure


def _cells(lens: Lens, names: Mapping[int, str], n_point: int, frame: Frame) -> plot.Heatmap:
    ids, probs = _shown(lens, frame)
    return plot.Heatmap(
        z=probs,
        zmin=0,
        zmax=1,
        customdata=ids.tolist(),  # as lists: the browser reads ids from it
        hovertext=[
            [_cell_sentence(lens, names, point, column, frame) for column in range(ids.shape[1])]
            for point in range(n_point)
        ],
        hoverinfo="text",
        colorscale=frame.amount_scale,
        xgap=1,
        ygap=1,
        colorbar=bar_above(0.4, frame) | {"tickvals": [0, 0.5, 1], "tickformat": "~%"},
    )


def _shown(lens: Lens, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Ids and probabilities of the cells that there is room for: [point column]."""
    n_shown = N_ACROSS_NARROW if frame.is_narrow else N_ACROSS
    return lens.top_ids[:, :n_shown], lens.top_probs[:, :n_shown]


def _cell_texts(lens: Lens, names: Mapping[int, str], frame: Frame) -> plot.Scatter:
    ids, probs = _shown(lens, frame)
    return texts_on_cells(
        [[_cell_text(int(token), lens, names, frame) for token in row] for row in ids], probs, frame.amount_scale
    )


def _cell_text(token: int, lens: Lens, names: Mapping[int, str], frame: Frame) -> str:
    text = label(names[token], longest=8 if frame.is_narrow else 12)
    return f"{MARK} {text}" if token == lens.followed[0] else text


def _cell_sentence(lens: Lens, names: Mapping[int, str], point: int, column: int, frame: Frame) -> str:
    n_point = len(lens.top_ids)
    entropy, kl = (frame.information(float(bits[point])) for bits in (lens.entropy_bits, lens.kl_bits))
    prob = percent(float(lens.top_probs[point, column]))
    return (
        f"{point_name(point, n_point)}: ‘{label(names[int(lens.top_ids[point, column])])}’ with {prob}<br>"
        f"entropy {entropy}, {kl} from the output"
    )


def _lines(lens: Lens, texts: Sequence[str], measure: Measure, frame: Frame) -> list[plot.Scatter]:
    """One measure along the points: a line a followed token, or one for all."""
    colours = frame.colours
    if measure in ("kl", "entropy"):
        amount = f"%{{x:.3g}} {frame.units}"
        sentence = f"{amount} from the output" if measure == "kl" else f"entropy {amount}"
        return [
            _line(_information(lens, measure, frame), MEASURES[measure], sentence, {"color": colours.amount}, "circle")
        ]
    shades, n_dash, n_symbol = (colours.amount, colours.ink, colours.muted), len(DASHES), len(SYMBOLS)
    lines = []
    for row, text in enumerate(texts):
        dash, symbol, colour = DASHES[row % n_dash], SYMBOLS[row % n_symbol], shades[row % len(shades)]
        values = lens.probs[row] if measure == "probability" else lens.ranks[row] + 1
        sentence = text + (" with %{text}" if measure == "probability" else ": place %{x:,}")
        line = _line(values, text, sentence, {"color": colour, "dash": dash}, symbol)
        if measure == "probability":
            line.text = [percent_label(float(prob)) for prob in values]
        lines.append(line)
    return lines


def _information(lens: Lens, measure: Measure, frame: Frame) -> np.ndarray:
    """Entropy or divergence at every point, in the unit of the frame."""
    return (lens.kl_bits if measure == "kl" else lens.entropy_bits) * frame.per_bit


def _line(values: np.ndarray, name: str, sentence: str, line: dict[str, Any], symbol: str) -> plot.Scatter:
    return plot.Scatter(
        x=values,
        y=np.arange(len(values)),
        xaxis="x2",
        mode="lines+markers",
        name=name,
        showlegend=True,
        line={"width": 2} | line,
        marker={"symbol": symbol, "size": 7, "color": line["color"]},
        hovertemplate=sentence + "<extra></extra>",
    )


def _settling(lens: Lens, n_point: int, frame: Frame) -> plot.Scatter:
    """A dashed line below the point from which on the likeliest token stays."""
    place = lens.settles_at - 0.5
    dashed = {"color": frame.colours.edge, "width": 2, "dash": "dash"}
    return plot.Scatter(x=[-0.5, n_point], y=[place, place], mode="lines", line=dashed, hoverinfo="skip")


def _axes(figure: plot.Figure, n_point: int, lens: Lens, frame: Frame) -> None:
    n_shown = _shown(lens, frame)[0].shape[1]
    style = figure.layout.xaxis
    figure.update_layout(
        xaxis2=style,
        margin={"l": 64 if frame.is_narrow else 116, "r": 12, "t": ABOVE, "b": BELOW + _legend_height(frame)},
        hovermode="closest",
        legend={"orientation": "h", "x": 1, "xanchor": "right", "font_size": TEXT_SIZE - 2} | _legend_place(frame),
        showlegend=True,
    )
    figure.data[-1].showlegend = False
    figure.update_layout(
        xaxis={
            "domain": [0, 0.6],
            "range": [-0.5, n_shown - 0.5],
            "tickvals": list(range(n_shown)),
            "ticktext": ["likeliest", "2nd", "3rd", *(f"{place}th" for place in range(4, n_shown + 1))][:n_shown],
            "showgrid": False,
            "zeroline": False,
        },
        xaxis2={"domain": [0.65, 1], "anchor": "y"},
    )
    step = 2 * -(-n_point // (2 * MOST_TALL)) if n_point > MOST_TALL else 1
    places = list(range(0, n_point, step))
    shown = [point_name(place, n_point) for place in places]
    figure.update_yaxes(
        tickvals=places,
        ticktext=[name.replace(" layer", "") for name in shown] if frame.is_narrow else shown,
        range=[-0.5, n_point - 0.5],
        showgrid=False,
        zeroline=False,
    )


def _legend_height(frame: Frame) -> int:
    """On a telephone the legend stands below, up to three lines of it."""
    return 72 if frame.is_narrow else 0


def _legend_place(frame: Frame) -> dict[str, Any]:
    if frame.is_narrow:
        return {"yref": "container", "y": 0, "yanchor": "bottom"}
    return {"y": 1, "yanchor": "bottom"}


def _measure_axis(figure: plot.Figure, lens: Lens, measure: Measure, frame: Frame) -> None:
    if measure == "probability":
        figure.update_layout(xaxis2={"title_text": "probability", "range": [-0.03, 1.03], "tickformat": "~%"})
        figure.update_layout(xaxis2={"tickvals": [0, 0.5, 1]})
    elif measure == "rank":
        furthest = max(1.0, float(np.log10(lens.ranks.max() + 1)))
        figure.update_layout(xaxis2={"title_text": "place, 1 the likeliest", "type": "log", "dtick": 1})
        figure.update_layout(xaxis2={"range": [-0.1, furthest + 0.15], "nticks": 5, "tickformat": "~s"})
    else:
        title = f"{frame.units} from the output" if measure == "kl" else f"entropy ({frame.units})"
        reach = max(1e-3, float(_information(lens, measure, frame).max()))
        figure.update_layout(xaxis2={"title_text": title, "range": [-0.03 * reach, 1.05 * reach], "nticks": 4})


def _summary(lens: Lens, names: Mapping[int, str], after: str) -> str:
    n_point = len(lens.top_ids)
    last = label(names[int(lens.top_ids[-1, 0])])
    settles = point_name(lens.settles_at, n_point)
    return f"What token {lens.pos} ‘{label(after)}’ leads to at {n_point} points: ‘{last}’ from {settles} on."
