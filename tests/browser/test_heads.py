"""Scores and names of heads on the Attention page: the probe arrives by itself, heads in any order can be chosen."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, region, until, wait_for
from tests.browser.test_attention import click_at, foot, shapes

GRID, ATLAS = "All heads", "Head atlas"
N_HEADS = 6
PROMPT = "/attention?prompt=a+b+a+b+a&new=0&bos=0"


def open_atlas(page: Page, served: Served, knobs: str = "") -> None:
    """Until the probe's numbers stand beside the prompt's."""
    page.goto(served.base + PROMPT + knobs)
    wait_for(page, "done")
    named = re.compile("Letters are kinds of heads|No head has a name")
    for panel in (ATLAS, GRID):
        expect(foot(page, panel)).to_contain_text(named, timeout=PATIENCE_MS)


def test_the_probe_arrives_beside_the_prompt_and_a_click_in_it_selects_a_head(page: Page, served: Served) -> None:
    open_atlas(page, served)
    expect(region(page, ATLAS).locator(".textpoint text", has_text=re.compile(r"\d"))).to_have_count(2 * N_HEADS)
    click_at(page, ATLAS, 3.5 / 5, 2.5 / 3)  # of five columns the fourth is the probe's first
    expect(page.locator("#selection-text")).to_contain_text("layer 2, head 0")
    until(page, lambda: shapes(page, ATLAS) == [[-0.5, 0.5, 1.5, 2.5], [2.5, 3.5, 1.5, 2.5]])
    until(page, lambda: shapes(page, GRID) == [[-0.5, 0.5, 1.5, 2.5]])


def test_sorted_heads_are_walked_by_keyboard_in_their_order(page: Page, served: Served) -> None:
    open_atlas(page, served, "&head-grid.order=first&head-atlas.show=table")
    expect(foot(page, GRID)).to_contain_text("Sorted by first token on this prompt")
    grid = region(page, GRID).locator(".js-plotly-plot")
    order = grid.evaluate("graph => graph.data[0].customdata.flat()")
    assert sorted(order) == [[layer, head] for layer in range(3) for head in range(2)]
    region(page, GRID).get_by_role("group", name="Heads: arrow keys").focus()
    for key, place in (("ArrowRight", 0), ("ArrowRight", 1), ("ArrowDown", 3)):
        page.keyboard.press(key)
        layer, head = order[place]
        expect(page.locator("#selection-text")).to_contain_text(f"layer {layer}, head {head}")
    until(page, lambda: len(shapes(page, ATLAS)) == 1)  # a whole row of the table
