"""Links to prompts too long for an address, and errors that have no place on the page."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Complaints, Served
from tests.browser.steps import PATIENCE_MS, generate, open_example, selected, tokens, wait_for
from tests.browser.test_accessibility import violations

LONG = "It was a dark and stormy night, and the cat — as cats do — sat. " * 40


def wait_for_key(page: Page) -> str:
    """The key in the address, once it is there."""
    page.wait_for_url(re.compile(r"[?&]r="), timeout=PATIENCE_MS)
    return parse_qs(urlsplit(page.url).query)["r"][0]


def test_a_long_prompt_comes_back_in_a_fresh_browser(page: Page, served: Served, chromium: Browser) -> None:
    open_example(page, served.base)
    generate(page, LONG, New_tokens=3)
    key = wait_for_key(page)
    assert len(bytes.fromhex(key)) == 16
    tokens(page).nth(20).click()
    page.wait_for_url("**pos=20**")
    assert len(page.url) < 300
    n = tokens(page).count()
    fresh = chromium.new_context().new_page()
    fresh.goto(page.url)
    wait_for(fresh, "done")
    assert tokens(fresh).count() == n
    assert fresh.get_by_role("textbox", name="Prompt").input_value() == LONG
    assert selected(fresh) == 20
    assert wait_for_key(fresh) == key
    fresh.context.close()
    page.reload()
    wait_for(page, "done")
    assert tokens(page).count() == n


def test_back_returns_to_a_long_prompt_from_another_page(page: Page, served: Served) -> None:
    open_example(page, served.base)
    generate(page, LONG + "Again.", New_tokens=1)
    key = wait_for_key(page)
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Attention", exact=True).click()
    page.wait_for_url(f"**/attention?r={key}**")
    page.go_back()
    page.wait_for_url(f"**/?r={key}**")
    wait_for(page, "done")


def test_a_key_that_leads_nowhere_is_said_and_the_page_works(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/?r={'0' * 32}&pos=3")
    toast = page.locator("#toasts")
    expect(toast.get_by_role("alert")).to_contain_text("nothing under the key '00000000'", timeout=PATIENCE_MS)
    generate(page, "Still works", New_tokens=1)
    assert tokens(page).count() > 2
    toast.get_by_role("button", name="Dismiss").focus()
    page.keyboard.press("Enter")
    expect(toast.get_by_role("alert")).to_have_count(0)


def test_an_address_that_is_too_long_is_refused_in_words(page: Page, served: Served, complaints: Complaints) -> None:
    page.goto(f"{served.base}/?prompt={'x' * 9000}")
    expect(page.get_by_role("main")).to_contain_text("at most 8,190 bytes")
    assert violations(page) == []
    (said,) = complaints.found  # by Chromium, of the address itself
    assert "414" in said
    complaints.found.clear()
    page.get_by_role("link", name="Open the app").press("Enter")
    wait_for(page, "done")


def test_what_is_refused_is_not_kept(page: Page, served: Served) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or ""))
    open_example(page, served.base)
    page.get_by_role("textbox", name="Prompt").fill("x" * 1_000_000)
    page.get_by_role("button", name="Generate").first.click()
    wait_for(page, "failed")
    page.wait_for_timeout(1000)
    assert not [body for body in asked if "recipe-kept" in body]


def test_an_unreachable_server_is_said_once_and_escape_dismisses_it(
    page: Page, served: Served, complaints: Complaints
) -> None:
    open_example(page, served.base)
    page.route("**/_dash-update-component**", lambda route: route.abort())
    page.route("**/strip-attention", lambda route: route.abort())
    tokens(page).nth(3).click()
    tokens(page).nth(2).click()
    alert = page.locator("#toasts").get_by_role("alert")
    expect(alert).to_contain_text("It does not answer.", timeout=PATIENCE_MS)
    page.wait_for_timeout(500)
    expect(alert).to_have_count(1)
    expect(page.get_by_role("textbox", name="Prompt")).to_be_visible()
    page.get_by_role("button", name="Generate").first.press("Escape")  # on the strip it clears the selection
    expect(alert).to_have_count(0)
    complaints.found.clear()  # the browser itself tells each request that failed


def test_a_failing_callback_is_said(page: Page, served: Served, complaints: Complaints) -> None:
    open_example(page, served.base)
    page.route("**/_dash-update-component**", lambda route: route.fulfill(status=500, body="broken"))
    tokens(page).nth(3).click()
    alert = page.locator("#toasts").get_by_role("alert")
    expect(alert).to_contain_text("(HTTP 500)", timeout=PATIENCE_MS)
    complaints.found.clear()


def test_a_link_of_other_weights_is_said_and_runs_with_those_that_are_here(page: Page, served: Served) -> None:
    """By mouse; what needs no weights is shown before."""
    page.goto(f"{served.base}/?prompt=The+cat&new=1&model=small&weights=0123456789ab")
    wait_for(page, "failed")
    failure = page.locator("#failure-a")
    expect(failure).to_contain_text("It was made with 'small' of fingerprint 0123456789ab")
    expect(page.locator("#token-strip-a")).to_contain_text("cat")
    expect(page.get_by_role("textbox", name="Prompt").first).to_have_value("The cat")
    failure.get_by_role("button", name="Run it with the weights that are here").click()
    wait_for(page, "done")
    expect(failure).to_be_hidden()
    page.wait_for_url(re.compile(r"weights=(?!0123456789ab)[0-9a-f]{12}"))


def test_a_link_of_a_model_that_is_not_here_runs_with_one_that_is(page: Page, served: Served) -> None:
    """By keyboard."""
    page.goto(f"{served.base}/?prompt=The+cat&new=1&model=no-such-model")
    wait_for(page, "failed")
    expect(page.locator("#failure-a")).to_contain_text("'no-such-model' is none of these.")
    expect(page.locator("#token-strip-a")).to_contain_text("cat")
    page.get_by_role("button", name="Run it with small").focus()
    page.keyboard.press("Enter")
    wait_for(page, "done")
    page.wait_for_url("**model=small**")
