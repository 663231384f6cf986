"""The token strip shows the selected token's attention, on every page, in words a screen reader can say."""

from __future__ import annotations

import json
import re
import time

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Served
from tests.browser.steps import PATIENCE_MS, begin, generate, open_example, selected, shows_selected, tokens, wait_for

LEGEND = "#weights-legend-a"
WEIGHTED = "#token-strip-a[data-weighed] [style*='--weight']"


def wait_for_weights(page: Page, words: str) -> None:
    """Until the legend of the strip says so."""
    expect(page.locator(LEGEND)).to_contain_text(words, timeout=PATIENCE_MS)


def weights(page: Page) -> dict[int, float]:
    """Position → weight as the sentences of the tokens say them."""
    found = page.locator(WEIGHTED).evaluate_all(
        "all => all.map((token) => [Number(token.dataset.pos), token.dataset.attention])"
    )
    return {pos: float(re.sub("−", "-", said.rsplit(", ", 1)[1])) for pos, said in found}


def heights(page: Page) -> dict[int, float]:
    """Position → height of the bar, of 1."""
    found = page.locator(WEIGHTED).evaluate_all(
        "all => all.map((token) => [Number(token.dataset.pos), Number(token.style.getPropertyValue('--weight'))])"
    )
    return dict(found)


def test_a_clicked_token_shows_what_it_looks_at_and_what_looks_at_it(page: Page, served: Served) -> None:
    open_example(page, served.base)
    tokens(page).nth(6).click()
    wait_for_weights(page, "what token 6")
    row = weights(page)
    assert sorted(row) == list(range(7))
    assert abs(sum(row.values()) - 1) < 0.005 * len(row)  # three digits each
    for pos, height in heights(page).items():
        assert abs(height - row[pos] ** 0.5) < 0.002  # three digits of both
    page.get_by_label("is looked at by").check()
    wait_for_weights(page, "what looks at token 6")
    n = tokens(page).count()
    column = weights(page)
    assert sorted(column) == list(range(6, n))
    assert column[6] == row[6]  # itself: the same query and key
    page.reload()
    wait_for(page, "done")
    wait_for_weights(page, "what looks at token 6")


def test_a_selected_head_has_weights_of_its_own_and_the_hover_names_it(page: Page, served: Served) -> None:
    open_example(page, served.base)
    tokens(page).nth(5).click()
    wait_for_weights(page, "mean over all heads")
    mean = weights(page)
    page.locator("#selection-layer").select_option("2")
    page.locator("#selection-head").select_option("1")
    wait_for_weights(page, "layer 2, head 1")
    assert weights(page) != mean
    assert (tokens(page).nth(3).get_attribute("data-attention") or "").startswith("Layer 2, head 1: ")
    assert tokens(page).nth(6).get_attribute("data-attention") is None  # the future, which no token sees


def test_the_strip_shows_it_on_every_page_and_is_asked_nothing_twice(page: Page, served: Served) -> None:
    asked: list[object] = []
    page.on("request", lambda request: asked.append(request.post_data_json) if "/strip-att" in request.url else None)
    open_example(page, served.base)
    tokens(page).nth(4).click()
    wait_for_weights(page, "what token 4")
    tokens(page).nth(3).click()
    wait_for_weights(page, "what token 3")
    before = len(asked)
    for name in ("Attention", "Activations", "Model", "Generation"):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True).click()
        wait_for_weights(page, "what token 3")
    page.locator("#token-strip-a [aria-selected='true']").focus()
    page.keyboard.press("ArrowRight")
    wait_for_weights(page, "what token 4")
    page.keyboard.press("ArrowLeft")
    wait_for_weights(page, "what token 3")
    assert len(asked) == before


