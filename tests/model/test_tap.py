from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from dashapp.model.gpt2 import GPT2, LayerNorm
from dashapp.model.sites import EXPLICIT_ATTENTION, ONCE_A_PASS, SITES
from dashapp.model.tap import Tap
from tests.doubles import BATCH, POS, TINY, random_ids, tiny_model

Activations = dict[tuple[str, int | None], torch.Tensor]

EXACT = 1e-12  # float64: measured differences are below 1e-14

EVERY_PLACE = [(name, layer) for name in SITES for layer in ([None] if name in ONCE_A_PASS else range(TINY.n_layer))]

SIZES = {
    "batch": BATCH,
    "pos": POS,
    "query": POS,
    "key": POS,
    "head": TINY.n_head,
    "d_head": TINY.d_head,
    "d_model": TINY.d_model,
    "d_mlp": TINY.d_mlp,
    "d_vocab": TINY.d_vocab,
}


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def exact() -> GPT2:
    """The tiny model in float64, where an identity that fails is a mistake and not rounding."""
    return tiny_model(dtype=torch.float64)


@pytest.fixture(scope="module")
def ids() -> torch.Tensor:
    return random_ids(TINY, BATCH, POS)


@pytest.fixture(scope="module")
def seen(exact: GPT2, ids: torch.Tensor) -> Activations:
    """Every activation of one pass, by (name, layer)."""
    tap = Tap.reading(*SITES)
    with torch.no_grad():
        exact(ids, tap=tap)
    return tap.activations


# Reading -------------------------------------------------------------------------------------------------------------


def test_the_sizes_of_the_tiny_model_tell_all_axes_apart() -> None:
    sizes = {name: size for name, size in SIZES.items() if name not in ("query", "key")}
    assert len(set(sizes.values()) | {TINY.n_layer, TINY.n_ctx}) == len(sizes) + 2


def test_every_site_is_passed_once_a_layer_or_once_a_pass(exact: GPT2, ids: torch.Tensor) -> None:
    passed: list[tuple[str, int | None]] = []
    exact(ids, tap=Tap({(name, None): lambda _, layer, name=name: passed.append((name, layer)) for name in SITES}))
    assert sorted(passed, key=str) == sorted(EVERY_PLACE, key=str)


def test_sites_are_listed_in_the_order_of_the_computation(exact: GPT2, ids: torch.Tensor) -> None:
    passed: list[str] = []
    exact(ids, tap=Tap({(name, None): lambda _, __, name=name: passed.append(name) for name in SITES}))
    assert list(dict.fromkeys(passed)) == list(SITES)


@pytest.mark.parametrize(("name", "layer"), EVERY_PLACE)
def test_every_activation_has_the_axes_its_site_claims(seen: Activations, name: str, layer: int | None) -> None:
    assert seen[name, layer].shape == tuple(SIZES[axis] for axis in SITES[name])


def test_traced_logits_are_the_untraced_logits(exact: GPT2, ids: torch.Tensor) -> None:
    without_attention = Tap.reading(*(SITES.keys() - EXPLICIT_ATTENTION))
    assert torch.equal(exact(ids, tap=without_attention), exact(ids)), "reading must not change a bit"
    with_attention = Tap.reading(*SITES)  # computes attention step by step
    torch.testing.assert_close(exact(ids, tap=with_attention), exact(ids), rtol=0, atol=EXACT)
    assert torch.equal(with_attention.activations["logits", None], exact(ids, tap=Tap.reading("scores")))


