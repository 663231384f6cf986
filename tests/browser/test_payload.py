"""What crosses the wire at a first visit and at the next: it does not depend on the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page

from tests.browser.conftest import Served
from tests.browser.steps import open_example

FIRST_BYTES, AGAIN_BYTES = 2_500_000, 300_000


@contextmanager
def counting(page: Page) -> Iterator[list[float]]:
    """Bytes of each answer as they came over the wire, headers included; 0 for what the browser had."""
    sizes: list[float] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    yield sizes
    session.detach()


def test_a_first_visit_and_a_second_fit_their_limits(chromium: Browser, served: Served) -> None:
    """Until the figures of the first page stand, compressed as the server compresses."""
    context = chromium.new_context()
    page = context.new_page()
    with counting(page) as first:
        open_example(page, served.base)
    with counting(page) as again:
        open_example(page, served.base)
    context.close()
    assert len(first) > 30, "scripts, styles, fonts and answers were counted"
    assert 1_000_000 < sum(first) < FIRST_BYTES, "plotly.js alone is more than a megabyte"
    assert 0 < sum(again) < AGAIN_BYTES
