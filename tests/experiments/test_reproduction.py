"""The published numbers: what computes them, beside Hugging Face's model with the same random weights and each formula
written out anew, from TransformerLens' notebooks. Whoever has the published weights gets what these functions give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dashapp.experiments.head_probe import probe_heads
from dashapp.experiments.parity import load_reference
from dashapp.experiments.published import PATCHED, facts, ioi_pairs, milk_pair, orders_of_patching, published
from dashapp.experiments.reproduction import patched, reproduce, reproduce_patching
from dashapp.model.checkpoint import load_model
from dashapp.model.config import GPT2Config
from dashapp.model.tokenizer import encode
from dashapp.model.weights import Weights
from tests.doubles import save_model_folder

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

    from dashapp.experiments.sweeps import Site
    from dashapp.model.gpt2 import GPT2

pytestmark = pytest.mark.reference

# GPT-2 small's layers and heads, so that its tables have the same places, and as narrow as can be.
NARROW = GPT2Config(n_layer=12, n_head=12, d_model=24, d_mlp=29, n_ctx=201)
N_HEAD, D_HEAD = NARROW.n_head, NARROW.d_head

# float32 beside float64: the bound of issue 7 for a metric; what was seen is below 1e-5.
CLOSE: Any = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return Weights.open(save_model_folder(tmp_path_factory.mktemp("narrow") / "narrow", NARROW))


@pytest.fixture(scope="module")
def theirs(weights: Weights) -> GPT2LMHeadModel:
    return load_reference(weights.folder, dtype="float64").requires_grad_(False)


@pytest.fixture(scope="module")
def found(model: GPT2, weights: Weights) -> dict[str, np.ndarray]:
    return reproduce(model, weights, probe_heads(model, weights))


@pytest.fixture(scope="module")
def model(weights: Weights) -> GPT2:
    return load_model(weights, device="cpu")


def ids_of(text: str, *, bos: bool = True) -> Tensor:
    return torch.tensor([([50256] if bos else []) + encode(text).tolist()])


def last_logits(theirs: GPT2LMHeadModel, ids: Tensor) -> Tensor:
    return theirs(ids).logits[0, -1]


@contextmanager
def inputs_changed(module: Any, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    handle = module.register_forward_pre_hook(lambda _module, inputs: (change(inputs[0]), *inputs[1:]))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def outputs_changed(module: Any, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    def hook(_module: Any, _inputs: Any, output: Any) -> Any:
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def head_rows(x: Tensor, head: int) -> Tensor:
    """A view of one head's columns of [batch pos n_head·d_head]."""
    return x[..., head * D_HEAD : (head + 1) * D_HEAD]


def value_bias(theirs: Any, layer: int, head: int) -> Tensor:
    return head_rows(theirs.transformer.h[layer].attn.c_attn.bias[2 * NARROW.d_model :], head)


def biased(theirs: Any, layer: int, head: int, rows: slice) -> Callable[[Tensor], Tensor]:
    def change(z: Tensor) -> Tensor:
        z = z.clone()
        head_rows(z, head)[:, rows] = value_bias(theirs, layer, head)
        return z

    return change


# What a run holds, by Hugging Face's hooks ----------------------------------------------------------------------------


class Seen:
    """One run's activations: by name and layer, batch left out."""

    def __init__(self, theirs: Any, ids: Tensor) -> None:
        self.of: dict[tuple[str, int], Tensor] = {}

        def keep(name: str, layer: int) -> Callable[[Tensor], Tensor]:
            def see(x: Tensor) -> Tensor:
                self.of[name, layer] = x[0].clone()
                return x

            return see

        with ExitStack() as hooks:
            for layer, block in enumerate(theirs.transformer.h):
                hooks.enter_context(inputs_changed(block, keep("resid_pre", layer)))
                hooks.enter_context(outputs_changed(block.attn, keep("attn_out", layer)))
                hooks.enter_context(outputs_changed(block.attn.c_attn, keep("qkv", layer)))
                hooks.enter_context(inputs_changed(block.attn.c_proj, keep("z", layer)))
                hooks.enter_context(outputs_changed(block.mlp, keep("mlp_out", layer)))
            hooks.enter_context(inputs_changed(theirs.transformer.ln_f, keep("final", 0)))
            told = theirs(ids, output_attentions=True)
        self.logits = told.logits[0]
        self.patterns = [each[0] for each in told.attentions]  # [head query key]

    def __call__(self, name: str, layer: int) -> Tensor:
        return self.of[name, layer]

    @property
    def spread(self) -> Tensor:
        """σ of the final norm at the last position."""
        return (self("final", 0)[-1].var(unbiased=False) + NARROW.layer_norm_epsilon).sqrt()


