"""The logit lens: against the model in float64, by hand, and its identities on random weights and the demo."""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

import dashapp
from dashapp.analysis.logit_lens import Scale, favourite, final_logits, lens_at, lens_logits
from dashapp.errors import WeightsMissing
from dashapp.traces.record import Trace, trace_metadata
from tests.doubles import TINY, TINY_TEXT, tiny_model

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

TEXT = "The cat sat on a mat, and"
POS = 5

# A float32 pass against a float64 one, logits up to 15: docs/numerics.md measures up to 2.2e-5.
FLOAT32_ATOL = 1e-4
SCALES: tuple[Scale, ...] = ("recomputed", "frozen")


@cache
def trace_of(seed: int) -> Trace:
    """A trace of a tiny model, or of the demo for −1."""
    model = dashapp.load("demo") if seed < 0 else tiny_model(TINY_TEXT, seed=seed)
    return dashapp.trace(model, TEXT, cache=False)


@cache
def exact_model(seed: int) -> GPT2:
    import torch

    return tiny_model(TINY_TEXT, seed=seed, dtype=torch.float64)


def exact_lens(seed: int, pos: int, scale: Scale) -> np.ndarray:
    """Logits through the lens [point d_vocab] by torch in float64, from a pass of its own."""
    import torch

    from dashapp.model.tap import Tap

    model = exact_model(seed)
    seen = Tap.reading("resid_pre", "resid_mid", "resid_post", "ln_final_scale")
    with torch.no_grad():
        model(torch.from_numpy(np.array(trace_of(seed).token_ids, dtype=np.int64))[None], tap=seen)
        names = [("resid_pre", 0)]
        for layer in range(model.config.n_layer):
            names += [("resid_mid", layer), ("resid_post", layer)]
        states = torch.stack([seen.activations[name, layer][0, pos] for name, layer in names])
        if scale == "recomputed":
            normed = torch.nn.functional.layer_norm(states, states.shape[-1:], model.ln_f.weight, model.ln_f.bias, 1e-5)
        else:
            shrink = seen.activations["ln_final_scale", None][0, pos]
            centred = states - states.mean(dim=-1, keepdim=True)
            normed = centred * shrink * model.ln_f.weight + model.ln_f.bias
        logits: np.ndarray = (normed @ model.wte.weight.T).numpy()
    return logits


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("scale", SCALES)
def test_the_lens_is_norm_and_unembedding_of_each_state_in_float64(seed: int, scale: Scale) -> None:
    found, exact = lens_logits(trace_of(seed), POS, scale=scale), exact_lens(seed, POS, scale)
    assert found.shape == (7, 50_257)
    np.testing.assert_allclose(found, exact, atol=FLOAT32_ATOL)


@pytest.mark.parametrize("seed", [-1, 0, 3])
@pytest.mark.parametrize("scale", SCALES)
def test_the_last_point_is_the_model_s_output(seed: int, scale: Scale) -> None:
    trace = trace_of(seed)
    for pos in (0, POS, trace.n_tokens - 1):
        last = lens_logits(trace, pos, scale=scale)[-1]
        by_model = trace.read("top_logprobs")[pos] + trace.read("logsumexp")[pos]  # stored while the model ran
        np.testing.assert_allclose(last[trace.read("top_ids")[pos]], by_model, atol=FLOAT32_ATOL)
        np.testing.assert_allclose(final_logits(trace, pos), last, atol=FLOAT32_ATOL)
        lens = lens_at(trace, pos, scale=scale, follow=[favourite(trace, pos)])
        assert lens.top_ids[-1, 0] == favourite(trace, pos)
        assert lens.probs[0, -1] == pytest.approx(math.exp(trace.read("top_logprobs")[pos, 0]), abs=1e-5)
        assert lens.entropy_bits[-1] == pytest.approx(trace.read("entropy")[pos] / math.log(2), abs=1e-4)
        assert lens.ranks[0, -1] == 0


@pytest.mark.parametrize("scale", SCALES)
def test_what_is_told_of_each_point_is_that_of_its_distribution_in_float64(scale: Scale) -> None:
    followed = (17, 50_256, 0)
    lens = lens_at(trace_of(0), POS, scale=scale, follow=followed)
    logits = lens_logits(trace_of(0), POS, scale=scale).astype(np.float64)
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)  # logits up to 15: nothing overflows
    for point, p in enumerate(probs):
        order = sorted(range(len(p)), key=lambda token: (-logits[point, token], token))
        assert list(lens.top_ids[point]) == order[:5]
        np.testing.assert_allclose(lens.top_probs[point], p[order[:5]], rtol=1e-9)
        assert lens.entropy_bits[point] == pytest.approx(-(p * np.log2(p)).sum(), rel=1e-9)
        assert lens.kl_bits[point] == pytest.approx((probs[-1] * np.log2(probs[-1] / p)).sum(), rel=1e-8, abs=1e-12)
        for row, token in enumerate(followed):
            assert lens.probs[row, point] == pytest.approx(p[token], rel=1e-9)
            assert lens.ranks[row, point] == order.index(token)


