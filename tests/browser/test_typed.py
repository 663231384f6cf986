"""The tokens under a prompt while it is typed, without a run; how one of them is made."""

from __future__ import annotations

import re
from urllib.parse import unquote

from playwright.sync_api import Locator, Page, Request, Route, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, open_example

COUNT, WARNING, SPLIT = "#typed-count-a", "#typed-warning-a", "#typed-split-a"


def typed(page: Page) -> Locator:
    return page.locator("#typed-tokens-a .typed-token")


def prompt(page: Page) -> Locator:
    return page.locator("#prompt-a")


def expect_count(page: Page, said: str) -> None:
    expect(page.locator(COUNT)).to_contain_text(said, timeout=PATIENCE_MS)


def test_tokens_ids_count_and_room_stand_there_while_somebody_types(page: Page, served: Served) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if "tokens-of" in request.url else None)
    open_example(page, served.base)
    run = page.locator("#slot-a").get_attribute("data-run")
    prompt(page).fill("")
    prompt(page).press_sequentially("The untangled")
    expect_count(page, "4 tokens, room for 1,020 more.")
    expect(typed(page)).to_have_count(4)
    assert typed(page).all_text_contents() == ["<|endoftext|>50256", "The464", " unt1418", "angled22393"]
    expect(page.locator(WARNING)).to_be_empty()
    prompt(page).press_sequentially(" ")
    expect(page.locator(WARNING)).to_contain_text("ends with a space", timeout=PATIENCE_MS)
    assert page.locator("#slot-a").get_attribute("data-run") == run  # nothing was generated
    assert all(request.method == "POST" and "?" not in request.url for request in asked)
    assert "untangled" not in unquote(page.url)


def test_how_a_token_is_made_by_mouse_and_by_keyboard(page: Page, served: Served) -> None:
    open_example(page, served.base)
    prompt(page).fill("over there")
    expect_count(page, "3 tokens")
    typed(page).nth(2).click()
    split = page.locator(SPLIT)
    expect(split.locator("li").last).to_have_text("‘·the’ + ‘re’ → ‘·there’", timeout=PATIENCE_MS)
    expect(split).to_contain_text("id 612, bytes 20 74 68 65 72 65. 5 merges made it")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(split).to_contain_text("‘over’", timeout=PATIENCE_MS)
    page.keyboard.press("Escape")
    expect(split).to_be_empty()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(split).to_contain_text("It stands for itself.", timeout=PATIENCE_MS)


def test_an_answer_to_what_is_no_longer_typed_is_dropped(page: Page, served: Served) -> None:
    open_example(page, served.base)
    held: list[Route] = []
    page.route(re.compile("tokens-of-text"), lambda route: route.continue_() if held else held.append(route))
    prompt(page).fill("one two three four five")
    for _ in range(PATIENCE_MS // 100):
        if held:
            break
        page.wait_for_timeout(100)
    prompt(page).fill("six")
    expect_count(page, "2 tokens")
    with page.expect_response(re.compile("tokens-of-text")):
        held[0].continue_()
    expect_count(page, "2 tokens")
    expect(typed(page)).to_have_count(2)


def test_a_thousand_tokens_and_what_does_not_fit(page: Page, served: Served) -> None:
    open_example(page, served.base)
    prompt(page).fill("word " * 1019 + "x")
    expect_count(page, "1,021 tokens, room for 3 more of the 40 that are to be drawn.")
    expect(typed(page)).to_have_count(1021)
    prompt(page).fill("word " * 1100 + "x")
    expect_count(page, "1,102 tokens, 78 more than the 1,024 that the model reads at once.")
    expect(typed(page)).to_have_count(1024)
