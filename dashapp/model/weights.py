"""A model's folder as a configuration and memory-mapped arrays. Torch-free; opening reads no weight.

Knows the layouts in which Hugging Face publishes GPT-2 (one safetensors file or several, names with and without
`transformer.`, mask buffers, a tied head, four dtypes) and refuses what would compute something else. Knows nothing of
where folders come from, nor of torch.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from dashapp.errors import (
    DamagedFile,
    MisshapedTensor,
    MissingTensor,
    MistypedTensor,
    NotAModelFolder,
    PickledWeights,
    UnknownTensor,
    UnreadableConfig,
    UnreadableIndex,
    UntiedUnembedding,
)
from dashapp.model.config import GPT2Config
from dashapp.model.tensorfile import TensorEntry, TensorFile, read_only, round_to_bfloat16, widen_bfloat16
from dashapp.model.tokenizer_files import check_tokenizer

logger = logging.getLogger(__name__)

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x04")  # torch's zip of a pickle, and bare pickles

PREFIX = "transformer."  # GPT2LMHeadModel has it, GPT2Model does not
UNEMBEDDING = "lm_head.weight"
MASK_BUFFER = re.compile(r"h\.(\d+)\.attn\.(?:masked_)?bias")

StoredDtype = Literal["float32", "float16", "bfloat16", "float64"]
STORED_DTYPES: dict[str, StoredDtype] = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}

FINGERPRINT_FORMAT = 1
SETTLED_NS = 2_000_000_000  # some file systems count whole seconds
HASHED_AT_ONCE = 1 << 24


def tensor_shapes(config: GPT2Config) -> dict[str, tuple[int, ...]]:
    """Every weight of a GPT-2 in canonical order: its name in the checkpoint → its shape."""
    d_model, d_mlp = config.d_model, config.d_mlp
    block = {
        "ln_1.weight": (d_model,),
        "ln_1.bias": (d_model,),
        "attn.c_attn.weight": (d_model, 3 * d_model),
        "attn.c_attn.bias": (3 * d_model,),
        "attn.c_proj.weight": (d_model, d_model),
        "attn.c_proj.bias": (d_model,),
        "ln_2.weight": (d_model,),
        "ln_2.bias": (d_model,),
        "mlp.c_fc.weight": (d_model, d_mlp),
        "mlp.c_fc.bias": (d_mlp,),
        "mlp.c_proj.weight": (d_mlp, d_model),
        "mlp.c_proj.bias": (d_model,),
    }
    return {
        "wte.weight": (config.d_vocab, d_model),
        "wpe.weight": (config.n_ctx, d_model),
        **{f"h.{layer}.{name}": shape for layer in range(config.n_layer) for name, shape in block.items()},
        "ln_f.weight": (d_model,),
        "ln_f.bias": (d_model,),
    }


def read_config(folder: Path) -> GPT2Config:
    """The configuration in a folder's config.json.

    Raises: NotAModelFolder, UnreadableConfig, UnsupportedConfig, ForeignTokenizer.
    """
    path = folder / CONFIG_FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotAModelFolder(folder, CONFIG_FILE) from error
    except OSError as error:
        raise UnreadableConfig(path, f"it cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableConfig(path, "it is not JSON") from error
    if not isinstance(fields, dict):
        raise UnreadableConfig(path, "it is not a JSON object")
    return GPT2Config.from_hf(fields, path)


class Weights:
    """The weights of one model, on disk until they are looked at. `Weights.open(folder)` checks and maps them.

    folder, name, config; stored_dtype: the widest dtype of any weight; `weights["h.0.attn.c_attn.weight"]` the array
    as stored, which cannot be written to. Names are the checkpoint's without `transformer.`.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        config: GPT2Config,
        tensors: Mapping[str, _StoredTensor],
        fingerprints: FingerprintCache | None,
    ) -> None:
        self.folder, self.name, self.config = folder, name, config
        self._tensors, self._fingerprints = tensors, fingerprints
        self._state = self._state_now()

    @classmethod
    def open(cls, folder: Path, *, name: str | None = None, fingerprints: FingerprintCache | None = None) -> Weights:
        """The weights in a folder in Hugging Face format; `name` is the folder's own unless given.

        Raises: CheckpointError, each kind for one thing that is wrong with the folder.
        """
        config = read_config(folder)
        check_tokenizer(folder)
        stored = _stored_tensors(folder)
        tensors = _canonical(stored, config, folder)
        return cls(folder, name or folder.resolve().name, config, tensors, fingerprints)

    def __getitem__(self, name: str) -> np.ndarray:
        """One weight as it is stored, memory-mapped; bfloat16 as its 16 bits (uint16)."""
        return self._tensors[name].array

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        """The names, in canonical order."""
        return iter(self._tensors)

    @property
    def stored_dtype(self) -> StoredDtype:
        present = {tensor.entry.code for tensor in self._tensors.values()}
        return next(dtype for code, dtype in STORED_DTYPES.items() if code in present)

    def dtype_of(self, name: str) -> StoredDtype:
        """The dtype in which one weight is stored."""
        return STORED_DTYPES[self._tensors[name].entry.code]

    def float32(self, name: str, *, dtype: str = "float32") -> np.ndarray:
        """One weight as float32 values, those that a model running in `dtype` computes with.

        Memory-mapped when stored as float32 and run in anything wider; otherwise a copy, made at every call. Published
        files may start their tensors at any byte: `array.flags.aligned` is then False, and NumPy copies the array
        inside every product (seven times slower for the unembedding of the 124M model).
        """
        values = self._tensors[name].widened.astype(np.float32, copy=False)
        return widen_bfloat16(round_to_bfloat16(values)) if dtype == "bfloat16" else values

    def bfloat16_bits(self, name: str) -> np.ndarray:
        """One weight as bfloat16 bit patterns (uint16): memory-mapped when stored so, otherwise a rounded copy."""
        tensor = self._tensors[name]
        return tensor.array if tensor.entry.code == "BF16" else round_to_bfloat16(tensor.widened)

    def float64(self, name: str) -> np.ndarray:
        """One weight as float64 values: memory-mapped when stored so, otherwise a copy."""
        return self._tensors[name].widened.astype(np.float64, copy=False)

    def __deepcopy__(self, memo: object) -> Weights:
        """Itself: nothing in it changes, and a copied model need not copy a file."""
        return self

    def private_arrays(self) -> dict[str, np.ndarray]:
        """Each weight as it is stored, in a mapping of the caller's own that may be written to.

        Writing copies the page: it changes neither the file nor these weights (torch wraps only writable arrays, and
        somebody may edit a model's parameters).
        """
        files = {path: TensorFile(path) for path in self._paths()}
        return {name: files[tensor.file.path].stored(tensor.name) for name, tensor in self._tensors.items()}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (64 hex digits) of what the model computes with: the options, and each weight's dtype and bytes.

        The same for any layout of files. Reads every weight the first time; with a FingerprintCache, later processes
        read none.
        """
        if self._state_now().key != self._state.key:
            raise DamagedFile(self.folder, "its files have changed since they were opened")
        known = self._fingerprints.get(self._state) if self._fingerprints else None
        if known is None:
            known = self._hash()
            if self._fingerprints:
                self._fingerprints.put(self._state, known, now_ns=time.time_ns())
        return known

    @property
    def known_fingerprint(self) -> str | None:
        """`fingerprint` where no weight need be read for it; None otherwise, and after the files have changed."""
        is_known = "fingerprint" in self.__dict__ or (self._fingerprints and self._fingerprints.get(self._state))
        return self.fingerprint if is_known and not self.has_changed else None

    @property
    def has_changed(self) -> bool:
        """Whether the files are others by now than those that were opened, or gone."""
        try:
            return self._state_now().key != self._state.key
        except OSError:
            return True

    def _hash(self) -> str:
        digest = hashlib.sha256()
        digest.update(_canonical_json({"format": FINGERPRINT_FORMAT, "computation": self.config.computation}))
        for name, tensor in self._tensors.items():
            digest.update(_canonical_json([name, tensor.entry.code, tensor.entry.shape]))
            for start in range(0, tensor.raw.size, HASHED_AT_ONCE):
                digest.update(tensor.raw[start : start + HASHED_AT_ONCE].data)
        return digest.hexdigest()

    def _paths(self) -> list[Path]:
        return sorted({tensor.file.path for tensor in self._tensors.values()})

    def _state_now(self) -> FileState:
        return file_state([self.folder / CONFIG_FILE, *self._paths()])


class FingerprintCache:
    """Fingerprints of files that were hashed before, in one small JSON file. A damaged one is as good as none.

    A file counts as unchanged while its resolved path, size, inode and times are; one that was written in the last
    seconds is not remembered, for a second write within the clock's tick would not show.
    """

    def __init__(self, path: Path, *, n_max: int = 200) -> None:
        self.path, self.n_max = path, n_max

    def get(self, state: FileState) -> str | None:
        return self._read().get(state.key)

    def put(self, state: FileState, fingerprint: str, *, now_ns: int) -> None:
        """Remember a fingerprint. Two writers at once may lose one entry, which is then computed again."""
        if now_ns - state.newest_ns < SETTLED_NS:
            return
        entries = self._read()
        entries.pop(state.key, None)
        kept = [*entries.items(), (state.key, fingerprint)][-self.n_max :]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_whole(self.path, json.dumps({"format": FINGERPRINT_FORMAT, "fingerprints": dict(kept)}))
        except OSError as error:  # it is known all the same, and computed again another time
            logger.warning("Could not remember a fingerprint in %s: %s", self.path, error)

    def _read(self) -> dict[str, str]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        match content:
            case {"format": int(version), "fingerprints": dict(entries)} if version == FINGERPRINT_FORMAT:
                return {key: value for key, value in entries.items() if _is_fingerprint(value)}
        return {}


class FileState:
    """What tells that files are the same as before, without reading them. key: one string; newest_ns: last change."""

    def __init__(self, key: str, newest_ns: int) -> None:
        self.key, self.newest_ns = key, newest_ns


def file_state(paths: list[Path]) -> FileState:
    """The state of some files: resolved path, size, inode, and the times of the last write and the last change."""
    rows: list[tuple[str, int, int, int, int]] = []
    for path in (each.resolve() for each in paths):
        stat = path.stat()
        rows.append((str(path), stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns))
    return FileState(json.dumps(rows), max(max(row[3:]) for row in rows))


class _StoredTensor:
    """One tensor and the file that holds it."""

    def __init__(self, file: TensorFile, name: str) -> None:
        self.file, self.name = file, name

    @property
    def entry(self) -> TensorEntry:
        return self.file.entries[self.name]

    @property
    def raw(self) -> np.ndarray:
        return self.file.raw(self.name)

    @property
    def array(self) -> np.ndarray:
        return read_only(self.file.stored(self.name))

    @property
    def widened(self) -> np.ndarray:
        """The values: bfloat16 as a float32 copy, any other dtype mapped."""
        return widen_bfloat16(self.array) if self.entry.code == "BF16" else self.array


def _stored_tensors(folder: Path) -> dict[str, _StoredTensor]:
    """All tensors of a folder by their stored names, from its one file or its several."""
    if (folder / WEIGHTS_FILE).is_file():
        paths = [folder / WEIGHTS_FILE]
    elif (folder / INDEX_FILE).is_file():
        paths = _shards(folder)
    else:
        pickles = sorted(path for path in folder.iterdir() if path.suffix in PICKLE_SUFFIXES)
        raise PickledWeights(pickles[0]) if pickles else NotAModelFolder(folder, WEIGHTS_FILE)
    stored: dict[str, _StoredTensor] = {}
    for path in paths:
        file = _open_safetensors(path)
        for name in file.entries:
            if name in stored:
                raise UnreadableIndex(folder / INDEX_FILE, f"{name!r} is in two of its files")
            stored[name] = _StoredTensor(file, name)
    return stored


def _open_safetensors(path: Path) -> TensorFile:
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(PICKLE_STARTS):
        raise PickledWeights(path)
    return TensorFile(path)


def _shards(folder: Path) -> list[Path]:
    """The files that a folder's index names, each in the folder itself."""
    index = folder / INDEX_FILE
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableIndex(index, "it is not JSON") from error
    match content:
        case {"weight_map": dict(weight_map)} if weight_map and all(isinstance(v, str) for v in weight_map.values()):
            names = sorted(set(weight_map.values()))
        case _:
            raise UnreadableIndex(index, "it has no weight_map of tensors and files")
    for name in names:
        if Path(name).name != name:
            raise UnreadableIndex(index, f"it names {name!r}, which is outside the folder")
        if not (folder / name).is_file():
            raise NotAModelFolder(folder, name)
    return [folder / name for name in names]


