"""A trace: what a model did with one prompt in one forward pass. NumPy only, memory-mapped when it comes from a file.

Layers stand on axis 0 and there is no batch axis. A trace can be asked for more than it stores: the attention pattern
is recomputed from q and k, the logits from the last residual stream and the weights. Knows the file of a trace; knows
nothing of where traces are kept.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from dashapp.errors import DamagedFile, DamagedTrace, NotATrace, WeightsMissing
from dashapp.model.config import GPT2Config
from dashapp.model.registry import is_here, locate
from dashapp.model.tensorfile import (
    DTYPES,
    TensorFile,
    TensorKind,
    Tensors,
    bytes_of,
    file_order,
    header_bytes,
    read_only,
    save_tensors,
)
from dashapp.model.tokenizer import token_texts
from dashapp.model.weights import FingerprintCache, Weights
from dashapp.settings import Settings
from dashapp.traces.checksums import CHECKSUMS, crc_of_array, crc_of_strings
from dashapp.traces.keys import trace_key
from dashapp.traces.metadata import FILE, RunTold, config_in, run_in
from dashapp.traces.names import TENSORS, TRACE_FORMAT, n_checks, n_slices, tensor_shapes, trace_bytes

TOKENS_AT_ONCE: Final = 2048  # rows of the token embeddings in one product: 6 MB in the 124M shape

Heal = Callable[[], "Trace"]  # computes a damaged trace again


class WeightsLike(Protocol):
    """What a trace asks of weights: who they are, and some of them as the model computes with them."""

    @property
    def fingerprint(self) -> str: ...

    def float32(self, name: str, *, dtype: str = "float32") -> np.ndarray: ...

    def __hash__(self) -> int: ...


class Trace:
    """One prompt's trace. Made by `dashapp.trace`, read from a file by `Trace.open`.

    token_ids: int32 [pos]. q, k, v: float32 [layer head pos d_head]. resid_pre, resid_mid, resid_post: float32
    [layer pos d_model]. mlp_pre: float32 [layer pos d_mlp]. ln_scale: float32 [norm pos]. The table `names.TENSORS`
    tells every stored tensor; `trace.read(name, layer)` reads one, or one slice of it.
    """

    def __init__(
        self,
        tensors: Mapping[str, np.ndarray] | Tensors,
        metadata: Mapping[str, str],
        *,
        weights: WeightsLike | None = None,
        heal: Heal | None = None,
    ) -> None:
        self._tensors, self.metadata, self._heal = tensors, dict(metadata), heal
        self._verified: set[tuple[str, int]] = set()
        self._healing = threading.Lock()
        self._weights = weights
        self.config = GPT2Config(**json.loads(metadata["config"]))
        self.fingerprint, self.dtype, self.model_name = metadata["fingerprint"], metadata["dtype"], metadata["model"]

    # Files -----------------------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path | str, *, weights: WeightsLike | None = None, heal: Heal | None = None) -> Trace:
        """The trace in a file, memory-mapped; each slice is verified when it is first read.

        heal: computes the trace again when a slice turns out to be damaged; without it, reading raises DamagedTrace.
        Raises: NotATrace, DamagedTrace, OSError.
        """
        path = Path(path)
        if path.is_dir():
            raise NotATrace(path, "it is a folder")
        try:
            file = TensorFile(path)
        except DamagedFile as error:
            raise DamagedTrace(path, error.problem) from error
        return cls.of_tensors(file, weights=weights, heal=heal)

    @classmethod
    def of_tensors(cls, tensors: Tensors, *, weights: WeightsLike | None = None, heal: Heal | None = None) -> Trace:
        """The trace in tensors that lie anywhere, otherwise as `open`. Raises: NotATrace, DamagedTrace."""
        _check_metadata(tensors)
        _check_shapes(tensors)
        return cls(tensors, tensors.metadata, weights=weights, heal=heal)

    def save(self, path: Path | str) -> None:
        """Write the trace to a file that `Trace.open` reads; the file appears whole or not at all."""
        save_tensors(Path(path), self._all_tensors(), self.metadata)

    def chunks(self, metadata: Mapping[str, str] | None = None) -> Iterator[bytes | memoryview]:
        """The bytes of the file that `save` writes, a slice at a time. metadata: other strings than the trace's own.

        All is verified before the first byte. Raises: DamagedTrace.
        """
        self.verify()
        checks = np.array(self._stored(CHECKSUMS))
        if metadata is None:
            metadata = self.metadata
        else:
            checks[0] = crc_of_strings(metadata)
        yield header_bytes(self._kinds, metadata)
        for name in file_order(self._kinds):
            for part in [checks] if name == CHECKSUMS else self._slices(name):
                yield bytes_of(part)

    def verify(self) -> None:
        """Look at every slice once, and compute again what is damaged. Raises: DamagedTrace where that cannot be."""
        for name in TENSORS:
            for _ in self._slices(name):
                pass

    def size_with(self, metadata: Mapping[str, str]) -> int:
        """Bytes of the file that `chunks(metadata)` gives."""
        values_bytes = sum(math.prod(shape) * dtype.itemsize for dtype, shape in self._kinds.values())
        return len(header_bytes(self._kinds, metadata)) + values_bytes

    @property
    def key(self) -> str:
        """What this trace is kept under: a hash of its tokens, weights, dtype and format.

        One that somebody brought as a file has a hash of that file: what it says of itself is believed by nobody else.
        """
        return self.metadata.get(FILE) or trace_key(
            self.token_ids, fingerprint=self.fingerprint, dtype=self.dtype, trace_format=int(self.metadata["format"])
        )

    @property
    def is_from_file(self) -> bool:
        """Whether somebody brought it as a file, and it was not computed where it is kept."""
        return FILE in self.metadata

    @property
    def run_told(self) -> RunTold:
        """What its file tells of the run that it was; where it tells nothing, all tokens are the prompt."""
        return run_in(self.metadata, n_tokens=self.n_tokens)

    @property
    def size_bytes(self) -> int:
        """Bytes of its file."""
        return trace_bytes(self.config, self.n_tokens)

    # What is stored --------------------------------------------------------------------------------------------------

    def read(self, name: str, layer: int | None = None) -> np.ndarray:
        """A stored tensor, or its slice `layer` along the first axis; verified against its checksum, read-only.

        Raises: DamagedTrace when the bytes are not those that were written and nothing can compute them again.
        """
        n_checked = n_slices(name, self._shape(name))
        index = None if layer is None or n_checked == 1 else range(n_checked)[layer]
        try:
            stored = self._intact(name, index)
        except _Damage as damage:
            self._recompute(name, index, damage)
            return self.read(name, layer)
        return stored[layer] if layer is not None and index is None else stored

    @property
    def n_tokens(self) -> int:
        return self._shape("token_ids")[0]

    @cached_property
    def token_ids(self) -> np.ndarray:
        """The tokens that the model read: int32 [pos]."""
        return self.read("token_ids")

    @cached_property
    def token_texts(self) -> list[str]:
        """Each token as text; the bytes of a piece of a character, as in '<F0 9F>'."""
        return token_texts(self.token_ids)

    @property
    def q(self) -> np.ndarray:
        """Queries: float32 [layer head pos d_head]."""
        return self.read("q")

    @property
    def k(self) -> np.ndarray:
        """Keys: float32 [layer head pos d_head]."""
        return self.read("k")

    @property
    def v(self) -> np.ndarray:
        """Values: float32 [layer head pos d_head]."""
        return self.read("v")

    @property
    def resid_pre(self) -> np.ndarray:
        """The residual stream entering each layer: float32 [layer pos d_model]."""
        return self.read("resid")[0:-1:2]

    @property
    def resid_mid(self) -> np.ndarray:
        """The residual stream between attention and MLP of each layer: float32 [layer pos d_model]."""
        return self.read("resid")[1::2]

    @property
    def resid_post(self) -> np.ndarray:
        """The residual stream leaving each layer: float32 [layer pos d_model]."""
        return self.read("resid")[2::2]

    @property
    def mlp_pre(self) -> np.ndarray:
        """MLP pre-activations: float32 [layer pos d_mlp]."""
        return self.read("mlp_pre")

    @property
    def ln_scale(self) -> np.ndarray:
        """1/σ of each LayerNorm: float32 [norm pos], two norms a layer and the final one."""
        return self.read("ln_scale")

    # What is computed when asked -------------------------------------------------------------------------------------

    def pattern(self, layer: int) -> np.ndarray:
        """Attention of every head in a layer: float32 [head query key], rows sum to 1, zero above the diagonal.

        softmax(q kᵀ · scale), as the model computed it: equal within 1e-5 in float32. A bfloat16 model rounds inside
        its attention, so there the difference is larger (see docs/numerics.md).
        """
        return causal_softmax(self.read("q", layer), self.read("k", layer), self.config.attn_scale(layer))

    def head_pattern(self, layer: int, head: int) -> np.ndarray:
        """Attention of one head: float32 [query key]."""
        q, k = self.read("q", layer)[head], self.read("k", layer)[head]
        return causal_softmax(q, k, self.config.attn_scale(layer))

    @property
    def logits(self) -> np.ndarray:
        """Logits at every position: float32 [pos d_vocab], d_vocab / d_model times as large as the residual stream.

        Computed in float32 from the last residual stream, the final norm and the unembedding.
        Raises: WeightsMissing when the weights that made the trace are not at hand.
        """
        return self.logits_in(slice(None))

    def logits_at(self, pos: int) -> np.ndarray:
        """Logits after one token, float32 [d_vocab]: a row of `logits`, without the time and memory of the others.

        Raises: WeightsMissing.
        """
        return self.logits_in(slice(pos, pos + 1))[0]

    def logits_in(self, where: slice) -> np.ndarray:
        """Logits after some tokens, float32 [pos d_vocab]: rows of `logits`. Raises: WeightsMissing."""
        final = self.read("resid", -1)[where]
        centred = final - final.mean(axis=-1, keepdims=True)
        gain, bias = (self.weights.float32(name, dtype=self.dtype) for name in ("ln_f.weight", "ln_f.bias"))
        return self.unembedded(centred * self.read("ln_scale", -1)[where, None] * gain + bias)

    def unembedded(self, normed: np.ndarray) -> np.ndarray:
        """Logits, float32 [row d_vocab], of states [row d_model] that went through the final LayerNorm.

        Raises: WeightsMissing.
        """
        logits = np.empty((len(normed), self.config.d_vocab), dtype=np.float32)
        narrow = normed.astype(np.float32)
        for start, rows in self.embedding_blocks():
            np.matmul(narrow, rows.T, out=logits[:, start : start + len(rows)])
        return logits

    def embedding_blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """The token embeddings, some rows at a time, as `embedding_blocks` has them. Raises: WeightsMissing."""
        return embedding_blocks(self.weights, dtype=self.dtype)

    @property
    def weights(self) -> WeightsLike:
        """The weights that made the trace: those given, or found again by the model's name. Raises: WeightsMissing."""
        if self._weights is None:
            self._weights = self._find_weights()
        if self._weights.fingerprint != self.fingerprint:
            problem = f"the weights at hand have the fingerprint {self._weights.fingerprint[:12]}"
            raise WeightsMissing(self.model_name, self.fingerprint, problem)
        if isinstance(self._weights, Weights) and not self.fits(self._weights.config):
            raise WeightsMissing(self.model_name, self.fingerprint, "the weights of that name have another shape")
        return self._weights

    def fits(self, config: GPT2Config) -> bool:
        """Whether weights of this configuration can have made the trace."""
        return self.config.computation == config.computation

    def use_weights(self, weights: WeightsLike) -> Trace:
        """This trace, with weights at hand for `logits`."""
        self._weights = weights
        return self

    def __repr__(self) -> str:
        return f"<Trace of {self.n_tokens} tokens by {self.model_name!r}, {self.dtype}>"

    # Below: checks and healing ---------------------------------------------------------------------------------------

    def _find_weights(self) -> Weights:
        settings = Settings.read()
        if not is_here(self.model_name, models_dir=settings.models_dir):
            raise WeightsMissing(self.model_name, self.fingerprint, "no model of that name is on this machine")
        folder = locate(self.model_name, models_dir=settings.models_dir)
        return Weights.open(folder, name=self.model_name, fingerprints=FingerprintCache(settings.fingerprints_file))

    def _shape(self, name: str) -> tuple[int, ...]:
        kept = self._tensors
        return kept[name].shape if isinstance(kept, Mapping) else kept.entries[name].shape

    def _all_tensors(self) -> dict[str, np.ndarray]:
        self.verify()  # first: a check that fails may put all tensors in the place of those in the file
        return {**{name: self.read(name) for name in TENSORS}, CHECKSUMS: self._stored(CHECKSUMS)}

    def _stored(self, name: str) -> np.ndarray:
        kept = self._tensors
        return kept[name] if isinstance(kept, Mapping) else kept.array(name)

    def _slices(self, name: str) -> Iterator[np.ndarray]:
        """A stored tensor in the parts in which it is checked."""
        n_parts = n_slices(name, self._shape(name))
        return (self.read(name, part) for part in range(n_parts)) if n_parts > 1 else iter([self.read(name)])

    @property
    def _kinds(self) -> dict[str, TensorKind]:
        shapes = tensor_shapes(self.config, self.n_tokens)
        kinds: dict[str, TensorKind] = {name: (TENSORS[name].dtype, shape) for name, shape in shapes.items()}
        return {**kinds, CHECKSUMS: (np.dtype(np.int64), (n_checks(shapes),))}

    def _intact(self, name: str, index: int | None) -> np.ndarray:
        """A stored tensor, or a slice of it, with the bytes that were written. Raises: _Damage."""
        kept = self._tensors
        if isinstance(kept, Mapping):  # in memory: nothing to check
            return read_only(kept[name] if index is None else kept[name][index])
        try:
            return self._verified_part(kept, name, index)
        except _Damage:
            if not kept.fetch_again(name, index):
                raise
            return self._verified_part(kept, name, index)

    def _verified_part(self, kept: Tensors, name: str, index: int | None) -> np.ndarray:
        if not kept.is_whole():
            raise _Damage(index or 0)
        try:
            stored, checks = read_only(kept.array(name, index)), kept.array(CHECKSUMS)
        except DamagedFile as error:  # it is there no longer
            raise _Damage(index or 0) from error
        if index is not None:
            parts = [(index, stored)]
        else:
            parts = list(enumerate(stored)) if n_slices(name, stored.shape) > 1 else [(0, stored)]
        for place, part in parts:
            if (name, place) not in self._verified:
                if crc_of_array(part) != int(checks[self._place(name) + place]):
                    raise _Damage(place)
                self._verified.add((name, place))
        return stored

    def _place(self, name: str) -> int:
        """Where a tensor's checksums begin."""
        place = 1
        for other in TENSORS:
            if other == name:
                return place
            place += n_slices(other, self._shape(other))
        raise KeyError(name)

    def _recompute(self, name: str, index: int | None, damage: _Damage) -> None:
        with self._healing:  # one thread computes, the others find what it computed
            kept = self._tensors
            try:
                self._intact(name, index)
                return
            except _Damage:
                assert not isinstance(kept, Mapping), "what is in memory is not checked"
            if self._heal is None:
                raise DamagedTrace(kept.path, f"slice {damage.index} of {name!r} is not what was written") from damage
            healed = self._heal()
            self._tensors, self._verified, self._heal = healed._tensors, set(), healed._heal


