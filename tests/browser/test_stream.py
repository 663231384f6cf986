"""The residual stream's panels on the Activations page: what a click, a key and a knob change."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, point_at, press, wait_for

WRITES, DIMENSIONS = "Written by attention and by MLP", "Largest dimensions of the residual stream"
NORMS, VECTOR = "LayerNorm at every layer", "One vector through a LayerNorm"


def open_panel(page: Page, served: Served, title: str, query: str = "prompt=A+cat+sat+there&new=0") -> Locator:
    """A panel of the Activations page, once it has been scrolled to and its figure stands."""
    page.goto(f"{served.base}/activations?{query}")
    wait_for(page, "done")
    panel = page.get_by_role("region", name=title, exact=True)
    panel.scroll_into_view_if_needed()
    expect(panel.locator(".panel-body.is-waiting")).to_have_count(0, timeout=PATIENCE_MS)
    return panel


def test_a_layer_is_selected_at_a_bar_and_by_key(page: Page, served: Served) -> None:
    panel = open_panel(page, served, WRITES)
    expect(panel.locator(".foot")).to_contain_text("together 100%")
    mlp = panel.locator(".barlayer .trace").nth(2).locator(".point")
    point_at(page, mlp.nth(2))
    expect(panel.locator(".hovertext").first).to_contain_text("MLP of layer 2: ", timeout=PATIENCE_MS)
    press(page)
    expect(page.locator("#selection-layer")).to_have_value("2")
    panel.locator(".js-plotly-plot").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#selection-layer")).to_have_value("1")


def test_means_over_the_tokens_set_position_zero_apart(page: Page, served: Served) -> None:
    panel = open_panel(page, served, DIMENSIONS)
    panel.get_by_role("radio", name="mean of all but the first").check()
    expect(panel.locator(".foot")).to_contain_text("Mean over 4 tokens.", timeout=PATIENCE_MS)
    expect(panel.locator(".foot")).to_contain_text(
        "Position 0, which in trained models behaves differently, is in none"
    )
    assert "resid-dimensions.of=mean" in page.url


def test_a_norm_is_chosen_and_a_layer_selected_at_its_points_by_key(page: Page, served: Served) -> None:
    lines = open_panel(page, served, NORMS)
    lines.locator(".js-plotly-plot").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#selection-layer")).to_have_value("0")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#selection-layer")).to_have_value("1")
    vector = page.get_by_role("region", name=VECTOR, exact=True)
    vector.scroll_into_view_if_needed()
    expect(vector.locator(".foot")).to_contain_text("before attention of layer 1: mean", timeout=PATIENCE_MS)
    vector.get_by_role("radio", name="before the MLP").check()
    expect(vector.locator(".foot")).to_contain_text("before the MLP of layer 1: mean", timeout=PATIENCE_MS)
    lines.get_by_role("radio", name="1/σ of every token").check()
    expect(lines.locator(".foot")).to_contain_text("Position 0, which in trained models", timeout=PATIENCE_MS)
    expect(lines.locator(".js-plotly-plot")).not_to_have_attribute("tabindex", "0", timeout=PATIENCE_MS)
    point_at(page, lines.locator(".nsewdrag").first, 0.5, 0.5)
    expect(lines.locator(".hovertext").first).to_contain_text("token 2 ‘·cat’", timeout=PATIENCE_MS)
    press(page)
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 2 ", timeout=PATIENCE_MS)
