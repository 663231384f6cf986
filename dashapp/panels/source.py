"""What panels read from: the loaded model's weights and the store. One to a web process, found through Flask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Flask, current_app

from dashapp.model.weights import Weights
from dashapp.store.disk import TraceStore
from dashapp.traces.keys import is_key
from dashapp.traces.record import Trace

_EXTENSION: Final = "dashapp.source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """weights: of the loaded model. dtype, device: what the settings ask jobs to compute in and on."""

    weights: Weights
    store: TraceStore
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

    def trace(self, key: object) -> Trace | None:
        """The trace of a key that a browser sent, with its weights at hand; None when it is not here or no key."""
        trace = self.store.get_trace(key) if isinstance(key, str) and is_key(key) else None
        return trace.use_weights(self.weights) if trace and trace.fingerprint == self.weights.fingerprint else trace
