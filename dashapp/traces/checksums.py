"""CRC-32 of arrays and headers: finds bytes that are not those that were written. Not a defence against forgery."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping

import numpy as np

CHECKSUMS = "checksums"  # the tensor that holds them, int64: the header's strings first, then the tensors


def crc_of_array(array: np.ndarray) -> int:
    """CRC-32 of an array's bytes in C order."""
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def crc_of_strings(strings: Mapping[str, str]) -> int:
    """CRC-32 of a table of strings, whatever its order."""
    return zlib.crc32(json.dumps(dict(strings), sort_keys=True).encode())