def test_only_asking_for_scores_or_pattern_leaves_fused_attention(
    exact: GPT2, ids: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    explicit: list[int] = []
    for block in exact.h:
        original = block.attn._explicit
        monkeypatch.setattr(
            block.attn, "_explicit", lambda *rest, layer=block.layer, run=original: explicit.append(layer) or run(*rest)
        )
    exact(ids, tap=Tap.reading(*(SITES.keys() - EXPLICIT_ATTENTION)))
    assert explicit == []
    exact(ids, tap=Tap({("pattern", 1): lambda *_: None}))
    assert explicit == [1], "one layer's pattern leaves the others fused"
    for name in EXPLICIT_ATTENTION:
        explicit.clear()
        exact(ids, tap=Tap.reading(name))
        assert explicit == [0, 1, 2]


# Identities of one pass (measures.md, section 4) ---------------------------------------------------------------------


def assert_equal(left: torch.Tensor, right: torch.Tensor) -> None:
    torch.testing.assert_close(left, right, rtol=0, atol=EXACT)


def test_embeddings_add_up_to_the_first_residual_stream(seen: Activations, exact: GPT2, ids: torch.Tensor) -> None:
    assert_equal(seen["embed", None] + seen["pos_embed", None], seen["resid_pre", 0])
    assert_equal(exact.wte.weight[ids] + exact.wpe.weight[:POS], seen["resid_pre", 0])


@pytest.mark.parametrize("layer", range(TINY.n_layer))
def test_each_half_of_a_block_adds_to_the_residual_stream(seen: Activations, layer: int) -> None:
    assert_equal(seen["resid_pre", layer] + seen["attn_out", layer], seen["resid_mid", layer])
    assert_equal(seen["resid_mid", layer] + seen["mlp_out", layer], seen["resid_post", layer])
    if layer:
        assert_equal(seen["resid_post", layer - 1], seen["resid_pre", layer])


@pytest.mark.parametrize("layer", range(TINY.n_layer))
def test_attention_output_is_the_sum_of_its_heads(seen: Activations, exact: GPT2, layer: int) -> None:
    projection = exact.h[layer].attn.c_proj
    by_head = projection.weight.unflatten(0, (TINY.n_head, TINY.d_head))  # [head d_head d_model]
    total = torch.einsum("bhpd,hdm->bpm", seen["z", layer], by_head) + projection.bias
    assert_equal(total, seen["attn_out", layer])


@pytest.mark.parametrize("layer", range(TINY.n_layer))
def test_patterns_are_causal_softmaxes_that_mix_values(seen: Activations, layer: int) -> None:
    pattern = seen["pattern", layer]
    assert_equal(pattern.sum(dim=-1), torch.ones(BATCH, TINY.n_head, POS, dtype=torch.float64))
    assert torch.equal(pattern, pattern.tril()), "a query looked ahead"
    assert (pattern >= 0).all()
    assert_equal(seen["scores", layer].softmax(dim=-1), pattern)
    assert_equal(pattern @ seen["v", layer], seen["z", layer])


@pytest.mark.parametrize("layer", range(TINY.n_layer))
def test_q_k_v_are_the_three_parts_of_one_projection_of_ln1(seen: Activations, exact: GPT2, layer: int) -> None:
    projection = exact.h[layer].attn.c_attn
    whole = torch.cat([seen[name, layer].transpose(1, 2).flatten(2) for name in ("q", "k", "v")], dim=-1)
    assert_equal(seen["ln1", layer] @ projection.weight + projection.bias, whole)


@pytest.mark.parametrize(("norm", "site", "read"), [("ln_1", "ln1", "resid_pre"), ("ln_2", "ln2", "resid_mid")])
def test_a_blocks_norms_read_the_residual_stream(
    seen: Activations, exact: GPT2, norm: str, site: str, read: str
) -> None:
    for layer in range(TINY.n_layer):
        module = getattr(exact.h[layer], norm)
        assert_is_norm(seen[read, layer], module, seen[f"{site}_scale", layer], seen[site, layer])


def test_the_final_norm_reads_the_last_residual_stream(seen: Activations, exact: GPT2) -> None:
    last = seen["resid_post", TINY.n_layer - 1]
    assert_is_norm(last, exact.ln_f, seen["ln_final_scale", None], seen["ln_final", None])


def assert_is_norm(x: torch.Tensor, module: LayerNorm, scale: torch.Tensor, normed: torch.Tensor) -> None:
    assert_equal(scale, (x.var(dim=-1, correction=0) + 1e-5) ** -0.5)
    centred = x - x.mean(dim=-1, keepdim=True)
    assert_equal(centred * scale[..., None] * module.weight + module.bias, normed)


def test_logits_are_the_unembedding_of_the_final_norm(seen: Activations, exact: GPT2) -> None:
    assert_equal(seen["ln_final", None] @ exact.wte.weight.T, seen["logits", None])


# Replacing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "layer"), EVERY_PLACE)
def test_replacing_an_activation_by_itself_changes_nothing(
    exact: GPT2, ids: torch.Tensor, seen: Activations, name: str, layer: int | None
) -> None:
    itself = Tap.replacing({(name, layer): seen[name, layer]})
    torch.testing.assert_close(exact(ids, tap=itself), seen["logits", None], rtol=0, atol=EXACT)


@pytest.mark.parametrize(("name", "layer"), EVERY_PLACE)
def test_replacing_an_activation_changes_what_follows_and_nothing_before(
    exact: GPT2, ids: torch.Tensor, seen: Activations, name: str, layer: int | None
) -> None:
    passed: Activations = {}

    def keep(each: str) -> object:
        def function(activation: torch.Tensor, at: int | None) -> torch.Tensor | None:
            passed[each, at] = activation
            return activation.roll(1, dims=0) if (each, at) == (name, layer) else None  # another prompt's

        return function

    # Every tap watches the whole pass, so attention is explicit as in `seen` and what comes before is equal to the bit.
    changed = exact(ids, tap=Tap({(each, None): keep(each) for each in SITES}))
    if name == "pos_embed":
        assert_equal(changed, seen["logits", None])  # positions have the same embedding in all prompts
        return
    before = list(passed)[: list(passed).index((name, layer)) + 1]
    for place in before:
        assert torch.equal(passed[place], seen[place]), place
    assert (changed - seen["logits", None]).abs().max() > 1e-3


def test_a_replacement_at_one_position_is_not_felt_before_it(exact: GPT2, ids: torch.Tensor) -> None:
    def shift_at_three(activation: torch.Tensor, layer: int | None) -> torch.Tensor:
        shifted = activation.clone()
        shifted[:, 3, 0] += 1
        return shifted

    differences = exact(ids, tap=Tap({("resid_pre", 1): shift_at_three})) - exact(ids)
    assert (differences[:, :3].abs() < EXACT).all()
    assert (differences[:, 3:].abs().amax(dim=-1) > 1e-9).all()


def test_zeroing_attention_and_mlp_leaves_the_embeddings(exact: GPT2, ids: torch.Tensor) -> None:
    def zeros(activation: torch.Tensor, layer: int | None) -> torch.Tensor:
        return torch.zeros_like(activation)

    both = Tap({("attn_out", None): zeros, ("mlp_out", None): zeros})
    states = exact.run_blocks(exact.embed(ids), tap=both)
    assert torch.equal(states, exact.wte.weight[ids] + exact.wpe.weight[:POS])


def test_a_replaced_pattern_is_the_one_that_mixes_the_values(exact: GPT2, ids: torch.Tensor) -> None:
    to_itself = torch.eye(POS, dtype=torch.float64).expand(BATCH, TINY.n_head, POS, POS)
    values: dict[str, torch.Tensor] = {}
    tap = Tap(
        {
            ("pattern", 1): lambda *_: to_itself,
            ("v", 1): lambda v, _: values.update(v=v),
            ("z", 1): lambda z, _: values.update(z=z),
        }
    )
    exact(ids, tap=tap)
    assert_equal(values["z"], values["v"])


def test_a_function_for_one_layer_comes_before_one_for_all(exact: GPT2, ids: torch.Tensor) -> None:
    called: list[str] = []
    tap = Tap({("z", None): lambda *_: called.append("all"), ("z", 1): lambda *_: called.append("one")})
    exact(ids, tap=tap)
    assert called == ["all", "one", "all"]


def test_a_tap_keeps_the_functions_it_was_made_with(exact: GPT2, ids: torch.Tensor) -> None:
    functions = {}
    tap = Tap(functions)
    functions["z", 0] = lambda *_: pytest.fail("added later")
    exact(ids, tap=tap)


# Refusing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "layer"), EVERY_PLACE)
def test_a_replacement_of_another_shape_is_refused(
    exact: GPT2, ids: torch.Tensor, name: str, layer: int | None
) -> None:
    shorter = Tap({(name, layer): lambda activation, _: activation[:, :1]})  # it would broadcast
    with pytest.raises(ValueError, match=f"'{name}' in layer {layer} has shape"):
        exact(ids, tap=shorter)


def test_an_unknown_name_is_refused_with_the_nearest_first() -> None:
    with pytest.raises(ValueError, match=r"'patern' is not an activation\. Known, nearest first: 'pattern', "):
        Tap.reading("patern")
    with pytest.raises(ValueError, match="'resid_pre'"):
        Tap({("hook_resid_pre", 0): lambda *_: None})


@pytest.mark.parametrize("name", sorted(ONCE_A_PASS))
def test_a_layer_is_refused_where_a_site_has_none(name: str) -> None:
    with pytest.raises(ValueError, match="once a pass"):
        Tap({(name, 0): lambda *_: None})


@pytest.mark.parametrize("layer", [-1, TINY.n_layer])
def test_a_layer_that_the_model_has_not_is_refused(exact: GPT2, ids: torch.Tensor, layer: int) -> None:
    """A function that is never called would look like an ablation without effect."""
    with pytest.raises(ValueError, match=f"{layer}"):
        exact(ids, tap=Tap({("z", layer): lambda *_: None}))


def test_sets_of_names_hold_only_sites() -> None:
    assert SITES.keys() > ONCE_A_PASS
    assert SITES.keys() > EXPLICIT_ATTENTION


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scores_pattern_and_scales_are_at_least_float32(dtype: torch.dtype, ids: torch.Tensor) -> None:
    tap = Tap.reading(*SITES)
    tiny_model(dtype=dtype)(ids, tap=tap)
    wide = {name for (name, _), activation in tap.activations.items() if activation.dtype == torch.float32}
    assert wide >= {"scores", "pattern", "ln1_scale", "ln2_scale", "ln_final_scale"}
    if dtype == torch.bfloat16:
        assert wide == {"scores", "pattern", "ln1_scale", "ln2_scale", "ln_final_scale"}
