from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dashapp.model.config import GPT2Config
from dashapp.model.gpt2 import GPT2, KeyValueCache, LayerNorm, Projection
from dashapp.model.tap import Tap
from tests.doubles import BATCH, POS, TINY, random_ids, tiny_model, weight_shapes

# Two float32 ways to the same logits (up to 3, through three layers): measured differences are up to 3e-6, see
# docs/numerics.md. In float64 the same pairs differ by less than 5e-15, so what is left is rounding and no mistake.
FLOAT32_ATOL = 1e-5
FLOAT64_ATOL = 1e-12

pytestmark = pytest.mark.usefixtures("without_gradients")


@pytest.fixture
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def exact() -> GPT2:
    """The tiny model in float64, where an identity that fails is a mistake and not rounding."""
    return tiny_model(dtype=torch.float64)


# LayerNorm -----------------------------------------------------------------------------------------------------------


def random_norm(dtype: torch.dtype) -> tuple[LayerNorm, torch.Tensor]:
    """A norm with random weight and bias, and states [4 7 10] far from mean 0 and deviation 1."""
    norm = LayerNorm(10, 1e-5).to(dtype)
    generator = torch.Generator().manual_seed(0)
    for parameter in norm.parameters():
        parameter.copy_(torch.randn(10, generator=generator))
    return norm, (torch.randn(4, 7, 10, generator=generator) * 30 + 50).to(dtype)


def test_layer_norm_is_the_formula_with_the_biased_variance() -> None:
    norm, x = random_norm(torch.float64)
    mean = x.sum(-1, keepdim=True) / 10
    biased_variance = ((x - mean) ** 2).sum(-1, keepdim=True) / 10
    by_hand = norm.weight * (x - mean) / (biased_variance + 1e-5) ** 0.5 + norm.bias
    torch.testing.assert_close(norm(x), by_hand, rtol=0, atol=FLOAT64_ATOL)


def test_layer_norm_of_a_hand_computed_row() -> None:
    # mean 2, biased variance 2 (unbiased it would be 2.67): (−2, 0, 0, 2)/√2 without eps, which is far below 1e-4 here
    norm = LayerNorm(4, 1e-5)
    row = torch.tensor([0.0, 2.0, 2.0, 4.0])
    expected = torch.tensor([-math.sqrt(2), 0.0, 0.0, math.sqrt(2)])
    torch.testing.assert_close(norm(row), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "atol"),
    [
        (torch.float32, 5e-6),  # a few units in the last place of values up to 5: measured 1.2e-6
        (torch.float64, FLOAT64_ATOL),
        (torch.bfloat16, 2**-6),  # one unit in the last place of values from 2 to 4
    ],
)
def test_layer_norm_agrees_with_torchs_own(dtype: torch.dtype, atol: float) -> None:
    norm, x = random_norm(dtype)
    theirs = torch.nn.functional.layer_norm(x, (10,), norm.weight, norm.bias, 1e-5)
    assert norm(x).dtype == dtype
    torch.testing.assert_close(norm(x), theirs, rtol=0, atol=atol)


def test_layer_norm_of_a_constant_row_is_its_bias() -> None:
    norm, _ = random_norm(torch.float32)
    torch.testing.assert_close(norm(torch.full((10,), 3.0)), norm.bias.detach(), rtol=0, atol=0)


def test_layer_norm_takes_its_statistics_of_bfloat16_in_float32() -> None:
    # 256 + small steps: the mean of such a row in bfloat16 arithmetic would be off by as much as the steps.
    x = (256 + 2 * torch.arange(10)).bfloat16()
    norm = LayerNorm(10, 1e-5).bfloat16()
    expected = torch.nn.functional.layer_norm(x.double(), (10,)).bfloat16()
    torch.testing.assert_close(norm(x), expected, rtol=0, atol=0)


# Projection and MLP --------------------------------------------------------------------------------------------------


def test_a_projections_weight_is_input_by_output() -> None:
    projection = Projection(2, 3)
    projection.weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]))
    projection.bias.copy_(torch.tensor([100.0, 200.0, 300.0]))
    assert projection(torch.tensor([[1.0, 2.0]])).tolist() == [[121.0, 242.0, 363.0]]


