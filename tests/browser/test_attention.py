"""The Attention page as a person finds it: all heads, one head, one token, and one selection for all of them."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.conftest import Complaints, Served
from tests.browser.steps import PATIENCE_MS, generate, open_example, point_at, press, region, tokens, until, wait_for
from tests.browser.test_accessibility import violations

GRID, PATTERN, TOKEN = "All heads", "One head", "One token"
SINK_HEADS, SINK_ROWS = "The first token, head by head", "The first token, row by row"
N_LAYER, N_HEAD = 3, 2  # of the model under test
LIMIT_BYTES = 2_000_000


def foot(page: Page, title: str) -> Locator:
    return region(page, title).locator(".foot")


def open_attention(page: Page, served: Served) -> None:
    """From the first page by its link, until the three figures stand."""
    open_example(page, served.base)
    page.get_by_role("link", name="Attention").click()
    wait_for_figures(page)


def wait_for_figures(page: Page) -> None:
    region(page, GRID).locator(".imagelayer image").wait_for(state="attached", timeout=PATIENCE_MS)
    region(page, PATTERN).locator(".heatmaplayer image").wait_for(state="attached", timeout=PATIENCE_MS)
    region(page, TOKEN).locator(".barlayer .point").first.wait_for(state="attached", timeout=PATIENCE_MS)


def hover_at(page: Page, title: str, across: float, down: float) -> None:
    """Move the mouse to a place in a figure, in shares of its width and height."""
    point_at(page, region(page, title).locator(".nsewdrag").first, across, down)


def click_at(page: Page, title: str, across: float, down: float) -> None:
    hover_at(page, title, across, down)
    press(page)


def click_head(page: Page, layer: int, head: int) -> None:
    click_at(page, GRID, (head + 0.5) / N_HEAD, (layer + 0.5) / N_LAYER)


def shapes(page: Page, title: str) -> list[list[float]]:
    """The amber outlines of a figure: [x0, x1, y0, y1] each."""
    graph = region(page, title).locator(".js-plotly-plot")
    found: list[list[float]] = graph.evaluate(
        "graph => (graph.layout.shapes || []).map(shape => [shape.x0, shape.x1, shape.y0, shape.y1])"
    )
    return found


def bars(page: Page) -> list[str]:
    return region(page, TOKEN).locator(".bartext").all_text_contents()


def test_before_a_head_is_selected_the_page_says_what_it_shows(page: Page, served: Served) -> None:
    open_attention(page, served)
    expect(foot(page, PATTERN)).to_contain_text(re.compile(r"No head is selected\. Shown: layer \d, head \d, which"))
    expect(foot(page, TOKEN)).to_contain_text("No head is selected: the mean over all 6 heads of all layers.")
    assert shapes(page, GRID) == []


def test_until_a_figure_is_there_the_panel_says_so_and_shows_no_axes(page: Page, served: Served) -> None:
    def hold(route: Route) -> None:
        if '"panel":"head-pattern"' not in (route.request.post_data or ""):
            route.continue_()

    page.route("**/_dash-update-component**", hold)
    page.goto(f"{served.base}/attention")
    wait_for(page, "done")
    panel = region(page, PATTERN)
    expect(panel.locator(".panel-state")).to_have_text("Being drawn", timeout=PATIENCE_MS)
    expect(panel.locator(".panel-graph")).not_to_be_visible()
    page.unroute("**/_dash-update-component**", hold)  # which lets go of what it holds
    expect(panel.locator(".panel-graph")).to_be_visible(timeout=PATIENCE_MS)
    expect(panel.locator(".panel-state")).not_to_be_visible()


def test_a_panel_is_drawn_when_it_comes_near_the_window_with_what_is_selected_by_then(
    page: Page, served: Served
) -> None:
    open_attention(page, served)
    below = page.get_by_role("region", name="Through all layers")
    tokens(page).nth(4).click()
    expect(foot(page, TOKEN)).to_contain_text("token 4 ")
    expect(below.locator(".panel-body.is-waiting")).to_have_count(1)
    expect(foot(page, "Through all layers")).to_contain_text("token 4 ")
    region(page, GRID)
    tokens(page).nth(9).click()
    expect(foot(page, TOKEN)).to_contain_text("token 9 ")
    expect(foot(page, "Through all layers")).to_contain_text("token 9 ")


def click_bar(page: Page, title: str, place: int) -> None:
    bar = region(page, title).locator(".barlayer .point").nth(place)
    bar.wait_for(state="attached", timeout=PATIENCE_MS)
    point_at(page, bar)
    press(page)


def test_what_the_first_token_gets_is_walked_by_head_and_by_token(page: Page, served: Served) -> None:
    open_attention(page, served)
    click_bar(page, SINK_HEADS, 4)  # layer by layer
    expect(page.locator("#selection-text")).to_contain_text("layer 2, head 0")
    until(page, lambda: shapes(page, SINK_HEADS) == [[3.5, 4.5, 0, 1]])
    region(page, SINK_HEADS).locator(".js-plotly-plot").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#selection-text")).to_contain_text("layer 2, head 1")
    expect(foot(page, SINK_ROWS)).to_contain_text("Shown: layer 2, head 1.", timeout=PATIENCE_MS)
    click_bar(page, SINK_ROWS, 3)
    expect(page.locator("#selection-text")).to_contain_text("token 3 ")
    until(page, lambda: shapes(page, SINK_ROWS) == [[2.5, 3.5, 0, 1]])
    page.locator("#token-strip-a [aria-selected='true']").focus()
    page.keyboard.press("ArrowRight")
    until(page, lambda: shapes(page, SINK_ROWS) == [[3.5, 4.5, 0, 1]])


def test_the_first_token_is_hidden_and_the_figure_says_so(page: Page, served: Served) -> None:
    open_attention(page, served)
    click_head(page, 2, 1)
    region(page, PATTERN).get_by_role("group", name="First token").get_by_label("hidden").check()
    expect(foot(page, PATTERN)).to_contain_text("The first token is hidden and the rest of each row made to sum to 1")
    expect(region(page, PATTERN).locator(".js-plotly-plot")).to_contain_text(
        "First token hidden, rows made to sum to 1"
    )
    rows = (
        region(page, PATTERN)
        .locator(".js-plotly-plot")
        .evaluate("graph => graph.calcdata[0][0].z.map(row => [...row])")
    )
    assert all(row[0] in (None, 0) for row in rows)
    for row in rows[1:]:
        assert abs(sum(weight or 0 for weight in row) - 1) < 1e-3  # float32, of a few dozen weights
    page.reload()
    expect(foot(page, PATTERN)).to_contain_text("The first token is hidden", timeout=PATIENCE_MS)
    region(page, PATTERN).get_by_role("group", name="First token").get_by_label("hidden").focus()
    page.keyboard.press("ArrowLeft")
    expect(foot(page, PATTERN)).not_to_contain_text("hidden", timeout=PATIENCE_MS)
    page.keyboard.press("ArrowRight")
    expect(foot(page, PATTERN)).to_contain_text("The first token is hidden", timeout=PATIENCE_MS)


def test_a_click_on_a_head_selects_it_everywhere(page: Page, served: Served) -> None:
    open_attention(page, served)
    click_head(page, 2, 1)
    expect(foot(page, PATTERN)).to_contain_text("Shown: layer 2, head 1.")
    expect(foot(page, TOKEN)).to_contain_text("Layer 2, head 1.")
    expect(page.locator("#selection-text")).to_contain_text("layer 2, head 1")
    until(page, lambda: shapes(page, GRID) == [[0.5, 1.5, 1.5, 2.5]])
    query = parse_qs(urlsplit(page.url).query)
    assert (query["layer"], query["head"]) == (["2"], ["1"])


def test_a_hover_over_a_head_names_it_and_its_scores(page: Page, served: Served) -> None:
    open_attention(page, served)
    hover_at(page, GRID, 0.25, 0.5)
    said = region(page, GRID).locator(".hovertext").text_content() or ""
    assert re.search(r"layer 1, head 0: entropy .* bits,.*mean distance .* tokens,.* on the first token", said), said


def test_heads_can_be_walked_by_keyboard(page: Page, served: Served) -> None:
    open_attention(page, served)
    region(page, GRID).get_by_role("group", name="Heads: arrow keys").focus()
    for key, where in (
        ("ArrowRight", "layer 0, head 0"),
        ("ArrowDown", "layer 1, head 0"),
        ("ArrowRight", "layer 1, head 1"),
        ("ArrowRight", "layer 1, head 1"),  # there is none further
        ("ArrowUp", "layer 0, head 1"),
    ):
        page.keyboard.press(key)
        expect(page.locator("#selection-text")).to_contain_text(where)
    page.keyboard.press("Escape")
    expect(page.locator("#selection-text")).not_to_contain_text("head")
    expect(foot(page, PATTERN)).to_contain_text("No head is selected.")


def test_a_selected_token_is_outlined_as_query_and_key_and_keeps_the_head(page: Page, served: Served) -> None:
    open_attention(page, served)
    click_head(page, 1, 0)
    expect(page.locator("#selection-text")).to_contain_text("layer 1, head 0")
    before = bars(page)
    tokens(page).nth(4).click()
    expect(page.locator("#selection-text")).to_have_text("Selected: token 4 ‘·time’, of the prompt · layer 1, head 0.")
    expect(foot(page, TOKEN)).to_contain_text("The weights of token 4 ‘·time’ sum to 1, over 5 tokens.")
    until(page, lambda: shapes(page, PATTERN) == [[-0.5, 4.5, 3.5, 4.5], [3.5, 4.5, 3.5, 49.5]])
    assert bars(page) != before
    assert sum(float(text.replace("−", "-")) for text in bars(page)) == pytest.approx(1, abs=0.01)  # three digits each


def test_a_click_on_a_cell_selects_the_token_that_looks(page: Page, served: Served) -> None:
    open_attention(page, served)
    hover_at(page, PATTERN, 10.5 / 50, 30.5 / 50)
    said = region(page, PATTERN).locator(".hovertext").text_content() or ""
    assert re.search(r"layer \d, head \d:token 30 .* looks at token 10 .*, 0?\.?\d", said), said
    click_at(page, PATTERN, 10.5 / 50, 30.5 / 50)
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 30 ")


def test_the_knob_turns_from_what_a_token_looks_at_to_who_looks_at_it(page: Page, served: Served) -> None:
    open_attention(page, served)
    tokens(page).nth(2).click()
    expect(foot(page, TOKEN)).to_contain_text("over 3 tokens")
    region(page, TOKEN).get_by_label("is looked at by").check()
    expect(foot(page, TOKEN)).to_contain_text("48 tokens can look at token 2 ‘·upon’, itself included")
    assert len(bars(page)) == 21  # twenty tokens and all others


def test_a_click_on_a_bar_selects_its_token(page: Page, served: Served) -> None:
    open_attention(page, served)
    tokens(page).nth(6).click()
    expect(foot(page, TOKEN)).to_contain_text("token 6 ")
    rows = region(page, TOKEN).locator(".ytick").all_text_contents()
    point_at(page, region(page, TOKEN).locator(".barlayer .point").nth(1))
    press(page)
    expect(page.locator("#selection-text")).to_contain_text(f"Selected: token {rows[1].split()[0]} ")


def test_the_link_restores_the_head_in_a_fresh_browser(
    page: Page, served: Served, chromium: Browser, complaints: Complaints
) -> None:
    open_attention(page, served)
    click_head(page, 0, 1)
    expect(page.locator("#selection-text")).to_contain_text("layer 0, head 1")
    fresh = chromium.new_context()
    try:
        other = fresh.new_page()
        complaints.watch(other)
        other.goto(page.url)
        wait_for(other, "done")
        wait_for_figures(other)
        expect(foot(other, PATTERN)).to_contain_text("Shown: layer 0, head 1.")
        other.goto(page.url.replace("head=1", "head=11"))  # of a larger model
        wait_for(other, "done")
        wait_for_figures(other)
        expect(foot(other, PATTERN)).to_contain_text("No head is selected.")
    finally:
        fresh.close()


def test_the_head_stays_selected_on_other_pages_and_back(page: Page, served: Served) -> None:
    open_attention(page, served)
    click_head(page, 1, 1)
    expect(page.locator("#selection-text")).to_contain_text("layer 1, head 1")
    page.get_by_role("link", name="Generation").click()
    expect(page.get_by_role("region", name="What comes next")).to_be_visible()
    expect(page.locator("#selection-text")).to_contain_text("layer 1, head 1")
    page.go_back()
    wait_for_figures(page)
    expect(foot(page, PATTERN)).to_contain_text("Shown: layer 1, head 1.")
    page.get_by_role("button", name="Clear selection").click()
    expect(foot(page, PATTERN)).to_contain_text("No head is selected.")
    assert "layer=" not in page.url


def test_a_thousand_tokens_are_drawn_in_responses_below_the_limit(page: Page, served: Served) -> None:
    open_attention(page, served)
    sizes: list[int] = []
    page.on("response", lambda response: sizes.append(len(response.body())) if "_dash-update" in response.url else None)
    generate(page, "word " * 1022 + "end", New_tokens=0)
    expect(foot(page, PATTERN)).to_contain_text("a cell is 2 × 2 tokens and has the largest weight in it.")
    expect(foot(page, GRID)).to_contain_text("cells are pooled")
    click_head(page, 2, 0)
    expect(foot(page, PATTERN)).to_contain_text("Shown: layer 2, head 0.")
    assert 1_000_000 < max(sizes) < LIMIT_BYTES


def test_a_prompt_of_one_token_is_drawn(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/attention?prompt=Hi&new=0&bos=0")
    wait_for(page, "done")
    wait_for_figures(page)
    assert bars(page) == ["1"]
    expect(foot(page, TOKEN)).to_contain_text("sum to 1, over 1 token.")


def test_on_a_telephone_a_large_pattern_is_cropped_to_the_selected_token(page: Page, served: Served) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_attention(page, served)
    expect(foot(page, PATTERN)).to_contain_text("Cropped to 40 of 50 tokens")
    tokens(page).nth(49).click()
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 49")
    graph = region(page, PATTERN).locator(".js-plotly-plot")
    assert graph.evaluate("graph => graph.layout.xaxis.range") == [9.5, 49.5]
    assert graph.evaluate("graph => graph.layout.yaxis.range") == [49.5, 9.5]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_has_no_accessibility_violation(page: Page, served: Served, theme: str) -> None:
    open_attention(page, served)
    if theme == "dark":
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert violations(page) == []
