"""A run: one generation, from prompt to last token, with all that is needed to check or repeat it. NumPy only.

Knows its file; knows nothing of models or of where runs are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from dashapp.errors import DamagedFile, DamagedTrace, NotATrace
from dashapp.model.sampling import SamplingSettings
from dashapp.model.tensorfile import TensorFile, Tensors, read_only, save_tensors, tensor_chunks
from dashapp.model.tokenizer import END_OF_TEXT_ID, decode, token_text
from dashapp.traces.checksums import CHECKSUMS, crc_of_array, crc_of_strings
from dashapp.traces.keys import run_key, trace_key
from dashapp.traces.names import TRACE_FORMAT

RUN_FORMAT: Final = 1  # raise it when the sampler or a stored array changes: old runs are then drawn again

# Every array, in the order of the checksums.
TENSORS: Final[dict[str, np.dtype[Any]]] = {
    "token_ids": np.dtype(np.int32),
    "u": np.dtype(np.float64),
    "top_ids": np.dtype(np.int32),
    "top_probs": np.dtype(np.float32),
}


@dataclass(frozen=True, slots=True)
class RunStep:
    """One drawn token.

    token: its id; text: as text. u: the random number in [0, 1) that chose it, NaN at temperature 0.
    top_ids: int32 [top], the most likely tokens, most likely first; top_probs: float32 [top], their probabilities under
    the model itself, before temperature, top-k and top-p.
    """

    token: int
    text: str
    u: float
    top_ids: np.ndarray
    top_probs: np.ndarray


class Run:
    """One generation. Made by `dashapp.generate`, read from a file by `Run.open`.

    token_ids: int32 [pos], prompt and continuation; n_prompt: how many are the prompt's. settings: how it was drawn.
    stop: why it ended: "length" (max_new_tokens), "context" (n_ctx reached), "end" (`<|endoftext|>` drawn),
    "person" (stopped), "none" (max_new_tokens is 0).
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
        self._arrays = {name: read_only(array) for name, array in arrays.items()}
        self.metadata = dict(metadata)
        self.token_ids = self._arrays["token_ids"]
        self.n_prompt = int(metadata["n_prompt"])
        self.settings = SamplingSettings(**json.loads(metadata["settings"]))
        self.stop = metadata["stop"]
        self.fingerprint, self.dtype, self.model_name = metadata["fingerprint"], metadata["dtype"], metadata["model"]

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """The run in a file, verified whole. Raises: NotATrace, DamagedTrace, OSError."""
        path = Path(path)
        try:
            file = TensorFile(path)
        except DamagedFile as error:
            raise DamagedTrace(path, error.problem) from error
        return cls.of_tensors(file)

    @classmethod
    def of_tensors(cls, file: Tensors) -> Run:
        """The run in tensors that lie anywhere, verified whole. Raises: NotATrace, DamagedTrace."""
        if file.metadata.get("kind") != "run" or file.metadata.get("format") != str(RUN_FORMAT):
            raise NotATrace(file.path, "it is not a run of this version")
        names = [*TENSORS, CHECKSUMS]
        if any(name not in file.entries for name in names):
            raise DamagedTrace(file.path, "a part of it is missing")
        arrays = {name: file.array(name) for name in names}
        has_types = all(arrays[name].dtype == dtype for name, dtype in TENSORS.items())
        if not has_types or list(arrays[CHECKSUMS]) != _checksums(arrays, file.metadata):
            raise DamagedTrace(file.path, "it is not what was written")
        return cls(arrays, file.metadata)

    def save(self, path: Path | str) -> None:
        """Write the run to a file that `Run.open` reads."""
        save_tensors(Path(path), self._arrays, self.metadata)

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes of the file that `save` writes, in pieces."""
        return tensor_chunks(self._arrays, self.metadata)

    @property
    def size_bytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self._arrays.values())

    @property
    def key(self) -> str:
        """What this run is kept under: a hash of its prompt, weights, dtype and settings."""
        return run_key(
            self.token_ids[: self.n_prompt],
            fingerprint=self.fingerprint,
            dtype=self.dtype,
            settings=self.settings,
            run_format=int(self.metadata["format"]),
        )

    @property
    def trace_key(self) -> str:
        """The key of the trace of all its tokens."""
        return trace_key(self.token_ids, fingerprint=self.fingerprint, dtype=self.dtype, trace_format=TRACE_FORMAT)

    @cached_property
    def text(self) -> str:
        """Prompt and continuation as text, without the `<|endoftext|>` in front or at the end."""
        ids = list(self.token_ids)
        first = 1 if ids[0] == END_OF_TEXT_ID else 0
        last = len(ids) - 1 if len(ids) > self.n_prompt and ids[-1] == END_OF_TEXT_ID else len(ids)
        return decode(ids[first:last])

    @cached_property
    def steps(self) -> Sequence[RunStep]:
        """The drawn tokens in order."""
        drawn = self.token_ids[self.n_prompt :]
        rows = zip(drawn, self._arrays["u"], self._arrays["top_ids"], self._arrays["top_probs"], strict=True)
        return [RunStep(int(token), token_text(int(token)), float(u), ids, probs) for token, u, ids, probs in rows]

    def __repr__(self) -> str:
        return f"<Run of {self.n_prompt} + {len(self.steps)} tokens by {self.model_name!r}: {self.text!r}>"


def new_run(
    *,
    prompt_ids: np.ndarray,
    steps: Sequence[RunStep],
    settings: SamplingSettings,
    stop: str,
    identity: Mapping[str, str],
) -> Run:
    """A run of freshly drawn tokens. `identity` holds the strings fingerprint, model and dtype."""
    top_shape = len(steps), len(steps[0].top_ids) if steps else 0
    drawn: dict[str, list[object]] = {
        "token_ids": [*prompt_ids, *(step.token for step in steps)],
        "u": [step.u for step in steps],
        "top_ids": [step.top_ids for step in steps],
        "top_probs": [step.top_probs for step in steps],
    }
    arrays = {name: np.array(drawn[name], dtype=dtype) for name, dtype in TENSORS.items()}
    arrays |= {name: arrays[name].reshape(top_shape) for name in ("top_ids", "top_probs")}
    metadata = {
        **identity,
        "kind": "run",
        "format": str(RUN_FORMAT),
        "n_prompt": str(len(prompt_ids)),
        "settings": json.dumps(settings.as_dict()),
        "stop": stop,
    }
    return Run(arrays | {CHECKSUMS: np.array(_checksums(arrays, metadata), dtype=np.int64)}, metadata)


def _checksums(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> list[int]:
    return [crc_of_strings(metadata), *(crc_of_array(arrays[name]) for name in TENSORS)]
