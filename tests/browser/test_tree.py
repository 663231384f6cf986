"""The tree of continuations: branch at a likely token, open a way to go on, search by beams, send two to Compare."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, open_example, point_at, press, tokens, wait_for
from tests.browser.test_accessibility import violations

TREE = "Ways to go on"


def panel(page: Page) -> Locator:
    found = page.locator("section.panel", has=page.get_by_role("heading", name=TREE))
    found.scroll_into_view_if_needed()  # only what is near the window is drawn
    return found


def choose(page: Page, pos: int) -> None:
    """A token, until the tree begins there."""
    tokens(page).nth(pos).click()
    graph = panel(page).locator(".js-plotly-plot").element_handle()
    page.wait_for_function("([graph, pos]) => graph.layout.meta?.tree.root === pos", arg=[graph, pos])


def actions(page: Page) -> Locator:
    return page.locator("#tree-actions")


def run_id(page: Page) -> str:
    return page.locator("#slot-a").get_attribute("data-run") or ""


def wait_for_another(page: Page, before: str, slot: str = "a") -> None:
    page.locator(f'#slot-{slot}[data-phase="done"]:not([data-run="{before}"])').wait_for(timeout=PATIENCE_MS)


def test_a_likely_token_is_branched_at_and_the_first_text_opened_again(page: Page, served: Served) -> None:
    open_example(page, served.base)
    choose(page, 12)
    branch = actions(page).get_by_role("button", name=re.compile("^Branch with"))
    expect(actions(page).locator("li")).to_have_count(1, timeout=PATIENCE_MS)  # the text on screen
    first = tokens(page).all_text_contents()
    before = run_id(page)
    branch.last.focus()
    page.keyboard.press("Enter")
    wait_for_another(page, before)
    second = tokens(page).all_text_contents()
    assert second[:13] == first[:13]
    assert second[13] != first[13]
    page.wait_for_url("**then=**")
    expect(actions(page).locator("li")).to_have_count(2, timeout=PATIENCE_MS)  # this and the one before
    before = run_id(page)
    actions(page).get_by_role("button", name="Open Branch 1 as a").click()
    wait_for_another(page, before)
    assert tokens(page).all_text_contents() == first


def test_a_mark_of_the_tree_is_clicked(page: Page, served: Served) -> None:
    open_example(page, served.base)
    choose(page, 12)
    marks = panel(page).locator(".scatterlayer .points path")
    expect(actions(page).locator("li")).to_have_count(1, timeout=PATIENCE_MS)
    before = run_id(page)
    point_at(page, marks.last)  # a hollow one: the least likely that is drawn
    press(page)
    wait_for_another(page, before)
    page.wait_for_url("**then=**")


def test_beams_stand_in_the_tree_and_two_texts_go_to_compare(page: Page, served: Served) -> None:
    open_example(page, served.base)
    panel(page).get_by_role("radio", name="3 wide").check()
    expect(actions(page).get_by_text(re.compile("^Beam"))).to_have_count(3, timeout=PATIENCE_MS)
    expect(panel(page).locator(".foot")).to_contain_text("kept the 3 most probable texts")
    page.wait_for_url("**continuations.width=3**")
    assert violations(page) == []
    actions(page).get_by_role("button", name="Send Beam 3 to b").click()
    page.locator('#slot-b[data-phase="done"]').wait_for(state="attached", timeout=PATIENCE_MS)  # shown on Compare alone
    actions(page).get_by_role("button", name="Open Beam 2 as a").click()
    page.wait_for_url("**then=**")
    wait_for(page, "done")
    expect(tokens(page)).to_have_count(18, timeout=PATIENCE_MS)  # 10 of the prompt, 8 of the beam
    actions(page).get_by_role("button", name="See a and b in Compare").click()
    expect(page.locator("#compare-tokens")).to_contain_text("of 18", timeout=PATIENCE_MS)
    expect(tokens(page, "b")).to_have_count(18)


def test_a_beam_opened_by_its_link_leaves_the_number_of_new_tokens_as_it_is(page: Page, served: Served) -> None:
    """A beam is shown as it is, with nothing drawn after it; the next prompt is drawn on as ever."""
    page.goto(f"{served.base}/?prompt=A+cat&new=0&then=3332.290")
    wait_for(page, "done")
    expect(tokens(page)).to_have_count(5, timeout=PATIENCE_MS)
    settings = page.locator("#slot-a details.sampling")
    settings.locator("summary").click()
    expect(settings.get_by_label("New tokens", exact=True)).to_have_value("40")
    page.get_by_role("button", name="Generate").click()
    expect(tokens(page)).to_have_count(43, timeout=PATIENCE_MS)
