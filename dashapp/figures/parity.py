"""The figure of the comparison with Hugging Face's model: differences along the depth of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dashapp.experiments.results import PARITY_TOLERANCE, Parity
from dashapp.figures import plot
from dashapp.figures.theme import Frame, framed

FLOOR: Final = 1e-18  # drawn for no difference at all, which a logarithmic axis has no place for
MARKS: Final = {"resid": "circle", "pattern": "diamond", "logits": "square"}
NAMES: Final = {"resid": "residual stream", "pattern": "attention weights", "logits": "logits"}


def differences(parity: Parity | None, *, n_layer: int, frame: Frame) -> plot.Figure:
    """Largest differences at each depth as shares of the largest value there, and the tolerance; without a result only
    the tolerances."""
    places = ["embeddings", *(f"layer {layer}" for layer in range(n_layer)), "logits"]
    depths = {"resid": range(n_layer + 1), "pattern": range(1, n_layer + 1), "logits": [n_layer + 1]}
    traces = (
        [_marks(kind, depths[kind], shares, places, frame) for kind, shares in parity.shares.items()] if parity else []
    )
    tolerances = {parity.dtype: parity.tolerance} if parity else dict(PARITY_TOLERANCE)
    lines = [
        _line(f"allowed in {dtype}: {share:g}".replace("e-", "e−"), share, len(places), frame)
        for dtype, share in tolerances.items()
    ]
    figure = framed(*traces, *lines, frame=frame, height=420 if frame.is_narrow else 340, summary=_summary(parity))
    narrow = {"tickangle": -90} if frame.is_narrow or n_layer > 12 else {}
    figure.update_xaxes(tickvals=list(range(len(places))), ticktext=places, range=[-0.5, len(places) - 0.5], **narrow)
    figure.update_yaxes(
        type="log",
        range=[np.log10(FLOOR) - 0.5, max(-2.0, np.log10(_largest(parity)) + 1)],
        tickvals=[FLOOR, *(10.0**power for power in range(-16, 4, 4))],
        ticktext=["none", *(f"10<sup>{power}</sup>".replace("-", "−") for power in range(-16, 4, 4))],
        title_text="largest difference / largest value",
    )
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    figure.update_layout(margin={"t": 48, "b": 96 if narrow else 48, "l": 72})
    return figure


def _marks(kind: str, depths: Sequence[int], shares: np.ndarray, places: list[str], frame: Frame) -> plot.Scatter:
    name = NAMES[kind]
    said = [f"{name}, {places[depth]}: {_said(float(share))}" for depth, share in zip(depths, shares, strict=True)]
    marker: dict[str, Any] = {"symbol": MARKS[kind], "size": 9, "color": frame.colours.amount}
    return plot.Scatter(
        x=list(depths),
        y=np.maximum(shares, FLOOR),
        mode="markers",
        name=name,
        marker=marker | {"line": {"color": frame.colours.ink, "width": 1}},
        text=said,
        hovertemplate="%{text}<extra></extra>",
    )


def _line(name: str, share: float, n_places: int, frame: Frame) -> plot.Scatter:
    return plot.Scatter(
        x=[-0.5, n_places - 0.5],
        y=[share, share],
        mode="lines",
        name=name,
        line={"color": frame.colours.alarm, "width": 2, "dash": "dash"},
        hoverinfo="skip",
    )


def _said(share: float) -> str:
    return f"{share:.3g} of the largest value".replace("e-", "e−") if share else "no difference"


def _summary(parity: Parity | None) -> str:
    if parity is None:
        return "Nothing is compared yet."
    verdict = "within" if parity.is_same else "beyond"
    return (
        f"Differences to Hugging Face's model by depth, {verdict} the tolerance: the largest is {_largest(parity):.3g}."
    )


def _largest(parity: Parity | None) -> float:
    """The largest share of all; FLOOR where there is none, and 1 where one is no number."""
    shares = np.concatenate(list(parity.shares.values())) if parity else np.array([])
    return float(np.nan_to_num(shares, nan=1.0, posinf=1.0).max(initial=FLOOR))
