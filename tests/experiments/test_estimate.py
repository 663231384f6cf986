"""Attribution patching: the derivative of each patch by finite differences, and the cases in which it is exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dashapp.experiments.estimate import estimate
from dashapp.experiments.patching import sweep
from dashapp.experiments.sweeps import HEAD_SITES, METRICS, SITES, Places, Site, Sweep
from dashapp.model.gpt2 import GPT2
from dashapp.model.tap import Tap
from tests.doubles import TINY, tiny_model
from tests.experiments.test_patching import ANY_LAYER, EVEN, TOKENS, UNEVEN, whole_pass

STEP = 1e-5  # of a patch; central differences are off by its square times what bends, and by 1e-16 / STEP
BOUND = 1e-7
PAIRS = {"even": EVEN, "uneven": UNEVEN}


@pytest.fixture(scope="module")
def exact() -> GPT2:
    return tiny_model(TINY, dtype=torch.float64)


def estimated(model: GPT2, pair: tuple[np.ndarray, np.ndarray], site: Site) -> Sweep:
    places = Places.of_ends(*pair)
    return estimate(model, *pair, site=site, places=places, tokens=TOKENS, layer=ANY_LAYER)


def metrics_of(logits: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Logit difference, log-probability and KL from what the source expects, written out."""
    logprobs, source = (x - np.log(np.exp(x).sum()) for x in (logits, expected))
    answer, other = TOKENS
    return np.array([logits[answer] - logits[other], logprobs[answer], (np.exp(source) * (source - logprobs)).sum()])


def towards(theirs: Tensor, cell: tuple[int, ...], site: Site, places: Places, share: float) -> Callable[..., Tensor]:
    """Moves a cell of an activation a share of the way to the source's."""

    def move(activation: Tensor, _layer: int | None) -> Tensor:
        moved, x = activation.clone(), activation[0]
        if site == "pattern":
            moved[0, cell] += share * (theirs[cell] - x[cell])
        elif site in HEAD_SITES:
            for pos in places.changing:
                there = (*cell, pos)
                moved[0][there] += share * (theirs[(*cell, places.source_of[pos])] - x[there])
        else:
            source = (*cell[:-1], places.source_of[cell[-1]])
            moved[0][cell] += share * (theirs[source] - x[cell])
        return moved

    return move


@pytest.mark.parametrize("which", ["even", "uneven"])
@pytest.mark.parametrize("site", SITES)
def test_each_cell_is_the_derivative_of_its_patch(exact: GPT2, site: Site, which: str) -> None:
    if site == "pattern" and which == "uneven":
        return  # refused below
    source_ids, target_ids = pair = PAIRS[which]
    places, name = Places.of_ends(*pair), "z" if site == "z_pos" else site
    found, seen = estimated(exact, pair, site), Tap.reading(name)
    expected = whole_pass(exact, source_ids, seen)
    n_row = TINY.n_head if site == "z_pos" else TINY.n_layer
    columns = range(TINY.n_head) if site in HEAD_SITES else places.changing.tolist()
    before = metrics_of(whole_pass(exact, target_ids, Tap({})), expected)
    for row in range(n_row):
        layer = ANY_LAYER if site == "z_pos" else row
        for column in columns:
            cell = (row, column) if site == "z_pos" else (column,)
            ends = []
            for share in (STEP, -STEP):
                tap = Tap({(name, layer): towards(seen.activations[name, layer][0], cell, site, places, share)})
                ends.append(metrics_of(whole_pass(exact, target_ids, tap), expected))
            slope = (ends[0] - ends[1]) / (2 * STEP)
            np.testing.assert_allclose(found.values[:, row, column] - before, slope, rtol=0, atol=BOUND)
    np.testing.assert_allclose(found.target, before, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.source, metrics_of(expected, expected), rtol=0, atol=1e-10)


@pytest.mark.parametrize("site", SITES)
def test_shapes_gaps_and_ends_are_those_of_the_exact_sweep(exact: GPT2, site: Site) -> None:
    pair = EVEN if site == "pattern" else UNEVEN
    places = Places.of_ends(*pair)
    guess = estimated(exact, pair, site)
    whole = sweep(exact, *pair, site=site, places=places, tokens=TOKENS, layer=ANY_LAYER)
    assert guess.values.shape == whole.values.shape
    assert guess.together.shape == whole.together.shape
    np.testing.assert_array_equal(np.isnan(guess.values), np.isnan(whole.values))
    np.testing.assert_allclose(guess.source, whole.source, rtol=0, atol=1e-9)
    np.testing.assert_allclose(guess.target, whole.target, rtol=0, atol=1e-9)
    if site not in HEAD_SITES:  # before the first token that differs nothing is moved, by either
        shared = slice(0, places.n_shared)
        np.testing.assert_allclose(guess.values[..., shared], whole.values[..., shared], rtol=0, atol=1e-9)


@pytest.mark.parametrize("site", SITES)
def test_a_run_patched_with_itself_is_estimated_to_move_nothing(exact: GPT2, site: Site) -> None:
    same = (EVEN[0], EVEN[0])
    found = estimated(exact, same, site)
    for i in range(len(METRICS)):
        np.testing.assert_array_equal(found.values[i], np.full_like(found.values[i], found.target[i]))


def test_all_positions_together_are_the_sum_of_each(exact: GPT2) -> None:
    found = estimated(exact, UNEVEN, "mlp_out")
    moved = np.nansum(found.values - found.target[:, None, None], axis=2)
    np.testing.assert_allclose(found.together - found.target[:, None], moved, rtol=0, atol=1e-12)


def test_float32_weights_are_left_without_gradients() -> None:
    model = tiny_model(TINY)
    told: list[float] = []
    places = Places.of_ends(*EVEN)
    estimate(model, *EVEN, site="z", places=places, tokens=TOKENS, progress=told.append)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert told == sorted(told)
    assert told[-1] == 1


def test_patterns_of_uneven_prompts_are_refused(exact: GPT2) -> None:
    with pytest.raises(ValueError, match="same place"):
        estimated(exact, UNEVEN, "pattern")
