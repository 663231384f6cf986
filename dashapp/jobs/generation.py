"""Continue a prompt: looked up first, drawn token by token, kept. Knows model, sampler and store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from dashapp.errors import StoreError
from dashapp.model.checkpoint import dtype_name, weights_of
from dashapp.model.generation import draw_tokens
from dashapp.model.gpt2 import GPT2, KeyValueCache
from dashapp.model.sampling import SamplingSettings
from dashapp.model.tokenizer import token_text
from dashapp.store.contract import Store
from dashapp.traces.keys import run_key
from dashapp.traces.run import RUN_FORMAT, Run, RunStep, new_run

logger = logging.getLogger(__name__)

# Told all steps so far after each one that is drawn (never for a run that is known); True stops there.
Watch = Callable[[Sequence[RunStep]], bool]


def continue_prompt(
    model: GPT2,
    prompt_ids: np.ndarray,
    settings: SamplingSettings,
    *,
    store: Store | None,
    cache: KeyValueCache | None = None,
    watch: Watch = lambda steps: False,
) -> Run:
    """The run that continues these tokens (int32 [pos]): from the store, or drawn and kept there.

    cache: of a beginning of the prompt, which is not run again; see `jobs.branching`. A run that `watch` stops keeps
    what was drawn and is not stored: it is not what its settings determine.
    Raises: StoreUnavailable when the store cannot be read.
    """
    weights, dtype = weights_of(model), dtype_name(model)
    key = run_key(prompt_ids, fingerprint=weights.fingerprint, dtype=dtype, settings=settings, run_format=RUN_FORMAT)
    known = store.get_run(key) if store else None
    if known is not None:
        return known
    steps: list[RunStep] = []
    stop = "none" if settings.max_new_tokens == 0 else "context"  # if nothing is to be drawn, or nothing fits
    for drawn in draw_tokens(model, prompt_ids, settings, cache=cache):
        steps.append(RunStep(drawn.token, token_text(drawn.token), drawn.u, drawn.top_ids, drawn.top_probs))
        wants_stop = watch(steps)
        if drawn.stop is not None:
            stop = drawn.stop
        elif wants_stop:
            stop = "person"
            break
    identity = {"fingerprint": weights.fingerprint, "model": weights.name, "dtype": dtype}
    run = new_run(prompt_ids=prompt_ids, steps=steps, settings=settings, stop=stop, identity=identity)
    if store and stop != "person":
        try:
            store.put_run(run)
        except StoreError as error:  # who asked has what was asked for
            logger.warning("A run could not be kept. %s", error)
    return run
