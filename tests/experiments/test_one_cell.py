"""One patch: its logits are what a sweep measures from the middle, its text that of whole passes without a cache."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dashapp.experiments import one_cell
from dashapp.experiments.cells import Cell, CellPatch
from dashapp.experiments.one_cell import patch_cell
from dashapp.experiments.sweeps import METRICS, SITES, Places, Site
from dashapp.model.gpt2 import GPT2
from dashapp.model.tap import Tap
from tests.doubles import TINY, tiny_model
from tests.experiments.test_patching import ANY_LAYER, EVEN, TOKENS, TOLERANCES, UNEVEN, measured, put, swept

LONG = replace(TINY, n_ctx=40)  # with room for a text
N_NEW = 6


@pytest.fixture(scope="module")
def exact() -> GPT2:
    return tiny_model(LONG, dtype=torch.float64)


def one(model: GPT2, pair: tuple[np.ndarray, np.ndarray], cell: Cell, **more: Any) -> CellPatch:
    return patch_cell(model, *pair, cell=cell, places=Places.of_ends(*pair), **{"n_new": N_NEW, **more})


def own_logits(model: GPT2, ids: np.ndarray, tap: Tap | None = None) -> np.ndarray:
    """A whole pass without a cache: [d_vocab] after the last token."""
    with torch.inference_mode():
        logits: np.ndarray = model(torch.from_numpy(ids)[None], tap=tap or Tap({}))[0, -1].numpy()
    return logits


def own_text(model: GPT2, ids: np.ndarray, tap: Tap | None = None) -> list[int]:
    """The likeliest tokens one after another, each by a whole pass through the tap."""
    grown = ids
    for _ in range(N_NEW):
        grown = np.append(grown, own_logits(model, grown, tap).argmax())
    return grown[len(ids) :].tolist()


def cells(site: Site, places: Places) -> list[Cell]:
    """Some cells of a site: each layer, the heads in turn, and a token that differs or comes later."""
    layers = [ANY_LAYER] if site == "z_pos" else range(TINY.n_layer)
    made = []
    for layer in layers:
        for i, pos in enumerate(places.changing.tolist()):
            cell = Cell(site=site, layer=layer, head=i % TINY.n_head, pos=pos)
            made.append(cell if cell.is_of_token else replace(cell, pos=0))
    return list(dict.fromkeys(cell if cell.is_of_head else replace(cell, head=0) for cell in made))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("pair", [EVEN, EVEN[::-1], UNEVEN])
@pytest.mark.parametrize("site", SITES)
def test_logits_are_those_that_a_sweep_measures(
    site: Site, pair: tuple[np.ndarray, np.ndarray], dtype: torch.dtype
) -> None:
    model, places = tiny_model(LONG, dtype=dtype), Places.of_ends(*pair)
    if site == "pattern" and not places.is_straight:
        with pytest.raises(ValueError, match="same place in both prompts"):
            one(model, pair, Cell(site=site, layer=0))
        return
    whole, expected = swept(model, *pair, site), own_logits(model, pair[0])
    scale = np.maximum(1, np.nanmax(np.abs(whole.values), axis=(1, 2)))
    for cell in cells(site, places):
        row = cell.head if site == "z_pos" else cell.layer
        column = cell.pos if cell.is_of_token else cell.head
        found = measured(one(model, pair, cell, n_new=0).logits, expected)
        np.testing.assert_allclose(
            found / scale, whole.values[:, row, column] / scale, rtol=0, atol=TOLERANCES[dtype], err_msg=str(cell)
        )
    assert len(METRICS) == len(found)
    assert TOKENS[0] != TOKENS[1]


@pytest.mark.parametrize("site", [site for site in SITES if site != "pattern"])
def test_the_text_goes_on_as_whole_passes_without_a_cache_do(exact: GPT2, site: Site) -> None:
    source, target = UNEVEN
    places = Places.of_ends(source, target)
    cell = cells(site, places)[-1]
    name = "z" if site == "z_pos" else site
    seen = Tap.reading(name)
    own_logits(exact, source, seen)
    theirs = seen.activations[name, cell.layer][0]
    changing = places.changing.tolist()
    at = places.source_of[cell.pos if cell.is_of_token else changing].tolist()
    if cell.is_of_token:
        rows, value = ((cell.head, cell.pos), theirs[cell.head, at]) if site == "z_pos" else (cell.pos, theirs[at])
    else:
        rows, value = (cell.head, changing), theirs[cell.head, at]
    found = one(exact, UNEVEN, cell)
    assert found.patched.tolist() == own_text(exact, target, Tap({(name, cell.layer): put(rows, value)}))
    assert (found.source.tolist(), found.target.tolist()) == (own_text(exact, source), own_text(exact, target))


@pytest.mark.parametrize("site", SITES)
def test_a_run_patched_with_itself_goes_on_as_it_would(exact: GPT2, site: Site) -> None:
    found = one(exact, (EVEN[0], EVEN[0]), Cell(site=site, layer=1, head=1, pos=4))
    np.testing.assert_allclose(found.logits, own_logits(exact, EVEN[0]), rtol=0, atol=1e-12)
    assert found.patched.tolist() == found.target.tolist() == found.source.tolist() == own_text(exact, EVEN[0])


def test_a_patch_before_the_first_token_that_differs_changes_nothing(exact: GPT2) -> None:
    found = one(exact, EVEN, Cell(site="resid_pre", layer=2, pos=1))
    np.testing.assert_allclose(found.logits, own_logits(exact, EVEN[1]), rtol=0, atol=1e-12)


def test_the_whole_difference_in_one_token_gives_the_source_run(exact: GPT2) -> None:
    """One token differs: before layer 0 its stream is all of the difference."""
    source, target = EVEN[0], np.array([*EVEN[0][:5], 0, *EVEN[0][6:]])
    found = one(exact, (source, target), Cell(site="resid_pre", layer=0, pos=5))
    np.testing.assert_allclose(found.logits, own_logits(exact, source), rtol=0, atol=1e-12)
    assert found.patched.tolist() == found.source.tolist()


def test_a_token_without_counterpart_is_refused(exact: GPT2) -> None:
    places = Places.of_ends(*UNEVEN)
    alone = int(places.refused[0])
    with pytest.raises(ValueError, match=f"token {alone} has no counterpart"):
        one(exact, UNEVEN, Cell(site="mlp_out", layer=0, pos=alone))


def test_a_text_ends_with_the_token_that_ends_texts(exact: GPT2, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell(site="resid_pre", layer=0, pos=2)
    whole = one(exact, EVEN, cell).patched.tolist()
    monkeypatch.setattr(one_cell, "END_OF_TEXT_ID", whole[0])
    assert one(exact, EVEN, cell).patched.tolist() == whole[:1]


def test_a_text_ends_with_the_context_and_an_answer_is_kept_as_arrays() -> None:
    model = tiny_model(replace(TINY, n_ctx=10))
    found = one(model, EVEN, Cell(site="resid_pre", layer=0, pos=2))
    assert len(found.patched) == len(found.source) == 2
    again = CellPatch.from_arrays(found.arrays())
    np.testing.assert_array_equal(again.logits, found.logits)
    assert again.patched.dtype == np.int32


@pytest.mark.parametrize("site", SITES)
def test_rows_of_attention_are_those_of_both_runs(exact: GPT2, site: Site) -> None:
    pair = EVEN
    places = Places.of_ends(*pair)
    cell = cells(site, places)[-1]
    name = "z" if site == "z_pos" else site
    seen, plain = Tap.reading(name), Tap.reading("pattern")
    own_logits(exact, pair[0], seen)
    own_logits(exact, pair[1], plain)
    found = one(exact, pair, cell, n_new=0)
    for layer in range(exact.config.n_layer):
        expected = plain.activations["pattern", layer][0, :, -1]
        np.testing.assert_allclose(found.looks[layer], expected, atol=1e-6)  # kept as float32
        if layer < cell.layer:
            np.testing.assert_array_equal(found.looks_patched[layer], found.looks[layer])
    if site == "pattern":
        theirs = seen.activations["pattern", cell.layer][0, cell.head, -1]
        np.testing.assert_allclose(found.looks_patched[cell.layer, cell.head], theirs, atol=1e-6)
