"""`python -m benchmarks.browser`: how long clicks take in Chromium, until what they ask for is painted.

Starts the app with the demo model and a cache of its own. A row is the median of its clicks beside the limit that it is
meant to keep. The first row is a loop that every machine must do: where it is slow, so is everything else.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from benchmarks.interleaved import Spread
from benchmarks.served import answers, served
from benchmarks.table import Row, machine, table, write_into

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGE: Final = Path(__file__).parents[1] / "docs/performance.md"
LIMIT_MS: Final = 120_000  # of one step, on a busy machine
REST_MS: Final = 1_500  # between clicks, until nothing moves
LENGTHS: Final = (128, 512, 1024)
SURPRISAL, HEADS, ONE_HEAD = "Surprisal of each token", "All heads", "One head"

# A function of the page: milliseconds from `act` until `isDone` holds and a frame with it has been painted.
TIMED: Final = """
window.timed = (act, isDone) => new Promise((resolve) => {
  const painted = () => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => resolve(performance.now() - start);
    channel.port2.postMessage(0);
  });
  const observer = new MutationObserver(() => { if (isDone()) { observer.disconnect(); painted(); } });
  observer.observe(document.documentElement, { subtree: true, childList: true, attributes: true, characterData: true });
  const start = performance.now();
  act();
});
window.isBusy = () => document.getElementById("slot-a").dataset.phase !== "done";
window.graphOf = (title) => {
  const heading = [...document.querySelectorAll("section h2")].find((each) => each.textContent === title);
  return heading && heading.closest("section").querySelector(".js-plotly-plot");
};
"""
LOOP: Final = """() => {
  const start = performance.now();
  let sum = 0;
  for (let i = 0; i < 3e7; i += 1) sum += i % 7;
  return performance.now() - start + 0 * sum;
}"""
FIRST_TOKEN: Final = """() => timed(
  () => document.getElementById("go-a").click(),
  () => isBusy() && document.querySelector("#token-strip-a .drawn"))"""
STOP: Final = """() => timed(
  () => document.getElementById("go-a").click(),
  () => document.getElementById("go-a").textContent === "Generate")"""
HIGHLIGHT: Final = """(pos) => timed(
  () => document.querySelector(`#token-strip-a [data-pos="${pos}"]`).click(),
  () => document.querySelector(`#token-strip-a [data-pos="${pos}"].selected`))"""
OUTLINE: Final = """([pos, title]) => timed(
  () => document.querySelector(`#token-strip-a [data-pos="${pos}"]`).click(),
  () => (graphOf(title).layout.shapes || []).some((shape) => shape.x0 === pos - 0.5 || shape.y0 === pos - 0.5))"""
WEIGHTS: Final = """(pos) => timed(
  () => document.querySelector(`#token-strip-a [data-pos="${pos}"]`).click(),
  () => document.getElementById("weights-legend-a").textContent.includes(`what token ${pos} `))"""
HEAD: Final = """([head, title]) => timed(
  () => {
    const list = document.getElementById("selection-head");
    list.value = String(head);
    list.dispatchEvent(new Event("change", { bubbles: true }));
  },
  () => graphOf(title).layout.meta.summary.includes(`head ${head} `))"""
CHANGE: Final = """([path, title]) => timed(
  () => document.querySelector(`nav.pages a[href^="${path}"]`).click(),
  () => {
    const graph = graphOf(title);
    return graph && graph._fullLayout && graph.data.length && !graph.closest(".is-waiting");
  })"""


def rows(*, n_clicks: int) -> Iterator[Row]:
    """All rows, one after another. Raises: RuntimeError without Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        raise RuntimeError("A browser is needed to click in. There is no chromium here. Install it (Debian: chromium).")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch, served(Path(scratch)) as base, sync_playwright() as driver:
        ready_s = time.perf_counter() - start
        yield Row(what="the server answers", beside="its start", value=Spread.of([ready_s]), unit="s", target=1.5)
        while not answers(f"{base}/readyz"):
            time.sleep(0.1)
        browser = driver.chromium.launch(executable_path=chromium)
        yield from _of_visits(browser, base, n_clicks)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(LIMIT_MS)
        page.add_init_script(TIMED)
        page.goto(base)
        settle(page)
        yield _row("a loop of 30 million steps", "nothing", [page.evaluate(LOOP) for _ in range(n_clicks)])
        yield from _of_runs(page, n_clicks)
        yield from _of_selections(page, n_clicks)
        yield from _of_pages(page, n_clicks)
        browser.close()


def _row(what: str, beside: str, found: list[float], target: float | None = None) -> Row:
    return Row(what=what, beside=beside, value=Spread.of(found), unit="ms", target=target)