def towards(theirs: Any, right: int, wrong: int) -> Tensor:
    """γ ⊙ (W_U[right] − W_U[wrong])."""
    table = theirs.lm_head.weight
    return theirs.transformer.ln_f.weight * (table[right] - table[wrong])


def part(theirs: Any, seen: Seen, vector: Tensor, tokens: tuple[int, int]) -> float:
    """(x − mean x) / σ · γ ⊙ (W_U[right] − W_U[wrong])."""
    return float((vector - vector.mean()) / seen.spread @ towards(theirs, *tokens))


def head_parts(theirs: Any, seen: Seen, tokens: tuple[int, int]) -> np.ndarray:
    """Σ_j A_ij (LN(x_j) W_V) W_O without b_V, through the final norm."""
    parts = np.empty((NARROW.n_layer, N_HEAD))
    for layer, block in enumerate(theirs.transformer.h):
        for head in range(N_HEAD):
            z = head_rows(seen("z", layer), head)[-1] - value_bias(theirs, layer, head)
            written = z @ block.attn.c_proj.weight[head * D_HEAD : (head + 1) * D_HEAD]
            parts[layer, head] = part(theirs, seen, written, tokens)
    return parts


@pytest.fixture(scope="module")
def runs(theirs: GPT2LMHeadModel) -> list[tuple[Seen, tuple[int, int]]]:
    names = [("Mary", "John"), ("John", "Mary"), ("Tom", "James"), ("James", "Tom")]
    names += [("Dan", "Sid"), ("Sid", "Dan"), ("Martin", "Amy"), ("Amy", "Martin")]
    tokens = [tuple(int(ids_of(f" {name}", bos=False)) for name in pair) for pair in names]
    prompts = facts()["prompts"]["ioi"]
    return [(Seen(theirs, ids_of(prompt)), pair) for prompt, pair in zip(prompts, tokens, strict=True)]  # type: ignore[misc]


# Losses, next tokens --------------------------------------------------------------------------------------------------