def _canonical(stored: Mapping[str, _StoredTensor], config: GPT2Config, folder: Path) -> dict[str, _StoredTensor]:
    """The weights by canonical name and in canonical order; buffers and a tied head are left out."""
    shapes = tensor_shapes(config)
    found: dict[str, _StoredTensor] = {}
    for stored_name, tensor in stored.items():
        name = stored_name.removeprefix(PREFIX)
        if name in found or not (name in shapes or name == UNEMBEDDING or _is_mask_buffer(name, config)):
            raise UnknownTensor(tensor.file.path, stored_name)
        found[name] = tensor
    for name, shape in shapes.items():
        if name not in found:
            raise MissingTensor(folder, name)
        tensor = found[name]
        if tensor.entry.shape != shape:
            raise MisshapedTensor(tensor.file.path, tensor.name, tensor.entry.shape, shape)
        if tensor.entry.code not in STORED_DTYPES:
            raise MistypedTensor(tensor.file.path, tensor.name, tensor.entry.code)
    if UNEMBEDDING in found and not _is_same(found[UNEMBEDDING], found["wte.weight"]):
        raise UntiedUnembedding(found[UNEMBEDDING].file.path)
    return {name: found[name] for name in shapes}


def _is_mask_buffer(name: str, config: GPT2Config) -> bool:
    """Older versions of Hugging Face stored the causal mask beside the weights, as `attn.bias`, for each layer."""
    match = MASK_BUFFER.fullmatch(name)
    return match is not None and int(match[1]) < config.n_layer


def _is_same(one: _StoredTensor, other: _StoredTensor) -> bool:
    return (one.entry.code, one.entry.shape) == (other.entry.code, other.entry.shape) and np.array_equal(
        one.raw, other.raw
    )


def _is_fingerprint(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _canonical_json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _write_whole(path: Path, text: str) -> None:
    """Write a small file; `path` holds either what it held before or all of `text`."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
