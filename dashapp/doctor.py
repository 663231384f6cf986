"""`dashapp doctor`: is everything there, does it work, and what to do when not.

Knows what to try; what it finds is said in a sentence each.
"""

from __future__ import annotations

import platform
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import diskcache

from dashapp.errors import DashappError, NoWorker, QueueUnavailable, StoreUnavailable, in_megabytes
from dashapp.settings import Settings

PACKAGES = ("torch", "numpy", "dash", "plotly", "diskcache", "tiktoken", "huggingface_hub", "gunicorn")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: what, whether it is well, and what was found or what to do."""

    what: str
    is_well: bool
    says: str


def examine(settings: Settings) -> list[Finding]:
    """Try everything in the order in which a prompt would meet it; one failure hides no other."""
    return [
        _tried("python", _python),
        _tried("packages", _packages),
        _tried("tokenizer", _tokenizer),
        _tried("cache", lambda: _cache(settings)),
        _tried("files", lambda: _files(settings)),
        _tried("jobs", lambda: _jobs(settings)),
        _tried("door", lambda: _door(settings)),
        _tried("model", lambda: _model(settings)),
        _tried("first token", lambda: _first_token(settings)),
    ]


def _tried(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except (DashappError, OSError, ImportError) as error:
        return Finding(what, False, str(error))


def _python() -> str:
    return f"{sys.version.split()[0]} on {platform.system()} {platform.machine()}"


def _packages() -> str:
    return ", ".join(_versions())


def _versions() -> Iterator[str]:
    for name in PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError as error:
            raise ImportError(f"{name} is not installed. Run `make run`, which installs it.") from error


def _tokenizer() -> str:
    from dashapp.model.tokenizer import decode, encode

    text = "The quick brown fox 🦊"
    ids = encode(text)
    assert decode(ids) == text, "encoding and decoding give the text back"
    return f"{len(ids)} tokens in {text!r}, and back"


def _cache(settings: Settings) -> str:
    from dashapp.store.contract import StoreAddress
    from dashapp.store.opened import open_store

    stats = open_store(StoreAddress.of(settings)).stats()
    with tempfile.NamedTemporaryFile(dir=settings.cache_dir):
        pass
    if stats.limit_bytes is None:
        return (
            f"{settings.store} answers and holds {in_megabytes(stats.size_bytes)}, {settings.cache_dir} can be written"
        )
    held = f"{in_megabytes(stats.size_bytes)} of {in_megabytes(stats.limit_bytes)} used"
    return f"{settings.cache_dir} can be written, {held}"


def _files(settings: Settings) -> str:
    """What room there is for runs that visitors open from files; a disk too full for the largest is no failure."""
    from dashapp.shell.run_file import disk_for
    from dashapp.store.contract import StoreAddress
    from dashapp.store.disk import FILE_SHARE
    from dashapp.store.opened import open_store

    if not settings.largest_file:
        return "no runs may be opened from files: DASHAPP_LARGEST_FILE is 0"
    says = f"runs may be opened from files of at most {in_megabytes(settings.largest_file)}"
    limit_bytes = open_store(StoreAddress.of(settings)).stats().limit_bytes
    if limit_bytes is not None:
        says += f", all of which may take {in_megabytes(limit_bytes // FILE_SHARE)} of the cache"
        if limit_bytes // FILE_SHARE < settings.largest_file:
            says += " and no one of them more"
    free_bytes, needed_bytes = shutil.disk_usage(settings.cache_dir).free, disk_for(settings.largest_file)
    if free_bytes < needed_bytes:
        needs, free = in_megabytes(needed_bytes), in_megabytes(free_bytes)
        says += f"; the largest needs {needs} of the disk, where {free} are free"
    return says


def _jobs(settings: Settings) -> str:
    if settings.redis is not None:
        return _workers(settings.redis)
    from dashapp.jobs.manager import open_job_cache  # it imports Dash

    try:
        with open_job_cache(settings.cache_dir / "jobs") as cache:
            cache.set("tried", True, expire=1)
    except (sqlite3.Error, diskcache.Timeout) as error:
        raise StoreUnavailable(settings.cache_dir / "jobs", error) from error
    each = f"each with threads: {settings.threads_per_job}, for {settings.job_timeout_s:,} s at most"
    return f"{settings.n_jobs} at once, {each}"


def _door(settings: Settings) -> str:
    where = f"{settings.host}:{settings.port}"
    if not settings.is_shared:
        return f"{where} is for this machine alone; SECURITY.md says how to let others in"
    if settings.auth_header:
        return f"{where} is open to whom a proxy names in {settings.auth_header}"
    if settings.password:
        return f"{where} is open to who knows the password"
    return f"{where} is open to everybody who can reach it; DASHAPP_PASSWORD or DASHAPP_AUTH_HEADER would close it"


def _workers(url: str) -> str:
    from redis import RedisError

    from dashapp.jobs.places import Places
    from dashapp.jobs.queue import connect

    try:
        n_places = Places(connect(url)).n_places("requests")
    except RedisError as error:
        raise QueueUnavailable(error) from error
    if not n_places:
        raise NoWorker
    return f"{n_places} at once on all workers"


def _model(settings: Settings) -> str:
    from dashapp.model.registry import is_here, locate, refuse_unknown_names
    from dashapp.model.weights import Weights

    refuse_unknown_names(settings.models, models_dir=settings.models_dir)
    if not (is_here(settings.model, models_dir=settings.models_dir) or Path(settings.model).is_dir()):
        return f"{settings.model!r} is not on this machine; the first start fetches it"
    weights = Weights.open(locate(settings.model, models_dir=settings.models_dir, dtype=settings.dtype))
    return f"{settings.model!r}, {weights.config.n_params:,} parameters, fingerprint {weights.fingerprint[:12]}"


def _first_token(settings: Settings) -> str:
    from dashapp import api
    from dashapp.model.registry import is_here

    if not (is_here(settings.model, models_dir=settings.models_dir) or Path(settings.model).is_dir()):
        return "not tried: the model is not on this machine"
    model = api.load(settings.model, dtype=settings.dtype, device=settings.device, settings=settings)
    run = api.generate(model, "Once upon a time", max_new_tokens=1, temperature=0, cache=False, settings=settings)
    return f"{run.text!r} on {model.device}"