def shapes(found: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    assert all(value.dtype == np.float64 for value in found.values())
    return {name: value.shape for name, value in found.items()}


def of_shapes(*, patching: bool) -> dict[str, tuple[int, ...]]:
    return {each.name: each.expected.shape for each in published() if each.name.startswith("patch-") == patching}


def test_all_that_is_published_is_computed_in_its_shape(found: dict[str, np.ndarray]) -> None:
    assert shapes(found) == of_shapes(patching=False)


@pytest.mark.slow  # 7,800 passes, each with 50,257 tokens
def test_all_maps_of_patching_are_computed_in_their_shapes(model: GPT2) -> None:
    shares: list[float] = []
    assert shapes(reproduce_patching(model, progress=shares.append)) == of_shapes(patching=True)
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.01
    assert shares[-1] == pytest.approx(1)


def test_losses_are_hugging_faces(theirs: Any, found: dict[str, np.ndarray]) -> None:
    for name in ("hello", "processing"):
        ids = ids_of(facts()["prompts"][name])
        assert found[f"{name}-loss"] == pytest.approx(float(theirs(ids, labels=ids).loss), rel=1e-5)
    assert ids.shape[1] == 33
    everywhere = biased(theirs, 0, 8, slice(None))
    with inputs_changed(theirs.transformer.h[0].attn.c_proj, everywhere):
        assert found["processing-loss-ablated"] == pytest.approx(float(theirs(ids, labels=ids).loss), rel=1e-5)
    assert abs(found["processing-loss-ablated"] - found["processing-loss"]) > 1e-3


def test_next_tokens_are_hugging_faces(theirs: GPT2LMHeadModel, found: dict[str, np.ndarray]) -> None:
    clean = "After John and Mary went to the store, Mary gave a bottle of milk to"
    corrupted = "After John and Mary went to the store, John gave a bottle of milk to"
    mary, john, claire, the = (int(ids_of(text, bos=False)) for text in (" Mary", " John", " Claire", " The"))
    probabilities = last_logits(theirs, ids_of(corrupted)).softmax(-1)
    likeliest = [probabilities[int(ids_of(text, bos=False))] for text in facts()["milk_tokens"]]
    np.testing.assert_allclose(found["milk-probabilities"], likeliest, rtol=1e-3)
    cat = last_logits(theirs, ids_of("The cat sat on the mat.")).softmax(-1)[the]
    assert found["cat-probability"] == pytest.approx(float(cat), rel=1e-3)
    gaps = [
        float(logits[john] - logits[mary])
        for logits in (last_logits(theirs, ids_of(each)) for each in (clean, corrupted))
    ]
    np.testing.assert_allclose(found["milk-differences"], gaps, **CLOSE)
    prompt = "Claire and Mary went to the shops, then Mary gave a bottle of milk to"
    logits = [last_logits(theirs, ids_of(prompt, bos=bos)) for bos in (True, False)]
    np.testing.assert_allclose(
        found["claire-differences"], [float(each[claire] - each[mary]) for each in logits], **CLOSE
    )


def test_head_scores_are_means_along_diagonals(theirs: GPT2LMHeadModel, found: dict[str, np.ndarray]) -> None:
    torch.manual_seed(0)
    ids = torch.randint(100, 20000, (2, 100)).repeat(1, 2)
    patterns = torch.stack(theirs(ids, output_attentions=True).attentions)  # [layer batch head query key]
    for kind, offset in {"previous": -1, "duplicate": -100, "induction": -99}.items():
        expected = patterns.diagonal(offset, dim1=-2, dim2=-1).mean(-1).mean(1)
        np.testing.assert_allclose(found[f"{kind}-scores"], expected, atol=1e-4)


# Lens, attribution, ablation ------------------------------------------------------------------------------------------


def test_lens_and_parts_are_those_of_the_stream(
    theirs: Any, found: dict[str, np.ndarray], runs: list[tuple[Seen, tuple[int, int]]]
) -> None:
    curves: list[list[float]] = []
    parts, gaps, spreads = [], [], []
    for seen, tokens in runs:
        stream, curve = seen("resid_pre", 0)[-1], []
        ids = ids_of(facts()["prompts"]["ioi"][len(curves)])[0]
        embeddings = theirs.transformer.wte.weight[ids[-1]], theirs.transformer.wpe.weight[len(ids) - 1]
        written = [part(theirs, seen, each, tokens) for each in embeddings]
        for layer in range(NARROW.n_layer):
            for kind in ("attn_out", "mlp_out"):
                curve.append(part(theirs, seen, stream, tokens))
                stream = stream + seen(kind, layer)[-1]
                written.append(part(theirs, seen, seen(kind, layer)[-1], tokens))
        curves.append([*curve, part(theirs, seen, stream, tokens)])
        parts.append(written)
        gaps.append(float(seen.logits[-1, tokens[0]] - seen.logits[-1, tokens[1]]))
        spreads.append(float(seen.spread))
    np.testing.assert_allclose(found["lens-curve"], np.mean(curves, axis=0), **CLOSE)
    np.testing.assert_allclose(found["layer-parts"], np.mean(parts, axis=0), **CLOSE)
    np.testing.assert_allclose(found["ioi-differences"], gaps, **CLOSE)
    np.testing.assert_allclose(found["ioi-spreads"], spreads, rtol=1e-4)
    assert found["ioi-mean"] == pytest.approx(np.mean(gaps), abs=1e-4)
    assert found["lens-curve"][-1] == pytest.approx(np.mean(gaps), abs=1e-4)  # the final bias is in no mean of pairs


def test_parts_of_heads_are_without_their_value_bias(
    theirs: Any, found: dict[str, np.ndarray], runs: list[tuple[Seen, tuple[int, int]]]
) -> None:
    parts = [head_parts(theirs, seen, tokens) for seen, tokens in runs]
    np.testing.assert_allclose(found["head-parts"], np.mean(parts, axis=0), **CLOSE)
    heads = ["L9H9", "L9H6", "L10H7", "L11H1", "L11H10", "L10H0", "L10H10", "L8H10"]
    places = [[int(number) for number in head[1:].split("H")] for head in heads]
    np.testing.assert_allclose(found["single-parts"], [parts[0][layer, head] for layer, head in places], **CLOSE)


def test_ablation_puts_the_value_bias_in_the_place_of_a_head(theirs: Any, found: dict[str, np.ndarray]) -> None:
    gaps, spreads, parts = [], [], []
    for pair, prompt in zip(ioi_pairs(), facts()["prompts"]["ioi"], strict=True):
        right, wrong = pair.tokens
        with inputs_changed(theirs.transformer.h[9].attn.c_proj, biased(theirs, 9, 9, slice(-1, None))):
            seen = Seen(theirs, ids_of(prompt))
        # The hook above runs before the one that keeps z, so what is kept is the bias.
        gaps.append(float(seen.logits[-1, right] - seen.logits[-1, wrong]))
        spreads.append(float(seen.spread))
        parts.append(head_parts(theirs, seen, pair.tokens))
    assert found["ablated-mean"] == pytest.approx(np.mean(gaps), abs=1e-4)
    assert abs(found["ablated-mean"] - found["ioi-mean"]) > 1e-3
    np.testing.assert_allclose(found["ablated-spreads"], spreads, rtol=1e-4)
    np.testing.assert_allclose(found["ablated-parts"], np.mean(parts, axis=0), **CLOSE)
    assert abs(found["ablated-parts"][9, 9]) < 1e-6


# Patching -------------------------------------------------------------------------------------------------------------


Run = tuple[Seen, Seen, Tensor, tuple[int, int]]


def patched_logits(theirs: Any, run: Run, site: str, layer: int, place: int) -> Tensor:
    """The corrupted run's last logits with one activation of the clean one."""
    clean, corrupted, ids, _tokens = run
    block = theirs.transformer.h[layer]

    def at_position(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, place] = clean(site, layer)[place]
        return x

    def of_head(x: Tensor) -> Tensor:
        x = x.clone()
        head_rows(x, place)[:] = head_rows(clean("z", layer), place)
        return x

    def of_qkv(x: Tensor) -> Tensor:
        x, third = x.clone(), "qkv".index(site) * NARROW.d_model
        columns = slice(third + place * D_HEAD, third + (place + 1) * D_HEAD)
        x[..., columns] = clean("qkv", layer)[:, columns]
        return x

    def of_pattern(x: Tensor) -> Tensor:
        x = x.clone()
        values = head_rows(corrupted("qkv", layer)[:, 2 * NARROW.d_model :], place)
        head_rows(x, place)[:] = clean.patterns[layer][place] @ values
        return x

    hook: dict[str, Any] = {
        "resid_pre": lambda: inputs_changed(block, at_position),
        "attn_out": lambda: outputs_changed(block.attn, at_position),
        "mlp_out": lambda: outputs_changed(block.mlp, at_position),
        "z": lambda: inputs_changed(block.attn.c_proj, of_head),
        "pattern": lambda: inputs_changed(block.attn.c_proj, of_pattern),
        **dict.fromkeys("qkv", lambda: outputs_changed(block.attn.c_attn, of_qkv)),
    }
    with hook[site]():
        return last_logits(theirs, ids)


def share_moved(theirs: Any, runs: Sequence[Run], site: str, layer: int, place: int) -> float:
    """(mean patched − mean corrupted) / (mean clean − mean corrupted) of the logit difference; where these two
    are less than 0.1 apart, the numerator itself."""

    def mean(logits: Sequence[Tensor]) -> float:
        pairs = zip(logits, runs, strict=True)
        return float(np.mean([float(each[run[3][0]] - each[run[3][1]]) for each, run in pairs]))

    patched = mean([patched_logits(theirs, run, site, layer, place) for run in runs])
    clean, corrupted = mean([run[0].logits[-1] for run in runs]), mean([run[1].logits[-1] for run in runs])
    gap = clean - corrupted
    return (patched - corrupted) / (gap if abs(gap) >= 0.1 else 1)


@pytest.fixture(scope="module")
def pairs(theirs: Any, runs: list[tuple[Seen, tuple[int, int]]]) -> list[Run]:
    prompts = facts()["prompts"]["ioi"]
    return [
        (runs[place][0], runs[place ^ 1][0], ids_of(prompts[place ^ 1]), runs[place][1]) for place in range(len(runs))
    ]


@pytest.mark.parametrize("site", PATCHED)
def test_maps_of_patching_are_whole_passes_of_hugging_faces_model(
    model: GPT2, theirs: Any, pairs: list[Run], site: Site
) -> None:
    """Of the first two pairs, which are each other's; the maps of all eight are the same function's."""
    found = patched(model, ioi_pairs()[:2], site, lambda share: None)
    n_places = found.shape[1]
    assert (
        abs(
            float(
                np.mean(
                    [clean.logits[-1, right] - clean.logits[-1, wrong] for clean, _, _, (right, wrong) in pairs[:2]]
                )
            )
        )
        > 0.1
    )
    places = [10, 12, 14] if n_places == 15 else [0, 5, 11]
    for layer in (0, 7, 11):
        for place in places:
            expected = share_moved(theirs, pairs[:2], site, layer, place)
            assert found[layer, place] == pytest.approx(expected, abs=1e-4), (layer, place)
    if n_places == 15:
        np.testing.assert_array_equal(found[:, :10], 0)


def test_the_map_of_one_pair_is_too(model: GPT2, theirs: Any) -> None:
    pair = milk_pair()
    found = patched(model, [pair], "resid_pre", lambda share: None)
    clean, corrupted = (torch.tensor(ids.astype(np.int64))[None] for ids in (pair.clean, pair.corrupted))
    run = (Seen(theirs, clean), Seen(theirs, corrupted), corrupted, (1757, 5335))  # ' John' over ' Mary'
    for layer, place in ((0, 10), (3, 12), (8, 16), (11, 16)):
        expected = share_moved(theirs, [run], "resid_pre", layer, place)
        assert found[layer, place] == pytest.approx(expected, abs=1e-4)


def test_prompts_of_a_pair_stand_straight_and_differ_in_the_second_name() -> None:
    for pair in (*ioi_pairs(), milk_pair()):
        assert pair.places.is_straight
        assert np.flatnonzero(pair.clean != pair.corrupted).tolist() == [10]
        assert pair.corrupted[10] == pair.tokens[0]  # who gives is not who gets
    assert [len(pair.clean) for pair in ioi_pairs()] == [15] * 8


def test_the_order_of_patching_is_what_the_sweeps_do() -> None:
    small = GPT2Config(n_layer=12, n_head=12, d_model=768, d_mlp=3072, n_ctx=1024)
    # By head: 144 patches and both prompts, 5 sites. By position, from the one that differs on: 5 of 15 in each of 12
    # layers for the stream and all at once; of what is written in the last layer only the last position counts.
    n_heads, n_resid, n_written = 5 * (144 + 2), 12 * 6 + 2, 2 * (11 * 5 + 1 + 12 + 2)
    milk = 12 * 7 + 12 + 2
    assert sum(order.n_passes for order in orders_of_patching(small)) == 8 * (n_heads + n_resid + n_written) + milk


# The published numbers among themselves -------------------------------------------------------------------------------


def test_published_numbers_agree_with_each_other() -> None:
    """Bundled as they were published: a digit that was lost on the way would show."""
    told = {each.name: each.expected for each in published()}
    np.testing.assert_allclose(told["layer-parts"].sum(), told["lens-curve"][-1], atol=1e-4)
    np.testing.assert_allclose(np.cumsum(told["layer-parts"])[1:], told["lens-curve"], atol=1e-4)
    np.testing.assert_allclose(told["head-parts"].sum(axis=1), told["layer-parts"][2::2], atol=6e-3)
    assert told["ioi-differences"].mean() == pytest.approx(float(told["ioi-mean"]), abs=5e-4)
    assert told["lens-curve"][-1] == pytest.approx(float(told["ioi-mean"]), abs=5e-5)
    assert told["head-parts"][9, 9] == pytest.approx(2.985, abs=5e-4)
    assert told["induction-scores"][5, 1] == pytest.approx(0.931, abs=5e-4)
    assert told["previous-scores"][4, 11] == pytest.approx(0.992, abs=5e-4)
    assert told["patch-z"][10, 7] == pytest.approx(-0.480, abs=5e-4)
    for name in ("patch-resid_pre", "patch-attn_out", "patch-mlp_out"):
        assert not told[name][:, :10].any()
    assert told["patch-resid_pre"][0, 10] == told["patch-milk"][0, 10] == 1
