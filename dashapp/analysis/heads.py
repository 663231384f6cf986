"""What kind of head each head is: how much of its attention goes where such a head looks, and whether it copies.

On a prompt, each score is the share of all attention that goes to the pairs of tokens that a head of the kind would
look at (TransformerLens' head detector, "mul"). On the probe, random tokens that come twice, it is the mean along a
diagonal. Reads one trace, and of the weights those of one head at a time; runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

import numpy as np

from dashapp.analysis.attention import Head, head_scores
from dashapp.traces.record import Trace

Kind = Literal["previous", "duplicate", "induction", "first"]
KINDS: Final[tuple[Kind, ...]] = ("previous", "duplicate", "induction", "first")

MOST_KEPT: Final = 8  # prompts' scores, some kilobytes each; of 1,024 tokens they take a fifth of a second
NAMED_FROM: Final = 0.4  # a head is called what at least so much of its attention on the probe says

# GPT-2 small, as TransformerLens' tests have it: tests/acceptance/test_hooked_transformer.py.
GPT2_SMALL_TEXT: Final = "Hello world!"
GPT2_SMALL_LOSS: Final = 5.33186
GPT2_SMALL_LOSS_ATOL: Final = 4e-5  # float32's rounding in other orders of summation
_GPT2_SMALL_SHAPE: Final = {"n_layer": 12, "n_head": 12, "d_model": 768, "d_mlp": 3072, "n_ctx": 1024, "d_vocab": 50257}


@dataclass(frozen=True, slots=True, kw_only=True)
class KindScores:
    """Scores of every head on some tokens: float64 [layer head].

    previous, duplicate, induction, first: attention to the token before, to earlier copies of the token, to the tokens
    that followed those, and to the first token; 0..1. entropy_nats, distance_tokens: means over the queries after the
    first.
    """

    previous: np.ndarray
    duplicate: np.ndarray
    induction: np.ndarray
    first: np.ndarray
    entropy_nats: np.ndarray
    distance_tokens: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadProbe:
    """What the probe told of some weights. copying: float64 [layer head], −1..1; see `copying_scores`.

    n_block: how many random tokens came twice. loss: of `GPT2_SMALL_TEXT` after BOS, in nats a token; NaN where the
    model has too few tokens for it.
    """

    scores: KindScores
    copying: np.ndarray
    n_block: int
    loss: float

    def arrays(self) -> dict[str, np.ndarray]:
        """The result as arrays, to be kept."""
        return {**asdict(self.scores), "copying": self.copying, "numbers": np.array([self.n_block, self.loss])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> HeadProbe:
        """The result that `arrays` gave."""
        scores = KindScores(**{name: arrays[name] for name in KindScores.__dataclass_fields__})
        n_block, loss = (float(number) for number in arrays["numbers"])
        return cls(scores=scores, copying=arrays["copying"], n_block=int(n_block), loss=loss)


def detected(pattern: np.ndarray, expected: np.ndarray, *, first: bool = True, self_: bool = True) -> float:
    """The share of a head's attention [query key] that lies on expected pairs (0 or 1): Σ A ⊙ P / Σ A.

    first, self_: whether attention to the first token and of tokens to themselves counts at all. As in
    TransformerLens' `head_detector`, measure "mul", `exclude_bos` and `exclude_current_token`.
    """
    counted = pattern.astype(np.float64)  # a copy
    if not first:
        counted[:, 0] = 0
    if not self_:
        np.fill_diagonal(counted, 0)
    return float((counted * expected).sum() / counted.sum())


def expected_pairs(token_ids: np.ndarray, kind: Kind) -> np.ndarray:
    """Which pairs a head of this kind would look at, 0 or 1: float64 [query key] of tokens [pos]."""
    n = len(token_ids)
    before = np.tri(n, k=-1, dtype=bool)
    match kind:
        case "previous":
            pairs = np.eye(n, k=-1, dtype=bool)
        case "duplicate":
            pairs = (token_ids[:, None] == token_ids) & before
        case "induction":  # the duplicate's pattern, one column to the right
            pairs = np.zeros((n, n), dtype=bool)
            pairs[:, 1:] = ((token_ids[:, None] == token_ids) & before)[:, :-1]
        case "first":
            pairs = np.zeros((n, n), dtype=bool)
            pairs[:, 0] = True
    return pairs.astype(np.float64)


def scores_on_prompt(trace: Trace) -> KindScores:
    """Every head's scores on a prompt: shares of all attention, and for `first` the mean over the queries after it.

    Rows of a pattern sum to 1, so Σ A is the number of tokens, and Σ A ⊙ P is computed for the pairs alone.
    """
    means, n = head_scores(trace), trace.n_tokens
    duplicate, induction = zip(*(_on_copies(trace, layer) for layer in range(trace.config.n_layer)), strict=True)
    return KindScores(
        previous=trace.read("attn_previous").sum(axis=-1, dtype=np.float64) / n,
        duplicate=np.stack(duplicate) / n,
        induction=np.stack(induction) / n,
        first=means.first,
        entropy_nats=means.entropy_nats,
        distance_tokens=means.distance_tokens,
    )


_kept: dict[str, KindScores] = {}


def prompt_scores(trace: Trace) -> KindScores:
    """`scores_on_prompt`, computed once for all who ask and kept for the last `MOST_KEPT` prompts."""
    key = trace.key
    found = _kept.get(key)
    if found is None:
        found = _kept[key] = scores_on_prompt(trace)
        for old in list(_kept)[:-MOST_KEPT]:
            _kept.pop(old, None)
    return found


def scores_on_probe(trace: Trace, n_block: int) -> KindScores:
    """Every head's scores on n_block tokens that come twice: means along a diagonal of its pattern.

    previous: from each token to the one before. duplicate: from the second copies to the first. induction: to the token
    after the first copy; the diagonal has one more entry, from the last token of the first copy to the first token,
    which TransformerLens counts in.
    """
    means = head_scores(trace)
    rows = [trace.pattern(layer) for layer in range(trace.config.n_layer)]  # [head query key] each

    def along(offset: int) -> np.ndarray:
        return np.stack([_diagonal_mean(pattern, offset) for pattern in rows])

    return KindScores(
        previous=along(-1),
        duplicate=along(-n_block),
        induction=along(1 - n_block),
        first=means.first,
        entropy_nats=means.entropy_nats,
        distance_tokens=means.distance_tokens,
    )


def mean_scores(scores: Sequence[KindScores]) -> KindScores:
    """The mean of scores on several texts."""
    names = KindScores.__dataclass_fields__
    return KindScores(**{name: np.mean([getattr(each, name) for each in scores], axis=0) for name in names})


def copying_scores(trace: Trace) -> np.ndarray:
    """Whether looking at a token raises that same token's logit: float64 [layer head], −1..1.

    Σ λ / Σ |λ| over the eigenvalues of W_E W_V W_O W_U (Elhage et al. 2021), which has d_vocab rows; its non-zero
    eigenvalues are those of the product in another order, W_O W_U W_E W_V, which has d_head. LayerNorms' means and
    gains are in it, their spreads and biases are not, and other layers do not take part: a head of a late layer reads
    other things than embeddings. Raises: WeightsMissing.
    """
    config = trace.config
    gram = np.zeros((config.d_model, config.d_model))
    for _start, rows in trace.embedding_blocks():
        gram += rows.T @ rows
    # Both LayerNorms take the mean away and then apply their gain.
    unembedded = _centred((_weight(trace, "ln_f.weight")[:, None] * _centred(gram)).T).T
    scores = np.empty((config.n_layer, config.n_head))
    for layer in range(config.n_layer):
        gain = _weight(trace, f"h.{layer}.ln_1.weight")
        inner = unembedded * gain  # W_U W_E as this layer reads it
        value = _weight(trace, f"h.{layer}.attn.c_attn.weight")[:, -config.d_model :]
        out = _weight(trace, f"h.{layer}.attn.c_proj.weight")
        for head in range(config.n_head):
            part = slice(head * config.d_head, (head + 1) * config.d_head)
            scores[layer, head] = _sign_of_sum(np.linalg.eigvals(out[part] @ inner @ value[:, part]))
    return scores


def measured_kinds(scores: KindScores) -> dict[Head, Kind]:
    """What heads are called by their scores on the probe: the kind with most of its attention, from `NAMED_FROM` on."""
    shares = np.stack([getattr(scores, kind) for kind in KINDS])  # [kind layer head]
    best = shares.argmax(axis=0)
    places = np.argwhere(shares.max(axis=0) >= NAMED_FROM)
    return {Head(layer=int(layer), head=int(head)): KINDS[best[layer, head]] for layer, head in places}


def is_gpt2_small(trace: Trace, probe: HeadProbe) -> bool:
    """Whether the weights of a trace have the shape and the loss of GPT-2 small, and so compute what it computes."""
    return has_gpt2_small_shape(trace) and is_gpt2_small_loss(probe.loss)


def is_gpt2_small_loss(loss: float) -> bool:
    """Whether GPT-2 small loses so much on `GPT2_SMALL_TEXT` after BOS, in nats a token; NaN is not so much."""
    return abs(loss - GPT2_SMALL_LOSS) <= GPT2_SMALL_LOSS_ATOL


def has_gpt2_small_shape(trace: Trace) -> bool:
    """Whether all sizes of a trace's model are those of GPT-2 small."""
    return all(getattr(trace.config, name) == size for name, size in _GPT2_SMALL_SHAPE.items())


