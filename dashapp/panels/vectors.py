"""The knob that chooses which vectors of the prompt a panel shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from dashapp.analysis.embeddings import Of
from dashapp.panels.layers import layer_shown
from dashapp.panels.panel import Knob

Which = Literal["sum", "token", "position", "within", "out"]

VECTOR_NAMES: Final = {
    "sum": "token + position",
    "token": "token embeddings",
    "position": "positional embeddings",
    "within": "stream within the layer",
    "out": "stream out of the layer",
}

VECTORS: Final = Knob(name="of", label="Vectors", options=VECTOR_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """of: which vectors. said: what they are, as a foot line begins with it."""

    of: Of
    said: str


def state_of(which: Which, layer: int | None) -> Of:
    """The vectors that a knob and the selected layer name, as `analysis.embeddings.vectors` takes them."""
    match which:
        case "within":
            return 2 * (layer or 0) + 1
        case "out":
            return 2 * (layer or 0) + 2
    return which


def chosen(which: Which, layer: int | None) -> Chosen:
    """The same with what they are; layer: None where none is selected."""
    of = state_of(which, layer)
    match which:
        case "sum":
            return Chosen(of=of, said="Shown: token and positional embeddings added up, what enters layer 0.")
        case "token":
            return Chosen(of=of, said="Shown: the token embeddings.")
        case "position":
            return Chosen(of=of, said="Shown: the positional embeddings.")
    shown, why = layer_shown(layer)
    if which == "within":
        return Chosen(of=of, said=f"{why}Shown: the residual stream within layer {shown}, after attention.")
    return Chosen(of=of, said=f"{why}Shown: the residual stream out of layer {shown}.")
