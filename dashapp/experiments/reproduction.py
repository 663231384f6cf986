"""The published numbers of GPT-2 small, computed by a model: names and shapes as in `published`. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor

from dashapp.analysis.attribution import attribution, head_parts, reader
from dashapp.analysis.heads import HeadProbe
from dashapp.experiments.ablation import ablate
from dashapp.experiments.ablations import Part
from dashapp.experiments.patching import sweep
from dashapp.experiments.published import CLAIRE, JOHN, MARY, PATCHED, THE, Pair, facts, ioi_pairs, milk_pair, token
from dashapp.experiments.sweeps import METRICS, Site, effect
from dashapp.model.gpt2 import GPT2, Block, at_least_float32
from dashapp.model.tap import Tap
from dashapp.model.tokenizer import encode
from dashapp.traces.capture import capture
from dashapp.traces.record import Trace, WeightsLike, trace_metadata

LOSS_HEAD: Final = (0, 8)  # layer, head: what the loss is told without
ABLATED_HEAD: Final = (9, 9)

Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work


def reproduce(
    model: GPT2, weights: WeightsLike, probe: HeadProbe, *, progress: Progress = lambda share: None
) -> dict[str, np.ndarray]:
    """All published numbers but those of patching, float64 by name. probe: of the same weights.

    The model has at least 10 layers of 10 heads and GPT-2's tokens. Raises: WeightsMissing.
    """
    prompts = facts()["prompts"]
    found: dict[str, np.ndarray] = {}
    found |= _losses(model, prompts["hello"], prompts["processing"])
    progress(0.1)
    found |= _next_tokens(model, prompts)
    progress(0.3)
    found |= {f"{kind}-scores": getattr(probe.scores, kind) for kind in ("previous", "duplicate", "induction")}
    found |= _of_answers(model, weights)
    progress(1.0)
    return {name: np.asarray(value, dtype=np.float64) for name, value in found.items()}


def reproduce_patching(model: GPT2, *, progress: Progress = lambda share: None) -> dict[str, np.ndarray]:
    """The published maps of patching, float64 [layer head] or [layer pos] by name."""
    maps: list[tuple[str, Site, Sequence[Pair]]] = [(f"patch-{site}", site, ioi_pairs()) for site in PATCHED]
    maps.append(("patch-milk", "resid_pre", [milk_pair()]))
    return {
        name: patched(model, pairs, site, _part(progress, done, len(maps)))
        for done, (name, site, pairs) in enumerate(maps)
    }


# Losses and next tokens ----------------------------------------------------------------------------------------------


def _losses(model: GPT2, hello: str, processing: str) -> dict[str, np.ndarray]:
    long = encode(processing, bos=True)
    return {
        "hello-loss": np.array(loss(model, encode(hello, bos=True))),
        "processing-loss": np.array(loss(model, long)),
        "processing-loss-ablated": np.array(loss(model, long, without=LOSS_HEAD)),
    }


@torch.inference_mode()
def loss(model: GPT2, ids: np.ndarray, *, without: tuple[int, int] | None = None) -> float:
    """The mean of −log p over all tokens [pos] but the first, in nats. without: layer and head that brings its value
    bias alone, at every token."""
    tap = Tap({}) if without is None else Tap({("z", without[0]): _biased(model, *without)})
    logits = model(torch.from_numpy(ids.astype(np.int64))[None].to(model.device), tap=tap)[0, :-1]
    logprobs = at_least_float32(logits).double().log_softmax(dim=-1)
    following = torch.from_numpy(ids[1:].astype(np.int64)).to(model.device)
    return float(-logprobs.gather(1, following[:, None]).mean())


def _biased(model: GPT2, layer: int, head: int) -> Callable[[Tensor, int | None], Tensor]:
    """Of z [batch head pos d_head], one head is b_V."""

    def replace(z: Tensor, _layer: int | None) -> Tensor:
        n_head, d_head = z.shape[1], z.shape[-1]
        biases = cast(Block, model.h[layer]).attn.c_attn.bias[-n_head * d_head :].view(n_head, d_head)
        copy = z.clone()
        copy[:, head] = biases[head]
        return copy

    return replace


def _next_tokens(model: GPT2, prompts: Mapping[str, str]) -> dict[str, np.ndarray]:
    milk = [_last_logits(model, ids) for ids in (milk_pair().clean, milk_pair().corrupted)]
    claire = [_last_logits(model, encode(prompts["claire"], bos=bos)) for bos in (True, False)]
    cat = _last_logits(model, encode(prompts["cat"], bos=True)).softmax(dim=-1)
    likeliest = milk[1].softmax(dim=-1)
    mary, john = token(MARY), token(JOHN)
    return {
        "milk-probabilities": np.array([float(likeliest[token(text)]) for text in facts()["milk_tokens"]]),
        "cat-probability": np.array(float(cat[token(THE)])),
        "milk-differences": np.array([float(each[john] - each[mary]) for each in milk]),
        "claire-differences": np.array([float(each[token(CLAIRE)] - each[mary]) for each in claire]),
    }


@torch.inference_mode()
def _last_logits(model: GPT2, ids: np.ndarray) -> Tensor:
    """What the model expects after a prompt [pos]: float64 [d_vocab]."""
    body = model.body(torch.from_numpy(ids.astype(np.int64))[None].to(model.device))
    return at_least_float32(model.unembed(body[0, -1])).double()


# Lens, attribution, ablation -----------------------------------------------------------------------------------------


def _of_answers(model: GPT2, weights: WeightsLike) -> dict[str, np.ndarray]:
    """What is told of the right name over the wrong one, at the last token of each prompt."""
    traces = [_traced(model, weights, pair.clean) for pair in ioi_pairs()]
    points, parts, heads, gaps, without = [], [], [], [], []
    for trace, pair in zip(traces, ioi_pairs(), strict=True):
        target, against = pair.tokens
        found = attribution(trace, trace.n_tokens - 1, target=target, against=against)
        points.append(_frozen_lens(trace, target, against))
        parts.append(np.concatenate([[found.token, found.position], np.diff(points[-1])]))
        heads.append(found.heads)
        gaps.append(found.whole)
        without.append(_without_head(model, trace, target, against))
    mary_over_john = heads[0]
    layers, places = np.array(facts()["single_heads"]).T
    return {
        "ioi-differences": np.array(gaps),
        "ioi-mean": np.array(np.mean(gaps)),
        "ioi-spreads": np.array([1 / trace.read("ln_scale", -1)[-1] for trace in traces]),
        "lens-curve": np.mean(points, axis=0),
        "layer-parts": np.mean(parts, axis=0),
        "head-parts": np.mean(heads, axis=0),
        "single-parts": mary_over_john[layers, places],
        "ablated-mean": np.array(np.mean([gap for gap, _spread, _heads in without])),
        "ablated-spreads": np.array([spread for _gap, spread, _heads in without]),
        "ablated-parts": np.mean([each for _gap, _spread, each in without], axis=0),
    }


def _frozen_lens(trace: Trace, target: int, against: int) -> np.ndarray:
    """Target over against through the lens with the run's spread, without the final norm's bias: float64 [point].

    The published mean is over prompts whose answers are each other's, so that the bias is not in it.
    """
    direction = reader(trace, target=target, against=against)[0] * float(trace.read("ln_scale", -1)[-1])
    points = range(2 * trace.config.n_layer + 1)
    states = np.stack([trace.read("resid", point)[-1] for point in points]).astype(np.float64)  # [point d_model]
    curve: np.ndarray = states @ direction
    return curve


def _without_head(model: GPT2, trace: Trace, target: int, against: int) -> tuple[float, float, np.ndarray]:
    """Target over against without a head at the last token, the final σ, and what each head adds [layer head]."""
    layer, head = ABLATED_HEAD
    ids = trace.token_ids
    parts = [Part(kind="head", layer=layer, index=head)]
    found = ablate(model, ids, parts, mode="bias", is_end_only=True, source_ids=ids, n_new=0)
    added = head_parts(trace, found.z, ln_scale=found.ln_scale, target=target, against=against)
    return float(found.logits[target]) - float(found.logits[against]), 1 / found.ln_scale, added


def _traced(model: GPT2, weights: WeightsLike, ids: np.ndarray) -> Trace:
    metadata = trace_metadata(model.config, fingerprint=weights.fingerprint, model="check", dtype="float32")
    return capture(model, ids, metadata, weights=weights)


# Patching ------------------------------------------------------------------------------------------------------------


def patched(model: GPT2, pairs: Sequence[Pair], site: Site, progress: Progress) -> np.ndarray:
    """How far the mean logit difference over some pairs moves with each patch of a site: float64 [layer place]."""
    place = METRICS.index("logit_diff")
    sweeps = [
        sweep(
            *(model, pair.clean, pair.corrupted),
            site=site,
            places=pair.places,
            tokens=pair.tokens,
            progress=_part(progress, done, len(pairs)),
        )
        for done, pair in enumerate(pairs)
    ]
    source, target = (float(np.mean([getattr(each, run)[place] for each in sweeps])) for run in ("source", "target"))
    return effect(np.mean([each.values[place] for each in sweeps], axis=0), source=source, target=target)


def _part(progress: Progress, done: int, of: int) -> Progress:
    """Progress within one of some steps."""
    return lambda share: progress((done + share) / of)