def _on_copies(trace: Trace, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """Attention to earlier copies, and to what followed those, summed over all queries: float64 [head] each."""
    q, k, summed = (trace.read(name, layer) for name in ("q", "k", "attn_logsumexp"))
    scale = np.float32(trace.config.attn_scale(layer))
    duplicate, induction = np.zeros(len(q)), np.zeros(len(q))
    for places in _copies(trace.token_ids):
        queries, rows = q[:, places] * scale, summed[:, places, None]
        before = np.tri(len(places), k=-1, dtype=np.float32)
        for total, keys in ((duplicate, places), (induction, places[:-1] + 1)):
            weights = np.exp(queries @ k[:, keys].swapaxes(1, 2) - rows)  # [head query key]
            given = np.einsum("hqk,qk->h", weights, before[:, : len(keys)], dtype=np.float64)
            np.add(total, given, out=total)
    return duplicate, induction


def _copies(token_ids: np.ndarray) -> list[np.ndarray]:
    """Where each token stands that stands in several places."""
    _ids, of, counts = np.unique(token_ids, return_inverse=True, return_counts=True)
    order = np.argsort(of, kind="stable")
    return [places for places in np.split(order, np.cumsum(counts)[:-1]) if len(places) > 1]


def _diagonal_mean(pattern: np.ndarray, offset: int) -> np.ndarray:
    return np.asarray(np.diagonal(pattern, offset=offset, axis1=-2, axis2=-1).mean(axis=-1, dtype=np.float64))


def _centred(rows: np.ndarray) -> np.ndarray:
    return rows - rows.mean(axis=-1, keepdims=True)


def _sign_of_sum(eigenvalues: np.ndarray) -> float:
    """Σ λ / Σ |λ|: eigenvalues of a real matrix come in conjugate pairs, so the sum is real. 0 where all are 0."""
    whole = float(np.abs(eigenvalues).sum())
    return float(eigenvalues.sum().real) / whole if whole else 0.0


def _weight(trace: Trace, name: str) -> np.ndarray:
    return trace.weights.float32(name, dtype=trace.dtype).astype(np.float64)
