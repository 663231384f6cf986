"""The knob that chooses a layer, for panels that show one at a time."""

from __future__ import annotations

from typing import Final

from dashapp.model.config import GPT2Config
from dashapp.panels.panel import Knob


def layer_options(config: GPT2Config) -> dict[str, str]:
    """A model's layers, first to last."""
    return {str(layer): f"{layer}" for layer in range(config.n_layer)}


LAYER: Final = Knob(name="layer", label="Layer", options=layer_options)
