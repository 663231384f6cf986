"""The Activations page as a person finds it: figures of the run, and what a selection and a knob change."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.steps import (
    PATIENCE_MS,
    begin,
    changes,
    generate,
    open_example,
    point_at,
    press,
    region,
    tokens,
    wait_for,
)
from tests.browser.test_accessibility import violations

GELU, NEURONS, LENGTHS = "Neurons on the GELU curve", "Strongest neurons of a layer", "Length of the residual stream"
LENS, LENS_MAP = "Logit lens", "Logit lens of the whole text"
PARTS, HEADS = "Direct logit attribution", "Direct logit attribution of every head"


def open_activations(page: Page, served: Served) -> None:
    """From the first page by its link, until its figures stand."""
    open_example(page, served.base)
    page.get_by_role("link", name="Activations").click()
    wait_for_maps(page)


def wait_for_maps(page: Page) -> None:
    region(page, GELU).locator(".barlayer .point").last.wait_for(state="attached", timeout=PATIENCE_MS)
    for title in (LENS, LENS_MAP, HEADS, NEURONS, LENGTHS):
        region(page, title).locator(".heatmaplayer image").last.wait_for(state="attached", timeout=PATIENCE_MS)


def foot(page: Page, title: str) -> str:
    return region(page, title).locator(".foot").text_content() or ""


def hover(page: Page, title: str, across: float, down: float) -> str:
    """What a figure says at a place, in shares of its width and height."""
    panel = region(page, title)
    point_at(page, panel.locator(".nsewdrag").first, across, down)
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
    press(page)
    assert changes(page, lambda: foot(page, PARTS), before).startswith(
        f"{token[1]} over the mean of all tokens (the target"
    )
    figure = region(page, LENS).locator(".js-plotly-plot")
    figure.focus()
    page.keyboard.press("Escape")
    expect(region(page, PARTS).locator(".foot")).to_have_text(before, timeout=PATIENCE_MS)
    page.keyboard.press("2")
    expect(region(page, HEADS).locator(".foot")).to_contain_text("the target you chose", timeout=PATIENCE_MS)


def open_lens_map(page: Page, served: Served) -> Locator:
    """The Activations page, until the job has filled in all rows."""
    open_activations(page, served)
    panel = region(page, LENS_MAP)
    expect(panel.locator(".foot")).to_contain_text("is where its prediction settles", timeout=PATIENCE_MS)
    expect(panel.locator(".panel-work")).to_be_hidden()
    return panel


def test_the_lens_of_the_whole_text_ends_in_the_model_s_output(page: Page, served: Served) -> None:
    panel = open_lens_map(page, served)
    likeliest = re.search(r"the output’s likeliest token is ‘(.+?)’ with", foot(page, LENS))
    graph = panel.locator(".js-plotly-plot").element_handle()
    page.wait_for_function("graph => (graph.layout.shapes || []).length", arg=graph)
    word = page.evaluate("graph => graph.data[0].text.at(-1)[graph.layout.shapes[0].x0 + 0.5]", graph)
    assert likeliest is not None
    assert word.startswith(f"‘{likeliest[1]}’, ")
    panel.get_by_label("place of the target").check()
    expect(panel.locator(".foot")).to_contain_text("No target is chosen", timeout=PATIENCE_MS)
    panel.get_by_role("radio", name="the whole text").check()
    page.wait_for_function("graph => !graph.data.some(({ mode }) => mode === 'text')", arg=graph)  # no words in cells
    assert "lens-map.colour=rank" in page.url
    assert "lens-map.span=all" in page.url


def test_a_cell_of_the_whole_lens_selects_its_token_and_then_its_word_by_mouse_and_key(
    page: Page, served: Served
) -> None:
    panel = open_lens_map(page, served)
    said = hover(page, LENS_MAP, 0.2, 0.9)
    place = re.match(r"into layer 0, after token (\d+) ‘.+’: likeliest is ‘(.+)’, ", said)
    assert place is not None, said
    press(page)
    expect(page.locator("#selection-text")).to_contain_text(f"Selected: token {place[1]} ")
    expect(region(page, PARTS).locator(".foot")).to_contain_text(f"after token {place[1]} ", timeout=PATIENCE_MS)
    hover(page, LENS_MAP, 0.2, 0.9)
    press(page)
    expect(region(page, PARTS).locator(".foot")).to_contain_text(
        f"‘{place[2]}’ over the mean of all tokens (the target you chose)", timeout=PATIENCE_MS
    )
    panel.locator(".js-plotly-plot").focus()
    page.keyboard.press("Escape")
    expect(region(page, PARTS).locator(".foot")).to_contain_text("(the output’s favourite)", timeout=PATIENCE_MS)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#selection-text")).to_contain_text(f"Selected: token {int(place[1]) + 1} ")


def test_targets_are_written_and_stand_in_link_and_fields(page: Page, served: Served) -> None:
    open_activations(page, served)
    target, against = page.locator("#selection-target"), page.locator("#selection-against")
    target.fill("cat")
    expect(page.locator("#vocabulary option").first).to_be_attached(timeout=PATIENCE_MS)
    target.press("Enter")
    expect(target).to_have_value("·cat #3797", timeout=PATIENCE_MS)
    against.fill('"The"')
    against.press("Enter")
    expect(region(page, PARTS).locator(".foot")).to_contain_text(
        "‘·cat’ over ‘The’ (the target you chose, compared with the token you chose)", timeout=PATIENCE_MS
    )
    assert "target=3797&against=464" in page.url
    page.get_by_role("button", name="Undo").click()
    expect(against).to_have_value("", timeout=PATIENCE_MS)
    region(page, LENS).get_by_label("Lines of more tokens").fill("dog, fish")
    page.keyboard.press("Enter")
    expect(region(page, LENS).locator(".legendtext", has_text="·fish (yours)")).to_be_visible(timeout=PATIENCE_MS)


def test_a_neuron_s_number_is_part_of_the_selection(page: Page, served: Served) -> None:
    open_activations(page, served)
    number = page.get_by_label("Neuron", exact=True)
    number.fill("7")
    number.press("Enter")
    expect(page.locator("#selection-text")).to_contain_text("layer 0, neuron 7")
    assert "layer=0&neuron=7" in page.url
    page.get_by_role("button", name="Undo").click()
    expect(number).to_have_value("")


def test_a_neuron_is_chosen_by_mouse_and_by_key_and_shown_by_itself(page: Page, served: Served) -> None:
    open_activations(page, served)
    one, bars = region(page, "One neuron"), region(page, "Direct logit attribution of neurons")
    expect(one.locator(".foot")).to_contain_text("No neuron is selected: this is layer", timeout=PATIENCE_MS)
    bars.locator(".barlayer .point").last.wait_for(state="attached", timeout=PATIENCE_MS)
    bars.locator(".js-plotly-plot").focus()
    page.keyboard.press("ArrowDown")
    first = bars.locator(".ytick text").first.text_content() or ""
    expect(page.locator("#selection-text")).to_contain_text(f"Selected: {first}", timeout=PATIENCE_MS)
    place = re.match(r"layer (\d+), neuron (\d+)", first)
    assert place is not None
    expect(one.locator(".foot")).to_contain_text(f"Layer {place[1]}, neuron {place[2]}.", timeout=PATIENCE_MS)
    fourth = bars.locator(".ytick text").nth(3).text_content() or ""
    point_at(page, bars.locator(".barlayer .point").nth(3))
    bars.locator(".hovertext").first.wait_for(timeout=PATIENCE_MS)
    press(page)
    expect(page.locator("#selection-text")).to_contain_text(f"Selected: {fourth}", timeout=PATIENCE_MS)


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
    press(page)
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
