"""Safetensors files without copies: memory-mapped reading, streamed writing. Torch-free.

The safetensors library hands NumPy a copy of each tensor; weights and traces must stay on disk until a slice is looked
at, and must be written without a second copy in memory. The format is its own: 8 bytes of header length, a JSON header
of names, dtypes, shapes and byte ranges, then the bytes. Knows the format; knows nothing of models or traces.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from dashapp.errors import DamagedFile, UnwritableFile

# Safetensors' names of dtypes. BF16 and the F8s have no NumPy dtype and are mapped as their bits; BF16 is widened when
# read, the F8s are only recognised, so that a quantised file is not called damaged.
DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "F8_E4M3": np.dtype("u1"),
    "F8_E5M2": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
CODES = {dtype: code for code, dtype in DTYPES.items() if code not in ("BF16", "F8_E4M3", "F8_E5M2")}
MAX_HEADER_BYTES = 100_000_000  # the format's own limit
ROUNDED_AT_ONCE = 1 << 20  # values of one piece
PAGE_BYTES = (
    4096  # the header is padded with spaces to whole pages: tensors start aligned, small headers weigh the same
)

TensorKind = tuple[np.dtype[Any], tuple[int, ...]]  # dtype and shape


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One row of the header: `code` is the format's dtype name, `start..stop` bytes from the end of the header."""

    code: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Tensors(Protocol):
    """Tensors by name that lie somewhere: in a file here, or elsewhere, where only what is read is fetched."""

    @property
    def path(self) -> object:
        """What an error calls the place."""

    @property
    def metadata(self) -> Mapping[str, str]: ...

    @property
    def entries(self) -> Mapping[str, TensorEntry]: ...

    def array(self, name: str, index: int | None = None) -> np.ndarray:
        """A tensor, or its slice `index` along the first axis. Raises: DamagedFile when it is no longer there."""

    def is_whole(self) -> bool:
        """Whether all bytes can still be read."""

    def fetch_again(self, name: str, index: int | None) -> bool:
        """Whether the bytes that `array` gave were a copy, which was given up: the next time it is another."""


@dataclass(frozen=True, slots=True)
class TensorLayout:
    """What the header of a safetensors file says. data_start: bytes before the first tensor's."""

    metadata: dict[str, str]
    entries: dict[str, TensorEntry]
    data_start: int

    @classmethod
    def read(cls, path: object, file: BinaryIO, size: int) -> TensorLayout:
        """The layout of a file of `size` bytes, which stands at its beginning. Raises: DamagedFile."""
        data_start, header = _read_header(path, file, size)
        return cls(_metadata_of(path, header), _entries_of(path, header, size - data_start), data_start)


class TensorFile:
    """A safetensors file, checked against its own size when opened and memory-mapped after.

    entries: name → TensorEntry. metadata: the header's strings. descriptor: of the file where it is open already and
    may have no name; then `path` is what errors call it.
    Raises DamagedFile when the file is not exactly what its header says.
    """

    def __init__(self, path: Path, *, descriptor: int | None = None) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY) if descriptor is None else os.dup(descriptor)
        weakref.finalize(self, os.close, self._descriptor)
        self._size = size = os.fstat(self._descriptor).st_size
        with open(self._descriptor, "rb", closefd=False) as file:
            file.seek(0)
            layout = TensorLayout.read(path, file, size)
            # Copy-on-write: torch wraps only writable arrays without a warning, and nothing ever reaches the file.
            self._bytes = np.memmap(file, dtype=np.uint8, mode="c")
        self.metadata, self.entries, self._data_start = layout.metadata, layout.entries, layout.data_start

    def is_whole(self) -> bool:
        """Whether the file still has all its bytes: reading a map past the end of a file kills the process (SIGBUS).

        Asks the open file, not the path: a file that was removed or replaced stays readable.
        """
        return os.fstat(self._descriptor).st_size == self._size

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def raw(self, name: str) -> np.ndarray:
        """The tensor's bytes as uint8, memory-mapped."""
        entry = self.entries[name]
        return np.asarray(self._bytes[self._data_start + entry.start : self._data_start + entry.stop])

    def stored(self, name: str) -> np.ndarray:
        """The tensor as it is stored, memory-mapped; bfloat16 as its 16 bits (uint16)."""
        entry = self.entries[name]
        return self.raw(name).view(DTYPES[entry.code]).reshape(entry.shape)

    def array(self, name: str, index: int | None = None) -> np.ndarray:
        """The tensor, or a slice of it, memory-mapped; bfloat16 is widened to float32, which copies."""
        stored = self.stored(name)
        part = stored if index is None else stored[index]
        return widen_bfloat16(part) if self.entries[name].code == "BF16" else part

    def fetch_again(self, name: str, index: int | None) -> bool:  # noqa: ARG002  of `Tensors`
        """No: this file is the only one."""
        return False


