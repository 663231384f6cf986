"""Ablation: by a model whose weights say the same, by patching, by hand, and what must not change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dashapp.errors import NotAPart, NothingToLookAt
from dashapp.experiments.ablation import ablate
from dashapp.experiments.ablations import MODES, MOST_PARTS, Ablated, Mode, Part, parts_in
from dashapp.experiments.cells import Cell
from dashapp.experiments.one_cell import patch_cell
from dashapp.experiments.sweeps import Places
from dashapp.model.gpt2 import GPT2
from dashapp.model.tap import NO_TAP, Tap
from tests.doubles import TINY, model_of, random_weights, tiny_model
from tests.experiments.test_patching import EVEN, UNEVEN, put, whole_pass

LAYER, D = 1, TINY.d_head
EXACT = 1e-12  # float64 through three layers of ten dimensions


@pytest.fixture(scope="module")
def exact() -> GPT2:
    return tiny_model(TINY, dtype=torch.float64)


def heads_of(heads: list[int]) -> list[Part]:
    return [Part(kind="head", layer=LAYER, index=head) for head in heads]


def ablated(model: GPT2, mode: Mode, parts: list[Part], pair: Any = EVEN, **more: Any) -> Ablated:
    how = {"is_end_only": False, "n_new": 0} | more
    return ablate(model, pair[1], parts, mode=mode, source_ids=pair[0], **how)


def seen_in(model: GPT2, ids: np.ndarray, name: str = "z") -> torch.Tensor:
    seen = Tap.reading(name)
    whole_pass(model, ids, seen)
    return seen.activations[name, LAYER][0]


def close(found: np.ndarray, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)


@pytest.mark.parametrize("heads", [[0], [1], [0, 1]])
def test_zero_is_a_model_without_the_rows_of_w_o(exact: GPT2, heads: list[int]) -> None:
    weights = random_weights(TINY)
    for head in heads:
        weights[f"h.{LAYER}.attn.c_proj.weight"][head * D : (head + 1) * D] = 0
    without = model_of(TINY, weights, torch.float64)
    found = ablated(exact, "zero", heads_of(heads))
    np.testing.assert_allclose(found.logits, whole_pass(without, EVEN[1], Tap({})), rtol=0, atol=EXACT)
    assert (found.z[LAYER, heads] == 0).all()


def test_bias_is_a_model_that_finds_nothing_to_bring_but_its_value_bias(exact: GPT2) -> None:
    weights = random_weights(TINY)
    weights[f"h.{LAYER}.attn.c_attn.weight"][:, 2 * TINY.d_model : 2 * TINY.d_model + D] = 0  # v of head 0
    without = model_of(TINY, weights, torch.float64)
    np.testing.assert_allclose(
        ablated(exact, "bias", heads_of([0])).logits, whole_pass(without, EVEN[1], Tap({})), rtol=0, atol=EXACT
    )


@pytest.mark.parametrize("is_end_only", [False, True])
def test_mean_is_over_all_tokens_but_the_first(exact: GPT2, is_end_only: bool) -> None:
    z = seen_in(exact, EVEN[1])
    mean = torch.from_numpy(np.mean([row.numpy() for row in z[1][1:]], axis=0))
    rows = (1, -1) if is_end_only else 1
    tap = Tap({("z", LAYER): put(rows, mean)})
    found = ablated(exact, "mean", heads_of([1]), is_end_only=is_end_only)
    np.testing.assert_allclose(found.logits, whole_pass(exact, EVEN[1], tap), rtol=0, atol=EXACT)
    np.testing.assert_allclose(found.z[LAYER, 1], mean, rtol=0, atol=EXACT)


@pytest.mark.parametrize("pair", [EVEN, UNEVEN])
def test_resample_is_patching_the_head_s_output(exact: GPT2, pair: tuple[np.ndarray, np.ndarray]) -> None:
    patched = patch_cell(exact, *pair, cell=Cell(site="z", layer=LAYER, head=1), places=Places.of_ends(*pair), n_new=0)
    # Before the first token that differs patching has nothing to put in, and here the same is put in.
    np.testing.assert_allclose(
        ablated(exact, "resample", heads_of([1]), pair).logits, patched.logits, rtol=0, atol=EXACT
    )


def test_resampling_from_itself_and_ablating_nothing_change_nothing(exact: GPT2) -> None:
    plain = whole_pass(exact, EVEN[1], Tap({}))
    same = ablated(exact, "resample", heads_of([0, 1]), (EVEN[1], EVEN[1]))
    np.testing.assert_allclose(same.logits, plain, rtol=0, atol=EXACT)
    for mode in MODES:
        np.testing.assert_allclose(ablated(exact, mode, [], reference=[EVEN[0]]).logits, plain, rtol=0, atol=EXACT)


def test_what_parts_bring_and_the_final_scale_are_those_of_the_ablated_run(exact: GPT2) -> None:
    seen = Tap.reading("z", "mlp_out", "ln_final_scale")
    found = ablated(exact, "zero", heads_of([1]))
    tap = Tap({("z", LAYER): put(1, torch.zeros(len(EVEN[1]), D, dtype=torch.float64))})
    tap._functions |= seen._functions | {("z", LAYER): tap._functions["z", LAYER]}
    whole_pass(exact, EVEN[1], tap)
    for layer in (0, 2):
        close(found.z[layer], seen.activations["z", layer][0][:, -1])
    for layer in range(3):
        close(found.mlp_out[layer], seen.activations["mlp_out", layer][0][-1])
    assert found.ln_scale == pytest.approx(float(seen.activations["ln_final_scale", None][0, -1]), abs=EXACT)
    again = Ablated.from_arrays(found.arrays())
    np.testing.assert_array_equal(again.z, found.z)
    assert again.ln_scale == found.ln_scale


def test_an_mlp_without_output_is_a_model_without_its_weights(exact: GPT2) -> None:
    for mode, names in {"zero": ("weight", "bias"), "bias": ("weight",)}.items():
        weights = random_weights(TINY)
        for name in names:
            weights[f"h.{LAYER}.mlp.c_proj.{name}"] *= 0
        found = ablated(exact, mode, [Part(kind="mlp", layer=LAYER)])  # type: ignore[arg-type]
        close(found.logits, whole_pass(model_of(TINY, weights, torch.float64), EVEN[1], NO_TAP))


def test_neurons_are_a_model_without_their_rows_of_w_out(exact: GPT2) -> None:
    weights = random_weights(TINY)
    weights[f"h.{LAYER}.mlp.c_proj.weight"][[2, 5]] = 0
    weights["h.2.mlp.c_proj.weight"][7] = 0
    parts = [*(Part(kind="neuron", layer=LAYER, index=each) for each in (2, 5)), Part(kind="neuron", layer=2, index=7)]
    close(ablated(exact, "zero", parts).logits, whole_pass(model_of(TINY, weights, torch.float64), EVEN[1], NO_TAP))


def test_parts_of_several_layers_take_their_means_from_the_run_without_ablation(exact: GPT2) -> None:
    parts = [Part(kind="head", layer=0, index=1), Part(kind="mlp", layer=1), Part(kind="neuron", layer=2, index=3)]
    seen = Tap.reading("z", "mlp_out", "mlp_post")
    whole_pass(exact, EVEN[1], seen)
    tap = Tap(
        {
            ("z", 0): put(1, seen.activations["z", 0][0, 1, 1:].mean(dim=0)),
            ("mlp_out", 1): put(slice(None), seen.activations["mlp_out", 1][0, 1:].mean(dim=0)),
            ("mlp_post", 2): put((slice(None), 3), seen.activations["mlp_post", 2][0, 1:, 3].mean()),
        }
    )
    close(ablated(exact, "mean", parts).logits, whole_pass(exact, EVEN[1], tap))


def test_a_mean_over_a_reference_counts_every_token_of_it_but_first_ones_once(exact: GPT2) -> None:
    reference = [UNEVEN[0], UNEVEN[1], EVEN[0]]
    rows = np.concatenate([seen_in(exact, ids, "mlp_out")[1:].numpy() for ids in reference])
    tap = Tap({("mlp_out", LAYER): put(slice(None), torch.from_numpy(rows.mean(axis=0)))})
    found = ablated(exact, "reference", [Part(kind="mlp", layer=LAYER)], reference=reference)
    close(found.logits, whole_pass(exact, EVEN[1], tap))


@pytest.mark.parametrize("pair", [EVEN, UNEVEN])
@pytest.mark.parametrize("is_end_only", [False, True])
def test_an_mlp_is_resampled_at_the_tokens_that_stand_for_its_own(exact: GPT2, pair: Any, is_end_only: bool) -> None:
    theirs, mine = seen_in(exact, pair[0], "mlp_out"), seen_in(exact, pair[1], "mlp_out").clone()
    for pos, source in enumerate(Places.of_ends(*pair).source_of):
        if source >= 0 and (pos == len(mine) - 1 or not is_end_only):
            mine[pos] = theirs[source]
    tap = Tap({("mlp_out", LAYER): put(slice(None), mine)})
    found = ablated(exact, "resample", [Part(kind="mlp", layer=LAYER)], pair, is_end_only=is_end_only)
    close(found.logits, whole_pass(exact, pair[1], tap))


@pytest.mark.parametrize("place", [{}, {"layer": 1}, {"layer": 1, "index": 1}])
def test_a_cut_edge_is_a_pattern_made_to_sum_to_1_without_it(exact: GPT2, place: dict[str, int]) -> None:
    query, key = 6, 2

    def cut(pattern: torch.Tensor, layer: int | None) -> torch.Tensor | None:
        if place.get("layer", layer) != layer:
            return None
        without = pattern.clone()
        head = place.get("index", slice(None))
        without[0, head, query, key] = 0
        without[0, head, query] /= without[0, head, query].sum(dim=-1, keepdim=True)
        return without

    found = ablated(exact, "zero", [Part(kind="edge", query=query, key=key, **place)])
    close(found.logits, whole_pass(exact, EVEN[1], Tap({("pattern", None): cut})))
    assert np.abs(found.logits - whole_pass(exact, EVEN[1], NO_TAP)).max() > 1e3 * EXACT


def test_text_goes_on_without_the_parts_as_whole_passes_do(exact: GPT2) -> None:
    weights = random_weights(TINY)
    weights[f"h.{LAYER}.mlp.c_proj.weight"] *= 0
    weights[f"h.{LAYER}.mlp.c_proj.bias"] *= 0
    parts = [Part(kind="mlp", layer=LAYER)]

    def goes_on(model: GPT2, n: int) -> list[int]:
        ids = list(EVEN[1])
        for _ in range(n):
            ids.append(int(whole_pass(model, np.array(ids), NO_TAP).argmax()))
        return ids[len(EVEN[1]) :]

    found = ablated(exact, "zero", parts, n_new=5)
    assert found.text.tolist() == goes_on(model_of(TINY, weights, torch.float64), 5)
    assert found.plain.tolist() == goes_on(exact, 5)
    assert found.text.tolist() != found.plain.tolist()
    once = ablated(exact, "zero", parts, n_new=1, is_end_only=True)
    assert once.text.tolist() == [int(once.logits.argmax())]


# The language of parts ------------------------------------------------------------------------------------------------


def test_a_line_names_parts_each_once_and_back() -> None:
    found = parts_in("l0h1 L0.1; L2mlp, L1N5 3>1 L1:3→0 L1H1:4>2", TINY, 8)
    assert " ".join(map(str, found)) == "L0H1 L2MLP L1N5 3>1 L1:3>0 L1H1:4>2"
    assert parts_in(" ".join(map(str, found)), TINY, 8) == found
    assert found[-1] == Part(kind="edge", layer=1, index=1, query=4, key=2)
    assert parts_in(" , ", TINY, 8) == ()


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        *(("L3H0", "3 layers of 2 heads"), ("L0H2", "3 layers"), ("L0N11", "11 neurons"), ("L1H2:3>0", "3 layers")),
        *(("8>0", "tokens 0 to 7"), ("2>3", "looking at a later one"), ("head 1", "is none of these"), ("H1", "none")),
    ],
)
def test_what_is_no_part_is_refused_in_words(word: str, problem: str) -> None:
    with pytest.raises(NotAPart, match=problem):
        parts_in(f"L0H1 {word}", TINY, 8)


def test_more_parts_than_the_most_are_refused_and_a_token_must_see_something() -> None:
    many = [f"{query}>{key}" for query in range(1, 13) for key in range(query)]
    with pytest.raises(NotAPart, match=f"one more than the {MOST_PARTS}"):
        parts_in(" ".join(many[: MOST_PARTS + 1]), TINY, 14)
    assert len(parts_in(" ".join(many[:MOST_PARTS]), TINY, 14)) == MOST_PARTS
    assert len(parts_in("L0:2>0 L0:2>1 L1:2>2", TINY, 8)) == 3
    with pytest.raises(NothingToLookAt, match="token 2 is left"):
        parts_in("L0:2>0 L0H1:2>1 2>2", TINY, 8)
