"""The first screen of Compare as a person reads it: what differs, and a click on a difference selects it."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, point_at, press, region, selected
from tests.browser.test_accessibility import violations
from tests.browser.test_compare import open_pair

A, B = "one two three four five", "one two seven four"  # with the beginning: the fourth differs, the last is alone
TOKENS, SURPRISAL = "Next tokens in a and b", "Surprisal in a and b"
LENS = "Logit lens of a and b"
HEADS, STREAM, NEURONS = "Attention that changed", "Streams that part", "Neurons that changed"


def drawn(page: Page, title: str) -> Locator:
    graph = region(page, title).locator(".panel-body:not(.is-waiting) .js-plotly-plot")
    graph.locator(".main-svg").first.wait_for(timeout=PATIENCE_MS)
    return graph


def expect_foot(page: Page, title: str, text: str | re.Pattern[str]) -> None:
    expect(region(page, title).locator(".foot")).to_contain_text(text, timeout=PATIENCE_MS)


def test_tokens_and_surprisals_that_differ_are_shown_and_a_click_selects(page: Page, served: Served) -> None:
    open_pair(page, served.base, A, B, pos="4")
    expect_foot(page, TOKENS, "After token 4 ‘·four’ of a and token 4 ‘·four’ of b.")
    expect_foot(page, TOKENS, re.compile(r"(Both expect ‘.+’ most|Likeliest is ‘.+’ in a).+ KL\(a‖b\) is "))
    point_at(page, drawn(page, TOKENS).locator(".barlayer .point path").first, across=0.3)
    press(page)
    expect(page.locator("#selection-target")).not_to_have_value("", timeout=PATIENCE_MS)
    region(page, TOKENS).get_by_label("logarithmic").check()
    expect(drawn(page, TOKENS).locator(".xaxislayer-above")).to_contain_text("1e−", timeout=PATIENCE_MS)
    expect_foot(page, SURPRISAL, "Left out, for want of a counterpart: 1 of a; those of a are marked ×.")
    point_at(page, drawn(page, SURPRISAL).locator(".scatterlayer .trace").first.locator(".point").nth(2))
    press(page)
    expect(page.locator("#token-strip-b [aria-selected='true']")).to_have_attribute("data-pos", "3")
    assert selected(page, "a") == 3
    expect_foot(page, TOKENS, "After token 3 ‘·three’ of a and token 3 ‘·seven’ of b.")
    assert violations(page) == []


def test_next_tokens_are_walked_by_keyboard_and_one_without_counterpart_is_refused(page: Page, served: Served) -> None:
    open_pair(page, served.base, A, B, pos="4")
    expect_foot(page, TOKENS, "After token 4")
    drawn(page, TOKENS).focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#selection-target")).not_to_have_value("", timeout=PATIENCE_MS)
    page.locator("#token-strip-a [data-pos='5']").click()
    expect(region(page, TOKENS).locator(".panel-state")).to_contain_text("of a has no counterpart in b")


def at_cell(page: Page, graph: Locator, row: int, column: int) -> None:
    """Click a cell of a map."""
    across, down = graph.evaluate(
        """(graph, [row, column]) => {
          const { xaxis, yaxis } = graph._fullLayout;
          const box = graph.getBoundingClientRect();
          return [(xaxis._offset + xaxis.d2p(column)) / box.width, (yaxis._offset + yaxis.d2p(row)) / box.height];
        }""",
        [row, column],
    )
    point_at(page, graph, across, down)
    press(page)


def test_a_click_on_a_head_a_layer_or_a_neuron_that_changed_selects_it(page: Page, served: Served) -> None:
    open_pair(page, served.base, A, B, pos="4")
    expect_foot(page, HEADS, "Mean over 4 aligned tokens, without the first.")
    at_cell(page, drawn(page, HEADS), 2, 1)
    expect(page.locator("#selection-head")).to_have_value("1", timeout=PATIENCE_MS)
    expect(page.locator("#selection-layer")).to_have_value("2")
    region(page, HEADS).get_by_label("the selected token").check()
    expect_foot(page, HEADS, "Rows of token 4 ‘·four’ of a and token 4 ‘·four’ of b.")
    expect_foot(page, STREAM, "They are equal before token 3 ‘·three’.")
    at_cell(page, drawn(page, STREAM), 0, 3)
    expect(page.locator("#selection-layer")).to_have_value("0", timeout=PATIENCE_MS)
    assert (selected(page, "a"), selected(page, "b")) == (3, 3)
    expect_foot(page, HEADS, "Rows of token 3 ‘·three’ of a and token 3 ‘·seven’ of b.")
    expect_foot(page, NEURONS, "At token 3 ‘·three’ of a and token 3 ‘·seven’ of b.")
    point_at(page, drawn(page, NEURONS).locator(".barlayer .point path").first, across=0.3)
    press(page)
    expect(page.locator("#selection-neuron")).not_to_have_value("", timeout=PATIENCE_MS)
    assert violations(page) == []


def test_layers_and_tokens_that_part_are_walked_by_keyboard(page: Page, served: Served) -> None:
    open_pair(page, served.base, A, B, pos="3", layer="1")
    expect_foot(page, STREAM, "Furthest apart in layer")
    drawn(page, STREAM).focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#selection-layer")).to_have_value("2", timeout=PATIENCE_MS)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#token-strip-b [aria-selected='true']")).to_have_attribute("data-pos", "4")


def test_the_lens_of_both_is_computed_and_a_cell_selects_by_mouse_and_by_key(page: Page, served: Served) -> None:
    open_pair(page, served.base, A, B, pos="4")
    expect_foot(page, LENS, "Furthest apart after layer ")
    expect(region(page, LENS).locator(".panel-work")).to_be_hidden()
    graph = drawn(page, LENS)
    at_cell(page, graph, 1, 4)
    expect(page.locator("#selection-text")).to_contain_text("layer 1")
    assert selected(page, "a") == 4
    assert selected(page, "b") == 4
    graph.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#selection-text")).to_contain_text("layer 2")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#token-strip-a [aria-selected='true']")).to_have_attribute("data-pos", "3")
    expect_foot(page, TOKENS, "After token 3 ‘·three’ of a and token 3 ‘·seven’ of b.")
