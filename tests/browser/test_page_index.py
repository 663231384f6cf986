"""The index at the top of a page: a link brings its panel's heading into view and focus, and nothing else changes."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, wait_for


def test_a_panel_is_gone_to_by_key_and_by_mouse_on_a_telephone(page: Page, served: Served) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{served.base}/activations?prompt=A+cat+sat&new=0")
    wait_for(page, "done")
    index = page.get_by_role("navigation", name="On this page")
    expect(index.get_by_role("link")).to_have_count(14)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    length = page.evaluate("history.length")
    index.get_by_role("link", name="One vector through a LayerNorm").focus()
    page.keyboard.press("Enter")
    heading = page.get_by_role("heading", name="One vector through a LayerNorm")
    expect(heading).to_be_focused(timeout=PATIENCE_MS)
    expect(heading).to_be_in_viewport(timeout=PATIENCE_MS)
    index.get_by_role("link", name="One neuron", exact=True).click()
    expect(page.get_by_role("heading", name="One neuron", exact=True)).to_be_in_viewport(timeout=PATIENCE_MS)
    assert page.evaluate("history.length") == length
    assert "#" not in page.url
