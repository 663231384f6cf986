"""The whole vocabulary on one map: pointed at, clicked, searched, moved and zoomed, by mouse and by keyboard."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, point_at, press, region, tokens, until
from tests.browser.test_attention import foot
from tests.browser.test_embeddings import open_embeddings

VOCABULARY = "Map of the vocabulary"
CAT = 3797


def open_map(page: Page, served: Served) -> Locator:
    open_embeddings(page, served)
    expect(foot(page, VOCABULARY)).to_contain_text("50,257 tokens.", timeout=PATIENCE_MS)
    panel = region(page, VOCABULARY)
    expect(panel.locator(".gl-canvas").first).to_be_attached(timeout=PATIENCE_MS)
    expect(panel).not_to_contain_text("WebGL is not supported")
    return panel


def marks(page: Page) -> list[tuple[str, float, float]]:
    """The amber marks of the map: kind and place."""
    graph = region(page, VOCABULARY).locator(".js-plotly-plot")
    found: list[list[object]] = graph.evaluate(
        "graph => (graph.layout.shapes || []).map(({ type, xanchor, yanchor }) => [type, xanchor, yanchor])"
    )
    return [tuple(each) for each in found]  # type: ignore[misc]


def place(page: Page, token: int) -> tuple[float, float]:
    graph = region(page, VOCABULARY).locator(".js-plotly-plot")
    x, y = graph.evaluate("(graph, id) => [graph._fullData[0].x[id], graph._fullData[0].y[id]]", token)
    return x, y


def ranges(page: Page) -> list[float]:
    found: list[float] = (
        region(page, VOCABULARY)
        .locator(".js-plotly-plot")
        .evaluate("graph => [...graph._fullLayout.xaxis.range, ...graph._fullLayout.yaxis.range]")
    )
    return found


def test_a_dot_is_named_when_pointed_at_and_clicked_becomes_the_target(page: Page, served: Served) -> None:
    panel = open_map(page, served)
    graph = panel.locator(".js-plotly-plot")
    until(page, lambda: graph.evaluate("graph => Array.isArray(graph._fullData[0].hovertext)"))
    point_at(page, panel.locator(".nsewdrag").first)
    said = re.compile(r"‘.+’ \(token (\d+)\)")
    expect(panel.locator(".hovertext")).to_have_text(said)
    named = said.search(panel.locator(".hovertext").text_content() or "")
    assert named is not None
    press(page)
    page.wait_for_url(re.compile(rf"target={named[1]}(&|$)"))
    expect(foot(page, VOCABULARY)).to_contain_text("Circles are nearest to ")
    until(page, lambda: ("rect", *place(page, int(named[1]))) in marks(page))


def test_a_token_is_searched_and_refused_in_words(page: Page, served: Served) -> None:
    panel = open_map(page, served)
    line = panel.get_by_label("Search a token")
    line.fill("cat")
    line.press("Enter")
    expect(foot(page, VOCABULARY)).to_contain_text("Circles are nearest to ‘·cat’ in all dimensions")
    expect(panel.locator(".scatterlayer .textpoint")).to_have_text("·cat")
    page.wait_for_url(re.compile(r"vocabulary-map\.search=cat"))
    line.fill("xyzzyplugh")
    line.press("Enter")
    expect(panel.get_by_role("alert")).to_contain_text("Each word here must be one token")


def test_the_selected_token_has_a_ring_that_follows_the_strip(page: Page, served: Served) -> None:
    panel = open_map(page, served)
    ids = panel.locator(".js-plotly-plot").evaluate("graph => graph.layout.meta.token_ids")
    tokens(page).nth(3).click()
    until(page, lambda: ("circle", *place(page, ids[3])) in marks(page))
    page.keyboard.press("ArrowRight")
    until(page, lambda: ("circle", *place(page, ids[4])) in marks(page))


def test_keys_move_and_zoom_the_map_and_let_the_target_go(page: Page, served: Served) -> None:
    panel = open_map(page, served)
    graph = panel.get_by_role("group", name="Map of tokens")
    graph.focus()
    before = ranges(page)
    page.keyboard.press("+")
    until(page, lambda: ranges(page)[1] - ranges(page)[0] < 0.9 * (before[1] - before[0]))
    zoomed = ranges(page)
    page.keyboard.press("ArrowRight")
    until(page, lambda: ranges(page)[0] > zoomed[0])
    page.keyboard.press("0")
    until(page, lambda: max(abs(one - other) for one, other in zip(ranges(page), before, strict=True)) < 1e-3)
    point_at(page, panel.locator(".nsewdrag").first)
    press(page)
    page.wait_for_url(re.compile(r"target=\d+"))
    graph.focus()
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "target=" not in url)


def test_states_have_a_path_on_pca_and_umap_waits_for_start(page: Page, served: Served) -> None:
    panel = open_map(page, served)
    panel.get_by_role("radio", name="shown", exact=True).check()
    expect(foot(page, VOCABULARY)).to_contain_text("The amber path is the selected token’s state")
    expect(panel.locator(".scatterlayer .textpoint").last).to_have_text("2")  # of three layers
    panel.get_by_role("radio", name="UMAP").check()
    expect(panel.get_by_role("button", name="Start")).to_be_visible()
    expect(foot(page, VOCABULARY)).to_contain_text("This is PCA, until UMAP is there")
