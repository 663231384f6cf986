"""What a person sees when something is refused, breaks, or is hostile: a sentence, and a way on."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import (
    begin,
    fill,
    generate,
    open_example,
    region,
    selected,
    tokens,
    until,
    wait_for,
    wait_for_figures,
)


@pytest.mark.parametrize(
    ("prompt", "settings", "sentence"),
    [
        ("Hi", {"Temperature": -1}, "Here it is −1."),
        (
            "Hi",
            {"Top-p": 2},
            "Top-p must be a share of the probability, above 0 and at most 1 (1 keeps every token). Here it is 2.",
        ),
        ("Hi", {"Seed": ""}, "Seed must be a number. Here it is empty."),
        ("word " * 1100, {}, "at most 1,024 tokens"),
        ("x" * 1_000_000, {}, "This one has 1,000,000"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(
    page: Page, served: Served, prompt: str, settings: dict[str, float], sentence: str
) -> None:
    open_example(page, served.base)
    tokens(page).nth(3).click()
    page.wait_for_url("**pos=3**")
    link = page.url
    begin(page, prompt, **settings)
    wait_for(page, "failed")
    expect(page.get_by_role("alert").first).to_contain_text(sentence)
    expect_example_stays(page, link)
    expect(page.get_by_role("button", name="Generate")).to_be_enabled()
    expect(page.get_by_role("button", name="Retry")).to_be_hidden()


def expect_example_stays(page: Page, link: str) -> None:
    """The example is on screen as before, token 3 selected, and is said not to be what stands in the box."""
    expect(tokens(page)).to_have_count(50)
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 3 ")
    until(page, lambda: selected(page) == 3)
    expect(page).to_have_url(link)
    expect(page.locator("#prompt-differs-a")).to_be_visible()
    expect(region(page, "What comes next").locator(".panel-state")).to_be_hidden()


def test_a_prompt_that_is_too_long_can_be_cut(page: Page, served: Served) -> None:
    open_example(page, served.base)
    tokens(page).nth(3).click()
    page.wait_for_url("**pos=3**")
    link = page.url
    begin(page, "word " * 1100, New_tokens=0)
    wait_for(page, "failed")
    for name in ("Model", "Generation"):  # neither asks for the example again, nor forgets what was refused
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_attached()
    wait_for(page, "failed")
    expect_example_stays(page, link)
    page.get_by_role("button", name="Cut the prompt").click()
    wait_for(page, "done")
    assert tokens(page).count() == 1024
    expect(page.get_by_role("button", name="Cut the prompt")).to_be_hidden()


@pytest.mark.parametrize(
    "prompt",
    [
        "<script>window.hacked = 1</script><img src=x onerror='window.hacked=1'>",
        "a <b>bold</b> &amp; claim, $x^2$ \\(y\\)",
        "مرحبا بالعالم \u202eevil\u202c",
        "a\u0000b\u200bc\x1b",
        "日本語 🙂👩‍👩‍👧",
        " ",
        "",
    ],
)
def test_any_text_is_shown_as_text(page: Page, served: Served, prompt: str) -> None:
    open_example(page, served.base)
    generate(page, prompt, New_tokens=3)
    wait_for_figures(page)
    assert page.evaluate("window.hacked") is None
    assert page.locator("#token-strip-a b, #token-strip-a img, #token-strip-a script").count() == 0
    assert page.locator("#token-strip-a .drawn").count() == 3


def test_a_killed_job_is_said_and_can_be_retried(page: Page, served: Served) -> None:
    open_example(page, served.base)
    begin(page, "Kill me", New_tokens=1000, Seed=11)
    page.locator("#token-strip-a .drawn").nth(5).wait_for()
    (job,) = served.jobs()
    job.kill()
    wait_for(page, "failed")
    expect(page.locator("#failure-text-a")).to_contain_text("ended without a word")
    page.get_by_role("button", name="Retry").click()
    wait_for(page, "done")
    assert tokens(page).count() == 1003


def test_no_process_remains_after_its_job(page: Page, served: Served) -> None:
    open_example(page, served.base)
    generate(page, "Leave nothing", New_tokens=4)
    for _ in range(50):
        if not served.jobs():
            break
        page.wait_for_timeout(100)
    assert served.jobs() == []


def test_more_people_than_places_wait_in_a_queue(page: Page, served: Served) -> None:
    """The server has two places: the third request waits and is served when a place is free."""
    pages = [page, page.context.new_page(), page.context.new_page()]
    for each in pages:  # first, for it takes about as long as a text
        open_example(each, served.base)
    for i, each in enumerate(pages):
        begin(each, f"Person number {i}", New_tokens=1000)
        wait_for(each, "running" if i < 2 else "queued")
    expect(pages[2].locator("#status-a")).to_contain_text("number 1 in the queue")
    for each in pages[:2]:
        each.get_by_role("button", name="Stop").click()
    wait_for(pages[2], "running")
    pages[2].get_by_role("button", name="Stop").click()
    wait_for(pages[2], "done")


def test_a_waiting_request_can_be_withdrawn(page: Page, served: Served) -> None:
    pages = [page, page.context.new_page(), page.context.new_page()]
    for each in pages:  # first, for it takes about as long as a text
        open_example(each, served.base)
    for i, each in enumerate(pages):
        begin(each, f"Somebody {i}", New_tokens=1000)
        wait_for(each, "running" if i < 2 else "queued")
    pages[2].get_by_role("button", name="Stop").click()
    wait_for(pages[2], "failed")
    expect(pages[2].locator("#failure-text-a")).to_contain_text("had not begun")
    for each in pages[:2]:
        each.get_by_role("button", name="Stop").click()
        wait_for(each, "done")


def test_an_old_link_with_nonsense_in_it_opens(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/?prompt=Hi&new=2&t=warm&k=&p=0.9&seed=1e999&bos=maybe&pos=-3&x=%00")
    wait_for(page, "done")
    assert tokens(page).count() == 4
    fill(page, "Still works")