def test_an_answer_to_an_earlier_question_is_never_painted(page: Page, served: Served) -> None:
    """The first answer is held back until others were asked for."""
    open_example(page, served.base)
    wait_for_weights(page, "Bars:")
    held: list[Route] = []
    page.route("**/strip-attention", lambda route: route.continue_() if held else held.append(route))
    tokens(page).nth(2).click()
    page.wait_for_timeout(300)
    tokens(page).nth(3).click()
    tokens(page).nth(4).click()
    expect(page.locator(LEGEND)).to_be_empty(timeout=PATIENCE_MS)  # those of the token before do not stay
    assert page.locator(WEIGHTED).count() == 0
    page.evaluate(
        f"""() => {{
          window.legends = [];
          const legend = document.querySelector({json.dumps(LEGEND)});
          new MutationObserver(() => window.legends.push(legend.textContent)).observe(legend, {{ childList: true }});
        }}"""
    )
    held[0].continue_()
    wait_for_weights(page, "what token 4")
    assert [said for said in page.evaluate("window.legends") if "token 4 " not in said] == []


def quoted(text: str) -> str:
    """A token as sentences write it. Bytes that are no text stand as they are: ‘<E9 BE 8D>’."""
    is_bytes = re.fullmatch(r"<[0-9A-F]{2}( [0-9A-F]{2})*>", text)
    return "‘" + (text if is_bytes else text.replace(" ", "·").replace("\n", "↵")) + "’"


def test_a_run_just_computed_is_named_by_its_own_tokens(page: Page, served: Served) -> None:
    """Not by those that stood in the strip while it ran."""
    open_example(page, served.base)
    wait_for_weights(page, "Bars:")
    generate(page, "Where did my grandmother put the key", New_tokens=4, Seed=time.time_ns() % 10**6)
    wait_for_weights(page, "‘·key’")
    last = tokens(page).count() - 1
    for pos in (3, last):
        tokens(page).nth(pos).click()
        texts = [quoted(text) for text in tokens(page).all_text_contents()]
        wait_for_weights(page, f"what token {pos} {texts[pos]} looks at")
        sentences = [tokens(page).nth(key).get_attribute("data-attention") or "" for key in range(pos)]
        assert all(f": {texts[pos]} looks at {texts[key]}, " in said for key, said in enumerate(sentences))


def test_a_run_under_way_has_no_weights(page: Page, served: Served) -> None:
    open_example(page, served.base)
    wait_for_weights(page, "Bars:")
    begin(page, "No weights yet", New_tokens=1000, Seed=5)
    page.locator("#token-strip-a .drawn").nth(3).wait_for()
    assert page.locator(WEIGHTED).count() == 0
    expect(page.locator(LEGEND)).to_be_empty()
    page.get_by_role("button", name="Stop").first.click()
    wait_for(page, "done")
    wait_for_weights(page, "Bars:")


def test_a_thousand_tokens_are_highlighted_at_once_and_weighed_soon(page: Page, served: Served) -> None:
    """The highlight is done when the click is, no server asked. Times have room for a busy machine."""
    open_example(page, served.base)
    generate(page, "word " * 1000, New_tokens=2)
    wait_for_weights(page, "Bars:")
    assert tokens(page).count() > 1000
    took = page.evaluate(
        """() => {
          const token = document.querySelector("#token-strip-a").childNodes[900];
          const began = performance.now();
          token.click();
          return token.classList.contains("selected") ? performance.now() - began : Infinity;
        }"""
    )
    assert took < 500
    assert shows_selected(page)
    wait_for_weights(page, "what token 900")
    assert len(weights(page)) == 901


def test_a_long_strip_shows_the_token_that_the_page_speaks_of(page: Page, served: Served) -> None:
    """By scrolling itself, not the page, and not against a person."""
    open_example(page, served.base)
    generate(page, "word " * 400, New_tokens=0)
    wait_for_weights(page, "Bars:")
    assert shows_selected(page)  # the end of the prompt
    strip = page.locator("#token-strip-a")
    line = float(strip.evaluate("strip => parseFloat(getComputedStyle(strip).lineHeight)"))
    assert strip.evaluate("strip => strip.clientHeight") < 4.5 * line
    strip.evaluate("strip => strip.scrollTop = 0")
    page.wait_for_timeout(300)
    assert not shows_selected(page)  # it is left where it was put
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Model", exact=True).click()
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Model")).to_have_attribute(
        "aria-current", "page"
    )
    page.wait_for_timeout(300)
    assert shows_selected(page)
    page.locator("#token-strip-a [aria-selected='true']").focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(300)
    assert shows_selected(page)
    assert page.evaluate("window.scrollY") == 0
    page.keyboard.press("ArrowDown")  # to the same place in the next line, and back
    box = "getBoundingClientRect()"
    assert strip.evaluate(f"strip => strip.querySelector('.selected').{box}.top >= strip.firstChild.{box}.bottom")
    page.keyboard.press("ArrowUp")
    assert selected(page) == 0


