"""The border of a job's process: what a job returns or raises becomes data that a browser can be told.

An error of ours tells its own sentence. Any other is logged whole under an id, and only the id is told.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from dashapp.errors import DashappError, UnexpectedFailure
from dashapp.model.config import GPT2Config
from dashapp.model.tokenizer import token_texts
from dashapp.model.weights import Weights
from dashapp.traces.record import Trace
from dashapp.traces.run import Run

logger = logging.getLogger(__name__)

Outcome = dict[str, Any]  # JSON: request id, status "done" or "failed", and what belongs to it


def outcome_of(request_id: str, work: Callable[[], Mapping[str, Any]]) -> Outcome:
    """What `work` came to: its result with status "done", or its failure; it never raises."""
    try:
        return {"id": request_id, "status": "done", **work()}
    except DashappError as error:
        logger.warning("Request %s failed: %s", request_id, error)
        return failure(request_id, error)
    except Exception:
        failure_id = secrets.token_hex(4)
        logger.exception("Request %s failed unexpectedly; its failure id is %s", request_id, failure_id)
        return failure(request_id, UnexpectedFailure(failure_id))


def failure(request_id: str, error: DashappError) -> Outcome:
    """An error as data."""
    return {
        "id": request_id,
        "status": "failed",
        "error": type(error).__name__,
        "rule": error.rule,
        "instance": error.instance,
        "remedy": error.remedy,
    }


def described(run: Run, weights: Weights, *, seconds: float) -> dict[str, Any]:
    """What a browser is told of a run: its tokens as text, the key of their trace, how they were drawn, and the
    model's name and shape.

    weights: those that drew it, under the name that they were asked for by. seconds: it took so long.
    """
    return {
        **_named(weights.name, run.fingerprint, weights.config),
        "trace": run.trace_key,
        "tokens": token_texts(run.token_ids),
        "n_prompt": run.n_prompt,
        "stop": run.stop,
        "settings": run.settings.as_dict(),
        "seconds": round(seconds, 3),
    }


def described_file(trace: Trace) -> dict[str, Any]:
    """The same of a trace that somebody brought as a file: all of it is what the file says."""
    told = trace.run_told
    return {
        **_named(trace.model_name, trace.fingerprint, trace.config),
        "trace": trace.key,
        "file": trace.key,
        "dtype": trace.dtype,
        "tokens": trace.token_texts,
        "n_prompt": told.n_prompt,
        "stop": told.stop,
        "settings": None if told.settings is None else told.settings.as_dict(),
        "seconds": 0,
    }


def _named(model: str, fingerprint: str, config: GPT2Config) -> dict[str, Any]:
    """A model's name and shape."""
    sizes = {name: getattr(config, name) for name in ("n_layer", "n_head", "d_mlp", "n_ctx")}
    return {"model": model, "fingerprint": fingerprint, **sizes}
