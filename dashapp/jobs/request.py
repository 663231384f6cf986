"""What a browser asks for: a prompt and how to continue it, checked before anything else sees it. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashapp.errors import EmptySetting
from dashapp.model.sampling import SamplingSettings
from dashapp.model.tokenizer import encode_prompt

ID_PATTERN = re.compile(r"[0-9a-f]{32}")
SAMPLING_NAMES = ("max_new_tokens", "temperature", "top_k", "top_p", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRequest:
    """One press of Generate.

    id: 32 hexadecimal digits that the browser drew; nobody else knows them. bos: put `<|endoftext|>` in front.
    """

    id: str
    prompt: str
    bos: bool
    sampling: SamplingSettings

    @classmethod
    def parse(cls, data: object) -> PromptRequest:
        """The request in what a browser sent.

        Raises: BadSampling, EmptySetting for a setting that a person can mend; ValueError for what no page of ours
        sends.
        """
        if not isinstance(data, Mapping):
            raise ValueError("a request is an object")
        request_id, prompt, bos = data.get("id"), data.get("prompt"), data.get("bos")
        if not isinstance(request_id, str) or not ID_PATTERN.fullmatch(request_id):
            raise ValueError("a request has an id of 32 hexadecimal digits")
        if not isinstance(prompt, str) or not isinstance(bos, bool):
            raise ValueError("a request has a prompt, which is text, and says whether <|endoftext|> stands in front")
        return cls(id=request_id, prompt=prompt, bos=bos, sampling=_sampling(data))

    def token_ids(self, n_ctx: int) -> np.ndarray:
        """The prompt's tokens: int32 [pos]. Raises: PromptError."""
        return encode_prompt(self.prompt, n_ctx=n_ctx, bos=self.bos)

    def as_json(self) -> dict[str, Any]:
        """What `parse` reads."""
        sampling = {name: getattr(self.sampling, name) for name in SAMPLING_NAMES}
        return {"id": self.id, "prompt": self.prompt, "bos": self.bos, **sampling}


def _sampling(data: Mapping[str, Any]) -> SamplingSettings:
    for name in SAMPLING_NAMES:
        if data.get(name) is None:  # the field on the page is empty, or holds what is no number
            raise EmptySetting(name)
    return SamplingSettings(**{name: data[name] for name in SAMPLING_NAMES})


# What a first visitor sees; its job has run before anybody comes.
EXAMPLE = PromptRequest(
    id="0" * 32,
    prompt="Once upon a time, there was a little",
    bos=True,
    sampling=SamplingSettings(max_new_tokens=40, temperature=0.8, top_k=0, top_p=0.95, seed=0),
)
