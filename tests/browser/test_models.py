"""Several models: the list in the header, downloads from a hub on this machine, links to what is not here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from dashapp.model.config import GPT2Config
from dashapp.model.download import PIECE_BYTES
from dashapp.model.weights import Weights
from tests.browser.conftest import SMALL, Served, serving
from tests.browser.steps import begin, expect_status, generate, open_example, tokens, wait_for
from tests.browser.test_accessibility import violations
from tests.doubles import save_model_folder
from tests.hub_server import Hub, hub_server

PATIENCE_MS = 30_000
OTHER = GPT2Config(n_layer=2, n_head=3, d_model=9, d_mlp=7, n_ctx=64)
PUBLISHED = {"gpt2": "openai-community/gpt2", "distilgpt2": "distilbert/distilgpt2"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub whose published models are a tiny one of another shape, 2 MB."""
    folder = save_model_folder(tmp_path_factory.mktemp("published") / "tiny", OTHER, seed=7)
    with hub_server() as hub:
        for repo in PUBLISHED.values():
            for file in ("config.json", "model.safetensors"):
                hub.files[(repo, file)] = (folder / file).read_bytes()
        yield hub


@pytest.fixture(autouse=True)
def well_again(hub: Hub) -> Iterator[None]:
    """A test that makes the hub slow or ill leaves it well."""
    yield
    hub.hold_after, hub.status, hub.garbles = None, 0, False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server of this file keeps everything."""
    return tmp_path_factory.mktemp("models-served")


@pytest.fixture(scope="module")
def served(hub: Hub, folder: Path) -> Iterator[Served]:
    """A server with one more model in its models folder, and a hub of its own."""
    save_model_folder(folder / "models" / "other", OTHER, seed=5)
    model = save_model_folder(folder / "small", SMALL)
    with serving(folder, model, HF_ENDPOINT=hub.address, HF_HUB_CACHE=str(folder / "hub")) as served:
        yield served


def open_list(page: Page) -> None:
    page.locator("#model-chip").click()
    row(page, "small").wait_for(timeout=PATIENCE_MS)


def row(page: Page, name: str) -> Locator:
    return page.locator(f'#model-list li[data-model="{name}"]')


def press(page: Page, name: str, words: str) -> None:
    row(page, name).get_by_role("button", name=f"{words}: {name}", exact=True).click()


def wait_for_state(page: Page, name: str, state: str) -> None:
    page.locator(f'#model-list li[data-model="{name}"][data-state="{state}"]').wait_for(timeout=PATIENCE_MS)


def layers(page: Page) -> list[str]:
    return page.locator("#selection-layer option").all_text_contents()


# The list ------------------------------------------------------------------------------------------------------------


def test_the_list_is_operated_by_keyboard(page: Page, served: Served) -> None:
    open_example(page, served.base)
    page.locator("#model-chip").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#model-list li .model-name")).to_have_text(["small", "demo", "distilgpt2", "gpt2", "other"])
    page.keyboard.press("Tab")
    expect(row(page, "small").get_by_role("button")).to_be_focused()
    page.wait_for_load_state("networkidle")  # by now the list has been told anew, and nothing took the focus away
    expect(row(page, "small").get_by_role("button")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#model-list")).to_be_hidden()
    expect(page.locator("#model-chip")).to_be_focused()


def test_a_click_beside_the_list_closes_it(page: Page, served: Served) -> None:
    open_example(page, served.base)
    open_list(page)
    page.locator(".brand").click()
    expect(page.locator("#model-list")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_the_open_list_has_no_violation_and_fits(page: Page, served: Served, width: int, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 800})
    open_example(page, served.base)
    open_list(page)
    expect(page.locator(".model-menu-foot")).to_contain_text("/models.")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    box = page.locator(".model-menu").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_a_folder_that_appears_is_there_when_the_list_is_opened_again(page: Page, served: Served, folder: Path) -> None:
    open_example(page, served.base)
    open_list(page)
    expect(row(page, "new")).to_have_count(0)
    page.keyboard.press("Escape")
    damaged = save_model_folder(folder / "models" / "new", OTHER) / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    open_list(page)
    expect(row(page, "new").locator(".model-said")).to_contain_text("It was probably cut short")
    expect(row(page, "new").get_by_role("button")).to_have_count(0)
    damaged.unlink()
    (damaged.parent / "config.json").unlink()


# Another model -------------------------------------------------------------------------------------------------------


def test_a_chosen_model_waits_for_generate_and_then_is_the_runs(page: Page, served: Served) -> None:
    open_example(page, served.base)
    before = tokens(page).all_text_contents()
    assert layers(page) == ["none", "0", "1", "2"]
    open_list(page)
    press(page, "other", "Use")
    expect(page.locator("#model-list")).to_be_hidden()
    expect(page.locator("#model-next")).to_have_text("next: other")
    expect(row(page, "other").locator(".use-main")).to_have_text("In use")
    expect(row(page, "small").locator(".use-main")).to_have_text("Use")
    expect(page.locator("#prompt-differs-a")).to_be_visible()
    assert tokens(page).all_text_contents() == before
    generate(page, "Once upon a time", New_tokens=5)
    expect(page.locator("#model-name")).to_have_text("other")
    expect(page.locator("#model-next")).to_be_empty()
    expect(page.locator("#prompt-differs-a")).to_be_hidden()
    assert layers(page) == ["none", "0", "1"]


def test_the_link_restores_the_model_in_a_fresh_browser(
    page: Page, served: Served, chromium: Browser, folder: Path
) -> None:
    open_example(page, served.base)
    open_list(page)
    press(page, "other", "Use")
    generate(page, "A link", New_tokens=5)
    fingerprint = Weights.open(folder / "models" / "other").fingerprint
    page.wait_for_url(lambda url: f"model=other&weights={fingerprint[:12]}" in url)
    fresh = chromium.new_page()
    fresh.goto(page.url)
    wait_for(fresh, "done")
    expect(fresh.locator("#model-name")).to_have_text("other")
    assert tokens(fresh).all_text_contents() == tokens(page).all_text_contents()
    fresh.close()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("model=distilgpt2", "'distilgpt2' is not here yet."),
        ("model=gpt2-xl", "'gpt2-xl' is not among them."),
        ("model=mine", "'mine' is none of these."),
        ("model=other&weights=0123456789ab", "It was made with 'other' of fingerprint 0123456789ab"),
    ],
)
def test_a_link_to_what_is_not_here_says_so_and_uses_nothing_else(
    page: Page, served: Served, query: str, says: str
) -> None:
    page.goto(f"{served.base}/?prompt=Hello&new=2&{query}")
    wait_for(page, "failed")
    expect(page.locator("#failure-text-a")).to_contain_text(says)
    expect(tokens(page)).to_have_text(["<|endoftext|>", "Hello"])  # the prompt's alone: nothing was run


def test_generate_takes_the_weights_that_are_here(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/?prompt=Hello&new=2&model=other&weights=0123456789ab")
    wait_for(page, "failed")
    page.get_by_role("button", name="Generate").first.click()
    wait_for(page, "done")
    expect(page.locator("#model-name")).to_have_text("other")


def test_the_demo_model_says_what_it_is(page: Page, served: Served) -> None:
    open_example(page, served.base)
    expect(page.locator("#demo-note")).to_be_hidden()
    open_list(page)
    press(page, "demo", "Use")
    generate(page, "Once", New_tokens=2)
    expect(page.locator("#demo-note")).to_contain_text("To look inside GPT-2 itself,")


def test_each_side_of_compare_has_its_model(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/compare")
    wait_for(page, "done")
    open_list(page)
    press(page, "other", "Use for b")
    page.keyboard.press("Escape")
    generate(page, "Two models", "b", New_tokens=3)
    expect(page.locator("#model-name")).to_have_text("small")
    expect(page.locator("#model-other")).to_have_text("b: other")
    expect(page.locator("#prompt-differs-a")).to_be_hidden()


# Downloads -----------------------------------------------------------------------------------------------------------


def test_a_download_survives_changing_pages_is_stopped_and_goes_on(
    page: Page, served: Served, chromium: Browser, hub: Hub
) -> None:
    hub.hold_after, hub.requests[:] = 4 * PIECE_BYTES, []
    open_example(page, served.base)
    open_list(page)
    press(page, "gpt2", "Download")
    expect(row(page, "gpt2").locator(".model-said")).to_have_text(
        re.compile(r"^1\.0 of 1\.8 MB · 57% · about \d+ (s|min) left$"), timeout=PATIENCE_MS
    )
    page.get_by_role("link", name="Attention").click()
    expect(page.locator("#model-next")).to_contain_text("% here")
    another = chromium.new_page()  # somebody else wants it too
    another.goto(served.base)
    another.locator("#model-chip").click()
    wait_for_state(another, "gpt2", "running")
    another.close()
    open_list(page)
    press(page, "gpt2", "Stop")
    wait_for_state(page, "gpt2", "stopping")
    hub.hold_after = None
    wait_for_state(page, "gpt2", "stopped")
    expect(row(page, "gpt2").locator(".model-said")).to_contain_text("What is here is kept.")
    press(page, "gpt2", "Go on")
    page.keyboard.press("Escape")
    expect(page.locator("#model-next")).to_have_text("gpt2 is here", timeout=PATIENCE_MS)
    open_list(page)
    expect(page.locator("#model-next")).to_be_empty()
    first, *others = hub.ranges("model.safetensors")
    assert first == ""
    assert all(int(each.removeprefix("bytes=").rstrip("-")) >= 4 * PIECE_BYTES for each in others)
    assert others
    press(page, "gpt2", "Use")
    generate(page, "It is here", New_tokens=3)
    expect(page.locator("#model-name")).to_have_text("gpt2")
    expect_status(page, "3 generated")


def test_a_prompt_has_its_place_while_models_are_downloaded(page: Page, served: Served, hub: Hub) -> None:
    """Two places, one download: both places are for prompts."""
    hub.hold_after = 0
    open_example(page, served.base)
    open_list(page)
    press(page, "distilgpt2", "Download")
    wait_for_state(page, "distilgpt2", "running")
    page.keyboard.press("Escape")
    other = page.context.new_page()
    open_example(other, served.base)
    for each in (page, other):
        begin(each, f"Person {each is page}", New_tokens=1000)
        wait_for(each, "running")
    for each in (page, other):
        each.get_by_role("button", name="Stop").first.click()
        wait_for(each, "done")
    open_list(page)
    press(page, "distilgpt2", "Stop")
    wait_for_state(page, "distilgpt2", "stopping")
    hub.hold_after = None
    wait_for_state(page, "distilgpt2", "stopped")


def test_who_does_not_look_at_the_list_is_told_of_a_failure(page: Page, served: Served, hub: Hub) -> None:
    hub.hold_after, hub.garbles = 0, True
    open_example(page, served.base)
    open_list(page)
    row(page, "distilgpt2").get_by_role("button").click()
    wait_for_state(page, "distilgpt2", "running")
    page.keyboard.press("Escape")
    hub.hold_after = None
    expect(page.locator("#toasts").get_by_role("alert")).to_contain_text("came from", timeout=PATIENCE_MS)


def test_a_failed_download_says_why_and_can_be_tried_again(page: Page, served: Served, hub: Hub) -> None:
    hub.status = 503
    open_example(page, served.base)
    open_list(page)
    row(page, "distilgpt2").get_by_role("button").click()
    wait_for_state(page, "distilgpt2", "failed")
    expect(row(page, "distilgpt2").get_by_role("alert")).to_contain_text("it answered 503")
    assert violations(page) == []
    hub.status = 0
    press(page, "distilgpt2", "Retry")
    wait_for_state(page, "distilgpt2", "here")
