"""Take the README's pictures: start the app with the demo model, open each page, save what it shows.

    .venv/bin/python -m scripts.screenshots

Needs Chromium (Debian: chromium) and the test packages. Writes docs/images/*.png anew; look at them before you commit.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.served import served

ROOT: Final = Path(__file__).parents[1]
IMAGES: Final = ROOT / "docs" / "images"
SIZE: Final = {"width": 1280, "height": 900}
PATIENCE_MS: Final = 120_000  # UMAP compiles when it is first asked for

STORY: Final = {"prompt": "Once upon a time there was a little girl who lived in", "new": 40}
REPEATED: Final = {
    "prompt": " lamp seven river coat blue window horse paper lamp seven river coat blue window horse paper",
    "new": 0,
}
MEASURED: Final = json.loads((ROOT / "dashapp/model/demo/measured.json").read_text())
HEAD: Final = {"pos": 10} | {part: MEASURED["heads"]["best"]["induction"][part] for part in ("layer", "head")}
PAIR: Final = {
    "prompt": "Everybody knows that the capital of France is",
    "new": 0,
    "b.prompt": "Everybody knows that the capital of Italy is",
    "b.new": 0,
}

# name → path, query, light or dark
PAGES: Final = {
    "generation": ("/", STORY | {"pos": 12}, "light"),
    "attention": ("/attention", REPEATED | HEAD, "light"),
    "embeddings": ("/embeddings", STORY | {"pos": 12}, "light"),
    "activations": ("/activations", STORY | {"pos": 12, "layer": 2}, "dark"),
    "compare": ("/compare", PAIR, "light"),
    "model": ("/model", STORY, "light"),
}


def main() -> None:
    """All pictures, one after another."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for name, (path, query, scheme) in PAGES.items():
            take(browser, f"{base}{path}?{urlencode(query)}", scheme, IMAGES / f"{name}.png")
            print(f"docs/images/{name}.png")


def take(browser: Browser, address: str, scheme: str, file: Path) -> None:
    """One picture of one page, once its run and its figures are there."""
    context = browser.new_context(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]  # "light" or "dark"
    page = context.new_page()
    page.goto(address)
    page.locator('#slot-a[data-phase="done"]').wait_for(timeout=PATIENCE_MS)
    if "b.prompt" in address:
        page.locator('#slot-b[data-phase="done"]').wait_for(timeout=PATIENCE_MS)
    wait_until_still(page)
    page.screenshot(path=file)
    context.close()


def wait_until_still(page: Page) -> None:
    """Until nothing on the page has changed for a second."""
    before = b""
    while (now := page.screenshot()) != before:
        before = now
        page.wait_for_timeout(1000)


if __name__ == "__main__":
    main()
