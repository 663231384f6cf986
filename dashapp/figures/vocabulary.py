"""Figures of the vocabulary: the tokens nearest to a vector."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from dashapp.analysis.vocabulary import Nearest
from dashapp.figures import plot
from dashapp.figures.theme import MONO, Frame, framed
from dashapp.figures.tokens import label

BAR: Final = 22  # pixels


def nearest_bars(
    found: Nearest, *, texts: Sequence[str], inputs: Collection[int], whose: str, frame: Frame
) -> plot.Figure:
    """The cosine of each of the nearest tokens as a bar, nearest first; those the vector is made of are hatched.

    texts: of `found.ids`. whose: the vector, in words.
    """
    colours = frame.colours
    is_input = [int(token) in inputs for token in found.ids]
    names = [label(text) for text in texts]
    signed = [f"{cosine:.4f}".replace("-", "−") for cosine in found.cosines]  # a name may have a hyphen of its own
    bars = plot.Bar(
        x=found.cosines,
        y=list(range(len(names))),
        orientation="h",
        customdata=found.ids.tolist(),
        text=[f"{cosine:.3f}".replace("-", "−") for cosine in found.cosines],
        textposition="outside",
        cliponaxis=False,
        hovertext=[
            f"‘{name}’ (token {int(token)}) has cosine {cosine} with {label(whose, longest=200)}"
            for name, token, cosine in zip(names, found.ids, signed, strict=True)
        ],
        hoverinfo="text",
        marker={
            "color": colours.amount,
            "line": {"color": colours.edge, "width": 1},
            "pattern": {
                "shape": ["/" if here else "" for here in is_input],
                "bgcolor": colours.paper,
                "fgcolor": colours.amount,
                "solidity": 0.3,
            },
        },
    )
    nearest = f"nearest is ‘{texts[0]}’" if len(texts) else "none, for it has no direction"
    figure = framed(
        bars, frame=frame, height=BAR * max(len(names), 4) + 72, summary=f"Tokens nearest to {whose}: {nearest}."
    )
    figure.update_layout(margin={"l": 136}, bargap=0.25)
    low = min(0.0, float(found.cosines.min())) if len(texts) else 0.0
    high = max(float(found.cosines.max()), 0.0) if len(texts) else 1.0
    room = 0.14 if frame.is_narrow else 0.06
    figure.update_xaxes(title_text="cosine", range=[low * (1 + room), high * (1 + room) or room], tickformat="~g")
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[f"{name} ∙ typed" if here else name for name, here in zip(names, is_input, strict=True)],
        tickfont={"family": MONO},
        range=[max(len(names), 1) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    return figure
