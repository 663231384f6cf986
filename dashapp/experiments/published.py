"""What others published of GPT-2 small, in numbers, and how closely it should come out again. NumPy only.

The numbers are facts that TransformerLens' notebooks and tests print (`gpt2_small.json` names each). They depend on no
processing of the weights: logit differences, probabilities, patterns, shares. `reproduction` computes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np

from dashapp.experiments.orders import Order
from dashapp.experiments.sweeps import Places, Site, order_of
from dashapp.model.config import GPT2Config
from dashapp.model.tokenizer import encode

PATCHED: Final[tuple[Site, ...]] = ("resid_pre", "attn_out", "mlp_out", "z", "q", "k", "v", "pattern")
SITE_NAMES: Final[Mapping[str, str]] = {
    "resid_pre": "the residual stream before each layer",
    "attn_out": "what attention writes",
    "mlp_out": "what MLPs write",
    "z": "each head’s output",
    "q": "each head’s queries",
    "k": "each head’s keys",
    "v": "each head’s values",
    "pattern": "each head’s pattern",
}

MARY, JOHN, CLAIRE, THE = " Mary", " John", " Claire", " The"

SMALL: Final = 1e-3  # of numbers told with three to five digits, from float32 that other programs round otherwise
OF_PROBABILITIES: Final = 2e-4  # told with four digits; two runs of the notebook differ by one in the last
OF_SPREADS: Final = 1e-2  # told with two digits
OF_TWO_DIGITS: Final = 6e-3  # half of the last digit, and rounding

_IOI: Final = "the 8 prompts on who gets what"
_OVER: Final = "right name over wrong name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published value or table. what: a sentence on it. axes: of its places, "" for a single number.

    expected: float64 of any shape. tolerance: the largest difference at any place, in its unit. convention: what must
    be computed so and not otherwise, or "".
    """

    name: str
    group: str
    what: str
    unit: str
    expected: np.ndarray
    tolerance: float
    axes: str = ""
    convention: str = ""


