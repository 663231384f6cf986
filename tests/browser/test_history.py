"""What was run in this browser: listed, pinned, named, deleted and opened again, by mouse and by keyboard."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, bar, generate, until, wait_for


def opened(page: Page) -> Locator:
    """The history, unfolded."""
    history = page.locator("#history")
    if history.get_attribute("open") is None:
        history.locator("summary").click()
    return history


def titles(page: Page) -> list[str]:
    return opened(page).locator(".history-title").all_text_contents()


def two_prompts(page: Page, base: str) -> None:
    """On a page without the example, which would be an entry too."""
    page.goto(f"{base}/?prompt=First+one&new=0&t=1&seed=3&model=small")
    wait_for(page, "done")
    generate(page, "Second one", new_tokens=2)
    until(page, lambda: "Second one" in page.evaluate("localStorage.getItem('dashapp-history')"))


def test_a_prompt_comes_back_with_its_settings(page: Page, served: Served) -> None:
    two_prompts(page, served.base)
    assert titles(page) == ["Second one", "First one"]
    expect(page.locator("#history-list small").nth(1)).to_contain_text("small · 0 new")
    page.get_by_role("button", name="Open in a: First one").click()
    expect(bar(page).get_by_role("textbox", name="Prompt")).to_have_value("First one")
    expect(page.locator("#seed-a")).to_have_value("3")
    expect(page.locator("#max-new-tokens-a")).to_have_value("0")
    wait_for(page, "done")
    expect(page.locator("#token-strip-a")).to_contain_text("First", timeout=PATIENCE_MS)
    assert "prompt=First+one" in page.url
    page.go_back()
    expect(bar(page).get_by_role("textbox", name="Prompt")).to_have_value("Second one")
    page.reload()
    wait_for(page, "done")
    assert titles(page)[0] == "Second one"  # kept, and listed once
    assert len(titles(page)) == 2


def test_a_prompt_opens_as_b_from_any_page(page: Page, served: Served) -> None:
    two_prompts(page, served.base)
    page.get_by_role("link", name="Attention", exact=True).click()
    opened(page).get_by_role("button", name="Open in b: First one").click()
    page.wait_for_url("**/compare*")
    wait_for(page, "done", "b")
    expect(bar(page, "b").get_by_role("textbox", name="Prompt")).to_have_value("First one")
    expect(bar(page, "a").get_by_role("textbox", name="Prompt")).to_have_value("Second one")


def test_an_entry_is_pinned_named_and_deleted(page: Page, served: Served) -> None:
    two_prompts(page, served.base)
    opened(page).get_by_role("button", name="Pin: First one").click()
    assert titles(page) == ["First one", "Second one"]
    expect(page.get_by_role("button", name="Pin: First one")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Rename: First one").click()
    page.get_by_label("Name; Enter keeps it").fill("=mine <b>")
    page.keyboard.press("Enter")
    assert titles(page) == ["=mine <b>", "Second one"]
    page.get_by_role("button", name="Delete: Second one").click()
    assert titles(page) == ["=mine <b>"]
    page.get_by_role("button", name="Undo", exact=True).last.click()
    assert titles(page) == ["=mine <b>", "Second one"]
    page.get_by_role("button", name="Clear history").click()
    expect(page.get_by_text("Nothing yet: a prompt stands here")).to_be_visible()
    assert page.evaluate("localStorage.getItem('dashapp-history')") is None


def test_the_history_is_worked_by_keys(page: Page, served: Served) -> None:
    """The focus stays where a key was pressed, though the list is drawn anew."""
    two_prompts(page, served.base)
    page.locator("#history summary").focus()
    page.keyboard.press("Enter")
    pin = page.get_by_role("button", name="Pin: First one")
    pin.focus()
    page.keyboard.press("Enter")
    assert titles(page) == ["First one", "Second one"]
    expect(pin).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name; Enter keeps it")).to_be_focused()
    page.keyboard.type("another")
    page.keyboard.press("Escape")
    assert titles(page) == ["First one", "Second one"]
    expect(page.get_by_role("button", name="Rename: First one")).to_be_focused()
    page.get_by_role("button", name="Open in a: First one").focus()
    page.keyboard.press("Enter")
    expect(bar(page).get_by_role("textbox", name="Prompt")).to_have_value("First one")
    expect(page.locator("#history summary")).to_be_focused()


def test_two_windows_of_a_browser_have_one_history(page: Page, served: Served) -> None:
    two_prompts(page, served.base)
    other = page.context.new_page()
    other.goto(f"{served.base}/?prompt=Third&new=0&model=small")
    wait_for(other, "done")
    assert titles(other) == ["Third", "Second one", "First one"]
    page.bring_to_front()
    assert titles(page) == ["Third", "Second one", "First one"]
    other.close()


def test_a_run_from_a_file_opens_as_b(page: Page, served: Served, tmp_path: Path) -> None:
    """As the file's, and not as the run of its prompt, which is an entry of its own."""
    page.goto(f"{served.base}/?prompt=Left+as+a+file&new=0&model=small")
    wait_for(page, "done")
    bar(page).get_by_text("File", exact=True).click()
    with page.expect_download() as left:
        bar(page).get_by_role("button", name="Download this run").click()
    file = tmp_path / left.value.suggested_filename
    left.value.save_as(file)
    with page.expect_file_chooser() as chooser:
        bar(page).get_by_role("button", name="Open a run from a file").click()
    chooser.value.set_files(file)
    expect(page.locator("#file-mark-a")).to_contain_text("From a file; not computed here.", timeout=PATIENCE_MS)
    page.wait_for_url("**file=**")
    until(page, lambda: titles(page) == ["Left as a file", "Left as a file"])
    page.goto(f"{served.base}/?prompt=Another+one&new=0&model=small")
    wait_for(page, "done")
    expect(page.locator("#file-mark-a")).to_be_hidden()
    until(page, lambda: titles(page) == ["Another one", "Left as a file", "Left as a file"])
    expect(page.locator("#history-list small").nth(1)).to_contain_text("from a file; not computed here")
    opened(page).get_by_role("button", name="Open in b: Left as a file").first.click()
    page.wait_for_url("**/compare*")
    wait_for(page, "done", "b")
    expect(page.locator("#file-mark-b")).to_contain_text("From a file; not computed here.", timeout=PATIENCE_MS)
    expect(page.locator("#file-mark-a")).to_be_hidden()
    expect(page.locator("#compare-expectations")).to_contain_text("bits apart", timeout=PATIENCE_MS)
    assert "b.file=" in page.url