class _Damage(Exception):
    """A slice of a tensor is not what was written. index: which, along the first axis."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


def embedding_blocks(weights: WeightsLike, *, dtype: str) -> Iterator[tuple[int, np.ndarray]]:
    """The token embeddings, some rows at a time: the first row's id, and float32 [row d_model].

    Published files may start a tensor at any byte, and NumPy is slow with such arrays: each block is copied where
    that is so, while it is in the processor's cache, and the whole table never is.
    """
    table = weights.float32("wte.weight", dtype=dtype)
    for start in range(0, len(table), TOKENS_AT_ONCE):
        yield start, np.require(table[start : start + TOKENS_AT_ONCE], requirements=["ALIGNED"])


def new_trace(
    tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str], *, weights: WeightsLike | None = None
) -> Trace:
    """A trace of freshly captured tensors (all of `names.TENSORS`), with their checksums."""
    checks = [crc_of_strings(metadata)]
    for name in TENSORS:
        whole = tensors[name]
        checks += [crc_of_array(part) for part in (whole if n_slices(name, whole.shape) > 1 else [whole])]
    return Trace({**tensors, CHECKSUMS: np.array(checks, dtype=np.int64)}, metadata, weights=weights)


def trace_metadata(config: GPT2Config, *, fingerprint: str, model: str, dtype: str) -> dict[str, str]:
    """The strings in a trace's header. The prompt is in the tokens; nothing here tells who asked."""
    return {
        "kind": "trace",
        "format": str(TRACE_FORMAT),
        "config": json.dumps(config.as_dict()),
        "fingerprint": fingerprint,
        "model": model,
        "dtype": dtype,
    }


