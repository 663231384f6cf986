"""The prompts that a person can begin with: what the bundled model's file promises, and what other models get of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashapp.model.examples import Example, examples_of
from dashapp.model.registry import DEMO_FOLDER
from dashapp.model.tokenizer import encode_prompt
from dashapp.model.weights import Weights

OWN = examples_of(DEMO_FOLDER)


def test_each_example_has_a_name_of_its_own() -> None:
    assert len(OWN) >= 5
    assert len({example.label for example in OWN}) == len({example.prompt for example in OWN}) == len(OWN)


@pytest.mark.parametrize("example", OWN, ids=lambda example: example.label)
def test_what_an_example_selects_is_in_the_bundled_model(example: Example) -> None:
    config = Weights.open(DEMO_FOLDER, name="demo").config
    n_tokens = len(encode_prompt(example.prompt, n_ctx=config.n_ctx, bos=True))
    assert example.pos is not None
    assert 0 <= example.pos < n_tokens
    assert (example.layer is None) == (example.head is None)
    assert example.layer is None or example.layer < config.n_layer
    assert example.head is None or example.head < config.n_head
    assert example.page in ("/", "/attention", "/embeddings", "/activations")
    assert example.says.endswith(".")


def test_another_model_gets_the_prompts_without_claims_about_its_parts(tmp_path: Path) -> None:
    others = examples_of(tmp_path)
    assert [other.prompt for other in others] == [own.prompt for own in OWN]
    assert all((other.pos, other.layer, other.head, other.says) == (None, None, None, "") for other in others)
