"""The default model in the fork server's memory, from which every job's process is forked. Works at import, only here.

Maps the weights, converts what must be with NumPy and wraps it without running any torch operation: threads that torch
starts do not survive a fork, and a job would wait for them for ever. Settings come from the environment.
"""

from __future__ import annotations

import os
import signal
from functools import lru_cache

import torch

from dashapp.logs import begin_logging
from dashapp.model.checkpoint import choose_device, load_model
from dashapp.model.gpt2 import GPT2
from dashapp.model.opened import Models
from dashapp.model.registry import HUB_MODELS, is_here
from dashapp.model.tokenizer import encode
from dashapp.model.weights import Weights
from dashapp.settings import Settings
from dashapp.store.contract import Store, StoreAddress
from dashapp.store.opened import open_store

NICENESS = 5  # of every job; works are gentler still

# Ctrl-C reaches every process of a terminal. It is meant for the server, which then ends its jobs.
signal.signal(signal.SIGINT, signal.SIG_IGN)

os.nice(NICENESS)  # the web process answers clicks first: it needs little, and jobs take every core that there is
settings = Settings.read()
begin_logging(settings.log_level, settings.log_format)

models = Models.read(settings)
models.default.fingerprint  # noqa: B018  it hashes the weights, and
encode("")  # this builds the tokenizer's tables: each takes a tenth of a second that no job should pay,
is_here(next(iter(HUB_MODELS)))  # and this imports the hub's client, a quarter of a second
_on_cpu = load_model(models.default, dtype=settings.dtype, device="cpu")


def ready_model(name: str) -> GPT2:
    """The model of this name for this job's process, on the device that the settings name.

    Any but the default one is mapped now: a tenth of a second for 124 million parameters stored in the dtype that is
    computed in, 1.2 s where they are converted. To another device the weights are moved now, for it cannot be shared
    with the fork server. A process that stays keeps the last two models.
    Raises: UnknownModel, ModelNotAllowed, ModelNotHere, ModelTooLarge, CheckpointError.
    """
    torch.set_num_threads(settings.threads_per_job)
    weights, device = models.named(name), choose_device(settings.device, settings.dtype)
    return _on_cpu if weights is models.default and device == "cpu" else _loaded(weights, name)


@lru_cache(maxsize=2)
def _loaded(weights: Weights, name: str) -> GPT2:  # noqa: ARG001  weights: what is kept is of these
    return load_model(models.to_compute_with(name), dtype=settings.dtype, device=settings.device)


def ready_store() -> Store:
    """The store, with connections of this process's own."""
    return open_store(StoreAddress.of(settings))
