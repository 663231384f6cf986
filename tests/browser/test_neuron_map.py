"""The map of a layer's neurons: a cell selects neuron and token, by mouse and by key."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, point_at, press
from tests.browser.test_stream import open_panel


def test_a_cell_selects_its_neuron_and_token_by_mouse_and_key(page: Page, served: Served) -> None:
    panel = open_panel(page, served, "Strongest neurons of a layer", "prompt=A+cat+sat+there&new=0&layer=1")
    point_at(page, panel.locator(".nsewdrag").first, 0.5, 0.05)
    label = panel.locator(".hovertext").first
    label.wait_for(timeout=PATIENCE_MS)
    place = re.match(r"neuron (\d+) at token (\d+) ", label.text_content() or "")
    assert place is not None
    press(page)
    said = page.locator("#selection-text")
    expect(said).to_contain_text(f"Selected: token {place[2]} ", timeout=PATIENCE_MS)
    expect(said).to_contain_text(f"layer 1, neuron {place[1]}.")
    below = panel.locator(".y2tick text").nth(1).text_content()
    panel.locator(".js-plotly-plot").focus()
    page.keyboard.press("ArrowDown")
    expect(said).to_contain_text(f"layer 1, neuron {below}.", timeout=PATIENCE_MS)
    page.keyboard.press("Escape")
    expect(page.get_by_label("Neuron", exact=True)).to_have_value("")
