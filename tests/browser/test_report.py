"""A whole page taken away, and opened where there is no app and no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DRIVER, PATIENCE_MS, Served
from tests.browser.steps import generate, region, wait_for

PROMPT = "a b <b>x</b><script>alert(1)</script>"


@pytest.fixture
def opened(chromium: Browser, tmp_path: Path) -> Any:
    """Opens a file from the disk; nothing may be asked for but the file, and nothing may be complained of."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    asked: list[str] = []
    said: list[str] = []

    def open_file(path: Path) -> Page:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        page.locator("html[data-drawn=all]").wait_for()
        return page

    yield open_file
    assert len(asked) == 1, asked
    assert asked[0].startswith("file://")
    assert [text for text in said if not DRIVER.search(text)] == []
    context.close()


def taken(page: Page, folder: Path) -> Path:
    """The file that the page's menu saves."""
    page.locator("details.of-page summary").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Whole page (HTML)").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    expect(page.locator("details.of-page .take-said")).to_have_text(f"Saved as {path.name}.")
    return path


def drawn(page: Page, title: str) -> None:
    panel = region(page, title)
    panel.locator(".panel-body:not(.is-waiting) .js-plotly-plot .main-svg").first.wait_for(state="attached")


FIRST = {
    "/": "What comes next",
    "/attention": "All heads",
    "/embeddings": "Map of tokens",
    "/model": "Parity with Hugging Face",
}


@pytest.mark.parametrize("path", FIRST)
def test_a_page_opens_offline_with_as_many_figures(
    page: Page, served: Served, opened: Any, tmp_path: Path, path: str
) -> None:
    """Also those that were too far from the window to be drawn, and what needs WebGL."""
    page.goto(served.base + path)
    generate(page, PROMPT, new_tokens=2)
    drawn(page, FIRST[path])
    n_panels = page.locator("#page details.take-away[data-panel]").count()
    file = opened(taken(page, tmp_path))
    expect(file.locator(".js-plotly-plot .main-svg").first).to_be_attached()
    assert file.locator(".figure .js-plotly-plot").count() == n_panels
    expect(file.locator(".tokens").first).to_contain_text("<script>alert(1)</script>")
    assert file.evaluate("document.documentElement.scrollWidth") <= 1280


def test_a_file_shows_the_numbers_and_the_selection_of_the_page(
    page: Page, served: Served, opened: Any, tmp_path: Path
) -> None:
    page.goto(f"{served.base}/attention?prompt=The+cat+sat+down&new=0&layer=1&head=1&pos=3&key=1")
    drawn(page, "One head")
    values, shapes = (read(region(page, "One head").locator(".js-plotly-plot"), what) for what in ("z", "shapes"))
    file = opened(taken(page, tmp_path))
    graph = file.locator(".panel", has=file.get_by_role("heading", name="One head")).locator(".js-plotly-plot")
    np.testing.assert_array_equal(np.array(read(graph, "z"), dtype=float), np.array(values, dtype=float))
    assert read(graph, "shapes") == shapes
    expect(file.get_by_text("token 3 ‘·down’")).to_have_count(0)
    expect(file.get_by_text("second token 1")).to_be_visible()


READ = {
    "z": "(graph) => graph.calcdata[0][0].z.map((row) => Array.from(row, (x) => x ?? null))",
    "shapes": "(graph) => graph.layout.shapes",
}


def read(graph: Any, what: str) -> Any:
    return graph.evaluate(READ[what])


def test_a_dark_page_is_a_dark_file(page: Page, served: Served, opened: Any, tmp_path: Path) -> None:
    page.goto(served.base)
    generate(page, "The cat", new_tokens=0)
    page.get_by_role("button", name="Dark").click()
    drawn(page, "What comes next")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    file = opened(taken(page, tmp_path))
    assert file.evaluate("getComputedStyle(document.body).backgroundColor") == paper


def test_compare_without_a_second_prompt_has_nothing_of_the_pair(
    page: Page, served: Served, opened: Any, tmp_path: Path
) -> None:
    page.goto(f"{served.base}/compare")
    generate(page, "The cat", new_tokens=0)
    panel = page.get_by_role("group", name="What comes next, prompt a")
    panel.scroll_into_view_if_needed()
    panel.locator(".panel-body:not(.is-waiting) .js-plotly-plot .main-svg").first.wait_for(state="attached")
    file = opened(taken(page, tmp_path))
    expect(file.get_by_text("Needs a second prompt. Type one under b and press Generate.").first).to_be_visible()


def test_before_anything_is_drawn_there_is_no_page_to_take(page: Page, served: Served) -> None:
    """The prompt is too long, so nothing was computed."""
    page.goto(f"{served.base}/?prompt={'+a' * 1100}")
    wait_for(page, "failed")
    page.locator("details.of-page summary").click()
    page.get_by_role("button", name="Whole page (HTML)").click()
    expect(page.locator("details.of-page .take-said")).to_have_text("Nothing is drawn yet.")


def test_a_trace_that_is_gone_is_said(page: Page, served: Served) -> None:
    page.goto(served.base)
    generate(page, "A page that will be forgotten", new_tokens=0)
    drawn(page, "What comes next")
    fault = "An analysis reads the trace of a prompt from the cache."
    page.route("**/report", lambda route: route.fulfill(json={"fault": fault}))
    page.locator("details.of-page summary").click()
    page.get_by_role("button", name="Whole page (HTML)").click()
    expect(page.locator("details.of-page .take-said")).to_have_text(fault)
