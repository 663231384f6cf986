"""What a person takes away of a figure: by mouse, by keyboard, and read back as whoever gets it would."""

from __future__ import annotations

import csv
import io
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import generate, press, region, until

PROMPT = "The cat sat"


@pytest.fixture
def head(page: Page, served: Served) -> Locator:
    """One head of a short prompt, drawn."""
    page.goto(f"{served.base}/attention")
    generate(page, PROMPT, new_tokens=0)
    panel = region(page, "One head")
    drawn(panel)
    return panel


def drawn(panel: Locator) -> None:
    panel.locator(".panel-body:not(.is-waiting) .js-plotly-plot .main-svg").first.wait_for(state="attached")


def menu(panel: Locator) -> Locator:
    return panel.locator("details.take-away")


def saved(page: Page, button: Locator) -> tuple[str, bytes]:
    """The name and the bytes of the file that a button saves."""
    with page.expect_download() as download:
        button.click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_a_picture_is_the_figure_with_its_words(page: Page, head: Locator) -> None:
    menu(head).locator("summary").click()
    name, svg = saved(page, head.get_by_role("button", name="Picture (SVG)"))
    text = svg.decode()
    assert re.fullmatch(r"head-pattern-[0-9a-f]{8}\.svg", name)
    for said in ("One head", "Which earlier tokens", "each row of attention sums to 1", "query: the token that looks"):
        assert said in text
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)  # it needs nothing from elsewhere
    name, png = saved(page, head.get_by_role("button", name="Picture (PNG)"))
    assert name.endswith(".png")
    width, height = struct.unpack(">II", png[16:24])
    figure = head.locator(".js-plotly-plot").bounding_box()
    assert figure is not None
    assert width == 2 * (round(figure["width"]) + 32)
    assert height > 2 * figure["height"]
    expect(head.locator(".take-said")).to_have_text(f"Saved as {name}.")


def test_a_picture_has_the_colours_of_the_page(page: Page, head: Locator) -> None:
    page.get_by_role("button", name="Dark").click()
    expect(page.get_by_role("button", name="Light")).to_be_visible()
    paper = str(page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--paper').trim()"))
    menu(head).locator("summary").click()
    _, svg = saved(page, head.get_by_role("button", name="Picture (SVG)"))
    assert f'fill="{paper}"' in svg.decode()


def test_numbers_are_what_the_figure_shows(page: Page, head: Locator) -> None:
    menu(head).locator("summary").click()
    _, text = saved(page, head.get_by_role("button", name="Numbers (CSV)"))
    names, *rows = csv.reader(io.StringIO(text.decode(), newline=""))
    assert names[1:] == ["0 '<|endoftext|>'", "1 'The'", "2 ' cat'", "3 ' sat'"]
    values = np.array([[float(cell) for cell in row[1:]] for row in rows])
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)  # float32 rows that sum to 1
    read = """(graph) => {const z = graph.calcdata[0][0].z; return z.map((row) => Array.from(row, (x) => x ?? 0));}"""
    shown: Any = head.locator(".js-plotly-plot").evaluate(read)
    np.testing.assert_allclose(values, np.nan_to_num(np.array(shown, dtype=float)), atol=1e-6)  # float32
    name, npz = saved(page, head.get_by_role("button", name="Numbers (NPZ)"))
    assert name.endswith(".npz")
    with np.load(io.BytesIO(npz), allow_pickle=False) as file:
        np.testing.assert_allclose(file["values"], values)


def test_the_menu_is_worked_by_keys(page: Page, head: Locator) -> None:
    """Enter opens, Tab goes on, Escape closes and gives the focus back; the Python is read, copied and left."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    summary = menu(head).locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(head.get_by_role("button", name="Picture (PNG)")).to_be_visible()
    page.keyboard.press("Tab")
    expect(head.get_by_role("button", name="Picture (PNG)")).to_be_focused()
    page.keyboard.press("Escape")
    expect(head.get_by_role("button", name="Picture (PNG)")).to_be_hidden()
    expect(summary).to_be_focused()
    page.keyboard.press("Enter")
    head.get_by_role("button", name="Python that computes them").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Python: One head")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Copy")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("Copied.")).to_be_visible()
    copied = str(page.evaluate("navigator.clipboard.readText()"))
    assert copied == dialog.locator("code").text_content()
    compile(copied, "copied", "exec")
    assert "dashapp.trace(" in copied
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_click_elsewhere_closes_the_menu(page: Page, head: Locator) -> None:
    menu(head).locator("summary").click()
    expect(head.get_by_role("button", name="Picture (PNG)")).to_be_visible()
    head.get_by_role("heading", name="One head").hover()
    press(page)
    expect(head.get_by_role("button", name="Picture (PNG)")).to_be_hidden()


def test_a_panel_says_what_it_does_not_offer_and_what_is_not_there(page: Page, served: Served) -> None:
    page.goto(served.base)
    expect(menu(region(page, "Surprisal of each token"))).to_be_visible()
    tree = page.locator("section.panel", has=page.get_by_role("heading", name="Ways to go on"))
    menu(tree).locator("summary").click()
    expect(tree.get_by_text("A tree of texts is no array")).to_be_visible()
    expect(tree.get_by_role("button", name="Numbers (CSV)")).to_have_count(0)


def test_before_anything_is_drawn_there_is_nothing_to_take(page: Page, served: Served) -> None:
    """The page Compare waits for a second prompt."""
    page.goto(f"{served.base}/compare")
    generate(page, PROMPT, new_tokens=0)
    panel = region(page, "Next tokens in a and b")
    menu(panel).locator("summary").click()
    panel.get_by_role("button", name="Picture (PNG)").click()
    expect(panel.locator(".take-said")).to_have_text("Nothing is drawn yet.")


def test_a_space_is_a_picture_too(page: Page, served: Served) -> None:
    """WebGL, which has no lines of its own in an SVG."""
    page.goto(f"{served.base}/embeddings?vector-map.method=pca3")
    generate(page, "a b c d e f", new_tokens=0)
    panel = region(page, "Map of tokens")
    panel.locator(".gl-container canvas").first.wait_for(state="attached")
    drawn(panel)
    until(page, lambda: bool(panel.locator(".js-plotly-plot").evaluate("(graph) => Boolean(graph._fullLayout)")))
    menu(panel).locator("summary").click()
    _, svg = saved(page, panel.get_by_role("button", name="Picture (SVG)"))
    assert len(re.findall(rb"data:image/png;base64,[A-Za-z0-9+/=]{2000}", svg)) >= 1
