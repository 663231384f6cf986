"""What panels read from: the models that are here and the store. One to a web process, found through Flask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Flask, current_app

from dashapp.errors import ModelError
from dashapp.model.opened import Models
from dashapp.model.weights import Weights
from dashapp.store.contract import Store, find_trace
from dashapp.traces.keys import is_key
from dashapp.traces.record import Trace

_EXTENSION: Final = "dashapp.source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """models: the default one and the others by name. dtype: what jobs compute in.

    device: what they compute on; "auto" only where the machine has a GPU, of which torch alone knows if it can use it.
    """

    models: Models
    store: Store
    dtype: str
    device: str

    def install(self, server: Flask) -> None:
        """Make this the source of an app's panels."""
        server.extensions[_EXTENSION] = self

    @staticmethod
    def here() -> Source:
        """The source of the app that answers this request."""
        found: Source = current_app.extensions[_EXTENSION]
        return found

    @property
    def weights(self) -> Weights:
        """The weights of the default model."""
        return self.models.default

    def weights_named(self, name: object) -> Weights | None:
        """The weights of a model by the name that a browser sent; None where no such model is here."""
        try:
            return self.models.named(name) if isinstance(name, str) and name else None
        except ModelError:  # of which the shell tells
            return None

    def trace(self, key: object) -> Trace | None:
        """The trace of a key that a browser sent, with the weights of its own model at hand where these are here.

        None when the trace is not here, or for what is no key.
        """
        trace = find_trace(self.store, key) if isinstance(key, str) and is_key(key) else None
        weights = self.weights_of(trace) if trace else None
        return trace.use_weights(weights) if trace and weights else trace

    def weights_of(self, trace: Trace) -> Weights | None:
        """The weights that made a trace, or that a file says have; None where they are not here."""
        weights = self.models.of(trace.fingerprint, name=trace.model_name)
        return weights if weights and trace.fits(weights.config) else None
