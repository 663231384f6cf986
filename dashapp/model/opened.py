"""The models of one process by name and by fingerprint: the one it was started with, the others opened when asked for.

Torch-free. Weights are memory-mapped: an opened model takes addresses, and of the memory only the pages that were
read, which the system may take back. Knows models and where they lie; knows nothing of who asks, nor of jobs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

from dashapp.errors import DamagedFile, ModelError, ModelTooLarge
from dashapp.model.download import Progress
from dashapp.model.memory import available_memory, refuse_too_large
from dashapp.model.registry import ModelInfo, available, find, info_of, locate, name_of, refuse_unknown_names
from dashapp.model.weights import SETTLED_NS, FingerprintCache, Weights
from dashapp.settings import Settings


class Models:
    """What a server's visitors may choose from. Threads share one object.

    default: the model that the server was started with, which goes by its name before all others. allowed: names that
    may be asked for; folders under `models_dir` always may.
    """

    def __init__(
        self,
        default: Weights,
        *,
        dtype: str,
        models_dir: Path | None = None,
        allowed: AbstractSet[str] = frozenset(),
        fingerprints: FingerprintCache | None = None,
        hub_cache: Path | None = None,
    ) -> None:
        self.default, self.dtype = default, dtype
        self.models_dir, self._allowed, self._hub_cache = models_dir, allowed, hub_cache
        self._fingerprints = fingerprints
        self._opened: dict[str, Weights] = {}
        self._lock = threading.Lock()

    @classmethod
    def read(cls, settings: Settings) -> Models:
        """The models that the settings allow; the default one is fetched if it is not here.

        Raises: UnknownAllowedModel, ModelError.
        """
        refuse_unknown_names(settings.models, models_dir=settings.models_dir)
        fingerprints = FingerprintCache(settings.fingerprints_file)
        default = Weights.open(
            locate(settings.model, models_dir=settings.models_dir, dtype=settings.dtype),
            name=name_of(settings.model, models_dir=settings.models_dir),
            fingerprints=fingerprints,
        )
        return cls(
            default,
            dtype=settings.dtype,
            models_dir=settings.models_dir,
            allowed=frozenset(settings.models),
            fingerprints=fingerprints,
        )

    def named(self, name: str) -> Weights:
        """The weights of a model that is here, opened again when its files have changed.

        Raises: UnknownModel, ModelNotAllowed, ModelNotHere, CheckpointError.
        """
        if name == self.default.name:
            return self.default
        with self._lock:
            known = self._opened.get(name)
            if known is None or known.has_changed:
                self._opened.pop(name, None)
                known = self._opened[name] = self._open(name)
        return known

    def to_compute_with(self, name: str) -> Weights:
        """The same, where the memory that is free now can hold the model. Raises: ModelTooLarge too."""
        weights = self.named(name)
        if weights is not self.default:
            free_bytes = available_memory()
            refuse_too_large(name, weights.config.n_params, self.dtype, available_bytes=free_bytes)
        return weights

    def of(self, fingerprint: str, *, name: str) -> Weights | None:
        """The weights with this fingerprint, first looked for under `name`; None when they are not here.

        May read all weights of that name, when nobody has since they were put there.
        """
        if self.default.fingerprint == fingerprint:
            return self.default
        named = self._named_or_none(name)
        if named is not None and named.fingerprint == fingerprint:
            return named
        return next((each for each in self._others() if each.known_fingerprint == fingerprint), None)

    def infos(self) -> list[ModelInfo]:
        """Every model that may be chosen, the default first, and what stands in the way of those that cannot be."""
        others = [info for info in self._available() if info.name != self.default.name]
        free_bytes = available_memory()
        return [info_of(self.default), *(self._examined(info, free_bytes) for info in others)]

    def fetch(self, name: str, progress: Progress) -> None:
        """Bring a published model here, see whether it can be used, and learn its fingerprint.

        progress(bytes here, bytes in all) may raise to stop; what has arrived is kept, and the next call goes on there.
        Raises: ModelError.
        """
        folder = locate(
            name,
            models_dir=self.models_dir,
            allowed=self._allowed,
            dtype=self.dtype,
            progress=progress,
            hub_cache=self._hub_cache,
        )
        weights = Weights.open(folder, name=name, fingerprints=self._fingerprints)
        time.sleep(SETTLED_NS / 1e9)  # the fingerprint of a file younger than this is not remembered
        weights.fingerprint  # noqa: B018  now, so that no prompt waits for it

    def _open(self, name: str) -> Weights:
        folder = find(name, models_dir=self.models_dir, allowed=self._allowed, hub_cache=self._hub_cache)
        try:
            return Weights.open(folder, name=name, fingerprints=self._fingerprints)
        except OSError as error:
            raise DamagedFile(folder, f"it cannot be read ({error.strerror})") from error

    def _named_or_none(self, name: str) -> Weights | None:
        try:
            return self.named(name)
        except ModelError:
            return None

    def _others(self) -> Iterator[Weights]:
        opened = (self._named_or_none(info.name) for info in self._available() if info.is_local)
        return (weights for weights in opened if weights is not None)

    def _available(self) -> list[ModelInfo]:
        return available(models_dir=self.models_dir, allowed=self._allowed, hub_cache=self._hub_cache)

    def _examined(self, info: ModelInfo, free_bytes: int) -> ModelInfo:
        """A model's row with the problem that using it would meet: its files, or its size."""
        try:
            n_params = self.named(info.name).config.n_params if info.is_local else info.n_params or 0
            refuse_too_large(info.name, n_params, self.dtype, available_bytes=free_bytes)
        except ModelTooLarge as error:
            return replace(info, problem=error.instance)
        except ModelError as error:
            return replace(info, problem=str(error))
        return info
