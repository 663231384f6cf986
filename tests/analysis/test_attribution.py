"""Direct logit attribution: by hand, against float64 by another route, and what must add up."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

import dashapp
from dashapp.analysis.attribution import Attribution, attribution
from dashapp.analysis.logit_lens import favourite, lens_logits
from dashapp.traces.record import Trace, trace_metadata
from tests.doubles import TINY, TINY_TEXT, tiny_model

TEXT = "The cat sat on a mat, and"
SEEDS = [-1, 0, 1, 2, 3]  # −1: the demo
PAIRS: list[tuple[int, int | None]] = [(262, 464), (50_256, 0), (3797, None)]

# Asked for by the issue; seen below 2e-5 where logits go up to 20.
REMAINDER = 1e-3
# A float32 pass against a float64 one: docs/numerics.md measures up to 2.2e-5.
FLOAT32_ATOL = 1e-4


@cache
def trace_of(seed: int) -> Trace:
    model = dashapp.load("demo") if seed < 0 else tiny_model(TINY_TEXT, seed=seed)
    return dashapp.trace(model, TEXT, cache=False)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("target", "against"), PAIRS)
def test_the_parts_add_up_to_the_logits_that_the_model_gave(seed: int, target: int, against: int | None) -> None:
    trace = trace_of(seed)
    for pos in (0, 3, trace.n_tokens - 1):
        found = attribution(trace, pos, target=target, against=against)
        logits = trace.logits[pos].astype(np.float64)
        other = logits.mean() if against is None else logits[against]
        assert found.whole == pytest.approx(logits[target] - other, abs=FLOAT32_ATOL)
        assert abs(found.remainder) < REMAINDER
        assert found.gap < REMAINDER
        whole_layers = found.attention.sum() + found.token + found.position + found.mlps.sum()
        assert whole_layers + found.biases + found.final_bias == pytest.approx(found.whole, abs=REMAINDER)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_favourite_s_parts_add_up_to_what_was_stored_while_the_model_ran(seed: int) -> None:
    trace = trace_of(seed)
    first, second = (int(token) for token in trace.read("top_ids")[4, :2])
    stored = trace.read("top_logprobs")[4].astype(np.float64)
    assert attribution(trace, 4, target=first, against=second).explained == pytest.approx(
        stored[0] - stored[1], abs=REMAINDER
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_frozen_lens_goes_up_by_what_each_part_adds(seed: int) -> None:
    trace, pos, target, against = trace_of(seed), 3, 262, 464
    found = attribution(trace, pos, target=target, against=against)
    lens = lens_logits(trace, pos, scale="frozen").astype(np.float64)
    heights = lens[:, target] - lens[:, against]
    assert heights[0] == pytest.approx(found.token + found.position + found.final_bias, abs=FLOAT32_ATOL)
    steps = np.diff(heights)
    biases = steps.copy()
    biases[0::2] -= found.attention
    biases[1::2] -= found.mlps
    assert biases.sum() == pytest.approx(found.biases, abs=FLOAT32_ATOL)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_difference_is_the_difference_of_two(seed: int) -> None:
    def parts(target: int, against: int | None) -> np.ndarray:
        found = attribution(trace_of(seed), 2, target=target, against=against)
        alone = [found.token, found.position, found.biases, found.final_bias, found.whole]
        return np.concatenate([found.heads.ravel(), found.attention, found.mlps, alone])

    np.testing.assert_allclose(parts(262, 464), parts(262, None) - parts(464, None), atol=FLOAT32_ATOL)
    np.testing.assert_allclose(parts(262, 464), -parts(464, 262), atol=FLOAT32_ATOL)
    np.testing.assert_allclose(parts(262, 262), 0, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("target", "against"), PAIRS)
def test_each_part_is_its_activation_through_the_norm_in_float64(seed: int, target: int, against: int | None) -> None:
    """By the model's own activations in float64, each centred, divided by σ and unembedded by itself."""
    import torch

    from dashapp.model.tap import Tap

    trace, pos = trace_of(seed), 4
    model = tiny_model(TINY_TEXT, seed=seed, dtype=torch.float64)
    seen = Tap.reading("embed", "pos_embed", "pattern", "v", "mlp_post", "ln_final_scale")
    with torch.no_grad():
        model(torch.from_numpy(np.array(trace.token_ids, dtype=np.int64))[None], tap=seen)
    act = {key: value[0].numpy() for key, value in seen.activations.items()}
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    config, wte = model.config, weights["wte.weight"]
    away = wte.mean(axis=0) if against is None else wte[against]

    def towards(part: np.ndarray) -> float:
        normed = (part - part.mean()) * act["ln_final_scale", None][pos] * weights["ln_f.weight"]
        return float(normed @ (wte[target] - away))

    found = attribution(trace, pos, target=target, against=against)
    assert found.token == pytest.approx(towards(act["embed", None][pos]), abs=FLOAT32_ATOL)
    assert found.position == pytest.approx(towards(act["pos_embed", None][pos]), abs=FLOAT32_ATOL)
    biases = 0.0
    for layer in range(config.n_layer):
        w_out = weights[f"h.{layer}.attn.c_proj.weight"]
        value_bias = weights[f"h.{layer}.attn.c_attn.bias"][2 * config.d_model :]
        biases += towards(value_bias @ w_out) + towards(weights[f"h.{layer}.attn.c_proj.bias"])
        biases += towards(weights[f"h.{layer}.mlp.c_proj.bias"])
        for head in range(config.n_head):
            columns = slice(head * config.d_head, (head + 1) * config.d_head)
            values = act["v", layer][head] - value_bias[columns]
            write = act["pattern", layer][head, pos] @ values @ w_out[columns]
            assert found.heads[layer, head] == pytest.approx(towards(write), abs=FLOAT32_ATOL)
        mlp = act["mlp_post", layer][pos] @ weights[f"h.{layer}.mlp.c_proj.weight"]
        assert found.mlps[layer] == pytest.approx(towards(mlp), abs=FLOAT32_ATOL)
    assert found.biases == pytest.approx(biases, abs=FLOAT32_ATOL)
    assert found.final_bias == pytest.approx(weights["ln_f.bias"] @ (wte[target] - away), abs=1e-6)


