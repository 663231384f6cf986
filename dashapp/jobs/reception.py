"""The web process's answer to a request: known already, refused with a reason, in the queue, or let in. Torch-free.

The store is asked before a job starts, so that a reload or a shared link computes nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashapp.errors import (
    DashappError,
    ModelError,
    OtherWeights,
    PromptError,
    PromptTooLarge,
    PromptTooLong,
    RunFileGone,
    UnencodablePrompt,
)
from dashapp.jobs.outcome import described, described_file, failure
from dashapp.jobs.request import ID_PATTERN, PromptRequest
from dashapp.model.opened import Models
from dashapp.model.tokenizer import shortened, token_texts
from dashapp.model.weights import Weights
from dashapp.store.contract import Store
from dashapp.traces.keys import is_key, run_key, trace_key
from dashapp.traces.names import TRACE_FORMAT, trace_bytes
from dashapp.traces.run import RUN_FORMAT

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """What the web process must know to answer.

    place: of a request's id and whose it is; 0 lets it in, more is its place in the queue. Raises TooManyWaiting.
    count: told of each answer what kind it is.
    """

    models: Models
    dtype: str
    store: Store
    place: Callable[[str, str], int]
    count: Callable[[str], None] = lambda _: None

    def answer(self, data: object, visitor: str = "") -> Answer:
        """One of: known (with the run), refused (with the reason), waiting (with the place), admitted.

        visitor: who asks, for the queue is fair.

        A prompt refused for its length comes back with as much of it as fits, as "cut". Where its model stands in the
        way, with what can be shown without it: "tokens", "n_prompt", and as "instead" a model that could run it.

        Raises: ValueError for what no page of ours sends.
        """
        found = self._answer(data, visitor)
        self.count(found["kind"])
        return found

    def _answer(self, data: object, visitor: str) -> Answer:
        request_id = data.get("id") if isinstance(data, dict) else None
        if isinstance(data, dict) and data.get("file") is not None:
            return self._from_file(data)
        request = None
        try:
            request = PromptRequest.parse(data)
            weights = self.models.to_compute_with(request.model)
            ids = request.token_ids(weights.config.n_ctx)
            n_most = min(len(ids) + request.sampling.max_new_tokens, weights.config.n_ctx)
            self.store.refuse_too_large(trace_bytes(weights.config, n_most))
            known = self._known(request, ids, weights)
            place = 0 if known is not None else self.place(request.id, visitor)
        except (PromptTooLong, PromptTooLarge) as error:
            assert request is not None, "its prompt was read"
            return {**failure(request.id, error), "kind": "refused", "cut": _cut(request, weights.config.n_ctx)}
        except DashappError as error:
            shown = self._without_model(request, error) if request and isinstance(error, ModelError) else {}
            return {**failure(str(request_id), error), "kind": "refused", **shown}
        if known is not None:
            return {"id": request.id, "kind": "known", **known}
        if place:
            return {"id": request.id, "kind": "waiting", "place": place}
        return {"id": request.id, "kind": "admitted", "request": request.as_json()}

    def _from_file(self, data: dict[str, Any]) -> Answer:
        """A run that somebody brought as a file: it is here, or it is not; nothing is computed."""
        request_id, key = data.get("id"), data.get("file")
        if not isinstance(request_id, str) or not ID_PATTERN.fullmatch(request_id):
            raise ValueError("a request has an id of 32 hexadecimal digits")
        if not isinstance(key, str) or not is_key(key):
            raise ValueError("a file is named by 64 hexadecimal digits")
        try:
            trace = self.store.get_file(key)
            found = {} if trace is None else described_file(trace)
        except DashappError as error:
            return {**failure(request_id, error), "kind": "refused"}
        if not found:
            return {**failure(request_id, RunFileGone(key)), "kind": "refused"}
        return {"id": request_id, "kind": "known", **found}

    def _without_model(self, request: PromptRequest, error: ModelError) -> dict[str, Any]:
        """What of a request needs no model of its own: its tokens, where they fit; and who could run it."""
        default = self.models.default
        here = request.model if isinstance(error, OtherWeights) else default.name
        instead = {"instead": here} if isinstance(error, OtherWeights) or here != request.model else {}
        try:
            tokens = token_texts(request.token_ids(default.config.n_ctx))
        except PromptError:
            return instead
        return {**instead, "tokens": tokens, "n_prompt": len(tokens)}

    def _known(self, request: PromptRequest, ids: np.ndarray, weights: Weights) -> dict[str, Any] | None:
        """The run, when both it and its trace are in the store. Raises: OtherWeights.

        Weights that nobody has read yet have computed nothing; their job finds out who they are.
        """
        fingerprint = weights.known_fingerprint
        if fingerprint is None:
            return None
        request.refuse_other_weights(fingerprint)
        key = run_key(ids, fingerprint=fingerprint, dtype=self.dtype, settings=request.sampling, run_format=RUN_FORMAT)
        run = self.store.get_run(key)
        if run is None:
            return None
        traced = trace_key(run.token_ids, fingerprint=fingerprint, dtype=self.dtype, trace_format=TRACE_FORMAT)
        return described(run, weights, seconds=0) if self.store.get_trace(traced) else None


def _cut(request: PromptRequest, n_ctx: int) -> str:
    """As much of a prompt as fits; nothing of one that is no text."""
    try:
        return shortened(request.prompt, n_ctx=n_ctx, bos=request.bos)
    except UnencodablePrompt:
        return ""
