"""The bundled model's examples as a person opens them: each leads to its page, its prompt and its selection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from dashapp.model.examples import Example, examples_of
from dashapp.model.registry import DEMO_FOLDER
from tests.browser.conftest import Complaints, Served, serving
from tests.browser.steps import PATIENCE_MS, bar, wait_for


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("demo"), Path("demo")) as served:
        yield served


@pytest.fixture
def first_page(context: BrowserContext, demo: Served) -> Iterator[Page]:
    """The first page of the app with its bundled model, watched."""
    complaints = Complaints(demo.base, [])
    page = context.new_page()
    complaints.watch(page)
    page.goto(demo.base)
    wait_for(page, "done")
    yield page
    assert complaints.found == []


def test_each_example_opens_its_page_its_prompt_and_its_selection(first_page: Page) -> None:
    for example in examples_of(DEMO_FOLDER):
        open_from_the_list(first_page, example)
        expect(bar(first_page).get_by_role("textbox", name="Prompt")).to_have_value(example.prompt)
        assert urlsplit(first_page.url).path == example.page
        expect(first_page.locator("#selection-text")).to_contain_text(f"Selected: token {example.pos} ")
        if example.layer is None:
            continue
        expect(first_page.locator("#selection-text")).to_contain_text(f"layer {example.layer}, head {example.head}")
        pattern = first_page.get_by_role("region", name="One head")
        pattern.locator(".heatmaplayer image").wait_for(state="attached", timeout=PATIENCE_MS)


def test_the_app_says_that_this_is_the_demo_model_and_how_to_load_gpt2(first_page: Page) -> None:
    note = first_page.locator("#demo-note")
    expect(note).to_contain_text("small demo model that comes with the app")
    expect(note).to_contain_text("To look inside GPT-2 itself,")


def open_from_the_list(page: Page, example: Example) -> None:
    link = page.get_by_role("link", name=example.label, exact=True)
    if not link.is_visible():
        page.get_by_text("Examples", exact=True).click()
    link.click()
    wait_for(page, "done")