HAND = {
    "wte.weight": [[2, 0], [4, 0], [0, 0]],
    "wpe.weight": [[0, 2]],
    "ln_f.weight": [1, 1],
    "ln_f.bias": [1, 1],
    "h.0.attn.c_attn.bias": [7, 7, 8, 8, 1, 2],  # of q, k and v
    "h.0.attn.c_proj.weight": [[1, 0], [0, 2]],
    "h.0.attn.c_proj.bias": [0, 1],
    "h.0.mlp.c_proj.bias": [0.5, 0],
}


class HandWeights:
    """One layer of two heads with one dimension each; what is not here must not be asked."""

    fingerprint = "f" * 64

    def float32(self, name: str, *, dtype: str = "float32") -> np.ndarray:
        return np.array(HAND[name], dtype=np.float32)


def test_an_attribution_by_hand() -> None:
    config = dataclasses.replace(TINY, n_layer=1, n_head=2, d_model=2, d_vocab=3)
    embedded, attn_out, mlp_out = np.array([4, 2]), np.array([3, 11]), np.array([1, 0])  # z = (3, 5): z W_O + b_O
    points = np.cumsum([embedded, attn_out, mlp_out], axis=0).astype(np.float32)
    tensors = {
        "token_ids": np.array([1], dtype=np.int32),
        "resid": points[:, None],
        "ln_scale": np.array([[9], [9], [0.5]], dtype=np.float32),
        "q": np.ones((1, 2, 1, 1), dtype=np.float32),
        "k": np.ones((1, 2, 1, 1), dtype=np.float32),
        "v": np.array([[[[3]], [[5]]]], dtype=np.float32),
    }
    metadata = trace_metadata(config, fingerprint=HandWeights.fingerprint, model="by hand", dtype="float32")
    found = attribution(Trace(tensors, metadata, weights=HandWeights()), 0, target=0, against=2)
    # Towards token 0: (2, 0), centred (1, −1), times 1/σ = 0.5: (0.5, −0.5); through W_O (0.5, −1).
    assert (found.token, found.position) == (2, -1)
    assert found.heads.tolist() == [[(3 - 1) * 0.5, (5 - 2) * -1]]
    assert found.attention.tolist() == [-2]
    assert found.mlps.tolist() == [0.5 - 0.25]
    assert found.biases == (1 * 0.5 + 2 * -1) + -0.5 + 0.25
    assert found.final_bias == 2
    assert found.whole == found.explained == -0.5
    assert (found.remainder, found.gap) == (0, 0)


def test_a_wrong_part_shows_in_the_remainder() -> None:
    """The check can fail: a trace whose values are not those of its stream does not add up."""
    trace = trace_of(0)
    tensors = {name: trace.read(name) for name in ("token_ids", "resid", "ln_scale", "q", "k", "v", "top_ids")}
    wrong = Trace(tensors | {"v": trace.v * np.float32(1.01)}, trace.metadata, weights=trace.weights)

    def at(which: Trace) -> Attribution:
        return attribution(which, 4, target=favourite(which, 4), against=None)

    assert abs(at(trace).remainder) < REMAINDER
    assert abs(at(wrong).remainder) > REMAINDER
    assert at(wrong).gap > REMAINDER
