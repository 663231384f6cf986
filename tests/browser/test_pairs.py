"""A pair of tokens on the Attention page, by mouse, by keyboard and by link; and what takes long."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, generate, press, region, tokens, until, wait_for
from tests.browser.test_attention import PATTERN, click_at, foot, hover_at, open_attention, shapes

DETAIL, LINES, MAP, SOURCES = "Around the pair", "Lines of a token", "The pair in every head", "Strongest sources"
SPREAD = "The token in every head"
WHY, WRITES, TOGETHER, THROUGH = (
    "Why it looks there",
    "What it would write",
    "Heads taken together",
    "Through all layers",
)


def says(page: Page, title: str, text: str) -> None:
    expect(foot(page, title)).to_contain_text(text, timeout=PATIENCE_MS)


def test_a_cell_is_a_pair_that_every_panel_of_pairs_shows(page: Page, served: Served) -> None:
    open_attention(page, served)
    click_at(page, PATTERN, 10.5 / 50, 30.5 / 50)
    expect(page.locator("#selection-text")).to_have_text(re.compile(r"Selected: token 30 .* and token 10 "))
    query = parse_qs(urlsplit(page.url).query)
    assert (query["pos"], query["key"]) == (["30"], ["10"])
    says(page, DETAIL, "Token 30")
    says(page, MAP, "Mean over all heads")
    says(page, WHY, "the softmax of the row makes that a weight of")
    says(page, WRITES, "if it looked only at token 10")
    until(page, lambda: shapes(page, PATTERN)[2:3] == [[9.5, 10.5, 29.5, 30.5]])
    page.goto(page.url)
    wait_for(page, "done")
    says(page, WRITES, "if it looked only at token 10")


def test_a_source_chooses_head_and_pair(page: Page, served: Served) -> None:
    open_attention(page, served)
    tokens(page).nth(20).click()
    says(page, SOURCES, "of token 20 ")
    click_at(page, SOURCES, 0.02, 0.5 / 20)
    said = page.locator("#selection-text")
    expect(said).to_have_text(re.compile(r"token 20 .* and token \d+ .*layer \d, head \d"))
    chosen = re.search(r"layer (\d), head (\d)", said.text_content() or "")
    assert chosen is not None
    says(page, LINES, f"Layer {chosen[1]}, head {chosen[2]}.")


def test_a_pair_is_reached_by_keyboard(page: Page, served: Served) -> None:
    open_attention(page, served)
    tokens(page).nth(12).click()
    said = page.locator("#selection-text")
    region(page, PATTERN).get_by_role("group", name="Pairs of tokens").focus()
    page.keyboard.press("ArrowLeft")
    expect(said).to_have_text(re.compile("token 12 .* and token 11 "))
    page.keyboard.press("ArrowDown")
    expect(said).to_have_text(re.compile("token 13 .* and token 11 "))
    page.keyboard.press("Escape")
    expect(said).not_to_contain_text(" and token")
    says(page, LINES, "the mean over all heads")
    lines = region(page, LINES).get_by_role("group", name="Lines")
    lines.focus()
    page.keyboard.press("ArrowUp")
    expect(said).to_contain_text("token 12 ")
    expect(region(page, LINES).locator(".js-plotly-plot")).to_have_attribute("aria-label", re.compile("Lines"))
    page.keyboard.press("ArrowRight")
    expect(said).to_have_text(re.compile("token 12 .* and token "))


def test_the_sink_can_be_hidden_and_is_seen_to_be(page: Page, served: Served) -> None:
    open_attention(page, served)
    region(page, PATTERN).get_by_label("hidden").check()
    says(page, PATTERN, "these are not the model’s weights")
    expect(region(page, PATTERN).locator(".annotation-text")).to_have_text("First token hidden, rows made to sum to 1")
    region(page, PATTERN).get_by_label("raw scores").check()
    says(page, PATTERN, "Scores before the mask")


def test_rollout_of_a_long_prompt_and_flow_arrive_by_themselves(page: Page, served: Served) -> None:
    open_attention(page, served)
    generate(page, "word and " * 100, New_tokens=0)
    tokens(page).nth(20).click()
    region(page, TOGETHER).get_by_label("rollout").check()
    says(page, TOGETHER, "Rollout: how much of each input token")
    region(page, THROUGH).get_by_label("flow (slow)").check()
    says(page, THROUGH, "Maximum flow from each token to token 20")


def test_the_second_token_has_a_dashed_outline_in_the_strip(page: Page, served: Served) -> None:
    open_attention(page, served)
    click_at(page, PATTERN, 10.5 / 50, 30.5 / 50)
    second = page.locator("#token-strip-a .second")
    expect(second).to_have_attribute("data-pos", "10")
    expect(second).to_have_attribute("aria-description", "second token of the pair")
    expect(second).to_have_css("outline-style", "dashed")
    region(page, PATTERN).get_by_role("group", name="Pairs of tokens").focus()
    page.keyboard.press("ArrowRight")
    expect(second).to_have_attribute("data-pos", "11")
    page.keyboard.press("Escape")
    expect(second).to_have_count(0)


def test_each_weight_of_a_long_head_is_told_and_its_pair_is_clicked(page: Page, served: Served) -> None:
    open_attention(page, served)
    generate(page, "a b " * 300, New_tokens=0)
    says(page, PATTERN, "Each weight is told on hover, within 1/255")
    panel = region(page, PATTERN)
    n_tokens = tokens(page).count()
    hover_at(page, PATTERN, 7.5 / n_tokens, 500.5 / n_tokens)
    said = panel.locator(".hovertext")
    sentence = re.compile(r"token (\d+) .* looks at token (\d+) .*, 0(\.\d+)?, within 1/255")
    expect(said).to_contain_text(sentence)
    pair = sentence.search(said.text_content() or "")
    assert pair is not None
    assert abs(int(pair[1]) - 500) + abs(int(pair[2]) - 7) < 6, "a token is less than a pixel wide here"
    press(page)
    expect(page.locator("#selection-text")).to_have_text(re.compile(f"token {pair[1]} .* and token {pair[2]} "))
    hover_at(page, PATTERN, 500.5 / n_tokens, 7.5 / n_tokens)
    expect(said).to_have_count(0)  # the future


def test_the_tokens_row_in_every_head_selects_a_head_by_mouse_and_by_keyboard(page: Page, served: Served) -> None:
    open_attention(page, served)
    tokens(page).nth(9).click()
    says(page, SPREAD, "Of token 9 ")
    click_at(page, SPREAD, 1.5 / 5, 1.5 / 3)  # two maps of two heads, and a gap
    layer, head = page.locator("#selection-layer"), page.locator("#selection-head")
    expect(layer).to_have_value("1")
    expect(head).to_have_value("1")
    region(page, SPREAD).get_by_role("group", name="Heads").focus()
    page.keyboard.press("ArrowDown")
    expect(layer).to_have_value("2")
    region(page, SPREAD).get_by_role("radio", name="mean distance").check()
    says(page, SPREAD, "at most 9 tokens")
