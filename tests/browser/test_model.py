"""The Model page as a person finds it: the diagram, its links, the formulas, the cache."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import SMALL, Served
from tests.browser.steps import PATIENCE_MS, generate, open_example, region, tokens, wait_for
from tests.browser.test_accessibility import violations


def box(page: Page, title: str) -> Locator:
    """A box of the diagram by its title's beginning, the first of that name."""
    begins = page.locator("summary strong", has_text=re.compile(f"^{title}"))
    return region(page, "Architecture").locator("details.box").filter(has=begins).first


def open_model(page: Page, served: Served) -> None:
    open_example(page, served.base)
    page.get_by_role("navigation").get_by_role("link", name="Model").click()
    expect(region(page, "Architecture")).to_be_visible(timeout=PATIENCE_MS)


def test_the_diagram_has_the_tokens_on_screen_and_the_real_numbers(page: Page, served: Served) -> None:
    open_model(page, served)
    n = tokens(page).count()
    attention = box(page, "Attention")
    expect(attention.locator(".shapes")).to_have_text(f"{n} × {SMALL.d_model} → {n} × {SMALL.d_model}")
    attention.locator("summary").click()
    expect(attention.get_by_role("row", name="pattern")).to_contain_text(f"{SMALL.n_head} × {n} × {n}")
    expect(attention.get_by_role("row", name="attn.c_attn.weight")).to_contain_text("300")
    generate(page, "Another one", New_tokens=3)
    expect(attention.get_by_role("row", name="pattern")).to_contain_text(f"{SMALL.n_head} × {tokens(page).count()} × ")
    assert tokens(page).count() != n
    expect(attention).to_have_attribute("open", "")  # what a person opened stays open
    expect(region(page, "Architecture")).to_contain_text(f"= {SMALL.n_params:,}. ")


def test_a_box_opens_by_keyboard_and_shows_its_formula(page: Page, served: Served) -> None:
    open_model(page, served)
    norm = box(page, "Final LayerNorm")
    formula = norm.get_by_role("math").first
    expect(formula).not_to_be_visible()
    norm.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(formula).to_be_visible()
    expect(formula).to_have_accessible_name(re.compile("LayerNorm of r is gamma times"))
    assert formula.evaluate("node => node.namespaceURI") == "http://www.w3.org/1998/Math/MathML"
    page.keyboard.press("Enter")
    expect(formula).not_to_be_visible()


def test_a_link_of_a_box_leads_to_the_panel_with_the_present_selection(page: Page, served: Served) -> None:
    open_example(page, served.base)
    tokens(page).nth(4).click()
    page.get_by_role("navigation").get_by_role("link", name="Model").click()
    box(page, "MLP").locator("summary").click()
    page.get_by_role("link", name="GELU with its real inputs").click()
    heading = page.locator("#title-gelu-a")
    expect(heading).to_be_in_viewport(timeout=PATIENCE_MS)
    expect(heading).to_be_focused()
    assert re.search(r"/activations\?.*pos=4.*#title-gelu-a$", page.url)
    page.go_back()
    expect(region(page, "Architecture")).to_be_visible(timeout=PATIENCE_MS)
    assert "pos=4" in page.url


def test_a_link_to_a_panel_opens_in_a_fresh_browser(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/activations?prompt=A+cat+sat&new=0#title-resid-norms-a")
    wait_for(page, "done")
    expect(page.locator("#title-resid-norms-a")).to_be_in_viewport(timeout=PATIENCE_MS)


def test_a_panel_tells_its_formula(page: Page, served: Served) -> None:
    open_example(page, served.base)
    panel = page.get_by_role("region", name="Surprisal of each token")
    panel.get_by_text("About this panel").click()
    expect(panel.get_by_role("math")).to_have_accessible_name(re.compile("^the surprisal of token i is minus"))


def test_the_cache_is_cleared_after_one_question_and_pages_say_so(page: Page, served: Served) -> None:
    open_model(page, served)
    cache = region(page, "Cache")
    expect(cache).to_contain_text(
        re.compile(r"\d+ traces?, \d+ runs?, \d+ results? and \d+ files?: [\d,.]+ MB of at most")
    )
    cache.get_by_role("button", name="Clear the cache").click()
    expect(cache.get_by_role("status")).to_contain_text(re.compile(r"Clear \d+ traces?, .* MB\)\?"))
    cache.get_by_role("button", name="No").click()
    expect(cache.get_by_role("status")).to_have_text("")
    expect(cache).to_contain_text(re.compile(r"\b[1-9]\d* traces?,"))
    cache.get_by_role("button", name="Clear the cache").click()
    cache.get_by_role("button", name="Yes, clear").click()
    expect(cache).to_contain_text("0 traces, 0 runs, 0 results and 0 files: 0.0 MB")
    page.get_by_role("navigation").get_by_role("link", name="Activations").click()
    expect(page.get_by_text("no longer in the cache").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".panel-graph:visible")).to_have_count(0)  # no empty axes above the sentence
    expect(region(page, "Logit lens").locator(".panel-state")).to_be_hidden()
    page.get_by_role("navigation").get_by_role("link", name="Model").click()
    assert violations(page) == []