def test_a_heading_that_is_led_to_is_not_under_the_strip(page: Page, served: Served) -> None:
    open_example(page, served.base)
    wait_for_weights(page, "Bars:")
    heading = page.get_by_role("heading", name="Surprisal of each token")
    for _ in range(50):  # until the figures above it have their height
        heading.evaluate("heading => heading.scrollIntoView()")
        if page.evaluate("window.scrollY") > 0:
            break
        page.wait_for_timeout(100)
    head = page.locator(".strip-bar").evaluate("bar => bar.getBoundingClientRect().bottom")
    assert page.evaluate("window.scrollY") > 0
    assert heading.evaluate("heading => heading.getBoundingClientRect().top") >= head


def test_a_strip_runs_from_left_to_right_whatever_it_begins_with(page: Page, served: Served) -> None:
    """And a piece of a character is set as a whole, and said in words."""
    open_example(page, served.base)
    generate(page, "مرحبا بالعالم hello", New_tokens=0)
    lefts = tokens(page).evaluate_all("all => all.map((token) => token.getBoundingClientRect().left)")
    assert lefts[0] == min(lefts)
    assert lefts[-1] == max(lefts)  # hello
    piece = tokens(page).filter(has_text=re.compile(r"^<20 D8>$"))
    wait_for_weights(page, "Bars:")
    expect(piece).to_have_attribute("data-about", "20 is a space; 1 byte that is part of a character")
    expect(piece.locator(".ws")).to_have_count(0)
    assert piece.evaluate("piece => piece.getClientRects().length") == 1


def test_right_to_left_words_read_as_they_are_written(page: Page, served: Served) -> None:
    open_example(page, served.base)
    generate(page, "مم", New_tokens=0)
    first, second = tokens(page).nth(1), tokens(page).nth(2)
    assert (first.text_content(), second.text_content()) == ("م", "م")
    boxes = [first.bounding_box(), second.bounding_box()]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[1]["x"] < boxes[0]["x"]


def test_a_control_character_is_seen(page: Page, served: Served) -> None:
    open_example(page, served.base)
    generate(page, "a\u0000b", New_tokens=0)
    expect(page.locator("#token-strip-a").get_by_text("[0]", exact=True).first).to_be_visible()


def test_a_clicked_token_is_outlined_in_a_figure_that_is_not_drawn_anew(page: Page, served: Served) -> None:
    """To draw 512 tokens anew takes a quarter of a second, in which nothing else on the page moves."""
    open_example(page, served.base)
    figure = page.get_by_role("region", name="Surprisal of each token").locator(".js-plotly-plot")
    tokens(page).nth(2).click()
    outline = figure.locator(".shapelayer path")
    expect(outline).to_have_count(1)
    before = outline.get_attribute("d")
    wait_for_weights(page, "what token 2")
    page.wait_for_load_state("networkidle")
    figure.evaluate(
        "(it) => { it.drawnAnew = 0; const { react } = Plotly; Plotly.react = (graph, ...more) => {"
        "  if (graph === it) it.drawnAnew += 1; return react(graph, ...more); }; }"
    )
    tokens(page).nth(4).click()
    expect(outline).not_to_have_attribute("d", before or "")
    wait_for_weights(page, "what token 4")
    page.wait_for_load_state("networkidle")
    assert figure.evaluate("(it) => it.drawnAnew") == 0
