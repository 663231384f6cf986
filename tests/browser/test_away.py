"""What a page lives through: its server killed and started anew, a browser that keeps nothing, a laptop asleep."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Page, expect

from tests.browser.conftest import SMALL, Complaints, Served, serving
from tests.browser.steps import (
    begin,
    generate,
    open_example,
    tokens,
    wait_for,
    wait_for_figures,
)
from tests.doubles import save_model_folder

LOST = re.compile(
    r"net::ERR_(INTERNET_DISCONNECTED|CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE)"
    r"|Callback failed: the server did not respond"
)
FULL = """
Storage.prototype.setItem = () => { throw new DOMException("The quota has been exceeded.", "QuotaExceededError"); };
"""
REFUSED = """
for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, {
    configurable: true,
    get() { throw new DOMException("Denied.", "SecurityError"); },
  });
"""


def test_a_server_killed_under_way_is_said_and_the_page_goes_on_with_the_next_one(
    page: Page, complaints: Complaints, tmp_path: Path
) -> None:
    model = save_model_folder(tmp_path / "small", SMALL)
    with serving(tmp_path, model) as first:
        complaints.base = first.base
        open_example(page, first.base)
        begin(page, "Killed under way", New_tokens=1000, Seed=3)
        page.locator("#token-strip-a .drawn").nth(5).wait_for()
        os.killpg(first.process.pid, signal.SIGKILL)
        first.process.wait(30)
    wait_for(page, "failed")
    expect(page.locator("#failure-text-a")).to_contain_text("the server cannot be reached")
    with serving(tmp_path, model, port=int(first.base.rsplit(":", 1)[1])) as again:
        page.get_by_role("button", name="Retry").click()
        wait_for(page, "done")
        assert tokens(page).count() == 1005
        generate(page, "Nothing stays disabled", New_tokens=3)
        wait_for_figures(page)
        expect(page.locator("#slot-a").get_by_role("button", name="Generate")).to_be_enabled()
        expect(page.locator("#slot-a").get_by_role("textbox", name="Prompt")).to_be_editable()
        expect(page.locator("#slot-a").get_by_role("button", name="Stop")).to_be_hidden()
        assert again.base == first.base
    forgive_lost_connections(complaints)


def ours(message: ConsoleMessage) -> list[str]:
    """What our page says as an error; Dash says by itself that it found no store."""
    return [message.text] if message.type == "error" and "dash_renderer" not in message.text else []


def test_a_browser_without_room_or_cookies_serves_all_but_what_it_would_keep(page: Page, served: Served) -> None:
    for script in (FULL, REFUSED):
        fresh = page.context.new_page()
        fresh.add_init_script(script)
        thrown: list[str] = []
        fresh.on("pageerror", lambda error, thrown=thrown: thrown.append(str(error)))
        fresh.on("console", lambda message, thrown=thrown: thrown.extend(ours(message)))
        open_example(fresh, served.base)
        generate(fresh, "Kept nowhere", New_tokens=2)
        wait_for_figures(fresh)
        fresh.get_by_role("button", name="Dark").click()
        expect(fresh.locator("html")).to_have_attribute("data-bs-theme", "dark")
        fresh.locator("#history summary").click()
        expect(fresh.locator("#history-said")).to_contain_text(
            "This browser keeps nothing for this page, or has no more room."
        )
        assert thrown == []
        fresh.close()


def test_a_laptop_that_lost_the_server_says_so_and_retry_finds_what_was_done(
    page: Page, served: Served, complaints: Complaints
) -> None:
    """Dash asks no more about a job once a question is lost; the job goes on, and Retry finds it."""
    open_example(page, served.base)
    begin(page, "Asleep under way", New_tokens=600, Seed=8)
    page.locator("#token-strip-a .drawn").nth(3).wait_for()
    page.context.set_offline(True)
    wait_for(page, "failed")
    expect(page.locator("#failure-text-a")).to_contain_text("the server cannot be reached")
    page.context.set_offline(False)
    page.get_by_role("button", name="Retry").click()
    wait_for(page, "done")
    assert tokens(page).count() == 605
    generate(page, "Awake again", New_tokens=3)
    wait_for_figures(page)
    forgive_lost_connections(complaints)


def forgive_lost_connections(complaints: Complaints) -> None:
    """The browser and Dash tell the console of each; whatever else was said stays."""
    complaints.found[:] = [each for each in complaints.found if not LOST.search(each)]
