"""The strings in the header of a trace's file: what they must say, and what a file that leaves the app says besides.

A file that somebody takes away tells of its run in `run`. A trace that came by a file is kept with `file`, a hash of
all that was brought: that is its key, so that it can stand for nobody's prompt. Knows strings; knows no tensors.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from dashapp.errors import BadSampling
from dashapp.model.config import GPT2Config
from dashapp.model.sampling import SamplingSettings

FILE: Final = "file"
RUN: Final = "run"
REQUIRED: Final = frozenset({"kind", "format", "config", "fingerprint", "model", "dtype"})
DTYPES: Final = ("float32", "bfloat16")  # that models compute in
STOPS: Final = ("length", "context", "end", "person", "none")
LONGEST: Final = 2_000  # characters of one string
LONGEST_NAME: Final = 100
HASH: Final = re.compile(r"[0-9a-f]{64}")
PURPOSE: Final = b"dashapp run file\n"  # no key of a prompt's trace is a hash of bytes that begin so


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTold:
    """What a file tells of the run that it was. n_prompt: tokens of the prompt. settings: None where none are told."""

    n_prompt: int
    stop: str = "none"
    settings: SamplingSettings | None = None

    @classmethod
    def parse(cls, told: object, *, n_tokens: int) -> RunTold:
        """What a browser or a file says of a run of `n_tokens`. Raises: ValueError with what is wrong."""
        if not isinstance(told, Mapping) or told.keys() != {"n_prompt", "stop", "settings"}:
            raise ValueError("what it tells of its run is not n_prompt, stop and settings")
        n_prompt, stop, settings = told["n_prompt"], told["stop"], told["settings"]
        if not _is_whole(n_prompt) or not 1 <= n_prompt <= n_tokens:
            raise ValueError(f"its prompt is not of 1 to {n_tokens:,} tokens")
        if not isinstance(stop, str) or stop not in STOPS:
            raise ValueError(f"what ended its text is none of {', '.join(STOPS)}")
        return cls(n_prompt=n_prompt, stop=stop, settings=None if settings is None else _settings(settings))

    def as_json(self) -> dict[str, Any]:
        """What `parse` reads."""
        settings = None if self.settings is None else self.settings.as_dict()
        return {"n_prompt": self.n_prompt, "stop": self.stop, "settings": settings}


def to_take_away(metadata: Mapping[str, str], run: RunTold | None) -> dict[str, str]:
    """The strings of a file that leaves: those of the trace, and of its run.

    A trace that came by a file leaves with what it came with.
    """
    if FILE in metadata:
        return {name: value for name, value in metadata.items() if name != FILE}
    return {**metadata, **({RUN: json.dumps(run.as_json())} if run else {})}


def run_in(metadata: Mapping[str, str], *, n_tokens: int) -> RunTold:
    """What a file tells of its run; where it tells nothing, all tokens are the prompt. Raises: ValueError."""
    if RUN not in metadata:
        return RunTold(n_prompt=n_tokens)
    return RunTold.parse(_json(metadata[RUN], "what it tells of its run"), n_tokens=n_tokens)


def config_in(metadata: Mapping[str, str]) -> GPT2Config:
    """The configuration that a trace names. Raises: ValueError with what is wrong."""
    told = _json(metadata["config"], "its configuration")
    known = {each.name: each for each in fields(GPT2Config)}
    if not isinstance(told, dict) or told.keys() != known.keys():
        raise ValueError("its configuration has other fields than a GPT-2")
    for name, each in known.items():
        if not _is_of_kind(told[name], type(each.default)):
            raise ValueError(f"its {name} is {str(told[name])[:40]}, which no GPT-2 has")
    return GPT2Config(**told)


def refuse_other_strings(metadata: Mapping[str, str]) -> None:
    """Raise ValueError where a file that was brought has other strings than one that was taken away."""
    if not REQUIRED <= metadata.keys() <= REQUIRED | {RUN}:
        raise ValueError("its header does not hold the strings of a trace, and no others")
    if any(len(value) > LONGEST for value in metadata.values()):
        raise ValueError(f"its header holds a string of more than {LONGEST:,} characters")
    if not HASH.fullmatch(metadata["fingerprint"]):
        raise ValueError("its fingerprint is not 64 hexadecimal digits")
    if metadata["dtype"] not in DTYPES:
        raise ValueError(f"its numbers are none of {', '.join(DTYPES)}")
    name = metadata["model"]
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or "/" in name or "\\" in name:
        raise ValueError(f"its model has no name of at most {LONGEST_NAME} characters")


def new_file_hash() -> Any:
    """What takes the bytes of a file, from the first to the last, and tells its key."""
    return hashlib.sha256(PURPOSE)


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not JSON") from error


def _settings(told: object) -> SamplingSettings:
    try:
        return SamplingSettings(**told)  # type: ignore[arg-type]
    except (TypeError, BadSampling) as error:
        raise ValueError("its sampler's settings are none that a run can have") from error


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_of_kind(value: object, kind: type) -> bool:
    """Whether a field of a configuration has the type of its default, and a value that can be meant."""
    if kind is bool:
        return isinstance(value, bool)
    if kind is int:
        return _is_whole(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1  # a NaN is neither