def test_what_was_cleared_is_computed_again_at_a_press(page: Page, served: Served) -> None:
    open_model(page, served)
    cache = region(page, "Cache")
    cache.get_by_role("button", name="Clear the cache").click()
    cache.get_by_role("button", name="Yes, clear").click()
    before = page.locator("#slot-a").get_attribute("data-run")
    cache.get_by_role("button", name="Compute this prompt again").click()
    page.locator(f'#slot-a[data-phase="done"]:not([data-run="{before}"])').wait_for(timeout=PATIENCE_MS)
    page.get_by_role("navigation").get_by_role("link", name="Activations").click()
    page.locator("#title-gelu-a").wait_for()
    page.locator(".panel .scatterlayer .point").first.wait_for(state="attached", timeout=PATIENCE_MS)
    assert page.get_by_text("no longer in the cache").all_inner_texts() == []


def test_parity_is_computed_when_asked_for_and_not_before(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/model?prompt=A+cat+sat&new=0")
    wait_for(page, "done")
    parity = region(page, "Parity with Hugging Face")
    expect(parity.locator(".foot")).to_contain_text("Nothing is compared yet", timeout=PATIENCE_MS)
    expect(parity.locator(".panel-work")).not_to_be_visible()
    parity.get_by_label("float64").check()
    expect(parity.get_by_role("button", name="Cancel")).to_be_visible(timeout=PATIENCE_MS)
    expect(parity.locator(".foot")).to_contain_text("Passed in float64", timeout=4 * PATIENCE_MS)
    n = tokens(page).count()
    expect(parity.locator(".foot")).to_contain_text(f"the same at {n} of {n} positions")
    expect(parity.locator(".scatterlayer .point").first).to_be_visible()


def test_weights_are_checked_when_asked_for_and_each_check_has_a_verdict(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/model?prompt=A+cat+sat&new=0")
    wait_for(page, "done")
    panel, table = region(page, "Checks of these weights"), page.get_by_role("region", name="Table of checks")
    expect(panel.locator(".foot")).to_contain_text("Nothing is checked yet", timeout=PATIENCE_MS)
    stream = table.get_by_role("row", name="The stream begins as token plus position embedding")
    expect(stream).not_to_contain_text("pass")
    panel.get_by_label("the trace and published numbers").check()
    expect(panel.locator(".foot")).to_contain_text("Nothing failed", timeout=4 * PATIENCE_MS)
    expect(stream).to_contain_text("✓ pass", timeout=PATIENCE_MS)
    expect(table.get_by_role("row", name="Loss on “Hello world!”")).to_contain_text("– does not apply")
    expect(table.get_by_role("row", name="Logits are Hugging Face’s")).to_contain_text("· not asked for")
    panel.get_by_label("nothing now").check()
    expect(stream).not_to_contain_text("pass", timeout=PATIENCE_MS)
    assert violations(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_has_no_violation_with_everything_open(page: Page, served: Served, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    open_model(page, served)
    page.evaluate("document.querySelectorAll('.page details').forEach((each) => (each.open = true))")
    assert violations(page) == []


@pytest.mark.parametrize("text", ["1", "1.5"])
@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_of_the_page_is_wider_than_the_window(page: Page, served: Served, width: int, text: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{served.base}/model")
    wait_for(page, "done")
    page.locator("#text-size").select_option(text)
    page.evaluate("document.querySelectorAll('.page details').forEach((each) => (each.open = true))")
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    cut = "[...document.querySelectorAll('.formula')].filter((each) => each.scrollWidth > each.clientWidth + 1)"
    assert page.evaluate(f"{cut}.map((each) => each.textContent)") == []
