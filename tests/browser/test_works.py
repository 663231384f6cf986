"""A map that takes long: PCA meanwhile, UMAP when it is there, Cancel, and Retry when its process was killed."""

from __future__ import annotations

import time
from contextlib import suppress

import psutil
from playwright.sync_api import Locator, Page, expect

from dashapp.jobs.manager import NICENESS
from tests.browser.conftest import Served
from tests.browser.steps import generate, region

LONG_MS = 120_000  # UMAP's process compiles for half a minute, on a busy machine for longer
PROMPT = "one two three four five six seven eight nine ten eleven twelve"


def open_map(page: Page, base: str, prompt: str) -> Locator:
    """The Embeddings page's map of a prompt, as PCA."""
    page.goto(f"{base}/embeddings")
    generate(page, prompt, new_tokens=0)
    found = region(page, "Map of tokens")
    expect(found.locator(".xtitle")).to_contain_text("component 1")
    return found


def umap_process(served: Served) -> psutil.Process:
    """The process that has loaded UMAP's compiler: other works of the page have processes of their own."""
    end = time.monotonic() + LONG_MS / 1000
    while time.monotonic() < end:
        for each in psutil.Process(served.process.pid).children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                if each.nice() == NICENESS and any("llvmlite" in file.path for file in each.memory_maps()):
                    return each
        time.sleep(0.1)
    raise AssertionError("no process has loaded UMAP's compiler")


def test_umap_takes_the_place_of_pca_and_is_known_after_a_page_change(page: Page, served: Served) -> None:
    shown = open_map(page, served.base, PROMPT)
    shown.get_by_label("UMAP", exact=True).check()
    expect(shown.locator(".xtitle")).to_have_text("UMAP 1 (no unit)", timeout=LONG_MS)
    expect(shown.locator(".panel-work")).to_be_hidden()
    expect(shown.locator(".foot")).to_contain_text("UMAP with 10 neighbours")
    page.get_by_role("link", name="Attention").click()
    page.get_by_role("link", name="Embeddings").click()
    expect(shown.locator(".xtitle")).to_have_text("UMAP 1 (no unit)")


def test_a_cancelled_map_stays_pca_until_it_is_wanted_again(page: Page, served: Served) -> None:
    shown = open_map(page, served.base, f"{PROMPT} thirteen " * 75)
    process = umap_process(served)
    process.suspend()  # or it might be done before it is cancelled
    shown.get_by_label("UMAP", exact=True).check()
    shown.get_by_role("button", name="Cancel").click()
    expect(shown.get_by_role("status")).to_have_text("UMAP was cancelled.")
    process.resume()
    page.get_by_role("button", name="Dark").click()
    page.wait_for_timeout(1500)
    expect(shown.get_by_role("status")).to_have_text("UMAP was cancelled.")
    expect(shown.locator(".xtitle")).to_contain_text("component 1")
    shown.get_by_role("button", name="Retry").click()
    expect(shown.locator(".xtitle")).to_have_text("UMAP 1 (no unit)", timeout=LONG_MS)


def test_a_map_whose_process_was_killed_says_so_and_is_made_on_retry(page: Page, served: Served) -> None:
    shown = open_map(page, served.base, f"{PROMPT} fourteen " * 75)
    process = umap_process(served)
    process.suspend()  # or it might be done before it is killed
    shown.get_by_label("UMAP", exact=True).check()
    expect(shown.get_by_role("button", name="Cancel")).to_be_visible(timeout=LONG_MS)
    process.kill()
    expect(shown.get_by_role("status")).to_contain_text("UMAP failed. A job answers or says why it cannot.")
    shown.get_by_role("button", name="Retry").click()
    expect(shown.locator(".xtitle")).to_have_text("UMAP 1 (no unit)", timeout=LONG_MS)


def test_four_tokens_have_pca_only_and_it_is_said(page: Page, served: Served) -> None:
    shown = open_map(page, served.base, "one two three")
    shown.get_by_label("UMAP", exact=True).check()
    expect(shown.locator(".foot")).to_contain_text("UMAP needs at least 5 tokens and this text has 4 tokens")
    expect(shown.locator(".panel-work")).to_be_hidden()