@cache
def facts() -> Mapping[str, Any]:
    """The file of published numbers, with the prompts and tokens that they are of."""
    text = files("dashapp.experiments").joinpath("gpt2_small.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two prompts [pos] of which one is patched into the other, and the clean one's answer and its wrong one."""

    clean: np.ndarray
    corrupted: np.ndarray
    tokens: tuple[int, int]

    @property
    def places(self) -> Places:
        """Which of the clean prompt's positions stands for which of the corrupted one's."""
        return Places.of_ends(self.clean, self.corrupted)


@cache
def ioi_pairs() -> tuple[Pair, ...]:
    """The 8 prompts of the indirect object; of each two neighbours, the other is the corrupted one."""
    prompts = [encode(prompt, bos=True) for prompt in facts()["prompts"]["ioi"]]
    return tuple(
        Pair(clean=prompt, corrupted=prompts[place ^ 1], tokens=(right, wrong))
        for place, (prompt, (right, wrong)) in enumerate(zip(prompts, facts()["ioi_answers"], strict=True))
    )


def milk_pair() -> Pair:
    """The pair of Main_Demo, whose clean prompt is answered by ‘ John’."""
    clean, corrupted = (encode(facts()["prompts"][f"milk_{kind}"], bos=True) for kind in ("clean", "corrupted"))
    return Pair(clean=clean, corrupted=corrupted, tokens=(token(JOHN), token(MARY)))


def token(text: str) -> int:
    """The id of a text that is one token."""
    (found,) = encode(text)
    return int(found)


def orders_of_patching(config: GPT2Config) -> list[Order]:
    """How much each of the sweeps is that the maps of patching take."""
    sizes = {"n_layer": config.n_layer, "n_head": config.n_head, "d_model": config.d_model, "d_vocab": config.d_vocab}
    of_ioi = [order_of(site, pair.places, **sizes) for site in PATCHED for pair in ioi_pairs()]
    return [*of_ioi, order_of("resid_pre", milk_pair().places, **sizes)]


@cache
def published() -> tuple[Published, ...]:
    """All that is checked, in the order in which it is computed: losses first, patching last."""
    return (*_losses(), *_next_tokens(), *_heads(), *_parts(), *_ablations(), *_patching())


def _check(name: str, group: str, what: str, unit: str, tolerance: float, **more: str) -> Published:
    expected = np.asarray(facts()["values"][name], dtype=np.float64)
    return Published(name=name, group=group, what=what, unit=unit, expected=expected, tolerance=tolerance, **more)


def _losses() -> Sequence[Published]:
    of_bias = "The head brings its value bias instead, at every token: the notebook folds that bias into the layer’s."
    return [
        _check("hello-loss", "Losses", "Loss on “Hello world!”", "nats a token", 4e-5),
        _check("processing-loss", "Losses", "Loss on a sentence of 33 tokens", "nats a token", SMALL),
        _check(
            *("processing-loss-ablated", "Losses", "The same without head 8 of layer 0", "nats a token", SMALL),
            convention=of_bias,
        ),
    ]


def _next_tokens() -> Sequence[Published]:
    group, nats = "Next tokens", "nats"
    return [
        _check(
            "milk-probabilities",
            group,
            "The ten likeliest after “… a bottle of milk to”",
            "",
            OF_PROBABILITIES,
            axes="token",
        ),
        _check("cat-probability", group, "Probability of ‘ The’ after “The cat sat on the mat.”", "", OF_PROBABILITIES),
        _check("ioi-differences", group, f"{_OVER.capitalize()}, {_IOI}", nats, SMALL, axes="prompt"),
        _check("ioi-mean", group, "Their mean", nats, SMALL),
        _check("milk-differences", group, "‘ John’ over ‘ Mary’, clean and corrupted", nats, SMALL, axes="prompt"),
        _check(
            *("claire-differences", group, "‘ Claire’ over ‘ Mary’, with and without BOS", nats, SMALL), axes="prompt"
        ),
        _check(
            *("ioi-spreads", group, f"σ of the final LayerNorm, {_IOI}", "", OF_SPREADS),
            axes="prompt",
            convention="σ is the root of the biased variance plus ε.",
        ),
    ]


def _heads() -> Sequence[Published]:
    said = "Random tokens of torch’s generator with seed 0, twice 100 in two rows, without BOS; means over the rows."
    kinds = {
        "previous": "to the token before",
        "duplicate": "to the first copy of the token",
        "induction": "to what followed the first copy",
    }
    return [
        _check(
            *(f"{kind}-scores", "Head scores", f"Attention of each head {where}, on the probe", "", SMALL),
            axes="layer head",
            convention=said,
        )
        for kind, where in kinds.items()
    ]


def _parts() -> Sequence[Published]:
    group, over = "Lens and parts", f"{_OVER}, mean over {_IOI}"
    frozen = "The final norm’s spread is that of the run (frozen)."
    return [
        _check(*("lens-curve", group, f"Logit lens, {over}", "nats", SMALL), axes="point", convention=frozen),
        _check(
            *("layer-parts", group, f"What embeddings, attentions and MLPs add, {over}", "nats", SMALL),
            axes="part",
            convention=f"{frozen} Both embeddings, then attention and MLP of each layer with their biases.",
        ),
        _check(
            *("head-parts", group, f"What each head adds, {over}", "nats", SMALL),
            axes="layer head",
            convention=f"{frozen} Without b_V, which is one of the layer’s biases.",
        ),
        _check(
            *("single-parts", group, "What eight heads add for ‘ Mary’ over ‘ John’, one prompt", "nats", SMALL),
            axes="head",
            convention=f"{frozen} Without b_V.",
        ),
    ]


def _ablations() -> Sequence[Published]:
    group, bias = "Ablation", "The head brings its value bias instead, at the last token alone."
    return [
        _check(
            *("ablated-mean", group, f"{_OVER.capitalize()} without head 9 of layer 9, mean", "nats", OF_TWO_DIGITS),
            convention=bias,
        ),
        _check(*("ablated-spreads", group, "σ of the final LayerNorm then", "", OF_SPREADS), axes="prompt"),
        _check(
            *("ablated-parts", group, "What each head adds then, mean", "nats", SMALL),
            axes="layer head",
            convention="With the final norm’s spread of the run without the head.",
        ),
    ]


def _patching() -> Sequence[Published]:
    said = (
        "Clean into corrupted, all positions at once for heads; the mean logit difference over the prompts, 0 for the "
    )
    said += "corrupted runs’ and 1 for the clean runs’."
    maps = [
        _check(
            *(f"patch-{site}", "Patching", f"Patching {SITE_NAMES[site]}, {_IOI}", "of the way", SMALL),
            axes="layer head" if site in ("z", "q", "k", "v", "pattern") else "layer position",
            convention=said,
        )
        for site in PATCHED
    ]
    return [
        *maps,
        _check(
            *("patch-milk", "Patching", "Patching the residual stream, “… a bottle of milk to”", "of the way", SMALL),
            axes="layer position",
            convention=said,
        ),
    ]