def _of_visits(browser: Browser, base: str, n_clicks: int) -> Iterator[Row]:
    """The first page of a browser that has seen nothing, until the bundled example is drawn."""
    found = []
    for _ in range(n_clicks):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page, start = context.new_page(), time.perf_counter()
        page.goto(base, timeout=LIMIT_MS)
        page.get_by_role("region", name="What comes next").locator(".barlayer .point").last.wait_for(timeout=LIMIT_MS)
        found.append(1000 * (time.perf_counter() - start))
        context.close()
    yield Row(what="the example is drawn", beside="first visit", value=Spread.of(found), unit="ms", target=2000)


def _of_runs(page: Page, n_clicks: int) -> Iterator[Row]:
    """Each with another seed, so that nothing of it is known."""
    firsts, stops = [], []
    seeds = itertools.count(1000)
    for _ in range(n_clicks):
        fill(page, seed=next(seeds), max_new_tokens=40)
        firsts.append(page.evaluate(FIRST_TOKEN))
        settle(page)
    yield _row("the first token", "Generate", firsts, 500)
    for _ in range(n_clicks):
        fill(page, seed=next(seeds), max_new_tokens=900)
        page.evaluate(FIRST_TOKEN)
        page.wait_for_timeout(REST_MS)
        stops.append(page.evaluate(STOP))
        settle(page)
    yield _row("the text stands", "Stop", stops, 500)


def _of_selections(page: Page, n_clicks: int) -> Iterator[Row]:
    """What a click on a token changes, by the length of the prompt."""
    for length in LENGTHS:
        ask(page, "/", " word" * (length - 1))
        page.get_by_role("region", name=SURPRISAL).scroll_into_view_if_needed()
        page.wait_for_timeout(REST_MS)
        for what, script, target, *title in (
            ("the token is highlighted", HIGHLIGHT, 50),
            ("the figure below outlines it", OUTLINE, 50, SURPRISAL),
            ("the strip shows its attention", WEIGHTS, 200),
        ):
            found = []
            for pos in _places(length, n_clicks):
                found.append(page.evaluate(script, [pos, *title] if title else pos))
                page.wait_for_timeout(REST_MS)
            yield _row(what, f"a token of {length:,} selected", found, target)
    ask(page, "/attention", " word" * 511)
    page.get_by_role("region", name=ONE_HEAD).scroll_into_view_if_needed()
    page.wait_for_timeout(2 * REST_MS)
    found = []
    for i in range(n_clicks):
        found.append(page.evaluate(HEAD, [1 + i % 6, ONE_HEAD]))
        page.wait_for_timeout(REST_MS)
    yield _row("its pattern is drawn, 512 tokens", "a head chosen", found, 250)


def _of_pages(page: Page, n_clicks: int) -> Iterator[Row]:
    """Between two pages whose figures the server has drawn before."""
    ask(page, "/", "Once upon a time, there was a little")
    places = (("/attention", HEADS), ("/", SURPRISAL))
    for path, title in places:
        page.evaluate(CHANGE, [path, title])
        page.wait_for_timeout(REST_MS)
    found = []
    for path, title in itertools.islice(itertools.cycle(places), n_clicks):
        found.append(page.evaluate(CHANGE, [path, title]))
        page.wait_for_timeout(REST_MS)
    yield _row("the page’s first map is drawn", "another page chosen", found, 400)


def _places(length: int, n: int) -> list[int]:
    """Positions over the length of a prompt, none twice in a row."""
    return [1 + (i * (length // 3) + i) % (length - 1) for i in range(n)]


def ask(page: Page, path: str, prompt: str) -> None:
    """A page with a prompt, typed, for a link of 1,024 tokens is longer than the server takes."""
    page.goto(urljoin(page.url, path))
    settle(page)
    page.locator("#prompt-a").fill(prompt)
    fill(page, max_new_tokens=0)
    page.locator("#go-a").click()
    page.wait_for_timeout(REST_MS)
    settle(page)


def fill(page: Page, **fields: int) -> None:
    """Settings of the form of slot a, by the names of its components."""
    for name, value in fields.items():
        page.evaluate(
            "([id, value]) => dash_clientside.set_props(id, { value })", [f"{name.replace('_', '-')}-a", value]
        )
    page.wait_for_timeout(REST_MS)


def settle(page: Page) -> None:
    """Until the run is whole and its figures have been drawn."""
    page.locator('#slot-a[data-phase="done"]').wait_for(timeout=LIMIT_MS)
    page.wait_for_timeout(2 * REST_MS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.browser", description=__doc__.partition("\n")[0])
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    chosen = parser.parse_args()
    found = []
    for row in rows(n_clicks=chosen.clicks):
        found.append(row)
        print(f"{row.what} / {row.beside}: {row.value.median:.3g} {row.unit}", flush=True)
    text = f"{machine()}\n\n{table(found)}"
    print(f"\n{text}")
    if chosen.write:
        write_into(PAGE, text, by="python -m benchmarks.browser")


if __name__ == "__main__":
    main()
