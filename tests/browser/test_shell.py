"""The shell on every page: examples, undo, lists of layers and heads, text size, copying the link, folding."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, bar, fill, generate, open_example, region, tokens, wait_for


def sentence(page: Page) -> Locator:
    return page.locator("#selection-text")


def test_an_example_opens_its_page_and_back_returns(page: Page, served: Served) -> None:
    open_example(page, served.base)
    page.get_by_text("Examples", exact=True).click()
    page.get_by_role("link", name="Repeated words").click()
    expect(page.get_by_role("region", name="All heads")).to_be_visible(timeout=PATIENCE_MS)
    expect(bar(page).get_by_role("textbox", name="Prompt")).to_have_value(re.compile("^ lamp seven river"))
    expect(tokens(page)).to_have_count(17, timeout=PATIENCE_MS)
    page.go_back()
    expect(bar(page).get_by_role("textbox", name="Prompt")).to_have_value("Once upon a time, there was a little")


def test_back_returns_to_the_prompt_before(page: Page, served: Served) -> None:
    open_example(page, served.base)
    generate(page, "Green grass grows", New_tokens=2)
    generate(page, "Red roses are", New_tokens=2)
    page.go_back()
    box = bar(page).get_by_role("textbox", name="Prompt")
    expect(box).to_have_value("Green grass grows")
    wait_for(page, "done")
    expect(tokens(page).nth(1)).to_have_text("Green")
    page.go_back()
    expect(box).to_have_value("Once upon a time, there was a little")
    page.go_forward()
    expect(box).to_have_value("Green grass grows")


def test_undo_goes_back_step_by_step(page: Page, served: Served) -> None:
    open_example(page, served.base)
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_hidden()
    tokens(page).nth(3).click()
    page.get_by_role("combobox", name="Layer").select_option("1")
    expect(sentence(page)).to_have_text("Selected: token 3 ‘·a’, of the prompt · layer 1.")
    undo.click()
    expect(sentence(page)).to_have_text("Selected: token 3 ‘·a’, of the prompt.")
    undo.click()
    expect(sentence(page)).to_contain_text("Click a token")
    expect(undo).to_be_hidden()


def test_layer_and_head_are_chosen_from_lists_and_cleared_together(page: Page, served: Served) -> None:
    open_example(page, served.base)
    page.get_by_role("combobox", name="Head").select_option("1")
    expect(sentence(page)).to_contain_text("Selected: layer 0, head 1.")
    expect(page.get_by_role("combobox", name="Layer")).to_have_value("0")
    page.get_by_role("combobox", name="Layer").select_option("2")
    expect(sentence(page)).to_contain_text("Selected: layer 2, head 1.")
    query = parse_qs(urlsplit(page.url).query)
    assert (query["layer"], query["head"]) == (["2"], ["1"])
    page.get_by_role("combobox", name="Layer").select_option("")
    expect(page.get_by_role("combobox", name="Head")).to_have_value("")
    assert "layer=" not in page.url


def test_a_link_without_a_prompt_can_name_a_head(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/attention?layer=1&head=1")
    wait_for(page, "done")
    expect(sentence(page)).to_contain_text("layer 1, head 1")


def test_larger_text_is_kept_and_figures_follow(page: Page, served: Served) -> None:
    open_example(page, served.base)
    labels = region(page, "What comes next").locator(".ytick text").first
    size = labels.evaluate("text => parseFloat(getComputedStyle(text).fontSize)")
    page.get_by_role("combobox", name="Text size").select_option("1.5")
    page.wait_for_function(
        "before => parseFloat(getComputedStyle(document.querySelector('.ytick text')).fontSize) === 1.5 * before",
        arg=size,
    )
    assert page.evaluate("getComputedStyle(document.body).fontSize") == "21px"
    page.reload()
    wait_for(page, "done")
    expect(page.get_by_role("combobox", name="Text size")).to_have_value("1.5")
    assert page.evaluate("getComputedStyle(document.body).fontSize") == "21px"


def test_the_link_is_copied(page: Page, served: Served, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_example(page, served.base)
    tokens(page).nth(3).click()
    expect(sentence(page)).to_contain_text("Selected: token 3")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    expect(page.get_by_role("button", name="Copy link")).to_be_visible()


def test_a_knob_stands_in_the_link(page: Page, served: Served) -> None:
    open_example(page, served.base)
    panel = page.get_by_role("region", name="What comes next")
    panel.get_by_role("radio", name="fit the longest bar").check()
    page.wait_for_url("**next-tokens.scale=fit**")
    page.reload()
    expect(panel.get_by_role("radio", name="fit the longest bar")).to_be_checked(timeout=PATIENCE_MS)
    page.get_by_role("link", name="Attention").click()
    page.wait_for_url("**next-tokens.scale=fit**")
    panel.get_by_role("radio", name="0 to 100%").wait_for(state="detached")


def test_a_long_prompt_folds_when_it_is_done_and_opens_when_it_is_edited(page: Page, served: Served) -> None:
    open_example(page, served.base)
    generate(page, "one line\n" * 5, New_tokens=0)
    box = bar(page).get_by_role("textbox", name="Prompt")
    folded = box.bounding_box()
    box.focus()
    opened = box.bounding_box()
    assert folded is not None
    assert opened is not None
    assert opened["height"] > 2 * folded["height"]
    fill(page, "short", New_tokens=1)
