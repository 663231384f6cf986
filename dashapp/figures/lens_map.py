"""The figure of the logit lens of a whole text: tokens across, points of the stream up, words in cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np

from dashapp.figures import plot
from dashapp.figures.cells import ABOVE, bar_above, say_above, texts_on_cells
from dashapp.figures.numbers import percent_label
from dashapp.figures.theme import ColourScale, Frame
from dashapp.figures.token_map import Axis, point_axis, stretch, token_map
from dashapp.figures.tokens import label, ticks

Colour = Literal["top", "prob", "logprob", "rank", "entropy", "kl"]

INFORMATION: Final = ("logprob", "entropy", "kl")  # what is told in bits or nats
CELL: Final = 24  # pixels of a row with texts
ROW: Final = 14  # and of one without
MOST_POINTS: Final = 60  # rows; of a deeper model, those within layers are left out,
MOST_CELLS: Final = 26_000  # and more of them in a long text: with their words they are 1.5 MB
N_ACROSS: Final = 18  # tokens beside each other with a text in each cell
N_ACROSS_NARROW: Final = 5
LONGEST: Final = 7  # characters of a text in a cell
SHORTEST: Final = 6  # and in the hovers of a whole text, which are sent for each cell


@dataclass(frozen=True, slots=True, kw_only=True)
class MapCells:
    """top_ids: int [point pos], −1 where it is not known. values: float [point pos], what `colour` names; NaN likewise.
    Of what is told in bits or nats they are bits; of a rank, the decimal logarithm of the place.

    ranks: int [point pos], where `colour` is rank. settles_at: int [pos], None while it is not known. target: what the
    target is, in words. d_vocab: how many tokens there are to choose from.
    """

    colour: Colour
    top_ids: np.ndarray
    values: np.ndarray
    ranks: np.ndarray | None
    settles_at: np.ndarray | None
    target: str
    d_vocab: int


def colour_title(colour: Colour, frame: Frame) -> str:
    """What the colours are."""
    return {
        "top": "probability of the likeliest token",
        "prob": "probability of the target",
        "logprob": f"{frame.log} of the target’s probability",
        "rank": "place of the target, 1 the likeliest",
        "entropy": f"entropy ({frame.units})",
        "kl": f"{frame.units} from the output (KL)",
    }[colour]


def lens_map_figure(
    cells: MapCells,
    *,
    names: Mapping[int, str],
    texts: Sequence[str],
    span: tuple[int, int],
    revision: str,
    frame: Frame,
) -> plot.Figure:
    """A column a token, a row a point of the stream, embeddings at the bottom; coloured by what `cells.colour` names.

    names: id → text. texts: of all tokens. span: the first token shown, and the one after the last; few enough have the
    likeliest token in each cell. A line crosses each column below the point from which on the likeliest token stays.
    """
    if cells.colour in INFORMATION:
        cells = replace(cells, values=cells.values * frame.per_bit)
    start, end = span
    n_point = len(cells.top_ids)
    points = point_places(n_point, end - start)
    has_texts = end - start <= across(frame)
    scale, (low, high), bar = _colours(cells, frame)
    values = cells.values[points, start:end]
    ids = cells.top_ids[points, start:end]
    heatmap = plot.Heatmap(
        z=values.astype(np.float32),
        x=list(range(start, end)),
        y=points,
        zmin=low,
        zmax=high,
        colorscale=scale,
        customdata=ids.tolist(),  # as lists: the browser reads ids from it
        text=_hover_texts(cells, ids, points, span, names, longest=LONGEST if has_texts else SHORTEST),
        hovertemplate=f"%{{y}}, after %{{x}}: {_sentence(cells, frame)}<extra></extra>",
        hoverongaps=False,
        xgap=1 if has_texts else 0,
        ygap=1 if has_texts else 0,
        colorbar=bar_above(0.4, frame) | bar,
    )
    drawn: list[Any] = [heatmap]
    if has_texts:
        shares = np.nan_to_num((values - low) / (high - low)).clip(0, 1)
        shown = [[label(names[int(id_)], longest=LONGEST) if id_ >= 0 else "" for id_ in row] for row in ids]
        drawn.append(texts_on_cells(shown, shares, scale, x=range(start, end), y=points))
    drawn += _settling(cells, span, frame)
    summary = f"The likeliest token at {len(points)} points of the stream, after tokens {start} to {end - 1}."
    rows = point_axis(n_point, frame)
    height = (CELL if has_texts else ROW) * max(len(points), 4)
    figure = token_map(
        drawn, across=_columns(texts, span, frame), rows=rows, frame=frame, summary=summary, height=height
    )
    margin = figure.layout.margin
    figure.update_layout(height=figure.layout.height + ABOVE - margin.t, uirevision=f"{revision} {start} {end}")
    figure.update_layout(margin={"l": 104 if frame.is_narrow else 132, "t": ABOVE})
    say_above(figure, colour_title(cells.colour, frame), frame)
    figure.update_xaxes(range=[start - 0.5, max(end, start + 4) - 0.5])
    figure.update_yaxes(range=[-0.5, n_point - 0.5])
    return figure


def across(frame: Frame) -> int:
    """How many tokens have room beside each other with a text in each cell."""
    return max(3, int((N_ACROSS_NARROW if frame.is_narrow else N_ACROSS) / frame.text))


def span_around(n_tokens: int, pos: int, frame: Frame) -> tuple[int, int]:
    """The first of as many tokens around `pos` as have room for texts, and the one after the last."""
    return stretch(n_tokens, pos, across(frame))


def point_places(n_point: int, n_across: int) -> list[int]:
    """The points that get a row beside so many tokens: all, or each second or fourth, … down from the last."""
    step = 1
    while len(places := range(n_point - 1, -1, -step)) > MOST_POINTS or len(places) * n_across > MOST_CELLS:
        step *= 2
    return list(places)[::-1]


def _columns(texts: Sequence[str], span: tuple[int, int], frame: Frame) -> Axis:
    start, end = span
    places, labels = ticks(texts[start:end], is_narrow=frame.is_narrow)
    names = [f"token {pos} ‘{label(texts[pos])}’" for pos in range(start, end)]
    return Axis("", names, [start + place for place in places], labels, start=start)


def _colours(cells: MapCells, frame: Frame) -> tuple[ColourScale, tuple[float, float], dict[str, Any]]:
    """Scale, its ends, and what its bar says."""
    amounts = frame.amount_scale
    match cells.colour:
        case "top" | "prob":
            return amounts, (0.0, 1.0), {"tickvals": [0, 0.5, 1], "tickformat": "~%"}
        case "logprob":
            known = cells.values[np.isfinite(cells.values)]
            return amounts, (math.floor(min(known, default=-1.0)) or -1.0, 0.0), {}
        case "rank":
            places = [10**i for i in range(0, math.floor(math.log10(cells.d_vocab)) + 1, 2)]
            bar = {"tickvals": np.log10(places), "ticktext": [f"{place:,}" for place in places], "tickangle": 0}
            backwards = [(1 - place, colour) for place, colour in reversed(amounts)]
            return backwards, (0.0, math.log10(cells.d_vocab)), bar
        case "entropy":
            return amounts, (0.0, math.log2(cells.d_vocab) * frame.per_bit), {}
        case "kl":
            known = cells.values[np.isfinite(cells.values)]
            return amounts, (0.0, max(1e-3, max(known, default=0.0))), {}


def _sentence(cells: MapCells, frame: Frame) -> str:
    """The end of a cell's hover."""
    likeliest = "‘%{text}’ is likeliest"
    return {
        "top": "likeliest is %{text}",
        "prob": f"{cells.target} has %{{text}} is likeliest",
        "logprob": f"{likeliest}; the {frame.log} probability of {cells.target} is %{{z:.3g}}",
        "rank": f"{cells.target} is at place %{{text}}",
        "entropy": f"{likeliest}; entropy %{{z:.3g}} {frame.units}",
        "kl": f"{likeliest}; %{{z:.3g}} {frame.units} from the output",
    }[cells.colour]


