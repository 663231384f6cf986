"""The diagram of a model: its numbers are the model's, add up, and lead to panels that exist."""

from __future__ import annotations

import dataclasses
import re
from math import prod
from pathlib import Path
from typing import Any

import pytest

from dashapp import ids
from dashapp.model.config import GPT2Config
from dashapp.model.sites import SITES
from dashapp.panels.architecture import LAYER, Box, N, boxes, layout, n_params, total, weights_of
from dashapp.panels.catalogue import PANELS
from tests.doubles import TINY_TEXT, weight_shapes

ROOT = Path(__file__).parents[2]
CONFIGS = {
    "tiny": TINY_TEXT,
    "gpt2": GPT2Config(),
    "one layer": dataclasses.replace(TINY_TEXT, n_layer=1),
    "gpt2-xl": GPT2Config(n_layer=48, n_head=25, d_model=1600, d_mlp=6400),
}


def components(node: Any) -> list[Any]:
    """All components of a tree, in the order of the page."""
    children = getattr(node, "children", None)
    below = children if isinstance(children, (list, tuple)) else [children]
    return [node, *(each for child in below if child is not None for each in components(child))]


def text(node: Any) -> str:
    return "".join(each for each in components(node) if isinstance(each, str))


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_of_the_boxes_add_up_to_all_of_them(name: str) -> None:
    config = CONFIGS[name]
    each = {
        box.name: n_params(box, config) * (config.n_layer if box.name in LAYER else 1) for box in boxes(config).values()
    }
    independent = sum(prod(shape) for shape in weight_shapes(config).values())
    assert sum(each.values()) == independent == config.n_params
    assert each["unembedding"] == 0  # wte, counted once


@pytest.mark.parametrize("layer", range(TINY_TEXT.n_layer))
def test_every_parameter_stands_in_one_box(layer: int) -> None:
    held = [name for box in boxes(TINY_TEXT).values() for name in weights_of(box, TINY_TEXT, layer)]
    wanted = [name for name in weight_shapes(TINY_TEXT) if not name.startswith("h.") or name.startswith(f"h.{layer}.")]
    assert sorted(held) == sorted(wanted)


def test_the_published_model_is_the_one_that_everybody_knows() -> None:
    config = GPT2Config()
    held = {name: n_params(box, config) for name, box in boxes(config).items()}
    assert (held["wte"], held["wpe"], held["attention"], held["mlp"]) == (38_597_376, 786_432, 2_362_368, 4_722_432)
    assert total(config) == (
        "Parameters: 38,597,376 (wte) + 786,432 (wpe) + 12 × 7,087,872 (layers) + 1,536 (ln_f) = 124,439,808. "
        "The unembedding is wte again, counted once."
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_the_sum_in_words_is_a_sum(name: str) -> None:
    said, _, result = total(CONFIGS[name]).partition(" = ")
    wte, wpe, n_layer, layer, ln_f = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+", said))
    assert wte + wpe + n_layer * layer + ln_f == int(result.split(".")[0].replace(",", "")) == CONFIGS[name].n_params


def sizes_of(box: Box, config: GPT2Config) -> dict[str, tuple[int, ...]]:
    """The shapes of its activations for a prompt of 7 tokens."""
    return {each.name: tuple(7 if axis == N else int(axis) for axis in each.shape) for each in box.activations}


def test_shapes_are_those_that_a_forward_pass_has() -> None:
    from dashapp.model.tap import Tap
    from tests.doubles import random_ids, tiny_model

    model = tiny_model(TINY_TEXT)
    said = {name: shape for box in boxes(TINY_TEXT).values() for name, shape in sizes_of(box, TINY_TEXT).items()}
    said |= dict.fromkeys("qkv", said.pop("q, k, v"))
    seen = Tap.reading(*said)
    model(random_ids(TINY_TEXT, 1, 7), tap=seen)
    real = {name: tuple(tensor.shape[1:]) for (name, _), tensor in seen.activations.items()}  # without the batch
    assert said == real
    assert set(said) == SITES.keys() - {"resid_pre", "resid_mid", "resid_post", "scores"}  # between boxes, or masked


@pytest.mark.parametrize("box", boxes(TINY_TEXT).values(), ids=lambda box: box.name)
def test_a_box_leads_to_panels_that_stand_where_it_says(box: Box) -> None:
    assert box.shown
    for page, panel, _ in box.shown:
        name = page.removeprefix("/") or "generation"
        source = (ROOT / "pages" / f"{name}.py").read_text(encoding="utf-8")
        assert f'path="{page}"' in source
        assert f'"{panel}"' in source
        assert panel in PANELS


def test_a_box_carries_the_present_view_to_its_panel() -> None:
    links = [each.id for each in components(layout(TINY_TEXT)) if getattr(each, "href", None)]
    assert {"type": "nav", "path": "/attention#title-head-grid-a", "place": "box-attention"} in links
    assert len({str(link) for link in links}) == len(links)


def test_every_number_of_tokens_is_written_by_the_browser() -> None:
    page = layout(TINY_TEXT)
    places = [each for each in components(page) if (getattr(each, "id", None) or {}) and "n-tokens" in str(each.id)]
    numbered = [place.id for place in places if place.id != ids.n_tokens("said")]
    assert numbered == [ids.n_tokens(i) for i in range(len(places) - 1)]
    assert {place.children for place in places} == {"n"}
    assert len(places) > 30


def test_it_says_what_the_first_number_of_a_shape_is_and_names_the_last_step_unopened() -> None:
    page = layout(TINY_TEXT)
    assert text(page).count("The n in each shape is the number of tokens of the text on screen.") == 1
    summaries = [text(each) for each in components(page) if type(each).__name__ == "Summary"]
    assert "Softmax" in summaries[-1]


def test_a_layer_says_how_many_there_are_of_it() -> None:
    assert "3 layers0 to 2, one after the other" in text(layout(TINY_TEXT))
    one = text(layout(CONFIGS["one layer"]))
    assert "1 layer" in one
    assert "parameters in each" not in one
    assert "one after the other" not in one
