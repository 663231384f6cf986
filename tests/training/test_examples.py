"""The examples of the prompt bar still hold for the bundled weights: what each says is what the model does."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch

from dashapp.model.checkpoint import load_model
from dashapp.model.gpt2 import GPT2
from dashapp.model.tap import Tap
from dashapp.model.tokenizer import encode, token_text
from dashapp.model.weights import Weights
from training.attribution import head_attribution
from training.evaluate import DEMO_FOLDER
from training.examples import examples, most_visible

EXAMPLES: dict[str, dict[str, Any]] = {
    example["name"]: example for example in json.loads((DEMO_FOLDER / "examples.json").read_text(encoding="utf-8"))
}
MEASURED = json.loads((DEMO_FOLDER / "measured.json").read_text())


@pytest.fixture(scope="module")
def demo() -> GPT2:
    return load_model(Weights.open(DEMO_FOLDER), device="cpu")


def run(demo: GPT2, example: dict[str, Any]) -> tuple[list[str], torch.Tensor, torch.Tensor]:
    """Token texts [pos], the selected head's (or layer 0, head 0's) pattern [query key], the last logits [d_vocab]."""
    ids = encode(example["prompt"], bos=True).astype(np.int64)
    seen = Tap.reading("pattern")
    with torch.inference_mode():
        logits = demo(torch.from_numpy(ids)[None], tap=seen)[0, -1]
    layer, head = example["selection"]["layer"] or 0, example["selection"]["head"] or 0
    return [token_text(int(token)) for token in ids], seen.activations["pattern", layer][0, head], logits


def without_numbers(example: dict[str, Any]) -> dict[str, Any]:
    """Weights and chances differ in the last digit between machines; places and words do not."""
    return {**example, "says": re.sub(r"\d+(\.\d+)?", "", example["says"])}


def test_the_file_is_what_the_bundled_weights_give(demo: GPT2) -> None:
    found = [asdict(example) for example in examples(demo, MEASURED)]
    assert [without_numbers(example) for example in found] == [
        without_numbers(example) for example in EXAMPLES.values()
    ], "run: python -m training.evaluate --corpus FILE"


def test_every_phenomenon_has_an_example_and_a_place_to_look_at() -> None:
    assert list(EXAMPLES) == ["story", "induction", "previous_token", "two_names", "fact", "counting"]
    for example in EXAMPLES.values():
        assert len(example["label"]) < 20
        assert example["page"] in {"/", "/attention"}
        assert example["says"].endswith(".")
        assert (example["selection"]["layer"] is not None) == (example["page"] == "/attention")
        assert 0 < example["selection"]["pos"] < len(encode(example["prompt"], bos=True))


def test_the_induction_head_named_looks_at_the_token_after_the_earlier_occurrence(demo: GPT2) -> None:
    example = EXAMPLES["induction"]
    tokens, pattern, _ = run(demo, example)
    pos = example["selection"]["pos"]
    earlier = tokens.index(tokens[pos])
    assert earlier < pos
    assert int(pattern[pos].argmax()) == earlier + 1
    assert float(pattern[pos, earlier + 1]) > 0.7
    said = re.search(r"with weight (\d\.\d\d)", example["says"])
    assert said
    # Written with two digits; float32 sums differ by far less from machine to machine.
    assert float(said[1]) == pytest.approx(float(pattern[pos, earlier + 1]), abs=0.01)
    half = range(len(tokens) // 2 + 1, len(tokens) - 1)
    stripe = np.mean([float(pattern[query, tokens.index(tokens[query]) + 1]) for query in half])
    assert stripe > 0.5, "the stripe is to be seen"


def test_the_previous_token_head_named_looks_one_token_back(demo: GPT2) -> None:
    example = EXAMPLES["previous_token"]
    tokens, pattern, _ = run(demo, example)
    pos = example["selection"]["pos"]
    assert float(pattern[pos, pos - 1]) > 0.7
    assert np.mean([float(pattern[query, query - 1]) for query in range(2, len(tokens))]) > 0.5


@pytest.mark.parametrize("kind", ["induction", "previous_token", "two_names"])
def test_heads_are_among_those_measured(kind: str) -> None:
    selection = EXAMPLES[kind]["selection"]
    if kind == "two_names":
        best = MEASURED["heads"]["best"]["name"]
        assert (selection["layer"], selection["head"]) == (best["layer"], best["head"])
    else:
        assert MEASURED["heads"]["scores"][kind][selection["layer"]][selection["head"]] >= 0.5


@pytest.mark.parametrize("name", ["fact", "counting"])
def test_the_next_token_named_is_the_most_probable(demo: GPT2, name: str) -> None:
    _, _, logits = run(demo, EXAMPLES[name])
    assert f"next token is “{token_text(int(logits.argmax())).strip()}”" in EXAMPLES[name]["says"]


def test_the_name_said_to_follow_does_and_what_was_measured_elsewhere_is_said(demo: GPT2) -> None:
    says = EXAMPLES["two_names"]["says"]
    _, _, logits = run(demo, EXAMPLES["two_names"])
    best = token_text(int(logits.argmax())).strip()
    assert f"next token is “{best}”" in says
    is_right = float(logits[encode(" Mary")[0]]) > float(logits[encode(" John")[0]])
    assert is_right == says.startswith("After")
    shares = [MEASURED["lessons"][f"two_names_giver_{order}"]["accuracy"] for order in ("first", "second")]
    if min(shares) < 0.9:
        assert all(f"in {100 * share:.0f} %" in says for share in shares)
    else:
        assert "no lesson" not in says


def test_the_head_named_writes_towards_the_right_name(demo: GPT2) -> None:
    example = EXAMPLES["two_names"]
    said = re.search(r"writes ([+−]\d+\.\d\d) nats", example["says"])
    assert said
    ids = torch.from_numpy(encode(example["prompt"], bos=True).astype(np.int64))[None]
    parts = head_attribution(demo, ids, int(encode(" Mary")[0]), int(encode(" John")[0])).by_head
    layer, head = example["selection"]["layer"], example["selection"]["head"]
    # Written with two digits; float32 sums differ by far less from machine to machine.
    assert float(said[1].replace("−", "-")) == pytest.approx(float(parts[layer, head]), abs=0.01)


def test_no_head_is_shown_for_a_kind_that_the_weights_have_not() -> None:
    low, high = np.full((2, 2), 0.1), np.array([[0.1, 0.9], [0.95, 0.6]])
    assert most_visible(low.tolist(), high) is None
    assert most_visible(high.tolist(), low) is None
    assert most_visible(high.tolist(), np.array([[1.0, 0.7], [0.6, 0.8]])) == (1, 1)
