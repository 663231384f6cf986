"""The model in the fork server's memory, from which every job's process is forked. Work happens at import, only here.

Maps the weights, converts what must be with NumPy and wraps it without running any torch operation: threads that torch
starts do not survive a fork, and a job would wait for them for ever. Settings come from the environment.
"""

from __future__ import annotations

import logging
import signal

import torch

from dashapp.model.checkpoint import choose_device, load_model
from dashapp.model.gpt2 import GPT2
from dashapp.model.registry import locate, name_of
from dashapp.model.tokenizer import encode
from dashapp.model.weights import FingerprintCache, Weights
from dashapp.settings import Settings
from dashapp.store.disk import TraceStore, default_size_limit

# Ctrl-C reaches every process of a terminal. It is meant for the server, which then ends its jobs.
signal.signal(signal.SIGINT, signal.SIG_IGN)

settings = Settings.read()
logging.basicConfig(level=settings.log_level, format="%(levelname)s %(name)s: %(message)s")

weights = Weights.open(
    locate(settings.model, models_dir=settings.models_dir, dtype=settings.dtype),
    name=name_of(settings.model, models_dir=settings.models_dir),
    fingerprints=FingerprintCache(settings.fingerprints_file),
)
weights.fingerprint  # noqa: B018  it hashes the weights, and
encode("")  # this builds the tokenizer's tables: each takes a tenth of a second that no job should pay
_on_cpu = load_model(weights, dtype=settings.dtype, device="cpu")


def ready_model() -> GPT2:
    """The model for this job's process, on the device that the settings name.

    On a GPU each process moves the weights there: a device cannot be shared with the fork server.
    """
    torch.set_num_threads(settings.threads_per_job)
    device = choose_device(settings.device, settings.dtype)
    return _on_cpu if device == "cpu" else load_model(weights, dtype=settings.dtype, device=settings.device)


def ready_store() -> TraceStore:
    """The store, with connections of this process's own."""
    limit_bytes = settings.cache_size or default_size_limit(settings.cache_dir)
    return TraceStore(settings.cache_dir, size_limit_bytes=limit_bytes)
