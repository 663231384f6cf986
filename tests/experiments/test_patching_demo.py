"""Activation patching on the bundled model: induction and two names show the picture they are known for.

The numbers come from whole forward passes with a tap in this file; the weights may be trained again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import dashapp
from dashapp.api import prompt_ids
from dashapp.experiments.patching import sweep
from dashapp.experiments.sweeps import METRICS, Places, Site, Sweep
from dashapp.model.tap import Tap

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

LOGIT_DIFF = METRICS.index("logit_diff")


@dataclass(frozen=True)
class Case:
    """Two prompts that differ at one token, and the two answers."""

    source: str
    target: str
    differs: int
    answers: tuple[str, str]


INDUCTION = Case(
    " lamp seven river coat blue window horse lamp seven river",
    " lamp seven river paper blue window horse lamp seven river",
    4,
    (" coat", " paper"),
)
NAMES = Case(
    "When Mary and John went to the store, John gave a drink to",
    "When Mary and John went to the store, Mary gave a drink to",
    10,
    (" Mary", " John"),
)


@pytest.fixture(scope="module")
def demo() -> GPT2:
    return dashapp.load("demo")


@dataclass(frozen=True)
class Prepared:
    model: GPT2
    source: np.ndarray
    target: np.ndarray
    answers: tuple[int, int]

    @classmethod
    def of(cls, model: GPT2, case: Case) -> Prepared:
        first, second = (int(prompt_ids(model, each, bos=False)[0]) for each in case.answers)
        prepared = cls(model, prompt_ids(model, case.source), prompt_ids(model, case.target), (first, second))
        assert np.flatnonzero(prepared.source != prepared.target).tolist() == [case.differs]
        return prepared

    def swept(self, site: Site) -> Sweep:
        end = len(self.source) - 1
        places = Places.between(self.source, self.target, read_source=end, read_target=end)
        return sweep(self.model, self.source, self.target, site=site, places=places, tokens=self.answers)

    def difference(self, ids: np.ndarray, tap: Tap) -> float:
        with torch.no_grad():
            logits = self.model(torch.from_numpy(ids.astype(np.int64))[None], tap=tap)[0, -1].double()
        return float(logits[self.answers[0]] - logits[self.answers[1]])

    def share(self, name: str, layer: int, rows: tuple[int | slice, ...]) -> float:
        """How far the logit difference moves with some of an activation replaced, by three whole passes."""
        seen = Tap.reading(name)
        source = self.difference(self.source, seen)
        target = self.difference(self.target, Tap({}))

        def put(activation: torch.Tensor, _layer: int | None) -> torch.Tensor:
            copy = activation.clone()
            copy[0][rows] = seen.activations[name, layer][0][rows]
            return copy

        return (self.difference(self.target, Tap({(name, layer): put})) - target) / (source - target)


def place_of_most(values: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(np.nanargmax(values), values.shape)
    return int(row), int(column)


@pytest.mark.parametrize("case", [INDUCTION, NAMES])
def test_what_tells_the_prompts_apart_moves_from_where_they_differ_to_the_end(demo: GPT2, case: Case) -> None:
    prepared = Prepared.of(demo, case)
    found = prepared.swept("resid_pre").effects("logit_diff")  # [layer pos]
    assert prepared.difference(prepared.source, Tap({})) > prepared.difference(prepared.target, Tap({})) + 1
    assert found[0, case.differs] == pytest.approx(1, abs=1e-4)
    assert np.all(found[:, : case.differs] == 0)
    assert np.abs(found[0, case.differs + 1 :]).max() < 1e-4  # the same embeddings, patched with themselves
    end = found.shape[1] - 1
    assert found[-1, end] > 0.5 > found[-1, case.differs]
    rest = np.delete(found, [case.differs, end], axis=1)
    assert np.abs(rest).max() < 0.5  # little of it is anywhere else on the way
    for layer in range(len(found)):
        for pos in (case.differs, end):
            assert found[layer, pos] == pytest.approx(prepared.share("resid_pre", layer, (pos,)), abs=1e-4)


def test_heads_that_bring_the_repeated_token_are_induction_heads(demo: GPT2) -> None:
    """What moves the answer is the output, and in it the values, of a head that looks from the second "river" at what
    followed the first one; that is, at the token that differs."""
    prepared = Prepared.of(demo, INDUCTION)
    seen = Tap.reading("pattern")
    prepared.difference(prepared.target, seen)
    for site in ("z", "v"):
        found = prepared.swept(site).effects("logit_diff")  # [layer head]
        layer, head = place_of_most(found)
        assert layer > 0  # a head that looks for a repetition needs one before it that looks back by one
        assert seen.activations["pattern", layer][0, head, -1, INDUCTION.differs] > 0.5
        assert found[layer, head] == pytest.approx(prepared.share(site, layer, (head,)), abs=1e-4)
        assert found[layer, head] > 0.2


def test_heads_that_move_the_name_look_from_the_end_at_a_name(demo: GPT2) -> None:
    prepared = Prepared.of(demo, NAMES)
    seen = Tap.reading("pattern")
    prepared.difference(prepared.source, seen)
    found = prepared.swept("z").effects("logit_diff")
    layer, head = place_of_most(found)
    names = [2, 4, NAMES.differs]
    assert float(seen.activations["pattern", layer][0, head, -1, names].sum()) > 0.3
    assert found[layer, head] == pytest.approx(prepared.share("z", layer, (head,)), abs=1e-4)
    at_end = prepared.swept("attn_out").effects("logit_diff")[:, -1]
    assert at_end.argmax() >= demo.config.n_layer // 2  # names are moved late
