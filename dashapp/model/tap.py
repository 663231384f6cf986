"""A tap reads or replaces named activations of a forward pass, without touching the model's code.

    seen = Tap.reading("pattern")                      # keep every layer's pattern
    model(ids, tap=seen)
    seen.activations["pattern", 3]                     # [batch head query key]

    model(ids, tap=Tap({("z", 9): lambda z, layer: torch.zeros_like(z)}))          # ablate the heads of layer 9

Knows the names in `sites`; knows nothing of what is done with the activations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from dashapp.errors import nearest_first
from dashapp.model.sites import ONCE_A_PASS, SITES

Site = tuple[str, int | None]  # (name, layer); layer None: every layer, or the only place there is
TapFunction = Callable[[Tensor, int | None], Tensor | None]  # (activation, layer) → replacement, or None to keep it


class Tap:
    """Functions by site. A function returns a replacement of the same shape, or None; it does not write in place.

    Raises: ValueError for a name that is no site, a layer where a site has none, or one that no model has.
    """

    def __init__(self, functions: Mapping[Site, TapFunction]) -> None:
        for name, layer in functions:
            if name not in SITES:
                raise ValueError(f"{name!r} is not an activation. Known, nearest first: {nearest_first(name, SITES)}")
            if layer is not None and name in ONCE_A_PASS:
                raise ValueError(f"{name!r} exists once a pass: its layer is None, got {layer!r}")
            if layer is not None and layer < 0:
                raise ValueError(f"layers count from 0, got {layer!r} for {name!r}")
        self._functions = dict(functions)
        self.activations: dict[Site, Tensor] = {}  # what a reading tap has seen, by (name, layer)

    @classmethod
    def reading(cls, *names: str) -> Tap:
        """A tap that keeps the named activations of every layer in `.activations` (as references, not copies)."""
        tap = cls({})
        tap._functions = cls({(name, None): tap._keep(name) for name in names})._functions
        return tap

    @classmethod
    def replacing(cls, values: Mapping[Site, Tensor]) -> Tap:
        """A tap that puts fixed tensors in the place of activations."""
        return cls({site: _always(value) for site, value in values.items()})

    def __call__(self, name: str, layer: int | None, activation: Tensor) -> Tensor:
        """What the model goes on with: the activation, or its replacement."""
        function = self._function(name, layer)
        replacement = function(activation, layer) if function else None
        if replacement is None:
            return activation
        if replacement.shape != activation.shape:
            raise ValueError(
                f"{name!r} in layer {layer} has shape {tuple(activation.shape)} ({' '.join(SITES[name])}), "
                f"its replacement {tuple(replacement.shape)}"
            )
        return replacement

    def wants(self, name: str, layer: int | None) -> bool:
        """Whether some function waits for this activation, so that it must be computed."""
        return self._function(name, layer) is not None

    def expect_layers(self, n_layer: int) -> None:
        """Refuse to run where a function would never be called: raises ValueError for a layer beyond `n_layer`."""
        for name, layer in self._functions:
            if layer is not None and layer >= n_layer:
                raise ValueError(f"{name!r} is asked for in layer {layer} of a model with layers 0..{n_layer - 1}")

    def _function(self, name: str, layer: int | None) -> TapFunction | None:
        if not self._functions:  # the usual case: no tap, asked some 200 times a pass
            return None
        return self._functions.get((name, layer)) or self._functions.get((name, None))

    def _keep(self, name: str) -> TapFunction:
        def keep(activation: Tensor, layer: int | None) -> None:
            self.activations[name, layer] = activation

        return keep


def _always(value: Tensor) -> TapFunction:
    return lambda _activation, _layer: value


NO_TAP = Tap({})