def test_gelu_is_the_tanh_form() -> None:
    mlp = tiny_model(dtype=torch.float64).h[0].mlp
    seen = Tap.reading("mlp_pre", "mlp_post")
    mlp(torch.linspace(-6, 6, 50, dtype=torch.float64)[:, None].expand(50, TINY.d_model)[None], seen)
    x, y = seen.activations["mlp_pre", 0], seen.activations["mlp_post", 0]
    by_hand = 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    torch.testing.assert_close(y, by_hand, rtol=0, atol=FLOAT64_ATOL)
    exact_form = 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
    assert (y - exact_form).abs().max() > 1e-4  # the two forms differ by up to 5e-4: the wrong one would be seen


def test_the_mlp_is_its_formula() -> None:
    mlp = tiny_model(dtype=torch.float64).h[1].mlp
    x = torch.randn(1, POS, TINY.d_model, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    hidden = torch.nn.functional.gelu(x @ mlp.c_fc.weight + mlp.c_fc.bias, approximate="tanh")
    torch.testing.assert_close(mlp(x), hidden @ mlp.c_proj.weight + mlp.c_proj.bias, rtol=0, atol=FLOAT64_ATOL)


# Attention -----------------------------------------------------------------------------------------------------------


def test_attention_is_its_formula_written_with_loops(exact: GPT2) -> None:
    attention = exact.h[2].attn
    x = torch.randn(POS, TINY.d_model, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    qkv = x @ attention.c_attn.weight + attention.c_attn.bias
    merged = torch.zeros(POS, TINY.d_model, dtype=torch.float64)
    for head in range(TINY.n_head):
        columns = slice(head * TINY.d_head, (head + 1) * TINY.d_head)
        q, k, v = (part[:, columns] for part in qkv.split(TINY.d_model, dim=1))
        for query in range(POS):
            weights = torch.tensor([math.exp(q[query] @ k[key] / math.sqrt(5)) for key in range(query + 1)])
            merged[query, columns] = (weights / weights.sum()).double() @ v[: query + 1]
    expected = merged @ attention.c_proj.weight + attention.c_proj.bias
    # the loop's weights pass through float32 (torch.tensor of Python floats), hence not 1e-12
    torch.testing.assert_close(attention(x[None])[0], expected, rtol=0, atol=1e-6)


def test_a_later_token_cannot_change_an_earlier_logit(exact: GPT2) -> None:
    ids = random_ids(TINY, 1, TINY.n_ctx)
    logits = exact(ids)
    for pos in range(TINY.n_ctx):
        changed = ids.clone()
        changed[0, pos] = (changed[0, pos] + 1) % TINY.d_vocab
        differences = (exact(changed) - logits).abs().amax(dim=-1)[0]
        assert (differences[:pos] < FLOAT64_ATOL).all()
        assert (differences[pos:] > 1e-9).all(), "a changed token must be felt where it stands and after it"


def test_prompts_of_a_batch_do_not_see_each_other(exact: GPT2) -> None:
    ids = random_ids(TINY, BATCH, POS)
    one_by_one = torch.cat([exact(row[None]) for row in ids])
    torch.testing.assert_close(exact(ids), one_by_one, rtol=0, atol=FLOAT64_ATOL)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_pos", [1, 2, POS, TINY.n_ctx])
def test_explicit_attention_equals_fused_attention(dtype: torch.dtype, n_pos: int) -> None:
    model, ids = tiny_model(dtype=dtype), random_ids(TINY, BATCH, n_pos)
    atol = FLOAT32_ATOL if dtype == torch.float32 else FLOAT64_ATOL
    torch.testing.assert_close(model(ids, tap=Tap.reading("pattern")), model(ids), rtol=0, atol=atol)


def test_explicit_attention_equals_fused_attention_on_a_part_of_the_prompt(exact: GPT2) -> None:
    ids = random_ids(TINY, 1, TINY.n_ctx)
    halves = []
    for tap in (Tap({}), Tap.reading("scores")):
        cache = KeyValueCache.empty(exact, capacity=TINY.n_ctx)
        exact.body(ids[:, :5], cache=cache)
        halves.append(exact.body(ids[:, 5:], cache=cache, tap=tap))
    torch.testing.assert_close(*halves, rtol=0, atol=FLOAT64_ATOL)


@pytest.mark.parametrize("scale_attn_weights", [True, False])
@pytest.mark.parametrize("by_layer", [True, False])
def test_scores_are_scaled_as_the_configuration_says(scale_attn_weights: bool, by_layer: bool) -> None:
    config = dataclasses.replace(TINY, scale_attn_weights=scale_attn_weights, scale_attn_by_inverse_layer_idx=by_layer)
    seen, ids, model = (
        Tap.reading("q", "k", "scores"),
        random_ids(TINY, 1, POS),
        tiny_model(config, dtype=torch.float64),
    )
    torch.testing.assert_close(model(ids, tap=seen), model(ids), rtol=0, atol=FLOAT64_ATOL)  # explicit, fused
    for layer in range(TINY.n_layer):
        q, k, scores = (seen.activations[name, layer][0] for name in ("q", "k", "scores"))
        factor = (1 / math.sqrt(5) if scale_attn_weights else 1) / (layer + 1 if by_layer else 1)
        visible = torch.tril(torch.ones(POS, POS, dtype=torch.bool))
        torch.testing.assert_close(scores[:, visible], (q @ k.mT * factor)[:, visible], rtol=0, atol=FLOAT64_ATOL)
        assert (scores[:, ~visible] == -math.inf).all()


# The key/value cache -------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)  # the first example warms torch up
@given(cuts=st.sets(st.integers(1, TINY.n_ctx - 1)), first=st.integers(0, TINY.n_ctx - 1))
def test_any_split_of_the_tokens_gives_the_states_of_one_pass(exact: GPT2, cuts: set[int], first: int) -> None:
    ids = random_ids(TINY, BATCH, TINY.n_ctx, seed=first)
    cache = KeyValueCache.empty(exact, capacity=TINY.n_ctx, batch=BATCH)
    bounds = [0, *sorted(cuts), TINY.n_ctx]
    pieces = [exact.body(ids[:, start:stop], cache=cache) for start, stop in pairwise(bounds)]
    assert cache.n_tokens == TINY.n_ctx
    torch.testing.assert_close(torch.cat(pieces, dim=1), exact.body(ids), rtol=0, atol=FLOAT64_ATOL)


def test_a_cache_from_a_trace_continues_it(exact: GPT2) -> None:
    ids = random_ids(TINY, 1, TINY.n_ctx)
    seen = Tap.reading("k", "v")
    exact(ids[:, :POS], tap=seen)
    k, v = (torch.cat([seen.activations[name, layer] for layer in range(TINY.n_layer)]) for name in ("k", "v"))
    cache = KeyValueCache.from_trace(exact, k, v, capacity=TINY.n_ctx)
    assert cache.n_tokens == POS
    continued = exact.body(ids[:, POS:], cache=cache)
    torch.testing.assert_close(continued, exact.body(ids)[:, POS:], rtol=0, atol=FLOAT64_ATOL)


def test_a_cache_may_be_larger_than_what_it_holds(exact: GPT2) -> None:
    cache = KeyValueCache.empty(exact, capacity=1_000)
    ids = random_ids(TINY, 1, POS)
    torch.testing.assert_close(exact.body(ids, cache=cache), exact.body(ids), rtol=0, atol=FLOAT64_ATOL)


@pytest.mark.parametrize("n_new", [1, 2])
def test_tokens_past_a_caches_capacity_are_refused(exact: GPT2, n_new: int) -> None:
    """One token past the capacity was once lost without a word: copying it broadcast into no room."""
    cache = KeyValueCache.empty(exact, capacity=3)
    exact.body(random_ids(TINY, 1, 3), cache=cache)
    with pytest.raises(ValueError, match="room"):
        exact.body(random_ids(TINY, 1, n_new), cache=cache)
    assert cache.n_tokens == 3


def test_another_batch_than_the_caches_is_refused(exact: GPT2) -> None:
    cache = KeyValueCache.empty(exact, capacity=POS, batch=2)
    with pytest.raises(ValueError, match="room"):
        exact.body(random_ids(TINY, 1, 3), cache=cache)


def test_a_cache_from_a_trace_of_another_shape_is_refused(exact: GPT2) -> None:
    one_layer = torch.zeros(1, TINY.n_head, POS, TINY.d_head)
    with pytest.raises(ValueError, match="room"):
        KeyValueCache.from_trace(exact, one_layer, one_layer, capacity=POS)
    all_layers = one_layer.expand(TINY.n_layer, -1, -1, -1)
    with pytest.raises(ValueError, match="room"):
        KeyValueCache.from_trace(exact, all_layers, all_layers, capacity=POS - 1)


# The model -----------------------------------------------------------------------------------------------------------


def test_parameters_bear_the_checkpoints_names_and_shapes(model: GPT2) -> None:
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == weight_shapes(TINY)


@pytest.mark.parametrize("config", [TINY, dataclasses.replace(TINY, n_layer=1, d_mlp=40, n_head=5)])
def test_n_params_counts_the_parameters(config: GPT2Config) -> None:
    assert config.n_params == sum(parameter.numel() for parameter in tiny_model(config).parameters())


def test_n_params_of_the_published_shape() -> None:
    assert GPT2Config().n_params == 124_439_808  # as Hugging Face counts "gpt2"


def test_every_parameter_changes_the_logits() -> None:
    ids = random_ids(TINY, 1, TINY.n_ctx)
    logits = tiny_model()(ids)
    for name in weight_shapes(TINY):
        model = tiny_model()
        model.get_parameter(name).mul_(1.5)
        assert (model(ids) - logits).abs().max() > 1e-3, name


def test_the_unembedding_is_the_token_embedding(exact: GPT2) -> None:
    normed = exact.body(random_ids(TINY, 1, POS))
    torch.testing.assert_close(exact.unembed(normed), normed @ exact.wte.weight.T, rtol=0, atol=FLOAT64_ATOL)
    torch.testing.assert_close(exact(random_ids(TINY, 1, POS)), exact.unembed(normed), rtol=0, atol=0)


@pytest.mark.parametrize("first_layer", [0, 1, TINY.n_layer - 1, TINY.n_layer])
def test_blocks_can_be_entered_at_any_layer(exact: GPT2, first_layer: int) -> None:
    ids = random_ids(TINY, BATCH, POS)
    seen = Tap.reading("resid_pre", "resid_post")
    exact(ids, tap=seen)
    last = seen.activations["resid_post", TINY.n_layer - 1]
    entering = last if first_layer == TINY.n_layer else seen.activations["resid_pre", first_layer]
    torch.testing.assert_close(exact.run_blocks(entering, first_layer=first_layer), last, rtol=0, atol=0)


def test_the_longest_prompt_is_n_ctx(model: GPT2) -> None:
    assert model(random_ids(TINY, 1, TINY.n_ctx)).shape == (1, TINY.n_ctx, TINY.d_vocab)
    with pytest.raises(ValueError, match="n_ctx = 13"):
        model(random_ids(TINY, 1, TINY.n_ctx + 1))


def test_a_cache_does_not_carry_past_n_ctx(model: GPT2) -> None:
    cache = KeyValueCache.empty(model, capacity=2 * TINY.n_ctx)
    model.body(random_ids(TINY, 1, TINY.n_ctx), cache=cache)
    with pytest.raises(ValueError, match=r"positions 13\.\.13"):
        model.body(random_ids(TINY, 1, 1), cache=cache)


DROPOUTS = ("embd_pdrop", "attn_pdrop", "resid_pdrop")


@pytest.mark.parametrize("name", DROPOUTS)
@pytest.mark.parametrize("is_explicit", [False, True])
def test_each_dropout_acts_in_training_only(name: str, is_explicit: bool) -> None:
    config = dataclasses.replace(TINY, **{each: 0.5 if each == name else 0.0 for each in DROPOUTS})
    model, ids = tiny_model(config), random_ids(TINY, 1, POS)

    def logits() -> torch.Tensor:
        return model(ids, tap=Tap.reading("pattern") if is_explicit else Tap({}))

    torch.testing.assert_close(logits(), tiny_model()(ids), rtol=0, atol=FLOAT32_ATOL)
    model.train()
    assert not torch.equal(logits(), logits())


def test_residual_dropout_acts_on_what_attention_and_mlp_write() -> None:
    model = tiny_model(dataclasses.replace(TINY, resid_pdrop=0.5)).train()
    seen = Tap.reading("attn_out", "mlp_out")
    model(random_ids(TINY, BATCH, POS), tap=seen)
    for place, written in seen.activations.items():
        # 280 numbers, each zero with probability 1/2: outside of 0.3 to 0.7 once in 10¹¹
        assert 0.3 < (written == 0).double().mean() < 0.7, place


def test_training_without_dropout_computes_what_evaluation_does() -> None:
    config = dataclasses.replace(TINY, **dict.fromkeys(DROPOUTS, 0.0))
    model, ids = tiny_model(config), random_ids(TINY, 1, POS)
    evaluated = model(ids)
    torch.testing.assert_close(model.train()(ids), evaluated, rtol=0, atol=FLOAT32_ATOL)


def test_initial_weights_follow_the_seed_and_gpt2s_deviations() -> None:
    config = GPT2Config(n_layer=8, n_head=2, d_model=64, d_mlp=256, n_ctx=128, d_vocab=500)
    model = GPT2(config).init_weights(torch.Generator().manual_seed(0))
    again = GPT2(config).init_weights(torch.Generator().manual_seed(0))
    for (name, parameter), other in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(parameter, other), name
        if parameter.dim() == 2:
            # 0.02, and 0.02/√16 = 0.005 where a block writes to the residual stream. The smallest matrix has 4,096
            # entries, so its deviation is known to about 1 %; 5 % is wide and 0.02 is no 0.005.
            expected = 0.005 if name.endswith("c_proj.weight") else 0.02
            assert parameter.std().item() == pytest.approx(expected, rel=0.05), name
        else:
            assert (parameter == (1.0 if name.endswith("weight") else 0.0)).all(), name


# bfloat16 ------------------------------------------------------------------------------------------------------------


def test_bfloat16_logits_stay_close_to_float32(model: GPT2) -> None:
    ids = random_ids(TINY, BATCH, TINY.n_ctx)
    narrow = tiny_model(dtype=torch.bfloat16)
    logits = narrow(ids)
    assert logits.dtype == torch.bfloat16
    # bfloat16 keeps 8 bits, a step of 0.016 between 2 and 4, and three layers add up: measured 0.10 and 0.011 here.
    difference = (logits.float() - model(ids)).abs()
    assert difference.max() < 0.2
    assert difference.mean() < 0.03


def test_a_pattern_recomputed_from_bfloat16_q_and_k_is_the_models() -> None:
    seen = Tap.reading("q", "k", "pattern")
    tiny_model(dtype=torch.bfloat16)(random_ids(TINY, 1, TINY.n_ctx), tap=seen)
    future = np.triu(np.full((TINY.n_ctx, TINY.n_ctx), -np.inf, np.float32), k=1)
    for layer in range(TINY.n_layer):
        q, k, pattern = (seen.activations[name, layer][0].float().numpy() for name in ("q", "k", "pattern"))
        scores = q @ k.swapaxes(-1, -2) * np.float32(TINY.attn_scale(layer)) + future
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        # products of bfloat16 numbers are exact in float32: only sums of five of them round
        np.testing.assert_allclose(weights / weights.sum(axis=-1, keepdims=True), pattern, rtol=0, atol=1e-6)


def test_reorder_and_upcast_rounds_bfloat16_attention_only_once() -> None:
    def mean_error(config: GPT2Config, *sites: str) -> float:
        """How far z is from the z of the same q, k and v in float64, rounded to bfloat16 at the end: mean of |.|."""
        seen = Tap.reading("q", "k", "v", "z", *sites)
        tiny_model(config, dtype=torch.bfloat16)(random_ids(TINY, BATCH, TINY.n_ctx), tap=seen)
        q, k, v, z = (seen.activations[name, 0] for name in ("q", "k", "v", "z"))
        exact_z = torch.nn.functional.scaled_dot_product_attention(q.double(), k.double(), v.double(), is_causal=True)
        assert z.dtype == torch.bfloat16
        return float((z.double() - exact_z.bfloat16().double()).abs().mean())

    upcast = dataclasses.replace(TINY, reorder_and_upcast_attn=True)
    for sites in ((), ("pattern",)):  # fused, explicit
        assert mean_error(upcast, *sites) < 1e-5  # measured: not one of 520 numbers differs
        assert mean_error(TINY, *sites) > 1e-4  # the pattern itself is rounded before it meets v: 2e-4 and 9e-4