def _hover_texts(
    cells: MapCells,
    ids: np.ndarray,
    points: list[int],
    span: tuple[int, int],
    names: Mapping[int, str],
    *,
    longest: int,
) -> list[list[str]]:
    """What `_sentence` takes for %{text}: the likeliest token, with a probability in words, for a rank after it."""
    short = {int(id_): label(names[int(id_)], longest=longest) if id_ >= 0 else "" for id_ in np.unique(ids)}
    texts = [[short[int(id_)] for id_ in row] for row in ids]
    if cells.colour in ("top", "prob"):
        told = "‘{text}’, {prob}" if cells.colour == "top" else "{prob}; ‘{text}’"
        probs = np.nan_to_num(cells.values[points, slice(*span)]).tolist()  # of what is not known there is no hover
        return [
            [told.format(text=text, prob=percent_label(prob)) for text, prob in zip(*row, strict=True)]
            for row in zip(texts, probs, strict=True)
        ]
    if cells.colour != "rank" or cells.ranks is None:
        return texts
    places = cells.ranks[points, slice(*span)] + 1
    has_words = longest == LONGEST
    return [
        [
            f"{place:,}, behind ‘{text}’" if place > 1 and has_words else f"{place:,}"
            for place, text in zip(*row, strict=True)
        ]
        for row in zip(places.tolist(), texts, strict=True)
    ]


def _settling(cells: MapCells, span: tuple[int, int], frame: Frame) -> list[plot.Scatter]:
    """A line across each column below the point from which on its likeliest token stays; edged, for cells are dark."""
    places = [] if cells.settles_at is None else cells.settles_at[slice(*span)].tolist()
    x = [edge for pos in range(span[0], span[0] + len(places)) for edge in (pos - 0.5, pos + 0.5, None)]
    y = [edge for place in places for edge in (place - 0.5, place - 0.5, None)]
    return [
        plot.Scatter(
            x=x or [None],
            y=y or [None],
            mode="lines",
            line={"color": colour, "width": width},
            hoverinfo="skip",
            connectgaps=False,
        )
        for colour, width in ((frame.colours.paper, 7), (frame.colours.ink, 3))
    ]
