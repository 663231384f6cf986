"""Activation patching as a person does it: read what it takes, start it, click a cell, walk on by keyboard."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import point_at, press, region, tokens
from tests.browser.test_accessibility import violations
from tests.browser.test_compare import open_pair

LONG_MS = 90_000  # a work runs gently, behind everything else on the machine
A, B = "one two three four", "one two seven four"  # with the beginning, 5 tokens each; the fourth differs


def panel(page: Page) -> Locator:
    return region(page, "Activation patching")


def drawn(page: Page) -> Locator:
    graph = panel(page).locator(".panel-body:not(.is-waiting) .js-plotly-plot")
    graph.locator(".main-svg").first.wait_for(timeout=LONG_MS)
    return graph


def foot(page: Page) -> Locator:
    return panel(page).locator(".foot")


def cells(page: Page) -> Any:
    """The effects that the map shows, by row and column."""
    return drawn(page).evaluate("graph => graph.calcdata[0][0].z.map(row => [...row])")


def click_cell(page: Page, row: int, column: int) -> None:
    graph = drawn(page)
    place = graph.evaluate(
        """(graph, [row, column]) => {
          const { xaxis, yaxis } = graph._fullLayout;
          return { x: xaxis._offset + xaxis.d2p(column), y: yaxis._offset + yaxis.d2p(row) };
        }""",
        [row, column],
    )
    graph.click(position=place)


def test_a_sweep_is_offered_started_and_read_and_a_cell_selects(page: Page, served: Served) -> None:
    open_pair(page, served.base, A, B)
    expect(foot(page)).to_contain_text("Start runs the model 11 times", timeout=LONG_MS)
    assert "nothing is patched yet" in drawn(page).evaluate("graph => graph.layout.meta.summary")
    panel(page).get_by_role("button", name="Start").click()
    expect(foot(page)).to_contain_text("passes took", timeout=LONG_MS)
    expect(panel(page).locator(".panel-work")).to_be_hidden()
    found = cells(page)
    assert (len(found), len(found[0])) == (3, 5)
    assert all(value == 0 for row in found for value in row[:3])  # before the first token that differs
    assert abs(found[0][3] - 1) < 1e-4
    panel(page).get_by_label("KL divergence").check()
    expect(foot(page)).to_contain_text("KL divergence from", timeout=LONG_MS)  # measured in the same sweep
    expect(panel(page).get_by_role("button", name="Start")).to_be_hidden()
    click_cell(page, 1, 3)
    expect(page.locator("#selection-text")).to_contain_text("in b")
    expect(page.locator("#selection-layer")).to_have_value("1")
    expect(tokens(page, "b").nth(3)).to_have_attribute("aria-selected", "true")
    expect(tokens(page, "a").nth(3)).to_have_attribute("aria-selected", "true")
    drawn(page).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#selection-layer")).to_have_value("2")
    expect(tokens(page, "b").nth(4)).to_have_attribute("aria-selected", "true")
    assert violations(page) == []


def test_patterns_of_uneven_prompts_are_refused_with_the_reason(page: Page, served: Served) -> None:
    open_pair(page, served.base, A, f"{B} five")
    drawn(page)
    panel(page).get_by_role("combobox", name="Patch").select_option("pattern")
    expect(panel(page).locator(".panel-fault")).to_contain_text("same place in both prompts", timeout=LONG_MS)
    panel(page).get_by_role("combobox", name="Patch").select_option("z")
    expect(foot(page)).to_contain_text("1 token has no counterpart and stays as it is", timeout=LONG_MS)


def test_without_a_second_prompt_the_panel_says_what_it_needs(page: Page, served: Served) -> None:
    open_pair(page, served.base, A, None)
    expect(panel(page).locator(".panel-state")).to_have_text(
        "Needs a second prompt. Type one under b and press Generate.", timeout=LONG_MS
    )


def cell_panel(page: Page) -> Locator:
    return region(page, "Patch one cell")


def expect_cell(page: Page, text: str) -> None:
    expect(cell_panel(page).locator(".foot")).to_contain_text(text, timeout=LONG_MS)


def test_a_cell_that_is_clicked_is_patched_and_the_text_goes_on(page: Page, served: Served) -> None:
    open_pair(page, served.base, A, "one two nine four")  # a pair of its own, which nobody has swept
    expect_cell(page, "No patch is chosen. Select a layer and a token")
    point_at(page, panel(page).get_by_role("button", name="Start"))
    press(page)
    expect(foot(page)).to_contain_text("passes took", timeout=LONG_MS)
    click_cell(page, 1, 3)
    expect_cell(page, "layer 1, token 3 ‘·nine’ of b, from a. The logit of")
    expect_cell(page, "The likeliest text that follows: patched ‘")
    expect(cell_panel(page).locator(".legendtext").nth(2)).to_have_text("patched", timeout=LONG_MS)
    panel(page).get_by_role("combobox", name="Patch").select_option("z")
    expect(cell_panel(page).get_by_role("combobox", name="Patch")).to_have_value("z")
    expect_cell(page, "No patch is chosen. Select a layer and a head")
    page.locator("#selection-head").select_option("1")
    expect_cell(page, "head output, layer 1, head 1, from a. The logit of")
    cell_panel(page).get_by_label("b → a").check()
    expect(panel(page).get_by_label("b → a")).to_be_checked()
    expect_cell(page, "head output, layer 1, head 1, from b.")
    assert violations(page) == []


def test_a_selected_head_is_ablated_and_what_others_add_is_told(page: Page, served: Served) -> None:
    open_pair(page, served.base, A, B, layer="0", head="1")
    ablation = region(page, "Ablate parts")
    expect(ablation.locator(".foot")).to_contain_text("The part’s own share of it:", timeout=LONG_MS)
    expect(ablation.locator(".legendtext").nth(1)).to_have_text("ablated")
    ablation.get_by_label("what each head adds").check()
    expect(ablation.locator(".annotation-text").nth(1)).to_have_text("after", timeout=LONG_MS)
    ablation.locator(".js-plotly-plot").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#selection-layer")).to_have_value("1")
    expect(ablation.locator(".foot")).to_contain_text("in the place of head 1 of layer 1 stands 0", timeout=LONG_MS)
    expect(ablation.locator(".foot")).to_contain_text("The part’s own share of it:", timeout=LONG_MS)
    ablation.get_by_label("Or several").fill("L0MLP, L1H5")
    page.keyboard.press("Enter")
    expect(ablation.get_by_role("alert")).to_contain_text("'L1H5' is outside of the model")
    ablation.get_by_label("Or several").fill("L0MLP, 3>1")
    page.keyboard.press("Enter")
    expect(ablation.locator(".foot")).to_contain_text("the MLP of layer 0 stands 0", timeout=LONG_MS)
    expect(ablation.locator(".foot")).to_contain_text("looking at token 1 ‘", timeout=LONG_MS)
    expect(ablation.locator(".foot")).to_contain_text("The likeliest text that follows: without ‘", timeout=LONG_MS)
