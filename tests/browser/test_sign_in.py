"""The sign-in page, which stands before the app: legible, used by keyboard, and it lets in who knows the password."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, expect

from dashapp.door.keeper import ask_for_password
from dashapp.door.visitors import tell_visitors_apart
from tests.browser.test_accessibility import violations

PASSWORD = "correct horse battery"


class Server(ThreadingMixIn, WSGIServer):
    """Answers while a browser keeps other connections open, and ends without waiting for these."""

    daemon_threads = True


@pytest.fixture
def closed() -> Iterator[str]:
    """A server that is nothing but its door; its address."""
    app = Flask("closed")
    app.secret_key = "0123456789abcdef"
    tell_visitors_apart(app, port=8050, n_proxies=0)
    ask_for_password(app, PASSWORD)
    app.add_url_rule("/attention", view_func=lambda: "<!DOCTYPE html><title>In</title><h1>You are in</h1>")
    server = make_server("127.0.0.1", 0, app, server_class=Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_password_is_asked_for_and_opens_what_was_wanted(context: BrowserContext, closed: str, theme: str) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 390, "height": 700})
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.goto(f"{closed}/attention?prompt=Hi")
    assert violations(page) == []
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type("not this one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("That is not the password. Type it again.")
    assert violations(page) == []
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="You are in")).to_be_visible()
    assert page.url == f"{closed}/attention?prompt=Hi"
