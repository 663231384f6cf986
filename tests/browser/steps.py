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


def bar(page: Page, slot: str = "a") -> Locator:
    """The prompt bar of a slot."""
    return page.locator(f"#slot-{slot}")


def wait_for(page: Page, phase: str, slot: str = "a") -> None:
    """Wait for a phase of the present run."""
    page.locator(f'#slot-{slot}[data-phase="{phase}"]').wait_for(timeout=PATIENCE_MS)


def wait_for_figures(page: Page) -> None:
    """Until both panels of the Generation page have bars."""
    for panel in ("What comes next", "Surprisal of each token"):
        region(page, panel).locator(".barlayer .point").last.wait_for(state="attached", timeout=PATIENCE_MS)


def begin(page: Page, prompt: str, slot: str = "a", **settings: float | str) -> None:
    """Fill in the form and press Generate; returns when the new request is on its way."""
    before = bar(page, slot).get_attribute("data-run")
    fill(page, prompt, slot, **settings)
    bar(page, slot).get_by_role("button", name="Generate").click()
    page.locator(f'#slot-{slot}:not([data-run="{before}"])').wait_for(timeout=PATIENCE_MS)


def fill(page: Page, prompt: str, slot: str = "a", **settings: float | str) -> None:
    form = bar(page, slot)
    form.get_by_role("textbox", name="Prompt").fill(prompt)
    if not settings:
        return
    if not form.get_by_label("New tokens").is_visible():
        form.locator("details.sampling summary").click()
    for name, value in settings.items():
        form.get_by_label(name.replace("_", " ").capitalize(), exact=True).fill(str(value))


def generate(page: Page, prompt: str, slot: str = "a", **settings: float | str) -> None:
    """A whole run, until its figures stand."""
    begin(page, prompt, slot, **settings)
    wait_for(page, "done", slot)


def region(page: Page, title: str) -> Locator:
    """A panel by its title, scrolled into the window: only what is near it is drawn."""
    found = page.get_by_role("region", name=title, exact=True)
    found.scroll_into_view_if_needed()
    return found


def tokens(page: Page, slot: str = "a") -> Locator:
    return page.locator(f"#token-strip-{slot} [data-pos]")


def selected(page: Page, slot: str = "a") -> int:
    """The position that a strip shows as selected."""
    return int(page.locator(f"#token-strip-{slot} [aria-selected='true']").get_attribute("data-pos") or -1)


def shows_selected(page: Page, slot: str = "a") -> bool:
    """Whether a strip is scrolled so that its selected token can be seen."""
    strip = page.locator(f"#token-strip-{slot}")
    return bool(
        strip.evaluate(
            """(strip) => {
              const view = strip.getBoundingClientRect();
              const token = strip.querySelector("[aria-selected='true']").getBoundingClientRect();
              return token.top >= view.top && token.bottom <= view.bottom;
            }"""
        )
    )


def point_at(page: Page, target: Locator, across: float = 0.5, down: float = 0.5) -> None:
    """Move the mouse to a place in an element, in shares of its size, once the page no longer moves under it."""
    target.scroll_into_view_if_needed()
    for _ in range(PATIENCE_MS // 300):
        box = target.bounding_box()
        assert box is not None
        for nudge in (1, 0):  # what Plotly takes for a click is on what it knows to be hovered
            page.mouse.move(box["x"] + box["width"] * across + nudge, box["y"] + box["height"] * down)
            page.wait_for_timeout(150)
        if target.bounding_box() == box:  # figures above that are drawn late push a page down
            return
    raise AssertionError("the page did not come to rest")


def press(page: Page) -> None:
    """A click where the mouse is."""
    page.mouse.down()
    page.mouse.up()


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Wait for what comes a moment later: outlines, of a figure that is drawn again or was far from the window."""
    for _ in range(PATIENCE_MS // 100):
        if holds():
            return
        page.wait_for_timeout(100)
    assert holds()


def axis_title(page: Page) -> str:
    """The x axis of the predictions says which token they follow."""
    return region(page, "What comes next").locator(".xtitle").text_content() or ""


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
    return region(page, panel).locator(".bartext").all_text_contents()


def expect_status(page: Page, text: str) -> None:
    expect(page.locator("#status-a")).to_contain_text(text, timeout=PATIENCE_MS)
