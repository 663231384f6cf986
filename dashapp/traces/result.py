"""A result: arrays that an analysis job computed, under the key of what was asked. NumPy only.

Knows its file; knows nothing of what was computed, or of where results are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from dashapp.errors import DamagedFile, DamagedTrace, NotATrace
from dashapp.model.tensorfile import TensorFile, Tensors, read_only, tensor_chunks
from dashapp.traces.checksums import CHECKSUMS, crc_of_array, crc_of_strings

RESULT_FORMAT: Final = "1"  # of the file; what its arrays mean is in the key, with a format number of its own


class Result:
    """Arrays by name, under a key. Made of fresh arrays by `Result.of`, read from a file by `Result.open`."""

    def __init__(self, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
        self._all = {name: read_only(array) for name, array in arrays.items()}
        self._metadata = dict(metadata)

    @classmethod
    def of(cls, key: str, arrays: Mapping[str, np.ndarray]) -> Result:
        """The result of a key; no array of it is called `checksums`."""
        assert CHECKSUMS not in arrays, "the name is taken by the checksums themselves"
        metadata = {"kind": "result", "format": RESULT_FORMAT, "key": key}
        checks = np.array(_checksums(arrays, metadata), dtype=np.int64)
        return cls({**arrays, CHECKSUMS: checks}, metadata)

    @classmethod
    def open(cls, path: Path | str) -> Result:
        """The result in a file, verified whole. Raises: NotATrace, DamagedTrace, OSError."""
        path = Path(path)
        try:
            file = TensorFile(path)
        except DamagedFile as error:
            raise DamagedTrace(path, error.problem) from error
        return cls.of_tensors(file)

    @classmethod
    def of_tensors(cls, file: Tensors) -> Result:
        """The result in tensors that lie anywhere, verified whole. Raises: NotATrace, DamagedTrace."""
        named = file.metadata
        if (named.get("kind"), named.get("format")) != ("result", RESULT_FORMAT) or "key" not in named:
            raise NotATrace(file.path, "it is not a result of this version")
        arrays = {name: file.array(name) for name in file.entries}
        checks = arrays.pop(CHECKSUMS, None)
        if checks is None or list(checks) != _checksums(arrays, file.metadata):
            raise DamagedTrace(file.path, "it is not what was written")
        return cls({**arrays, CHECKSUMS: checks}, file.metadata)

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes of its file, in pieces."""
        return tensor_chunks(self._all, self._metadata)

    @property
    def key(self) -> str:
        """What this result is kept under."""
        return self._metadata["key"]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, read-only."""
        return {name: array for name, array in self._all.items() if name != CHECKSUMS}

    @property
    def size_bytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self._all.values())


def _checksums(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> list[int]:
    """Of the header's strings and the names with dtype and shape, then of each array in the order of the names."""
    shapes = {name: f"{array.dtype.str} {array.shape}" for name, array in arrays.items()}
    return [crc_of_strings({**metadata, **shapes}), *(crc_of_array(arrays[name]) for name in sorted(arrays))]
