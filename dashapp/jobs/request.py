"""What a browser asks for: a prompt, a model and how to continue, checked before anything else sees it. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashapp.errors import EmptySetting, NoModelNamed, OtherWeights, PromptTooLong
from dashapp.model.registry import DEMO
from dashapp.model.sampling import SamplingSettings
from dashapp.model.tokenizer import END_OF_TEXT_ID, encode_prompt

ID_PATTERN = re.compile(r"[0-9a-f]{32}")
WEIGHTS_PATTERN = re.compile(r"[0-9a-f]{12}")
KEY_PATTERN = re.compile(r"[0-9a-f]{64}")
SAMPLING_NAMES = ("max_new_tokens", "temperature", "top_k", "top_p", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRequest:
    """One press of Generate.

    id: 32 hexadecimal digits that the browser drew; nobody else knows them. model: a name of the registry, not looked
    up yet. weights: the first 12 digits of the fingerprint that a link was made with; None takes the model's weights
    as they are. bos: put `<|endoftext|>` in front. then: ids of tokens after the prompt's, for a branch is no text that
    the tokenizer would cut that way. ancestor: the key of a trace that shares the beginning, which is not run again.
    """

    id: str
    model: str
    weights: str | None = None
    prompt: str
    bos: bool
    then: tuple[int, ...] = ()
    ancestor: str | None = None
    sampling: SamplingSettings

    @classmethod
    def parse(cls, data: object) -> PromptRequest:
        """The request in what a browser sent.

        Raises: BadSampling, EmptySetting, NoModelNamed for what a person can mend; ValueError for what no page of ours
        sends.
        """
        if not isinstance(data, Mapping):
            raise ValueError("a request is an object")
        request_id, prompt, bos = data.get("id"), data.get("prompt"), data.get("bos")
        if not isinstance(request_id, str) or not ID_PATTERN.fullmatch(request_id):
            raise ValueError("a request has an id of 32 hexadecimal digits")
        if not isinstance(prompt, str) or not isinstance(bos, bool):
            raise ValueError("a request has a prompt, which is text, and says whether <|endoftext|> stands in front")
        model, weights = data.get("model"), data.get("weights")
        if not isinstance(model, str) or not model:
            raise NoModelNamed
        if weights is not None and not (isinstance(weights, str) and WEIGHTS_PATTERN.fullmatch(weights)):
            raise ValueError("weights are named by the first 12 hexadecimal digits of their fingerprint")
        return cls(
            id=request_id,
            model=model,
            weights=weights,
            prompt=prompt,
            bos=bos,
            then=_then(data),
            ancestor=_ancestor(data),
            sampling=_sampling(data),
        )

    def token_ids(self, n_ctx: int) -> np.ndarray:
        """The tokens of the prompt and those that follow it: int32 [pos]. Raises: PromptError."""
        if not self.then:
            return encode_prompt(self.prompt, n_ctx=n_ctx, bos=self.bos)
        start = encode_prompt(self.prompt, n_ctx=n_ctx, bos=self.bos) if self.prompt or self.bos else ()
        ids = np.array([*start, *self.then], dtype=np.int32)
        if len(ids) > n_ctx:
            raise PromptTooLong(len(ids), n_ctx)
        return ids

    def refuse_other_weights(self, fingerprint: str) -> None:
        """Raise OtherWeights when a link was made with other weights than these."""
        if self.weights is not None and not fingerprint.startswith(self.weights):
            raise OtherWeights(self.model, self.weights, fingerprint)

    def as_json(self) -> dict[str, Any]:
        """What `parse` reads."""
        sampling = {name: getattr(self.sampling, name) for name in SAMPLING_NAMES}
        named = {"id": self.id, "model": self.model, "weights": self.weights}
        branch = {"then": list(self.then), "ancestor": self.ancestor}
        stop = {"stop_at_end": self.sampling.stop_at_end}
        return {**named, "prompt": self.prompt, "bos": self.bos, **branch, **sampling, **stop}


def _sampling(data: Mapping[str, Any]) -> SamplingSettings:
    for name in SAMPLING_NAMES:
        if data.get(name) is None:  # the field on the page is empty, or holds what is no number
            raise EmptySetting(name)
    stop_at_end = data.get("stop_at_end", True)
    if not isinstance(stop_at_end, bool):
        raise ValueError("a request says whether <|endoftext|> ends its text")
    return SamplingSettings(**{name: data[name] for name in SAMPLING_NAMES}, stop_at_end=stop_at_end)


def _then(data: Mapping[str, Any]) -> tuple[int, ...]:
    then = data.get("then") or ()
    if not isinstance(then, list | tuple) or not all(_is_token(each) for each in then):
        raise ValueError("the tokens after a prompt are ids of GPT-2's vocabulary")
    return tuple(then)


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= END_OF_TEXT_ID


def _ancestor(data: Mapping[str, Any]) -> str | None:
    key = data.get("ancestor")
    if key is not None and not (isinstance(key, str) and KEY_PATTERN.fullmatch(key)):
        raise ValueError("an ancestor is named by the key of its trace")
    return key


# What a first visitor sees; its job has run before anybody comes, with whatever model the server was started with.
EXAMPLE = PromptRequest(
    id="0" * 32,
    model=DEMO,
    prompt="Once upon a time, there was a little",
    bos=True,
    sampling=SamplingSettings(max_new_tokens=40, temperature=0.8, top_k=0, top_p=0.95, seed=0),
)
