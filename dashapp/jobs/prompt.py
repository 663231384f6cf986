"""What happens in a job's process when somebody presses Generate: continue the prompt, then trace all of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from dashapp.errors import JobStopped
from dashapp.jobs.branching import cache_of_ancestor
from dashapp.jobs.generation import continue_prompt
from dashapp.jobs.outcome import described
from dashapp.jobs.request import EXAMPLE, PromptRequest
from dashapp.jobs.tracing import trace_tokens
from dashapp.model.checkpoint import dtype_name
from dashapp.model.gpt2 import GPT2
from dashapp.model.tokenizer import token_texts
from dashapp.store.contract import Store
from dashapp.traces.keys import run_key
from dashapp.traces.run import RUN_FORMAT, RunStep


class Context(Protocol):
    """The part of a job's context that is needed here."""

    @property
    def tell(self) -> Callable[..., None]: ...

    @property
    def should_stop(self) -> Callable[[], bool]: ...


class Unwatched:
    """The context of a job that nobody looks at."""

    def tell(self, state: Mapping[str, Any], *, now: bool = False) -> None:
        """Nobody listens."""

    def should_stop(self) -> bool:
        return False


def run_prompt(context: Context, request: PromptRequest, *, model: GPT2, store: Store) -> dict[str, Any]:
    """The run and trace of a request by a loaded model, kept in the store: what `described` says of them.

    A stop while tokens are drawn ends the text there, and what was drawn is traced; a second look after that is not
    taken, for a trace is quick. Raises: PromptError, TraceTooLarge, OtherWeights, JobStopped.
    """
    start, weights = time.monotonic(), model.weights
    assert weights is not None, "a model of a job comes from a folder"
    ids = request.token_ids(model.config.n_ctx)
    texts = token_texts(ids)

    def tell(doing: str, steps: Sequence[RunStep] = (), share: float = 0.0, *, now: bool = False) -> None:
        tokens = [*texts, *(step.text for step in steps)]
        state = {"doing": doing, "tokens": tokens, "n_prompt": len(texts), "share": round(share, 3)}
        context.tell(state, now=now)

    def watch(steps: Sequence[RunStep]) -> bool:
        tell("generating", steps, len(steps) / request.sampling.max_new_tokens, now=len(steps) == 1)
        return context.should_stop()

    def wait() -> None:
        if context.should_stop():
            raise JobStopped

    tell("generating", now=True)
    request.refuse_other_weights(weights.fingerprint)
    key = run_key(
        ids,
        fingerprint=weights.fingerprint,
        dtype=dtype_name(model),
        settings=request.sampling,
        run_format=RUN_FORMAT,
    )
    n_new = min(request.sampling.max_new_tokens, model.config.n_ctx - len(ids))
    ancestor = store.get_trace(request.ancestor) if request.ancestor and n_new else None
    with store.computing(key, while_waiting=wait):
        cache = cache_of_ancestor(ancestor, model, ids, n_new=n_new)
        run = continue_prompt(model, ids, request.sampling, store=store, cache=cache, watch=watch)
    tell("tracing", run.steps, now=True)  # the text is complete: a person who stopped it can go on
    trace_tokens(
        model,
        run.token_ids,
        store=store,
        progress=lambda share: tell("tracing", run.steps, share),
        while_waiting=wait,
    )
    return described(run, weights, seconds=time.monotonic() - start)


def run_prompt_in_job(context: Context, data: object) -> dict[str, Any]:
    """`run_prompt` with the model that a request names. Raises: ModelError too."""
    from dashapp.jobs import warm  # it loads the default model when it is imported: only a job's process may

    request = PromptRequest.parse(data)
    return run_prompt(context, request, model=warm.ready_model(request.model), store=warm.ready_store())


def compute_example() -> None:
    """What a first visitor sees, computed before anybody comes."""
    from dashapp.jobs import warm

    run_prompt_in_job(Unwatched(), replace(EXAMPLE, model=warm.models.default.name).as_json())
