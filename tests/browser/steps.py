"""What a person does and sees, in words, for the browser tests."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

PATIENCE_MS = 30_000


def open_example(page: Page, base: str) -> None:
    """The first visit, until the example is drawn."""
    page.goto(base)
    wait_for(page, "done")
    wait_for_figures(page)


def wait_for(page: Page, phase: str) -> None:
    """Wait for a phase of the present run."""
    page.locator(f'#shell[data-phase="{phase}"]').wait_for(timeout=PATIENCE_MS)


def wait_for_figures(page: Page) -> None:
    """Until both panels of the Generation page have bars."""
    for panel in ("What comes next", "Surprisal of each token"):
        page.get_by_role("region", name=panel).locator(".barlayer .point").last.wait_for(
            state="attached", timeout=PATIENCE_MS
        )


def begin(page: Page, prompt: str, **settings: float) -> None:
    """Fill in the form and press Generate; returns when the new request is on its way."""
    before = page.locator("#shell").get_attribute("data-run")
    fill(page, prompt, **settings)
    page.get_by_role("button", name="Generate").click()
    page.locator(f'#shell:not([data-run="{before}"])').wait_for(timeout=PATIENCE_MS)


def fill(page: Page, prompt: str, **settings: float) -> None:
    page.get_by_role("textbox", name="Prompt").fill(prompt)
    if not settings:
        return
    if not page.get_by_label("New tokens").is_visible():
        page.locator("details.sampling summary").click()
    for name, value in settings.items():
        page.get_by_label(name.replace("_", " ").capitalize(), exact=True).fill(str(value))


def generate(page: Page, prompt: str, **settings: float) -> None:
    """A whole run, until its figures stand."""
    begin(page, prompt, **settings)
    wait_for(page, "done")


def tokens(page: Page) -> Locator:
    return page.locator("#token-strip [data-pos]")


def selected(page: Page) -> int:
    """The position that the strip shows as selected."""
    return int(page.locator("#token-strip [aria-selected='true']").get_attribute("data-pos") or -1)


def axis_title(page: Page) -> str:
    """The x axis of the predictions says which token they follow."""
    return page.get_by_role("region", name="What comes next").locator(".xtitle").text_content() or ""


def changes(page: Page, read: Callable[[], str], before: str) -> str:
    """What `read` gives once it is no longer `before`."""
    for _ in range(PATIENCE_MS // 100):
        if read() != before:
            break
        page.wait_for_timeout(100)
    assert read() != before
    return read()


def figure_values(page: Page, panel: str) -> list[str]:
    """The texts at the ends of the bars of a panel."""
    return page.get_by_role("region", name=panel).locator(".bartext").all_text_contents()


def expect_status(page: Page, text: str) -> None:
    expect(page.locator("#status")).to_contain_text(text, timeout=PATIENCE_MS)
