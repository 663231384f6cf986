"""The Embeddings page as a person finds it: vectors, their map, their likeness, and one selection for all of them.

UMAP, which takes long, has tests of its own in test_works.py.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import (
    PATIENCE_MS,
    generate,
    open_example,
    point_at,
    press,
    region,
    selected,
    tokens,
    until,
    wait_for,
)
from tests.browser.test_accessibility import violations
from tests.browser.test_attention import click_at, foot, shapes

ROWS, MAP, SQUARE, NEAREST = "Vectors", "Map of tokens", "Likeness of tokens", "Nearest tokens"
SHARES, LIKENESS = "Token and position in the sum", "Likeness of positions"
LINES = "Dimensions over position"
CURVE, LAYERS, PATHS = "Curve of positions", "Likeness of layers", "Paths through the layers"
D_MODEL = 10  # of the model under test
LIMIT_BYTES = 2_000_000


def open_embeddings(page: Page, served: Served) -> None:
    """From the first page by its link, until the three figures stand."""
    open_example(page, served.base)
    page.get_by_role("link", name="Embeddings").click()
    wait_for_figures(page)


def wait_for_figures(page: Page) -> None:
    region(page, ROWS).locator(".heatmaplayer image").wait_for(state="attached", timeout=PATIENCE_MS)
    region(page, MAP).locator(".scatterlayer .point").first.wait_for(state="attached", timeout=PATIENCE_MS)
    region(page, SQUARE).locator(".heatmaplayer image").wait_for(state="attached", timeout=PATIENCE_MS)


def ring(page: Page) -> list[float]:
    """Where the map has its amber ring: [x, y], or nothing."""
    graph = region(page, MAP).locator(".js-plotly-plot")
    found: list[float] = graph.evaluate(
        "graph => (graph.layout.shapes || []).flatMap(shape => [shape.xanchor, shape.yanchor])"
    )
    return found


def place(page: Page, pos: int) -> list[float]:
    """Where a token is on the map: [x, y]."""
    graph = region(page, MAP).locator(".js-plotly-plot")
    found: list[float] = graph.evaluate(
        """(graph, pos) => {
            const points = graph.data.find((each) => each.customdata.includes(pos));
            const i = points.customdata.indexOf(pos);
            return [points.x[i], points.y[i]];
        }""",
        pos,
    )
    return found


def click_point(page: Page, pos: int) -> None:
    """Click the mark of a token on the map, where no other lies over it."""
    panel = region(page, MAP)
    across, down = panel.locator(".js-plotly-plot").evaluate(
        """(graph, [x, y]) => {
            const { xaxis, yaxis } = graph._fullLayout;
            return [xaxis.d2p(x) / xaxis._length, yaxis.d2p(y) / yaxis._length];
        }""",
        place(page, pos),
    )
    point_at(page, panel.locator(".nsewdrag").first, across, down)
    press(page)


def lonely(page: Page) -> int:
    """The token that is furthest from its nearest neighbour on the map."""
    graph = region(page, MAP).locator(".js-plotly-plot")
    found: int = graph.evaluate(
        """(graph) => {
            const all = graph.data.flatMap(({ x, y, customdata }) => customdata.map((pos, i) => [x[i], y[i], pos]));
            const apart = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]);
            const others = (one) => all.filter((other) => other[2] !== one[2]);
            const room = (one) => Math.min(...others(one).map((other) => apart(one, other)));
            return all.reduce((best, each) => (room(each) > room(best) ? each : best))[2];
        }"""
    )
    return found


def test_the_page_shows_the_examples_vectors_in_three_ways(page: Page, served: Served) -> None:
    open_embeddings(page, served)
    for title in (ROWS, MAP, SQUARE):
        expect(foot(page, title)).to_contain_text(
            "Shown: token and positional embeddings added up, what enters layer 0.", timeout=PATIENCE_MS
        )
    cells = (
        region(page, ROWS)
        .locator(".js-plotly-plot")
        .evaluate("graph => [graph.data[0].y.length, graph.data[0].x.length]")
    )
    assert cells == [tokens(page).count(), D_MODEL]
    expect(region(page, MAP).locator(".xtitle")).to_contain_text(re.compile(r"component 1 \([\d.]+% of the variance\)"))
    marks = region(page, MAP).locator(".scatterlayer .trace")
    expect(marks).to_have_count(2)  # of the prompt, and generated


def test_a_click_on_a_point_selects_its_token_everywhere_and_on_other_pages(page: Page, served: Served) -> None:
    open_embeddings(page, served)
    pos = lonely(page)
    click_point(page, pos)
    expect(page.locator("#selection-text")).to_contain_text(f"Selected: token {pos} ")
    assert selected(page) == pos
    until(page, lambda: ring(page) == place(page, pos))
    until(page, lambda: shapes(page, ROWS) == [[0, 1, pos - 0.5, pos + 0.5]])
    last = tokens(page).count() - 0.5
    until(
        page, lambda: shapes(page, SQUARE) == [[-0.5, last, pos - 0.5, pos + 0.5], [pos - 0.5, pos + 0.5, -0.5, last]]
    )
    page.get_by_role("link", name="Generation").click()
    expect(page.get_by_role("region", name="What comes next")).to_be_visible()
    expect(page.locator("#selection-text")).to_contain_text(f"Selected: token {pos} ")
    page.go_back()
    wait_for_figures(page)
    expect(page.locator("#selection-text")).to_contain_text(f"Selected: token {pos} ")
    expect(region(page, MAP).locator(".shapelayer path")).to_have_count(1)
    until(page, lambda: ring(page) == place(page, pos))


def test_a_token_of_the_strip_is_ringed_on_the_map_by_keyboard_too(page: Page, served: Served) -> None:
    open_embeddings(page, served)
    tokens(page).nth(3).click()
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 3 ")
    until(page, lambda: ring(page) == place(page, 3))
    page.keyboard.press("ArrowRight")
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 4 ")
    until(page, lambda: ring(page) == place(page, 4))


def test_a_click_on_a_row_or_a_cell_selects_the_token_of_its_row(page: Page, served: Served) -> None:
    open_embeddings(page, served)
    n_tokens = tokens(page).count()
    click_at(page, ROWS, 0.5, 20.5 / n_tokens)
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 20 ")
    click_at(page, SQUARE, 5.5 / n_tokens, 30.5 / n_tokens)
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 30 ")


def test_positions_and_their_part_of_the_sum_select_tokens_and_follow_the_strip(page: Page, served: Served) -> None:
    open_embeddings(page, served)
    region(page, SHARES).locator(".barlayer .point").first.wait_for(state="attached", timeout=PATIENCE_MS)
    point_at(page, region(page, SHARES).locator(".barlayer .point").nth(6))
    press(page)
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 6 ")
    until(page, lambda: shapes(page, SHARES) == [[5.5, 6.5, 0, 1]])
    region(page, LIKENESS).locator(".heatmaplayer image").wait_for(state="attached", timeout=PATIENCE_MS)
    row, column = [-0.5, 511.5, 2.5, 3.5], [2.5, 3.5, -0.5, 511.5]  # of 1,024 positions, two to a place
    until(page, lambda: shapes(page, LIKENESS) == [row, column])
    click_row(page, LIKENESS, 15.5 / 512)  # tokens 30 and 31; a pixel is more than a row
    expect(page.locator("#selection-text")).to_contain_text(re.compile("Selected: token (28|30|32) "))
    chosen = selected(page)
    page.locator("#token-strip-a [aria-selected='true']").focus()
    page.keyboard.press("ArrowRight")
    until(page, lambda: shapes(page, SHARES) == [[chosen + 0.5, chosen + 1.5, 0, 1]])


def click_row(page: Page, title: str, down: float) -> None:
    """Near the top of a tall figure: its heading is brought below the strip, which would cover that."""
    region(page, title).locator("h2").evaluate("heading => heading.scrollIntoView()")
    page.wait_for_timeout(500)
    box = page.get_by_role("region", name=title, exact=True).locator(".nsewdrag").first.bounding_box()
    assert box is not None
    for nudge in (1, 0):
        page.mouse.move(box["x"] + box["width"] / 2 + nudge, box["y"] + box["height"] * down)
        page.wait_for_timeout(150)
    press(page)


def test_the_stream_is_that_of_the_selected_layer(page: Page, served: Served) -> None:
    open_embeddings(page, served)
    region(page, MAP).get_by_label("stream out of the layer").check()
    expect(foot(page, MAP)).to_contain_text(
        "No layer is selected: choose one above the figures. Shown: the residual", timeout=PATIENCE_MS
    )
    before = place(page, 5)
    page.locator("#selection-layer").select_option("2")
    expect(foot(page, MAP)).to_have_text(re.compile("^Shown: the residual stream out of layer 2."), timeout=PATIENCE_MS)
    assert place(page, 5) != before
    expect(foot(page, ROWS)).to_contain_text("Shown: token and positional embeddings")  # it has a knob of its own


def test_a_hover_tells_the_cosine_of_two_tokens(page: Page, served: Served) -> None:
    open_embeddings(page, served)
    n_tokens = tokens(page).count()
    click_at(page, SQUARE, 7.5 / n_tokens, 7.5 / n_tokens)
    said = region(page, SQUARE).locator(".hovertext").text_content() or ""
    assert re.search(r"token 7 .* and token 7 .*:cosine 1\.000", said), said


def test_a_thousand_tokens_are_drawn_in_responses_below_the_limit(page: Page, served: Served) -> None:
    open_embeddings(page, served)
    sizes: list[int] = []
    page.on("response", lambda response: sizes.append(len(response.body())) if "_dash-update" in response.url else None)
    generate(page, "word cat " * 511 + "end", New_tokens=0)
    expect(foot(page, ROWS)).to_contain_text(
        "a cell is 4 tokens and has the value furthest from zero", timeout=PATIENCE_MS
    )
    expect(foot(page, SQUARE)).to_contain_text("Angles are shown and told within half a degree", timeout=PATIENCE_MS)
    expect(foot(page, MAP)).to_contain_text("names have no room and are told on hover", timeout=PATIENCE_MS)
    tokens(page).nth(1000).click()
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 1000 ")
    until(page, lambda: shapes(page, ROWS) == [[0, 1, 249.5, 250.5]])
    assert 100_000 < max(sizes) < LIMIT_BYTES  # the figures are among them


def test_a_prompt_of_one_token_is_drawn(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/embeddings?prompt=Hi&new=0&bos=0")
    wait_for(page, "done")
    wait_for_figures(page)
    expect(foot(page, MAP)).to_contain_text("There is 1 vector, and nothing varies.", timeout=PATIENCE_MS)
    region(page, SQUARE).get_by_label("without the mean").check()
    expect(foot(page, SQUARE)).to_contain_text("No cosine for 1 token's vector: equal to the mean", timeout=PATIENCE_MS)


def test_on_a_telephone_nothing_is_wider_than_the_page(page: Page, served: Served) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_embeddings(page, served)
    expect(foot(page, SQUARE)).to_contain_text("Cropped to 40 of 50 tokens", timeout=PATIENCE_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_has_no_accessibility_violation(page: Page, served: Served, theme: str) -> None:
    open_embeddings(page, served)
    if theme == "dark":
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert violations(page) == []


def open_nearest(page: Page, served: Served) -> Locator:
    open_embeddings(page, served)
    panel = region(page, NEAREST)
    panel.locator(".barlayer .point").last.wait_for(state="attached", timeout=PATIENCE_MS)
    return panel


def test_a_typed_sum_is_drawn_kept_in_the_address_and_refused_in_words(page: Page, served: Served) -> None:
    panel = open_nearest(page, served)
    line = panel.get_by_label("Or a sum")
    line.fill("king − man + woman")
    line.press("Enter")
    expect(foot(page, NEAREST)).to_contain_text("Asked for: ‘·king’ − ‘·man’ + ‘·woman’", timeout=PATIENCE_MS)
    page.wait_for_url(re.compile(r"nearest-tokens\.terms=king"))
    page.reload()
    expect(foot(page, NEAREST)).to_contain_text("Asked for: ‘·king’ − ‘·man’ + ‘·woman’", timeout=PATIENCE_MS)
    line.fill("xyzzyplugh")
    line.press("Enter")
    expect(panel.get_by_role("alert")).to_contain_text("Each word here must be one token", timeout=PATIENCE_MS)
    line.fill("")
    line.press("Enter")
    expect(foot(page, NEAREST)).to_contain_text("Shown: the token embeddings.", timeout=PATIENCE_MS)


def test_a_nearest_token_becomes_the_target_by_mouse_and_by_keyboard(page: Page, served: Served) -> None:
    panel = open_nearest(page, served)
    click_at(page, NEAREST, 0.02, 0.5 / 20)
    expect(panel.locator(".shapelayer path")).to_have_count(1, timeout=PATIENCE_MS)
    until(page, lambda: shapes(page, NEAREST) == [[0, 1, -0.5, 0.5]])
    graph = panel.locator(".js-plotly-plot")
    graph.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("graph => graph.layout.shapes?.[0]?.y0 === 0.5", arg=graph.element_handle())
    page.keyboard.press("Escape")
    expect(panel.locator(".shapelayer path")).to_have_count(0, timeout=PATIENCE_MS)


def ring_in_space(page: Page, title: str) -> list[float | None]:
    graph = region(page, title).locator(".js-plotly-plot")
    found: list[float | None] = graph.evaluate(
        "graph => { const { x, y, z } = graph.data.find((t) => t.meta === 'ring'); return [x[0], y[0], z[0]]; }"
    )
    return found


def test_the_curve_of_positions_turns_in_three_dimensions_under_the_content_policy(page: Page, served: Served) -> None:
    open_embeddings(page, served)
    panel = region(page, CURVE)
    panel.locator(".scatterlayer .point").first.wait_for(state="attached", timeout=PATIENCE_MS)
    panel.get_by_label("three").check()
    expect(panel.locator(".gl-container canvas").first).to_be_attached(timeout=PATIENCE_MS)
    expect(panel).not_to_contain_text("WebGL is not supported")
    tokens(page).nth(3).click()
    graph = panel.locator(".js-plotly-plot")
    page.wait_for_function(
        "graph => Number.isFinite(graph.data.find((t) => t.meta === 'ring').x[0])", arg=graph.element_handle()
    )
    assert ring_in_space(page, CURVE) == graph.evaluate(
        "graph => { const t = graph.data.find((t) => t.customdata); return [t.x[3], t.y[3], t.z[3]]; }"
    )
    graph.focus()
    before = graph.evaluate("graph => graph._fullLayout.scene.camera.eye.x")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "([graph, before]) => graph._fullLayout.scene.camera.eye.x !== before", arg=[graph.element_handle(), before]
    )


def test_layers_against_each_other_select_a_layer_by_mouse_and_by_keyboard(page: Page, served: Served) -> None:
    open_embeddings(page, served)
    panel = region(page, LAYERS)
    panel.locator(".heatmaplayer image").wait_for(state="attached", timeout=PATIENCE_MS)
    expect(foot(page, LAYERS)).to_contain_text("n = 49: all tokens but the first.", timeout=PATIENCE_MS)
    click_at(page, LAYERS, 0.1, 2.5 / 4)
    expect(page.locator("#selection-layer")).to_have_value("1")
    panel.locator(".js-plotly-plot").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#selection-layer")).to_have_value("2")
    panel.get_by_label("centred cosine, selected token").check()
    expect(foot(page, LAYERS)).to_contain_text(re.compile("^Token [0-9]+ "), timeout=PATIENCE_MS)


def test_the_map_is_coloured_by_likeness_and_turned_in_three_dimensions(page: Page, served: Served) -> None:
    open_embeddings(page, served)
    panel = region(page, MAP)
    panel.get_by_label("likeness to the selected token").check()
    expect(foot(page, MAP)).to_contain_text("the cosine with the selected token’s vector", timeout=PATIENCE_MS)
    panel.get_by_label("PCA in 3D").check()
    expect(panel.locator(".gl-container canvas").first).to_be_attached(timeout=PATIENCE_MS)
    tokens(page).nth(4).click()
    graph = panel.locator(".js-plotly-plot")
    page.wait_for_function(
        "graph => graph.data.some((t) => (t.hovertext || [])[4]?.endsWith('cosine 1.000 with token 4'))"
        " && graph.data.find((t) => t.meta === 'ring').x[0] === graph.data[0].x[4]",
        arg=graph.element_handle(),
    )
    page.wait_for_url(re.compile(r"vector-map\.colour=likeness"))


def test_paths_are_computed_and_follow_the_strip_by_mouse_and_by_keyboard(page: Page, served: Served) -> None:
    open_embeddings(page, served)
    expect(foot(page, PATHS)).to_contain_text("The thick path is that of token", timeout=PATIENCE_MS)
    tokens(page).nth(5).click()
    page.keyboard.press("ArrowRight")
    expect(foot(page, PATHS)).to_contain_text("The thick path is that of token 6 ", timeout=PATIENCE_MS)
    expect(region(page, PATHS).locator(".scatterlayer .trace").last.locator(".point")).to_have_count(4)  # 3 layers


def test_dimensions_over_position_are_named_kept_in_the_address_and_refused_in_words(
    page: Page, served: Served
) -> None:
    open_embeddings(page, served)
    panel = region(page, LINES)
    panel.locator(".scatterlayer .trace").first.wait_for(state="attached", timeout=PATIENCE_MS)
    field = panel.get_by_label("Dimensions", exact=True)
    field.fill("0, 7")
    page.keyboard.press("Enter")
    until(page, lambda: panel.locator(".scatterlayer .trace").count() == 2)
    assert "position-lines.shown=0%2C+7" in page.url
    page.reload()
    panel = region(page, LINES)
    expect(panel.get_by_label("Dimensions", exact=True)).to_have_value("0, 7", timeout=PATIENCE_MS)
    until(page, lambda: panel.locator(".scatterlayer .trace").count() == 2)
    tokens(page).nth(9).click()
    until(page, lambda: shapes(page, LINES) == [[8.5, 9.5, 0, 1]])
    panel.get_by_label("Dimensions", exact=True).fill("seven")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("alert")).to_contain_text("seven", timeout=PATIENCE_MS)
