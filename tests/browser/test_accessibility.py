"""No violation of WCAG 2 level A or AA that axe can find, on any page, in either theme, in any state."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Complaints, Served
from tests.browser.steps import begin, open_example, tokens, wait_for

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


def violations(page: Page) -> list[str]:
    """What axe finds at the top of the page: further down, what the bar of strips half covers would count as small."""
    page.evaluate("window.scrollTo({ top: 0, behavior: 'instant' })")
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_shell_has_no_violation(page: Page, served: Served, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    open_example(page, served.base)
    tokens(page).nth(3).click()
    page.locator("#settings-summary-a").click()
    page.get_by_text("Examples", exact=True).click()
    assert violations(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_unknown_address_has_no_violation(page: Page, served: Served, complaints: Complaints, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.goto(f"{served.base}/nowhere")
    wait_for(page, "done")
    assert violations(page) == []
    complaints.found.clear()  # Chromium says of the address itself that it is unknown


def test_a_running_and_a_failed_run_have_no_violation(page: Page, served: Served) -> None:
    open_example(page, served.base)
    begin(page, "For a while", New_tokens=1000)
    wait_for(page, "running")
    assert violations(page) == []
    page.get_by_role("button", name="Stop").click()
    wait_for(page, "done")
    begin(page, "Refused", Temperature=-1)
    wait_for(page, "failed")
    assert violations(page) == []


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_window(page: Page, served: Served, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    open_example(page, served.base)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    page.goto(f"{served.base}/model")
    wait_for(page, "done")
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