@pytest.mark.parametrize("seed", [-1, 0, 1, 2, 3])
@pytest.mark.parametrize("scale", SCALES)
def test_nothing_is_out_of_its_bounds(seed: int, scale: Scale) -> None:
    lens = lens_at(trace_of(seed), POS, scale=scale, follow=[favourite(trace_of(seed), POS)])
    assert (lens.kl_bits[:-1] > 0).all()
    assert lens.kl_bits[-1] == 0
    assert (lens.entropy_bits > 0).all()
    assert (lens.entropy_bits <= math.log2(50_257)).all()
    logits = lens_logits(trace_of(seed), POS, scale=scale).astype(np.float64)
    parts = np.exp(logits - logits.max(axis=1, keepdims=True))
    others = np.ones_like(parts)
    np.put_along_axis(others, lens.top_ids, 0.0, axis=1)
    rest = (parts * others).sum(axis=1) / parts.sum(axis=1)
    # What the top leaves is what the others have: float64 sums of 50,257 terms below 1 are right to some 1e-15.
    np.testing.assert_allclose(lens.top_probs.sum(axis=1) + rest, 1, rtol=0, atol=1e-14)
    assert (lens.top_ids[lens.settles_at :, 0] == lens.top_ids[-1, 0]).all()
    assert lens.settles_at == 0 or lens.top_ids[lens.settles_at - 1, 0] != lens.top_ids[-1, 0]


BY_HAND = {
    "wte.weight": [[1, 0], [0, 1], [0, 0]],
    "ln_f.weight": [1, 1],
    "ln_f.bias": [0, 0],
}


class LensWeights:
    """Three tokens along the axes of two dimensions; a final norm that changes nothing."""

    fingerprint = "f" * 64

    def float32(self, name: str, *, dtype: str = "float32") -> np.ndarray:
        return np.array(BY_HAND[name], dtype=np.float32)


def by_hand(states: list[list[float]], *, ln_scale: float) -> Trace:
    config = dataclasses.replace(TINY, n_layer=1, n_head=1, d_model=2, d_vocab=3, layer_norm_epsilon=1e-12)
    tensors = {
        "resid": np.array(states, dtype=np.float32)[:, None],
        "ln_scale": np.array([[9], [9], [ln_scale]], dtype=np.float32),
        "token_ids": np.zeros(1, dtype=np.int32),
    }
    metadata = trace_metadata(config, fingerprint=LensWeights.fingerprint, model="by hand", dtype="float32")
    return Trace(tensors, metadata, weights=LensWeights())


def test_a_lens_by_hand() -> None:
    # Two dimensions: the recomputed norm of (a, b) is (1, −1) for a > b and (−1, 1) for a < b.
    trace = by_hand([[3, 1], [0, 8], [1, 5]], ln_scale=0.5)  # the last deviates by ±2, so its scale is 1/2
    np.testing.assert_allclose(
        lens_logits(trace, 0, scale="recomputed"), np.array([[1, -1, 0], [-1, 1, 0], [-1, 1, 0]])
    )
    np.testing.assert_allclose(
        lens_logits(trace, 0, scale="frozen"), np.array([[0.5, -0.5, 0], [-2, 2, 0], [-1, 1, 0]])
    )
    lens = lens_at(trace, 0, scale="recomputed", follow=[1], n_top=2)
    assert lens.top_ids.tolist() == [[0, 2], [1, 2], [1, 2]]
    whole = math.e + 1 + 1 / math.e
    assert lens.probs[0] == pytest.approx([1 / math.e / whole, math.e / whole, math.e / whole])
    assert lens.ranks.tolist() == [[2, 0, 0]]
    assert lens.settles_at == 1
    # KL = Σ p ln(p/q) = p(1)·(1 − −1) + p(0)·(−1 − 1), the sums of both being equal
    assert lens.kl_bits == pytest.approx([2 * (math.e - 1 / math.e) / whole / math.log(2), 0, 0])


def test_equals_stand_in_the_order_of_their_ids() -> None:
    lens = lens_at(by_hand([[2, 2], [2, 2], [2, 2]], ln_scale=1.0), 0, scale="frozen")  # all logits 0
    assert lens.top_ids.tolist() == [[0, 1, 2]] * 3  # fewer tokens than asked for
    assert lens.entropy_bits == pytest.approx([math.log2(3)] * 3)
    assert lens.settles_at == 0
    assert lens.probs.shape == lens.ranks.shape == (0, 3)


def test_an_embedding_that_starts_at_an_odd_byte_gives_the_same_lens() -> None:
    trace = trace_of(0)

    class Unaligned:
        fingerprint = trace.fingerprint

        def float32(self, name: str, *, dtype: str = "float32") -> np.ndarray:
            values = weights.float32(name, dtype=dtype)
            room = np.zeros(values.nbytes + 1, dtype=np.uint8)
            odd = room[1:].view(np.float32).reshape(values.shape)
            odd[...] = values
            assert not odd.flags.aligned
            return odd

    weights = trace.weights
    plain = lens_logits(trace, POS, scale="recomputed")
    moved = Trace(trace._tensors, trace.metadata, weights=Unaligned())
    np.testing.assert_array_equal(lens_logits(moved, POS, scale="recomputed"), plain)


def test_other_weights_are_refused() -> None:
    trace = by_hand([[3, 1], [0, 8], [1, 5]], ln_scale=0.5)
    other = LensWeights()
    other.fingerprint = "0" * 64
    with pytest.raises(WeightsMissing):
        lens_at(trace.use_weights(other), 0, scale="frozen")
