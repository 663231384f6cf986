"""Trace a prompt: looked up first, computed once, kept. Knows model, capture and store; knows nothing of pages."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from dashapp.errors import DamagedTrace, StoreError
from dashapp.model.checkpoint import dtype_name, weights_of
from dashapp.model.gpt2 import GPT2
from dashapp.store.contract import Store
from dashapp.traces.capture import Progress, capture, no_progress
from dashapp.traces.keys import trace_key
from dashapp.traces.names import TRACE_FORMAT, trace_bytes
from dashapp.traces.record import Trace, trace_metadata

logger = logging.getLogger(__name__)


def trace_tokens(
    model: GPT2,
    token_ids: np.ndarray,
    *,
    store: Store | None,
    progress: Progress = no_progress,
    while_waiting: Callable[[], None] = lambda: None,
) -> Trace:
    """The trace of these tokens (int32 [pos]): from the store, or computed and kept there.

    Who asks while somebody else computes the same key waits for that result, calling `while_waiting` now and then.
    Raises: TraceTooLarge before anything is computed, StoreUnavailable when the trace cannot be kept.
    """
    weights, dtype = weights_of(model), dtype_name(model)
    fingerprint = weights.fingerprint
    metadata = trace_metadata(model.config, fingerprint=fingerprint, model=weights.name, dtype=dtype)

    def compute() -> Trace:
        return capture(model, token_ids, metadata, weights=weights, progress=progress)

    if store is None:
        return compute()
    key = trace_key(token_ids, fingerprint=fingerprint, dtype=dtype, trace_format=TRACE_FORMAT)

    def compute_and_keep() -> Trace:
        trace = compute()
        store.put_trace(trace)  # a job's result is the key alone: a trace that is not there must be an error
        return trace

    def heal() -> Trace:  # maybe long after, when somebody reads a damaged slice
        if (weights_of(model).fingerprint, dtype_name(model)) != (fingerprint, dtype):
            raise DamagedTrace(store.folder, "a part of it is not what was written, and the model was edited since")
        trace = compute()
        try:
            store.put_trace(trace)
        except StoreError as error:  # who reads has what was asked for
            logger.warning("A trace could not be kept. %s", error)
        return trace

    def look_up() -> Trace | None:
        known = store.get_trace(key, heal=heal)
        return known.use_weights(weights) if known else None

    store.refuse_too_large(trace_bytes(model.config, len(token_ids)))
    known = look_up()
    if known is not None:
        return known
    with store.computing(key, while_waiting=while_waiting):
        return look_up() or compute_and_keep()
