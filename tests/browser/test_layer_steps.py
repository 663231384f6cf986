"""The tokens' states layer by layer: stepped and played, by mouse and by keyboard, and still where that is asked."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, region, tokens, until
from tests.browser.test_embeddings import open_embeddings

STEPS = "Layer by layer"


def open_steps(page: Page, served: Served) -> Locator:
    open_embeddings(page, served)
    panel = region(page, STEPS)
    expect(panel.get_by_role("button", name="Next")).to_be_visible(timeout=PATIENCE_MS)
    return panel


def shows(panel: Locator, state: int) -> bool:
    """Whether the dots stand where the state has them."""
    return bool(
        panel.locator(".js-plotly-plot").evaluate(
            "(graph, at) => graph.data[0].x.every((x, i) => x === graph.layout.meta.steps.x[at][i])", state
        )
    )


def test_buttons_step_from_layer_to_layer(page: Page, served: Served) -> None:
    panel = open_steps(page, served)
    says, back, forward = (
        panel.locator(".steps-says"),
        *(panel.get_by_role("button", name=name) for name in ("Back", "Next")),
    )
    expect(says).to_contain_text("into layer 0 (1 of 4)")
    expect(back).to_be_disabled()
    forward.click()
    expect(says).to_contain_text("out of layer 0 (2 of 4)")
    until(page, lambda: shows(panel, 1))
    forward.click()
    forward.click()
    expect(says).to_contain_text("out of layer 2 (4 of 4)")
    expect(forward).to_be_disabled()
    until(page, lambda: shows(panel, 3))
    back.click()
    until(page, lambda: shows(panel, 2))


def test_keys_step_and_play_and_the_ring_goes_along(page: Page, served: Served) -> None:
    panel = open_steps(page, served)
    tokens(page).nth(5).click()
    graph = panel.get_by_role("group", name="Layer by layer")
    graph.focus()
    page.keyboard.press("End")
    until(page, lambda: shows(panel, 3))
    ring = "graph => (graph.layout.shapes || []).map(({ xanchor }) => xanchor)"
    until(page, lambda: graph.evaluate(ring) == [graph.evaluate("graph => graph.data[0].x[5]")])
    page.keyboard.press("ArrowLeft")
    until(page, lambda: shows(panel, 2))
    page.keyboard.press("Home")
    until(page, lambda: shows(panel, 0))
    page.keyboard.press("Space")
    expect(panel.get_by_role("button", name="Pause")).to_be_visible()
    until(page, lambda: shows(panel, 3))
    expect(panel.get_by_role("button", name="Play")).to_be_visible()


def test_where_less_motion_is_asked_for_there_is_no_play(page: Page, served: Served) -> None:
    page.emulate_media(reduced_motion="reduce")
    panel = open_steps(page, served)
    expect(panel.get_by_role("button", name="Play")).to_be_hidden()
    panel.get_by_role("button", name="Next").click()
    until(page, lambda: shows(panel, 1))
    panel.get_by_role("group", name="Layer by layer").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    until(page, lambda: shows(panel, 2))
    expect(panel.locator(".steps-says")).to_contain_text("out of layer 1 (3 of 4)")
