"""A person's path through the app: type, generate, watch, select, change page, go back, share the link."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Complaints, Served
from tests.browser.steps import (
    PATIENCE_MS,
    axis_title,
    begin,
    changes,
    expect_status,
    figure_values,
    fill,
    generate,
    open_example,
    point_at,
    press,
    region,
    selected,
    tokens,
    wait_for,
    wait_for_figures,
)


def test_first_visit_finds_the_example_drawn_and_says_what_to_click(page: Page, served: Served) -> None:
    open_example(page, served.base)
    assert tokens(page).count() == 50  # <|endoftext|>, 9 of the prompt, 40 drawn
    expect(page.locator("#selection-text")).to_contain_text("Click a token")
    assert len(figure_values(page, "What comes next")) == 21  # twenty tokens and all others


def test_text_appears_while_it_is_generated_and_is_drawn_at_the_end(page: Page, served: Served) -> None:
    open_example(page, served.base)
    begin(page, "A dog", New_tokens=900)
    wait_for(page, "running")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    seen = {tokens(page).count() for _ in range(40) if page.wait_for_timeout(50) is None}
    assert len([n for n in seen if 3 < n < 903]) >= 3, seen
    wait_for(page, "done")
    expect(page.get_by_role("button", name="Generate")).to_be_visible()
    assert tokens(page).count() == 903
    expect_status(page, "3 tokens of prompt, 900 generated")


def test_the_strip_holds_exactly_the_prompt(page: Page, served: Served) -> None:
    open_example(page, served.base)
    prompt = "Two  spaces,\ta tab\nand a line 🙂!"
    generate(page, prompt, New_tokens=0)
    texts = tokens(page).evaluate_all("spans => spans.map(span => span.textContent)")
    assert "".join(texts[1:]).startswith("Two  spaces,\ta tab\nand a line ")
    assert page.locator("#token-strip-a .drawn").count() == 0


def test_clicking_a_token_shows_what_was_expected_after_it(page: Page, served: Served) -> None:
    open_example(page, served.base)
    title, values = axis_title(page), figure_values(page, "What comes next")
    tokens(page).nth(2).click()
    assert changes(page, lambda: axis_title(page), title) == "probability of coming after ‘·upon’"
    assert figure_values(page, "What comes next") != values
    expect(page.locator("#selection-text")).to_have_text("Selected: token 2 ‘·upon’, of the prompt.")
    assert parse_qs(urlsplit(page.url).query)["pos"] == ["2"]


def test_a_knob_of_the_sampler_changes_what_may_be_drawn_without_a_run(page: Page, served: Served) -> None:
    open_example(page, served.base)
    tokens(page).nth(2).click()
    panel = page.get_by_role("region", name="The sampler, step by step")
    heading = panel.locator(".annotation-text")
    expect(heading.nth(2)).to_contain_text("T = 0.8")  # as the run was drawn
    run, numbers = page.locator("#slot-a").get_attribute("data-run"), panel.locator(".textpoint")
    panel.get_by_role("group", name="Top-k").get_by_role("radio", name="5", exact=True).check()
    expect(heading.nth(3)).to_contain_text("5 kept")
    expect(panel.locator(".foot")).to_contain_text("top-k cuts 50,252")
    panel.get_by_label("Temperature").select_option("0")
    expect(heading.nth(5)).to_contain_text("1 kept")
    expect(numbers.filter(has_text="100%")).to_have_count(4)  # of the likeliest, after each step
    assert page.locator("#slot-a").get_attribute("data-run") == run
    page.wait_for_url("**sampler.temperature=0**")


def test_the_random_number_of_a_drawn_token_is_shown_and_falls_on_it(page: Page, served: Served) -> None:
    open_example(page, served.base)
    foot = page.get_by_role("region", name="The sampler, step by step").locator(".foot")
    # The selection begins at the end of the prompt: the first draw follows. PCG64 with seed 0 begins so.
    expect(foot).to_contain_text("Seed 0, random number 1 of the run: 0.636962, which falls on")
    tokens(page).nth(12).focus()
    page.keyboard.press("ArrowRight")
    expect(foot).to_contain_text("random number 5 of the run", timeout=PATIENCE_MS)
    tokens(page).nth(3).click()
    expect(foot).not_to_contain_text("Seed", timeout=PATIENCE_MS)


def test_the_selected_token_is_outlined_in_the_surprisal_figure(page: Page, served: Served) -> None:
    open_example(page, served.base)
    tokens(page).nth(4).click()
    graph = region(page, "Surprisal of each token").locator(".js-plotly-plot").element_handle()
    page.wait_for_function("graph => String((graph.layout.shapes || []).map(shape => shape.x0)) === '3.5'", arg=graph)


def test_a_click_on_a_bar_of_the_surprisal_figure_selects_its_token(page: Page, served: Served) -> None:
    open_example(page, served.base)
    point_at(page, region(page, "Surprisal of each token").locator(".barlayer .point").nth(5))
    press(page)
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 5 ")


def test_the_strip_can_be_walked_by_keyboard(page: Page, served: Served) -> None:
    open_example(page, served.base)
    tokens(page).nth(3).focus()
    for key, pos in (("ArrowRight", 4), ("ArrowRight", 5), ("ArrowLeft", 4), ("End", 49), ("Home", 0)):
        page.keyboard.press(key)
        expect(page.locator("#token-strip-a [aria-selected='true']")).to_have_attribute("data-pos", str(pos))
    page.keyboard.press("Escape")
    expect(page.locator("#selection-text")).to_contain_text("Click a token")
    assert "pos=" not in page.url
    assert page.locator("#token-strip-a [tabindex='0']").count() == 1


def test_changing_page_keeps_the_run_and_back_restores_the_selection(page: Page, served: Served) -> None:
    open_example(page, served.base)
    tokens(page).nth(6).click()
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 6")
    page.get_by_role("link", name="Model").click()
    expect(page.get_by_role("heading", name="Model")).to_be_visible()
    assert tokens(page).count() == 50
    tokens(page).nth(1).click()
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 1")
    page.go_back()
    wait_for_figures(page)
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 6")
    assert axis_title(page).endswith("‘·there’")


def test_the_link_restores_prompt_settings_and_selection_in_a_fresh_browser(
    page: Page, served: Served, chromium: Browser, complaints: Complaints
) -> None:
    open_example(page, served.base)
    generate(page, "The cat & the hat", New_tokens=5, Seed=7)
    tokens(page).nth(2).click()
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 2")
    link, texts = page.url, tokens(page).all_text_contents()
    fresh = chromium.new_context()
    try:
        other = fresh.new_page()
        complaints.watch(other)
        other.goto(link)
        wait_for(other, "done")
        wait_for_figures(other)
        assert other.get_by_role("textbox", name="Prompt").input_value() == "The cat & the hat"
        assert tokens(other).all_text_contents() == texts
        assert selected(other) == 2
        assert axis_title(other).endswith("‘·cat’")
    finally:
        fresh.close()


def test_a_run_goes_on_while_another_page_is_open(page: Page, served: Served) -> None:
    open_example(page, served.base)
    begin(page, "A long story", New_tokens=500)
    page.get_by_role("link", name="Model").click()
    expect(page.get_by_role("heading", name="Model")).to_be_visible()
    wait_for(page, "done")
    assert tokens(page).count() == 504
    page.get_by_role("link", name="Generation").click()
    wait_for_figures(page)


def test_stop_keeps_what_was_drawn(page: Page, served: Served) -> None:
    open_example(page, served.base)
    begin(page, "Stop me", New_tokens=1000)
    page.locator("#token-strip-a .drawn").nth(20).wait_for()
    page.get_by_role("button", name="Stop").click()
    wait_for(page, "done")
    assert 20 < page.locator("#token-strip-a .drawn").count() < 1000
    expect_status(page, "You stopped it.")
    wait_for_figures(page)


def test_a_link_to_a_stopped_text_ends_where_it_was_stopped(page: Page, served: Served, chromium: Browser) -> None:
    open_example(page, served.base)
    begin(page, "Stop me here", New_tokens=1000)
    page.locator("#token-strip-a .drawn").nth(5).wait_for()
    page.get_by_role("button", name="Stop").click()
    wait_for(page, "done")
    n_drawn, run = page.locator("#token-strip-a .drawn").count(), page.locator("#slot-a").get_attribute("data-run")
    expect(page).to_have_url(re.compile(rf"[?&]new={n_drawn}&"))
    page.get_by_role("link", name="Attention").first.click()
    region(page, "All heads").locator(".imagelayer image").wait_for(state="attached", timeout=PATIENCE_MS)
    assert page.locator("#slot-a").get_attribute("data-run") == run  # what is on screen is what the link asks for
    other = chromium.new_context().new_page()
    other.goto(page.url)
    wait_for(other, "done")
    assert tokens(other).all_text_contents() == tokens(page).all_text_contents()
    other.context.close()


def test_a_text_to_the_end_of_the_context_says_so(page: Page, served: Served) -> None:
    open_example(page, served.base)
    page.locator("#settings-summary-a").click()
    page.get_by_label("Stop when <|endoftext|> is drawn").first.uncheck()
    generate(page, "word " * 1000, New_tokens=200)
    expect_status(page, "The model's context is full.")
    assert tokens(page).count() == 1024


def test_a_prompt_is_shown_with_and_without_endoftext_side_by_side(page: Page, served: Served) -> None:
    open_example(page, served.base)
    page.locator("#settings-summary-a").click()
    page.get_by_role("button", name="Show with and without it").press("Enter")
    expect(page.locator("#compare-title")).to_be_visible()
    wait_for(page, "done", "b")
    first = [tokens(page, slot).first.text_content() for slot in ("a", "b")]
    assert first == ["<|endoftext|>", "Once"]
    expect(page.locator("#compare-tokens")).to_contain_text("Aligned:", timeout=PATIENCE_MS)


def test_a_text_that_is_not_the_runs_is_marked(page: Page, served: Served) -> None:
    open_example(page, served.base)
    expect(page.locator("#prompt-differs-a")).to_be_hidden()
    fill(page, "Something else")
    expect(page.locator("#prompt-differs-a")).to_be_visible()


def test_control_and_enter_generate(page: Page, served: Served) -> None:
    open_example(page, served.base)
    fill(page, "By keyboard", New_tokens=2)
    page.get_by_role("textbox", name="Prompt").press("Control+Enter")
    expect_status(page, "3 tokens of prompt, 2 generated")


def test_dark_and_light_are_kept(page: Page, served: Served) -> None:
    open_example(page, served.base)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground


def test_the_model_page_tells_the_loaded_weights(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/model")
    expect(page.get_by_role("row", name=re.compile("^n_layer 3"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^d_vocab 50,257"))).to_be_visible()
    wait_for(page, "done")


def test_an_unknown_address_shows_the_way_back(page: Page, served: Served, complaints: Complaints) -> None:
    page.goto(f"{served.base}/nowhere?x=1")
    expect(page.get_by_role("heading", name="No such page")).to_be_visible()
    wait_for(page, "done")
    (said,) = complaints.found  # by Chromium, of the address itself
    assert "404" in said
    complaints.found.clear()
