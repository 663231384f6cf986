"""Ablation as a question and its answer: which parts, what stands in their place, and what the model then holds and
says. NumPy only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from dashapp.errors import NotAPart, NothingToLookAt
from dashapp.model.config import GPT2Config

Mode = Literal["zero", "bias", "mean", "reference", "resample"]
PartKind = Literal["head", "mlp", "neuron", "edge"]

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
MOST_PARTS: Final = 64

HEAD: Final = re.compile(r"L(\d+)[H.](\d+)", re.IGNORECASE)
MLP: Final = re.compile(r"L(\d+)MLP", re.IGNORECASE)
NEURON: Final = re.compile(r"L(\d+)N(\d+)", re.IGNORECASE)
EDGE: Final = re.compile(r"(?:L(\d+)(?:[H.](\d+))?:)?(\d+)[>→](\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is taken out: the output of a head or an MLP, a neuron's activation, or that one token looks at another.

    layer: of an edge, None for all. index: the head or the neuron; of an edge a head, None for all; of an MLP None.
    query, key: of an edge, the token that may not look and the one it may not look at.
    """

    kind: PartKind
    layer: int | None = None
    index: int | None = None
    query: int = 0
    key: int = 0

    def __str__(self) -> str:
        """As `parts_in` reads it."""
        match self.kind:
            case "head":
                return f"L{self.layer}H{self.index}"
            case "mlp":
                return f"L{self.layer}MLP"
            case "neuron":
                return f"L{self.layer}N{self.index}"
            case "edge":
                layer = "" if self.layer is None else f"L{self.layer}"
                where = layer if self.index is None else f"{layer}H{self.index}"
                return f"{where}{':' if where else ''}{self.query}>{self.key}"


def parts_in(text: str, config: GPT2Config, n_tokens: int) -> tuple[Part, ...]:
    """The parts that a line names, each once, in its order; none in an empty line.

    n_tokens: of the prompt. Raises: NotAPart, NothingToLookAt.
    """
    words = [word for word in re.split(r"[,;\s]+", text) if word]
    found = tuple(dict.fromkeys(_part(word, config, n_tokens) for word in words))
    if len(found) > MOST_PARTS:
        raise NotAPart(str(found[MOST_PARTS]), f"is one more than the {MOST_PARTS} that are taken out at once")
    _check_that_all_look(found, config)
    return found


def _part(word: str, config: GPT2Config, n_tokens: int) -> Part:
    part = _read(word)
    sizes = {"head": config.n_head, "mlp": 0, "neuron": config.d_mlp, "edge": config.n_head}
    if (part.layer or 0) >= config.n_layer or (part.index is not None and part.index >= sizes[part.kind]):
        has = f"{config.n_layer} layers of {config.n_head} heads and {config.d_mlp:,} neurons, counted from 0"
        raise NotAPart(word, f"is outside of the model, which has {has}")
    if part.kind == "edge" and part.query >= n_tokens:
        raise NotAPart(word, f"is outside of the prompt, which has tokens 0 to {n_tokens - 1}")
    if part.kind == "edge" and part.key > part.query:
        raise NotAPart(word, "takes out what no token does: looking at a later one")
    return part


def _read(word: str) -> Part:
    if found := HEAD.fullmatch(word):
        return Part(kind="head", layer=int(found[1]), index=int(found[2]))
    if found := MLP.fullmatch(word):
        return Part(kind="mlp", layer=int(found[1]))
    if found := NEURON.fullmatch(word):
        return Part(kind="neuron", layer=int(found[1]), index=int(found[2]))
    if found := EDGE.fullmatch(word):
        layer, head = (None if place is None else int(place) for place in found.groups()[:2])
        return Part(kind="edge", layer=layer, index=head, query=int(found[3]), key=int(found[4]))
    raise NotAPart(word, "is none of these")


def _check_that_all_look(parts: Sequence[Part], config: GPT2Config) -> None:
    """A softmax over nothing is no pattern. Raises: NothingToLookAt."""
    for query in dict.fromkeys(part.query for part in parts if part.kind == "edge"):
        for layer in range(config.n_layer):
            if cut_keys(parts, layer, config.n_head)[:, query].sum(axis=-1).max() > query:
                raise NothingToLookAt(query)


def cut_keys(parts: Iterable[Part], layer: int, n_head: int) -> np.ndarray:
    """Which pairs a layer's heads may not see: bool [head query key], no larger than the edges of all layers need."""
    edges = [part for part in parts if part.kind == "edge"]
    n = 1 + max((edge.query for edge in edges), default=0)
    cut = np.zeros((n_head, n, n), dtype=bool)
    for edge in edges:
        if edge.layer in (None, layer):
            cut[slice(None) if edge.index is None else edge.index, edge.query, edge.key] = True
    return cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablated:
    """A run without some parts, after the last token of its prompt, and how the text goes on.

    logits: float32 or float64 [d_vocab]. z: [layer head d_head], what each head brings there before W_O, the ablated
    ones what stands in their place. mlp_out: [layer d_model], what each MLP writes there, likewise. ln_scale: 1/σ of
    the final LayerNorm there. text, plain: int32 [token], with the parts ablated and as it is without, the likeliest
    token at each step; shorter where the text or the context ends.
    """

    logits: np.ndarray
    z: np.ndarray
    mlp_out: np.ndarray
    ln_scale: float
    text: np.ndarray
    plain: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """The result as arrays, to be kept."""
        names = ("logits", "z", "mlp_out", "text", "plain")
        return {name: getattr(self, name) for name in names} | {"ln_scale": np.array([self.ln_scale])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Ablated:
        """The result that `arrays` gave."""
        return cls(**{**arrays, "ln_scale": float(arrays["ln_scale"][0])})  # type: ignore[arg-type]
