"""The Compare page as a person finds it: two prompts, one selection, any panel for both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Error, Locator, Page, expect

from tests.browser.conftest import Complaints, Served
from tests.browser.steps import (
    PATIENCE_MS,
    begin,
    changes,
    generate,
    region,
    selected,
    shows_selected,
    tokens,
    until,
    wait_for,
)
from tests.browser.test_accessibility import violations

# Tokens: <|endoftext|> The cat sat on the mat; <|endoftext|> The very old cat lay on the mat.
CAT, OLD_CAT = "The cat sat on the mat", "The very old cat lay on the mat"
NEXT, SURPRISAL = "What comes next", "Surprisal of each token"
LIMIT_BYTES = 2_000_000


def open_pair(page: Page, base: str, a: str = CAT, b: str | None = OLD_CAT, **more: str) -> None:
    """The page with two prompts that are only looked at, until what differs is told."""
    page.goto(link(base, a, b, **more))
    wait_for(page, "done")
    if b is not None:
        wait_for(page, "done", "b")
        expect(page.locator("#compare-expectations")).not_to_be_empty(timeout=PATIENCE_MS)


def link(base: str, a: str, b: str | None, **more: str) -> str:
    asked = {"prompt": a, "new": "0"} | ({} if b is None else {"b.prompt": b, "b.new": "0"})
    return f"{base}/compare?{urlencode(asked | more)}"


def half(page: Page, title: str, slot: str) -> Locator:
    """A panel in a slot, scrolled into the window: only what is near it is told of runs and selections."""
    found = page.get_by_role("group", name=f"{title}, prompt {slot}")
    for _ in range(5):
        try:
            found.scroll_into_view_if_needed(timeout=PATIENCE_MS / 6)
        except Error:  # the next box was checked, and the panels were put together anew meanwhile
            continue
        return found
    found.scroll_into_view_if_needed()
    return found


def drawn(page: Page, title: str, slot: str) -> Locator:
    """Its figure, drawn, which it is once it is near the window."""
    graph = half(page, title, slot).locator(".panel-body:not(.is-waiting) .js-plotly-plot")
    graph.locator(".main-svg").first.wait_for(timeout=PATIENCE_MS)
    return graph


def layout_of(graph: Locator, name: str) -> Any:
    return graph.evaluate("(graph, name) => graph._fullLayout[name].range", name)


def reach(page: Page, slot: str) -> str:
    """How far the axis of the probabilities goes."""
    return str(layout_of(drawn(page, NEXT, slot), "xaxis"))


def expect_axis_title(page: Page, slot: str, token: str) -> None:
    title = drawn(page, NEXT, slot).locator(".xtitle")
    expect(title).to_have_text(f"probability of coming after ‘{token}’", timeout=PATIENCE_MS)


def expect_outline(graph: Locator, left: float) -> None:
    """One outline that begins there, once the figure is near enough to the window to have it."""
    until(graph.page, lambda: [shape["x0"] for shape in shapes(graph) if shape["type"] == "rect"] == [left])


def shapes(graph: Locator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = graph.evaluate("graph => graph.layout.shapes || []")
    return found


def expect_dotted(graph: Locator, *stretches: list[float]) -> None:
    """Along the x axis, from where to where the tokens have no counterpart."""

    def dots() -> list[list[float]]:
        return [[shape["x0"], shape["x1"]] for shape in shapes(graph) if shape["type"] == "line"]

    until(graph.page, lambda: dots() == list(stretches))


def aligned_cell(page: Page, slot: str, pos: int) -> Locator:
    """A token in the editor of the alignment."""
    return page.locator(f"#align-pairs [data-slot='{slot}'][data-pos='{pos}']")


def expectations(page: Page) -> Locator:
    return page.locator("#compare-expectations")


def test_without_a_second_prompt_the_first_is_shown_and_an_example_is_a_click_away(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/compare")
    wait_for(page, "done")
    drawn(page, NEXT, "a")
    expect(page.get_by_text("There is no second prompt yet.")).to_be_visible()
    expect(half(page, NEXT, "b").locator(".panel-state")).to_have_text("Nothing yet. Type a prompt and press Generate.")
    expect(page.get_by_role("button", name="Swap a and b")).to_be_disabled()
    page.get_by_role("button", name="Generate b with one word changed").click()
    wait_for(page, "done", "b")
    expect(page.locator("#prompt-b")).to_have_value("Once upon a time, there was a big")
    drawn(page, NEXT, "b")
    expect(page.locator("#compare-tokens")).to_contain_text("Aligned: ")
    expect(expectations(page)).to_contain_text(
        "After token 9 ‘·little’ of a and token 9 ‘·big’ of b: the two next-token"
    )
    expect(page.get_by_text("There is no second prompt yet.")).to_be_hidden()


def test_a_ready_pair_is_one_click_and_neither_is_continued(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/compare")
    wait_for(page, "done")
    page.get_by_role("link", name="Which country").click()
    wait_for(page, "done", "b")
    expect(page.locator("#prompt-a")).to_have_value("Everybody knows that the capital of France is")
    expect(page.locator("#prompt-b")).to_have_value("Everybody knows that the capital of Italy is")
    assert tokens(page, "b").count() == 9
    expect(expectations(page)).to_contain_text("After token 8 ‘·is’ of a and token 8 ‘·is’ of b", timeout=PATIENCE_MS)


def test_the_second_prompt_is_asked_as_the_first_was(page: Page, served: Served) -> None:
    """So that only the prompts differ. What a person sets for b stays."""
    page.goto(f"{served.base}/?{urlencode({'prompt': CAT, 'new': 2, 't': 0.5, 'seed': 7})}")
    wait_for(page, "done")
    page.locator("nav.pages a[href^='/compare']").click()
    expect(page.locator("#max-new-tokens-b")).to_have_value("2")
    expect(page.locator("#temperature-b")).to_have_value("0.5")
    expect(page.locator("#seed-b")).to_have_value("7")
    page.locator("#slot-b .sampling summary").click()
    page.locator("#seed-b").fill("8")
    page.locator("nav.pages a[href^='/attention']").click()
    page.locator("nav.pages a[href^='/compare']").click()
    expect(page.locator("#seed-b")).to_have_value("8")
    page.locator("#prompt-b").fill("The dog sat")
    page.locator("#go-b").click()
    wait_for(page, "done", "b")
    assert tokens(page, "b").count() == 6
    expect(page.locator("#prompt-a")).to_have_value(CAT)


def test_a_token_chosen_in_one_slot_is_outlined_and_shown_in_the_other(page: Page, served: Served) -> None:
    open_pair(page, served.base, **{"compare.open": "next-tokens.surprisal"})
    tokens(page, "a").nth(2).click()
    assert selected(page, "b") == 4
    expect_axis_title(page, "a", "·cat")
    expect_axis_title(page, "b", "·cat")
    expect_outline(drawn(page, SURPRISAL, "a"), 1.5)
    expect_outline(drawn(page, SURPRISAL, "b"), 3.5)
    tokens(page, "b").nth(5).click()
    assert selected(page, "a") == 3
    expect_axis_title(page, "a", "·sat")
    expect(expectations(page)).to_contain_text("After token 3 ‘·sat’ of a and token 5 ‘·lay’ of b")
    expect(page.locator("#selection-text")).to_contain_text("in b")


def test_a_token_without_counterpart_is_marked_and_nothing_stands_in_for_it(page: Page, served: Served) -> None:
    open_pair(page, served.base, **{"compare.open": "next-tokens.surprisal"})
    assert page.locator("#token-strip-b .unaligned").all_text_contents() == [" very", " old"]
    assert page.locator("#token-strip-a .unaligned").count() == 0
    assert page.locator("#token-strip-a .replaced").all_text_contents() == [" sat"]
    expect(tokens(page, "b").nth(2)).to_have_attribute("aria-description", "no counterpart in a")
    expect(page.locator("#compare-tokens")).to_have_text(
        "Aligned: 7 of 7 tokens of a, 7 of 9 of b. The same in both: 6; replaced by another token: 1; "
        "without counterpart: 2 of b."
    )
    expect_dotted(drawn(page, SURPRISAL, "b"), [1.5, 3.5])
    expect_dotted(drawn(page, SURPRISAL, "a"))
    tokens(page, "b").nth(3).click()
    expect(half(page, NEXT, "a").locator(".panel-state")).to_contain_text("of b has no counterpart in a")
    expect_axis_title(page, "b", "·old")
    expect(expectations(page)).to_contain_text("no counterpart in a, so there are no two expectations")
    expect(page.locator("#token-strip-a [aria-selected='true']")).to_have_count(0)
    assert page.locator("#token-strip-a [tabindex='0']").count() == 1  # the strip can still be reached


def test_the_strips_are_walked_by_keyboard_together(page: Page, served: Served) -> None:
    open_pair(page, served.base)
    tokens(page, "b").nth(4).focus()
    for key, in_b, in_a in (("ArrowRight", 5, 3), ("ArrowRight", 6, 4), ("End", 8, 6), ("Home", 0, 0)):
        page.keyboard.press(key)
        assert (selected(page, "b"), selected(page, "a")) == (in_b, in_a)
    page.keyboard.press("Escape")
    expect(page.locator("#selection-text")).to_contain_text("Click a token")


def test_knobs_of_a_pair_go_together_and_axes_reach_as_far(page: Page, served: Served) -> None:
    open_pair(page, served.base, **{"compare.open": "next-tokens.surprisal"})
    before = {slot: reach(page, slot) for slot in "ab"}
    half(page, NEXT, "b").get_by_label("fit the longest bar").check()
    expect(half(page, NEXT, "a").get_by_label("fit the longest bar")).to_be_checked()
    for slot in "ab":
        changes(page, lambda slot=slot: reach(page, slot), before[slot])
    assert layout_of(drawn(page, NEXT, "a"), "xaxis") == layout_of(drawn(page, NEXT, "b"), "xaxis")
    assert layout_of(drawn(page, SURPRISAL, "a"), "yaxis") == layout_of(drawn(page, SURPRISAL, "b"), "yaxis")
    half(page, NEXT, "a").get_by_label("0 to 100%").check()
    expect(half(page, NEXT, "b").get_by_label("0 to 100%")).to_be_checked()
    assert "next-tokens.scale" not in page.url


AT_ONCE = 4  # panels, each of them twice, that a person would have open


def test_every_panel_opens_for_both_prompts_and_closes_again(page: Page, served: Served) -> None:
    open_pair(page, served.base)
    boxes = page.get_by_role("group", name="What to compare").get_by_role("checkbox")
    titles = page.get_by_role("group", name="What to compare").locator("label").all_text_contents()
    assert len(titles) >= 11
    boxes.nth(0).uncheck()
    for first in range(0, len(titles), AT_ONCE):
        some = range(first, min(first + AT_ONCE, len(titles)))
        for i in some:
            boxes.nth(i).check()
        for title in (titles[i] for i in some):
            for slot in "ab":
                drawn(page, title, slot)
                expect(half(page, title, slot).locator(".panel-fault")).to_be_empty()
        found = page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
        assert len(found) == len(set(found))
        for i in some:
            boxes.nth(i).uncheck()
    expect(page.locator(".half")).to_have_count(0)
    assert "compare.open=" in page.url


def test_prompts_swap_with_the_selection_and_copy_to_be_edited(page: Page, served: Served) -> None:
    open_pair(page, served.base)
    tokens(page, "a").nth(3).click()
    page.get_by_role("button", name="Swap a and b").click()
    expect(page.locator("#prompt-a")).to_have_value(OLD_CAT)
    expect(page.locator("#prompt-b")).to_have_value(CAT)
    expect(expectations(page)).to_contain_text("After token 5 ‘·lay’ of a and token 3 ‘·sat’ of b", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Copy a to b").click()
    expect(page.locator("#prompt-b")).to_have_value(OLD_CAT)
    expect(page.locator("#prompt-b")).to_be_focused()
    expect(page.locator("#prompt-differs-b")).to_be_visible()
    assert tokens(page, "b").count() == 7  # until Generate is pressed


def test_the_link_restores_both_prompts_selection_panels_and_knobs_in_a_fresh_browser(
    page: Page, served: Served, chromium: Browser, complaints: Complaints
) -> None:
    open_pair(page, served.base)
    page.get_by_label(SURPRISAL, exact=True).check()
    half(page, NEXT, "a").get_by_label("fit the longest bar").check()
    tokens(page, "b").nth(5).click()
    expect(expectations(page)).to_contain_text("token 5 ‘·lay’ of b")
    drawn(page, SURPRISAL, "b")
    kept = page.url
    fresh = chromium.new_context()
    try:
        other = fresh.new_page()
        complaints.watch(other)
        other.goto(kept)
        wait_for(other, "done")
        wait_for(other, "done", "b")
        expect(expectations(other)).to_contain_text("After token 3 ‘·sat’ of a and token 5 ‘·lay’ of b")
        expect(half(other, NEXT, "b").get_by_label("fit the longest bar")).to_be_checked()
        drawn(other, SURPRISAL, "b")
        assert tokens(other, "b").all_text_contents() == tokens(page, "b").all_text_contents()
        assert (selected(other, "a"), selected(other, "b")) == (3, 5)
    finally:
        fresh.close()


def test_an_alignment_is_edited_by_keyboard_kept_by_the_link_and_undone(page: Page, served: Served) -> None:
    open_pair(page, served.base)
    streams = region(page, "Streams that part").locator(".panel-body:not(.is-waiting) .js-plotly-plot")

    def gaps() -> str:
        """Between the streams of aligned tokens, as they came from the server."""
        return str(streams.evaluate("graph => graph.data[0].z.bdata"))

    streams.locator(".main-svg").first.wait_for(timeout=PATIENCE_MS)
    by_itself = gaps()
    aligned_cell(page, "a", 3).focus()
    for key in ("Enter", "ArrowDown", "ArrowLeft", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#align-said")).to_have_text(
        "Token 3 ‘·sat’ of a stands for token 3 ‘·old’ of b. 1 edit by hand.", timeout=PATIENCE_MS
    )
    expect(page.locator("#compare-tokens")).to_contain_text("Edited by hand: token 3 ‘·sat’ of a", timeout=PATIENCE_MS)
    region(page, "Streams that part")  # far from the editor it is not drawn anew
    by_hand = changes(page, gaps, by_itself)
    page.reload()
    wait_for(page, "done", "b")
    expect(page.locator("#align-said")).to_contain_text("1 edit by hand.", timeout=PATIENCE_MS)
    region(page, "Streams that part")
    streams.locator(".main-svg").first.wait_for(timeout=PATIENCE_MS)
    until(page, lambda: gaps() == by_hand)
    aligned_cell(page, "b", 6).click()
    aligned_cell(page, "a", 2).click()  # crosses the pair that there is
    crossed = "token 2 of a with 6 of b, and 3 of a with 3 of b, cross"
    expect(page.locator("#align-refused")).to_contain_text(crossed, timeout=PATIENCE_MS)
    expect(page.locator("#align-said")).to_contain_text("1 edit by hand.")
    assert page.url.endswith("&align=3-3")
    page.get_by_role("button", name="Undo all edits").click()
    expect(page.locator("#align-said")).to_have_text("All edits are undone. Nothing is edited.", timeout=PATIENCE_MS)
    assert "align=" not in page.url
    region(page, "Streams that part")
    until(page, lambda: gaps() == by_itself)


def test_both_runs_stay_while_another_page_is_open_and_back_returns(page: Page, served: Served) -> None:
    open_pair(page, served.base)
    tokens(page, "b").nth(4).click()
    page.get_by_role("link", name="Generation").click()
    expect(page.get_by_role("region", name=SURPRISAL)).to_be_visible()
    for of_b in page.locator("#shell .of-b").all():
        expect(of_b).to_be_hidden()
    assert selected(page, "a") == 2  # what is chosen in b, as a has it
    page.go_back()
    drawn(page, NEXT, "b")
    expect(expectations(page)).to_contain_text("After token 2 ‘·cat’ of a and token 4 ‘·cat’ of b", timeout=PATIENCE_MS)


def test_one_slot_is_shown_while_the_other_runs_or_has_failed(page: Page, served: Served) -> None:
    open_pair(page, served.base, b=None)
    begin(page, "Refused", "b", Temperature=-1)
    wait_for(page, "failed", "b")
    drawn(page, NEXT, "a")
    expect(half(page, NEXT, "b").locator(".panel-state")).to_contain_text("the run did not finish")
    begin(page, "For a while", "b", New_tokens=1000, Temperature=1)
    wait_for(page, "running", "b")
    expect(half(page, NEXT, "b").locator(".panel-state")).to_contain_text("Being computed.")
    drawn(page, NEXT, "a")
    page.locator("#slot-b").get_by_role("button", name="Stop").click()
    wait_for(page, "done", "b")
    drawn(page, NEXT, "b")
    expect(expectations(page)).to_contain_text("bits apart", timeout=PATIENCE_MS)


@contextmanager
def largest_response(page: Page) -> Iterator[list[int]]:
    sizes: list[int] = [0]
    page.on("response", lambda response: sizes.append(len(response.body())) if "_dash-update" in response.url else None)
    yield sizes


def test_two_prompts_of_a_thousand_tokens_stay_below_the_limit(page: Page, served: Served) -> None:
    with largest_response(page) as sizes:
        opened = {"compare.open": "next-tokens.surprisal.head-grid.head-pattern.resid-norms"}
        page.goto(f"{served.base}/compare?{urlencode(opened)}")
        wait_for(page, "done")
        generate(page, "word " * 1022 + "end", New_tokens=0)
        generate(page, "word " * 500 + "other " + "word " * 520 + "stop", "b", New_tokens=0)
        expect(expectations(page)).to_contain_text("bits apart", timeout=PATIENCE_MS)
        expect(page.locator("#compare-tokens")).to_contain_text(
            "Aligned: 1,023 of 1,024 tokens of a, 1,023 of 1,023 of b."
        )
        for slot in "ab":
            drawn(page, "One head", slot)
            assert shows_selected(page, slot)
    assert 1_000_000 < max(sizes) < LIMIT_BYTES


def test_a_difference_takes_the_place_of_b_and_a_map_opens_what_is_behind_it(page: Page, served: Served) -> None:
    open_pair(page, served.base, layer="0", head="1")
    changed = page.get_by_role("region", name="Attention that changed")
    changed.get_by_role("button", name="Show One head of both").click()
    b = half(page, "One head", "b")
    expect(b.locator(".foot")).not_to_be_empty(timeout=PATIENCE_MS)
    b.get_by_label("a − b").check()
    expect(b.locator(".foot")).to_contain_text("a − b of attention, layer 0, head 1: largest at", timeout=PATIENCE_MS)
    page.wait_for_url("**head-pattern.minus=difference**")
    expect(half(page, "One head", "a").locator(".foot")).not_to_contain_text("a − b of")
    page.locator("#selection-head").select_option("0")
    expect(b.locator(".foot")).to_contain_text("layer 0, head 0: largest at", timeout=PATIENCE_MS)


def test_on_a_telephone_a_stands_above_b(page: Page, served: Served) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_pair(page, served.base)
    graphs = [drawn(page, NEXT, slot) for slot in "ab"]
    boxes = [graph.bounding_box() for graph in graphs]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for name in ("Generation", "Compare", "Model"):  # all are in sight: nothing would say that more can be scrolled to
        box = page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_has_no_accessibility_violation(page: Page, served: Served, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.goto(f"{served.base}/compare")
    wait_for(page, "done")
    drawn(page, NEXT, "a")
    assert violations(page) == []
    open_pair(page, served.base)
    drawn(page, NEXT, "b")
    tokens(page, "b").nth(3).click()
    page.locator("#compare-expectations").get_by_text("no counterpart").wait_for()
    assert violations(page) == []
