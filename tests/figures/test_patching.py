"""Maps of patches: centred on zero, each slot in its own colour, and what cannot be patched marked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dashapp.figures.patching import MapOf, effect_map, towards
from dashapp.figures.theme import THEMES, Frame

FRAME = Frame(theme="light")
SHOWN = MapOf(rows="layer", texts=["<|endoftext|>", " a", "<b>", " c"], slot="b", unit="share", refused=[2])
EFFECTS = np.array([[0, 0.5, np.nan, 1], [0, -2.5, np.nan, 0.25]])


def test_colours_are_centred_on_zero_and_reach_one_or_further() -> None:
    cells = effect_map(EFFECTS, SHOWN, (2, 4), frame=FRAME).data[0]
    assert (cells.zmin, cells.zmid, cells.zmax) == (-2.5, 0, 2.5)
    small = effect_map(EFFECTS / 10, SHOWN, (2, 4), frame=FRAME).data[0]
    assert (small.zmin, small.zmid, small.zmax) == (-1, 0, 1)


@pytest.mark.parametrize("theme", THEMES)
def test_what_moves_towards_a_prompt_has_its_colour(theme: str) -> None:
    frame = Frame(theme="dark" if theme == "dark" else "light")
    colours = frame.colours
    assert towards("b", frame) == [(0.0, colours.slot_b), (0.5, colours.paper), (1.0, colours.slot_a)]
    assert towards("a", frame) == [(0.0, colours.slot_a), (0.5, colours.paper), (1.0, colours.slot_b)]


def test_hovers_are_sentences_and_take_nothing_for_markup() -> None:
    cells = effect_map(EFFECTS, SHOWN, (2, 4), frame=FRAME).data[0]
    assert cells.text[1][1] == "layer 1, token 1 ‘·a’: moves −2.50"
    assert "&lt;b&gt;" in cells.text[0][2]
    heads = effect_map(np.zeros((2, 3)), replace(SHOWN, texts=None, refused=()), (2, 3), frame=FRAME).data[0]
    assert heads.text[1][2] == "layer 1, head 2: moves +0.00"
    large = effect_map(np.zeros((12, 1024)), replace(SHOWN, texts=["x"] * 1024), (12, 1024), frame=FRAME)
    assert "token %{x}" in large.data[0].hovertemplate
    assert len(large.to_json()) < 500_000


def test_tokens_without_counterpart_are_crossed_out_in_each_row_with_the_reason() -> None:
    crosses = effect_map(EFFECTS, SHOWN, (2, 4), frame=FRAME).data[-1]
    assert list(zip(crosses.x, crosses.y, strict=True)) == [(2, 0), (2, 1)]
    assert "no counterpart in a" in crosses.hovertemplate


def test_a_figure_tells_the_browser_what_its_cells_are() -> None:
    meta = effect_map(None, SHOWN, (2, 4), frame=FRAME).layout.meta
    assert (meta["cells"], meta["slot"], meta["marks"]) == ([2, 4], "b", "layer_pos")
    assert "nothing is patched yet" in meta["summary"]
    heads = effect_map(None, replace(SHOWN, rows="head", layer=3), (2, 4), frame=FRAME).layout.meta
    assert (heads["marks"], heads["layer"]) == ("head_pos", 3)
