"""The strip coloured by a measure of each token, the card of a token, and the unit of information of the whole app."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Complaints, Served
from tests.browser.steps import PATIENCE_MS, generate, open_example, region, tokens, wait_for
from tests.browser.test_accessibility import violations

LEGEND, CARD, COLOUR = "#weights-legend-a", "#token-card", "#strip-colour"
SURPRISAL = "Surprisal of each token"


def expect_legend(page: Page, said: str) -> None:
    expect(page.locator(LEGEND)).to_contain_text(said, timeout=PATIENCE_MS)


def heights(page: Page) -> list[float]:
    """Of the bars, 0..1; −1 for a token without one."""
    found: list[float] = tokens(page).evaluate_all(
        "all => all.map((token) => Number(token.style.getPropertyValue('--weight') || -1))"
    )
    return found


def test_a_strip_is_coloured_by_what_a_person_chooses_and_the_choice_is_kept(
    page: Page, served: Served, complaints: Complaints
) -> None:
    open_example(page, served.base)
    expect_legend(page, "Bars: what token")
    page.locator(COLOUR).select_option("surprisal")
    expect_legend(page, "Surprisal of each token, as colour and bar: 0")
    expect_legend(page, "15.6 bits or more")
    surprisals = heights(page)
    assert surprisals[0] == -1
    assert min(surprisals[1:]) >= 0
    expect(page.locator(f"{LEGEND} .ramp")).to_be_visible()
    tokens(page).nth(4).click()  # another token has no other colours
    expect(page.locator("#selection-text")).to_contain_text("Selected: token 4")
    assert heights(page) == surprisals
    page.locator(COLOUR).select_option("probability")
    expect_legend(page, "Probability of each token")
    for surprisal, prob in zip(surprisals[1:], heights(page)[1:], strict=True):
        if prob > 0.002:  # three decimals of both
            assert abs(2 ** (-surprisal * 15.617) - prob) < 0.01
    page.wait_for_url("**strip.colour=probability**")
    assert violations(page) == []
    link = page.url
    page.reload()
    wait_for(page, "done")
    expect_legend(page, "Probability of each token")
    other = page.context.browser.new_context().new_page() if page.context.browser else page
    complaints.watch(other)
    other.goto(link)  # of a browser that chose nothing
    wait_for(other, "done")
    expect_legend(other, "Probability of each token")
    other.context.close()
    page.locator(COLOUR).select_option("attention")
    expect_legend(page, "Bars: what token")


def test_a_card_tells_what_a_token_is_by_mouse_and_by_keyboard(page: Page, served: Served) -> None:
    open_example(page, served.base)
    expect_legend(page, "Bars: what token")
    card = page.locator(CARD)
    tokens(page).nth(3).hover()
    expect(card).to_contain_text("‘·a’ token 3 · id 257 · bytes 20 61", timeout=PATIENCE_MS)
    expect(card).to_contain_text(
        re.compile(r"Probability (less than )?[\d.]+%, .+ \(rank [\d,]+\)"), timeout=PATIENCE_MS
    )
    expect(card).to_contain_text(re.compile(r"Surprisal [\d.]+ bits"))
    expect(card.locator("li")).to_have_count(5)
    expect(card).to_contain_text("Merges: ‘·’ + ‘a’", timeout=PATIENCE_MS)
    expect(card).to_contain_text("looks at")  # attention, as long as that is the colour
    card.hover()
    expect(card).to_be_visible()  # it can be pointed at
    page.locator("#page").hover(position={"x": 2, "y": 400})
    expect(card).to_be_hidden()
    tokens(page).nth(1).focus()
    page.keyboard.press("ArrowRight")
    expect(card).to_contain_text("token 2 ", timeout=PATIENCE_MS)
    expect(tokens(page).nth(2)).to_have_attribute("aria-describedby", "token-card")
    page.keyboard.press("Home")
    expect(card).to_contain_text("nothing stands before it")
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()


def test_one_switch_turns_bits_into_nats_everywhere(page: Page, served: Served) -> None:
    open_example(page, served.base)
    foot = region(page, SURPRISAL).locator(".foot")
    expect(foot).to_contain_text(re.compile(r"Prompt: perplexity .* bits a token.*Continuation: perplexity"))
    page.locator(COLOUR).select_option("entropy")
    page.locator("#units-choice").select_option("nats")
    expect(foot).to_contain_text("nats a token", timeout=PATIENCE_MS)
    expect(page.get_by_role("region", name=SURPRISAL).locator(".ytitle")).to_have_text("surprisal (nats)")
    expect(region(page, "What comes next").locator(".foot")).to_contain_text("nats")
    expect_legend(page, "10.8 nats")
    tokens(page).nth(3).hover()
    expect(page.locator(CARD)).to_contain_text(re.compile(r"Surprisal [\d.]+ nats"), timeout=PATIENCE_MS)
    page.wait_for_url("**app.units=nats**")
    page.reload()
    wait_for(page, "done")
    expect(foot).to_contain_text("nats a token", timeout=PATIENCE_MS)


def test_a_thousand_tokens_are_coloured(page: Page, served: Served) -> None:
    open_example(page, served.base)
    page.locator(COLOUR).select_option("rank")
    generate(page, "word " * 1000, New_tokens=2)
    expect_legend(page, "Rank of each token")
    expect(page.locator("#token-strip-a [style*='--weight']")).to_have_count(
        tokens(page).count() - 1, timeout=PATIENCE_MS
    )