def read_only(array: np.ndarray) -> np.ndarray:
    """A view of `array` that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def widen_bfloat16(bits: np.ndarray) -> np.ndarray:
    """float32 values of bfloat16 bit patterns: a bfloat16 is the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def round_to_bfloat16(values: np.ndarray) -> np.ndarray:
    """bfloat16 bit patterns (uint16) of float32 values, rounded to the nearest, ties to even, as torch rounds."""
    rounded = np.empty(values.size, np.uint16)
    flat = values.reshape(-1)
    for start in range(0, flat.size, ROUNDED_AT_ONCE):  # in pieces: the two 32-bit copies of a piece stay small
        piece = flat[start : start + ROUNDED_AT_ONCE].astype("<f4")
        bits = piece.view(np.uint32)
        up = bits + 0x7FFF + ((bits >> 16) & 1)
        # Rounding could carry the payload of a NaN into the exponent or the sign: a NaN becomes the quiet one.
        rounded[start : start + piece.size] = np.where(np.isnan(piece), np.uint32(0x7FC0), up >> 16)
    return rounded.reshape(values.shape)


def tensor_chunks(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file, in pieces that copy no tensor that is contiguous."""
    kinds = {name: (array.dtype, array.shape) for name, array in arrays.items()}
    yield header_bytes(kinds, metadata)
    for name in file_order(kinds):
        yield bytes_of(arrays[name])


def bytes_of(array: np.ndarray) -> memoryview:
    """The bytes of an array in C order, not copied where it is contiguous."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def file_order(kinds: Mapping[str, TensorKind]) -> list[str]:
    """The names of tensors in the order of their bytes.

    Wide dtypes first, as the safetensors library does, so that each tensor is aligned to its own item size.
    """
    return sorted(kinds, key=lambda name: (-kinds[name][0].itemsize, name))


def header_bytes(kinds: Mapping[str, TensorKind], metadata: Mapping[str, str]) -> bytes:
    """What stands before the tensors' bytes in a file that we write: the header's length, and the header."""
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    start = 0
    for name in file_order(kinds):
        dtype, shape = kinds[name]
        stop = start + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": CODES[dtype.newbyteorder("<")], "shape": list(shape), "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % PAGE_BYTES)
    return len(text).to_bytes(8, "little") + text


def save_tensors(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file; `path` holds either what it held before or the whole new file.

    A link is followed. What is no regular file (a pipe, a device) is written to and stays what it is.
    Raises: UnwritableFile.
    """
    try:
        if path.exists() and not path.is_file():
            _write_chunks(path, arrays, metadata)
        else:
            _replace_whole(path.resolve(), arrays, metadata)
    except OSError as error:
        raise UnwritableFile(path, error.strerror or error) from error


def _replace_whole(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    try:
        _write_chunks(Path(name), arrays, metadata)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write_chunks(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    with path.open("wb") as file:
        for chunk in tensor_chunks(arrays, metadata):
            file.write(chunk)


def _read_header(path: object, file: BinaryIO, size: int) -> tuple[int, dict[str, object]]:
    prefix = file.read(8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or length > min(size - 8, MAX_HEADER_BYTES):
        raise DamagedFile(path, f"it has {size:,} bytes, too few for its header")
    text = file.read(length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFile(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise DamagedFile(path, "its header is not a JSON object")
    return 8 + length, header


def _metadata_of(path: object, header: dict[str, object]) -> dict[str, str]:
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise DamagedFile(path, "its metadata is not a table of strings")
    return metadata


def _entries_of(path: object, header: dict[str, object], n_bytes: int) -> dict[str, TensorEntry]:
    entries = {name: _entry(path, name, row) for name, row in header.items() if name != "__metadata__"}
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.start != position:
            raise DamagedFile(path, f"the bytes of {name!r} do not follow those before them")
        position = entry.stop
    if position != n_bytes:
        raise DamagedFile(path, f"its header names {position:,} bytes and {n_bytes:,} are there")
    return entries


def _entry(path: object, name: str, row: object) -> TensorEntry:
    match row:
        case {"dtype": str(code), "shape": [*shape], "data_offsets": [int(start), int(stop)]} if (
            code in DTYPES
            and all(type(size) is int and size >= 0 for size in shape)
            and 0 <= start <= stop
            and stop - start == math.prod(shape) * DTYPES[code].itemsize
        ):
            return TensorEntry(code, tuple(shape), start, stop)
    raise DamagedFile(path, f"its header's row for {name!r} is not a dtype, a shape and the bytes they take")
