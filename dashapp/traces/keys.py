"""The names that traces and runs are kept under: hashes of all that determines them, and of nothing else.

They stand here rather than in the store because a trace and a run tell their own key, wherever they are.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

import numpy as np

from dashapp.model.sampling import SamplingSettings

KEY_PATTERN = re.compile(r"[0-9a-f]{64}")


def trace_key(token_ids: Sequence[int] | np.ndarray, *, fingerprint: str, dtype: str, trace_format: int) -> str:
    """Key of the trace of these tokens by these weights: 64 hexadecimal digits (SHA-256)."""
    return _key({"trace_format": trace_format, "fingerprint": fingerprint, "dtype": dtype}, token_ids)


def run_key(
    prompt_ids: Sequence[int] | np.ndarray,
    *,
    fingerprint: str,
    dtype: str,
    settings: SamplingSettings,
    run_format: int,
) -> str:
    """Key of the continuation of this prompt, by these weights under these settings: 64 hexadecimal digits."""
    head = {"run_format": run_format, "fingerprint": fingerprint, "dtype": dtype, "settings": settings.as_dict()}
    return _key(head, prompt_ids)


def is_key(text: str) -> bool:
    """Whether a text from outside has the form of a key."""
    return KEY_PATTERN.fullmatch(text) is not None


def _key(head: Mapping[str, object], token_ids: Sequence[int] | np.ndarray) -> str:
    ids = np.asarray(token_ids, dtype="<i4").tobytes()
    return hashlib.sha256(json.dumps(head, sort_keys=True).encode() + b"\n" + ids).hexdigest()