def causal_softmax(q: np.ndarray, k: np.ndarray, scale: float) -> np.ndarray:
    """softmax(q kᵀ · scale) over the keys up to each query: float32 [… query key] of q, k [… pos d_head]."""
    scores = q @ np.swapaxes(k, -1, -2)  # [… query key]
    scores *= np.float32(scale)
    n = scores.shape[-1]
    scores[..., ~np.tri(n, dtype=bool)] = -math.inf
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def _check_metadata(file: Tensors) -> None:
    if file.metadata.get("kind") != "trace":
        raise NotATrace(file.path, "it is a safetensors file of something else")
    if file.metadata.get("format") != str(TRACE_FORMAT):
        found = file.metadata.get("format")
        raise NotATrace(file.path, f"it has the trace format {found} and this version reads {TRACE_FORMAT}")
    absent = [name for name in [*TENSORS, CHECKSUMS] if name not in file.entries]
    if absent:
        raise DamagedTrace(file.path, f"it has no {absent[0]!r}")
    checks = file.array(CHECKSUMS)
    if not checks.size or crc_of_strings(file.metadata) != int(checks[0]):
        raise DamagedTrace(file.path, "its metadata is not what was written")


def _check_shapes(file: Tensors) -> None:
    try:
        config = config_in(file.metadata)
    except (KeyError, ValueError) as error:
        raise DamagedTrace(file.path, str(error)) from error
    expected = tensor_shapes(config, math.prod(file.entries["token_ids"].shape))
    for name, shape in expected.items():
        entry = file.entries[name]
        if entry.shape != shape or DTYPES[entry.code] != TENSORS[name].dtype:
            raise DamagedTrace(file.path, f"{name!r} does not have the shape {shape} and dtype {TENSORS[name].dtype}")
    if file.entries[CHECKSUMS].shape != (n_checks(expected),):
        raise DamagedTrace(file.path, "it does not have a checksum for each slice")
