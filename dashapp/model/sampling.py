"""The one sampler: from logits over the whole vocabulary to the next token. NumPy only, no torch.

logits / temperature → keep the top_k largest → keep the smallest set that holds top_p of the probability → renormalise
→ draw with a seeded random number. Used by generation, by the command line and by the page that explains it.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass

import numpy as np

from dashapp.errors import BadSampling

# How many of the most likely tokens top-p looks at first; it takes more when they do not hold top_p.
FIRST_LOOK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSettings:
    """How a continuation is drawn; checked when made (raises BadSampling).

    max_new_tokens: at most so many (0: only look at the prompt). temperature: 0 takes the most likely token.
    top_k: keep so many tokens (0: all). top_p: keep the smallest set with that much probability (1: all).
    seed: of the random numbers. stop_at_end: `<|endoftext|>` ends the text.
    """

    max_new_tokens: int = 40
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    stop_at_end: bool = True

    def __post_init__(self) -> None:
        self._check_whole("max_new_tokens", self.max_new_tokens, "0 asks for the prompt alone")
        self._check_whole("top_k", self.top_k, "0 keeps every token")
        self._check_whole("seed", self.seed, "any whole number from 0 will do")
        temperature, top_p = self.temperature, self.top_p
        if not _is_number(temperature) or not 0 <= temperature <= sys.float_info.max:
            rule = "a number from 0 upwards (0 always takes the likeliest token)"
            raise BadSampling("temperature", temperature, rule, "Try 0.8.")
        if not _is_number(top_p) or not 0 < top_p <= 1:
            rule = "a share of the probability, above 0 and at most 1 (1 keeps every token)"
            raise BadSampling("top_p", top_p, rule, "Try 0.95.")
        # One form for one setting, so that 1 and 1.0 make the same key.
        object.__setattr__(self, "temperature", float(temperature) + 0.0)
        object.__setattr__(self, "top_p", float(top_p))

    @staticmethod
    def _check_whole(name: str, value: object, remedy: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise BadSampling(name, value, "a whole number from 0 upwards", f"{remedy.capitalize()}.")

    def as_dict(self) -> dict[str, int | float | bool]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The tokens that may be drawn, most likely first; equal logits in the order of their ids.

    ids: int64 [candidate]. probs: float64 [candidate], sum to 1 (after temperature, top-k and top-p).
    kept_mass: the share of the probability after temperature and top-k that these tokens held before renormalising.
    """

    ids: np.ndarray
    probs: np.ndarray
    kept_mass: float


def random_numbers(seed: int) -> np.random.Generator:
    """The generator whose `random()` gives one number in [0, 1) for each drawn token (PCG64)."""
    return np.random.Generator(np.random.PCG64(seed))


def candidates(logits: np.ndarray, settings: SamplingSettings, *, leading: np.ndarray | None = None) -> Candidates:
    """The tokens that survive the sampler's cuts, with their final probabilities.

    logits: [d_vocab], finite. leading: `largest` of them, if somebody has looked already. With temperature 0 the only
    candidate is the most likely token, the lowest id of equals. Exactly top_k tokens are kept, of equal logits those
    with the lowest ids. top-p keeps at least one token. Nucleus sampling: Holtzman et al. 2020; top-k: Fan et al. 2018.
    """
    if settings.temperature == 0:
        return Candidates(np.array([np.argmax(logits)]), np.ones(1), 1.0)
    weights = _weights(logits, settings.temperature)
    if settings.top_k:
        ids = _first(logits, settings.top_k, leading)
        return _nucleus(ids, weights[ids], float(weights[ids].sum()), settings.top_p)
    total = float(weights.sum())
    if settings.top_p < 1:
        ids = _first(logits, FIRST_LOOK, leading)
        if weights[ids].sum() >= settings.top_p * total * (1 + 1e-9):  # sure to hold top_p, whatever the rounding
            return _nucleus(ids, weights[ids], total, settings.top_p)
    ids = largest(logits, len(weights))
    return _nucleus(ids, weights[ids], total, settings.top_p)


def draw(among: Candidates, u: float) -> int:
    """The token in whose interval `u` falls, when the candidates divide [0, 1) in order of their probabilities."""
    place = int(np.searchsorted(np.cumsum(among.probs), u, side="right"))
    # The last sum may round to just under 1; what has underflowed to probability 0 is not drawn even then.
    return int(among.ids[min(place, int(np.count_nonzero(among.probs)) - 1)])


def sample(logits: np.ndarray, settings: SamplingSettings, u: float, *, leading: np.ndarray | None = None) -> int:
    """The next token: `draw(candidates(logits, settings), u)`, without sorting the vocabulary when nothing is cut.

    leading: as `candidates` has it.
    """
    if settings.temperature > 0 and not settings.top_k and settings.top_p == 1:
        weights = _weights(logits, settings.temperature)
        ids = _first(logits, FIRST_LOOK, leading)
        reached = np.cumsum(weights[ids] / float(weights.sum()))
        if u < reached[-1]:
            return int(ids[np.searchsorted(reached, u, side="right")])
    return draw(candidates(logits, settings, leading=leading), u)


def _first(logits: np.ndarray, n: int, leading: np.ndarray | None) -> np.ndarray:
    """`largest(logits, n)`, from those that were found before where they are enough."""
    return leading[:n] if leading is not None and len(leading) >= min(n, len(logits)) else largest(logits, n)


def largest(logits: np.ndarray, n: int) -> np.ndarray:
    """Ids of the n largest logits (of all, when there are fewer), largest first, equals by id: int64 [n]."""
    if n < len(logits):
        threshold = np.partition(logits, len(logits) - n)[len(logits) - n]
        ids = np.flatnonzero(logits >= threshold)
    else:
        ids = np.arange(len(logits))
    return ids[np.argsort(-logits[ids], kind="stable")][:n]


def _weights(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Unnormalised probabilities exp((logit − largest) / temperature), float64 [d_vocab]."""
    wide = logits.astype(np.float64)
    with np.errstate(over="ignore"):  # divided by next to nothing: −inf, and a weight of 0, is what is meant
        return np.exp((wide - wide.max()) / temperature)


def _nucleus(ids: np.ndarray, weights: np.ndarray, total: float, top_p: float) -> Candidates:
    """The smallest set of leading candidates that holds `top_p` of `total`; weights sorted, largest first."""
    if top_p == 1:
        return Candidates(ids, weights / total, 1.0)
    reached = np.cumsum(weights) >= top_p * total
    n_kept = int(np.argmax(reached)) + 1 if reached.any() else len(ids)
    kept = float(weights[:n_kept].sum())
    return Candidates(ids[:n_kept], weights[:n_kept] / kept, kept / total)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
