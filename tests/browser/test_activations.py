"""The Activations page as a person finds it: figures of the run, and what a selection and a knob change."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, begin, changes, generate, open_example, tokens, wait_for
from tests.browser.test_accessibility import violations

GELU, NEURONS, LENGTHS = "Neurons on the GELU curve", "Strongest neurons of a layer", "Length of the residual stream"
LENS, PARTS, HEADS = "Logit lens", "Direct logit attribution", "Direct logit attribution of every head"


def region(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def open_activations(page: Page, served: Served) -> None:
    """From the first page by its link, until its figures stand."""
    open_example(page, served.base)
    page.get_by_role("link", name="Activations").click()
    wait_for_maps(page)


def wait_for_maps(page: Page) -> None:
    region(page, GELU).locator(".barlayer .point").last.wait_for(state="attached", timeout=PATIENCE_MS)
    for title in (LENS, HEADS, NEURONS, LENGTHS):
        region(page, title).locator(".heatmaplayer image").last.wait_for(state="attached", timeout=PATIENCE_MS)


def foot(page: Page, title: str) -> str:
    return region(page, title).locator(".foot").text_content() or ""


def hover(page: Page, title: str, across: float, down: float) -> str:
    """What a figure says at a place, in shares of its width and height."""
    panel = region(page, title)
    panel.locator(".panel-graph").scroll_into_view_if_needed()
    box = panel.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    for nudge in (0, 2):
        page.mouse.move(box["x"] + box["width"] * across + nudge, box["y"] + box["height"] * down)
        page.wait_for_timeout(100)
    label = panel.locator(".hovertext").first
    label.wait_for(timeout=PATIENCE_MS)
    return label.text_content() or ""


def test_the_run_s_activations_are_drawn(page: Page, served: Served) -> None:
    open_activations(page, served)
    assert "of 11 neurons" in foot(page, GELU)
    assert "All 11 neurons of layer 0." in foot(page, NEURONS)
    assert "Position 0, which in trained models behaves differently" in foot(page, LENGTHS)
    assert region(page, GELU).locator(".scatterlayer .point").count() == 11


def test_the_lens_and_the_attribution_say_what_the_model_predicts_and_what_made_it(page: Page, served: Served) -> None:
    open_activations(page, served)
    likeliest = re.search(r"the output’s likeliest token is (‘.+?’) with [\d.]+%. It settles at ‘", foot(page, LENS))
    assert likeliest is not None
    for title in (PARTS, HEADS):
        expect(region(page, title).locator(".foot")).to_contain_text(f"{likeliest[1]} over the mean of all tokens")
    remainder = re.search(r"what is left is ([+−][\d.e−]+): rounding", foot(page, PARTS))
    assert remainder is not None
    assert abs(float(remainder[1].replace("−", "-"))) < 1e-3
    assert region(page, PARTS).locator(".barlayer .point").count() == 2 + 2 * 3 + 2 + 1


def test_a_token_of_the_lens_becomes_the_target_by_mouse_and_by_key(page: Page, served: Served) -> None:
    open_activations(page, served)
    before = foot(page, PARTS)
    token = re.search(r": (‘.+?’) with", hover(page, LENS, 0.3, 0.9))
    assert token is not None
    page.mouse.down()
    page.mouse.up()
    assert changes(page, lambda: foot(page, PARTS), before).startswith(
        f"{token[1]} over the mean of all tokens (the target"
    )
    figure = region(page, LENS).locator(".js-plotly-plot")
    figure.focus()
    page.keyboard.press("Escape")
    expect(region(page, PARTS).locator(".foot")).to_have_text(before, timeout=PATIENCE_MS)
    page.keyboard.press("2")
    assert "the target you chose" in changes(page, lambda: foot(page, HEADS), foot(page, HEADS))


def test_a_selected_token_moves_the_points_and_is_outlined_in_both_maps(page: Page, served: Served) -> None:
    open_activations(page, served)
    before = foot(page, GELU)
    tokens(page).nth(4).click()
    assert "Layer 0 at token 4 ‘·time’" in changes(page, lambda: foot(page, GELU), before)
    for title in (NEURONS, LENGTHS):
        graph = region(page, title).locator(".js-plotly-plot")
        page.wait_for_function("graph => graph.layout.shapes?.[0]?.x0 === 3.5", arg=graph.element_handle())


def test_a_click_on_a_cell_selects_its_token(page: Page, served: Served) -> None:
    open_activations(page, served)
    said = hover(page, LENGTHS, 0.5, 0.5)
    page.mouse.down()
    page.mouse.up()
    place = re.match(r"token (\d+) ", said)
    assert place is not None, said
    expect(page.locator("#selection-text")).to_contain_text(f"Selected: token {place[1]} ")


def test_hovers_are_sentences_with_neuron_and_token(page: Page, served: Served) -> None:
    open_activations(page, served)
    assert re.fullmatch(r"neuron \d+ at token \d+ ‘.+’: −?[\d.]+", hover(page, NEURONS, 0.3, 0.5))
    assert re.fullmatch(r"token \d+ ‘.+’, (into|within|out of) layer \d: [\d.]+ long", hover(page, LENGTHS, 0.3, 0.5))


def test_another_layer_and_order_show_other_neurons(page: Page, served: Served) -> None:
    open_activations(page, served)
    panel = region(page, NEURONS)
    before = rows(panel)
    page.locator("#selection-layer").select_option("2")
    before = changes(page, lambda: ",".join(rows(panel)), ",".join(before)).split(",")
    panel.get_by_role("group", name="Order by").get_by_role("radio", name="the selected token").check()
    changes(page, lambda: ",".join(rows(panel)), ",".join(before))
    assert foot(page, NEURONS).startswith("All 11 neurons of layer 2.")


def rows(panel: Locator) -> list[str]:
    return panel.locator(".y2tick text").all_text_contents()


def test_a_single_token_is_drawn(page: Page, served: Served) -> None:
    open_activations(page, served)
    generate(page, "", New_tokens=0)
    expect(region(page, LENGTHS).locator(".foot")).to_contain_text("There is only position 0", timeout=PATIENCE_MS)
    wait_for_maps(page)


def test_a_whole_context_is_cropped_on_a_telephone(page: Page, served: Served) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    open_activations(page, served)
    generate(page, " a" * 1023, New_tokens=0)
    expect(region(page, NEURONS).locator(".foot")).to_contain_text(
        "Shown: tokens 992 to 1023 of 1,024", timeout=PATIENCE_MS
    )
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


def test_while_a_run_is_computed_the_panels_say_so(page: Page, served: Served) -> None:
    open_activations(page, served)
    begin(page, "For a while", New_tokens=1000)
    wait_for(page, "running")
    expect(region(page, GELU).locator(".panel-state")).to_contain_text("Being computed")
    page.get_by_role("button", name="Stop").click()
    wait_for(page, "done")
    wait_for_maps(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_has_no_violation(page: Page, served: Served, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    open_activations(page, served)
    assert violations(page) == []
