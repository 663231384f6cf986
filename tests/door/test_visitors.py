"""Who asks: told apart by cookie, else by address; and each uses its share of the server and no more."""

from __future__ import annotations

import time
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashapp.door.shares import Shares
from dashapp.door.visitors import NEW_AT_ONCE, address, is_secure, share_out, tell_visitors_apart, visitor


def made(*, n_proxies: int = 0, share_s: float | None = None) -> Flask:
    """A server that tells who asked."""
    server = Flask("visited")
    server.secret_key = "0123456789abcdef"
    tell_visitors_apart(server, port=8050, n_proxies=n_proxies)
    if share_s is not None:
        share_out(server, Shares(share_s, comes_back=1e-6))  # nothing within a test, however slow the machine

    @server.get("/")
    def page() -> str:
        return visitor()

    @server.post("/ask")
    def ask() -> dict[str, Any]:
        return {"visitor": visitor(), "address": address(), "is_secure": is_secure()}

    @server.post("/work")
    def work() -> dict[str, Any]:
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            pass
        return {}

    @server.get("/assets/style.css")
    def style() -> tuple[str, dict[str, str]]:
        return "", {"Content-Type": "text/css"}

    return server


def asked(client: FlaskClient, **environ: str) -> dict[str, Any]:
    told: dict[str, Any] = client.post("/ask", environ_overrides=environ).get_json()
    return told


def test_each_browser_that_opens_a_page_is_a_visitor_of_its_own() -> None:
    server = made()
    class_of_forty = [server.test_client() for _ in range(40)]
    for client in class_of_forty:
        client.get("/")
    visitors = {asked(client)["visitor"] for client in class_of_forty}
    assert len(visitors) == 40
    assert all(each.startswith("cookie ") for each in visitors)


def test_a_visitor_stays_the_same_with_every_request_and_page() -> None:
    client = made().test_client()
    client.get("/")
    first = asked(client)["visitor"]
    assert client.get("/").text == first
    assert asked(client)["visitor"] == first


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_goes_with_the_browser() -> None:
    server = made(n_proxies=1)
    cookie = server.test_client().get("/").headers["Set-Cookie"]
    assert cookie.startswith("dashapp-8050=")
    parts = {part.strip() for part in cookie.split(";")[1:]}
    assert parts == {"HttpOnly", "Path=/", "SameSite=Lax"}
    over_tls = server.test_client().get("/", headers={"X-Forwarded-Proto": "https"}).headers["Set-Cookie"]
    assert "Secure" in over_tls


def test_files_need_no_cookie_and_are_kept_for_everybody() -> None:
    client = made(share_s=10).test_client()
    response = client.get("/assets/style.css")
    assert "Set-Cookie" not in response.headers
    assert "Cookie" not in response.headers.get("Vary", "")


def test_who_refuses_cookies_is_known_by_address() -> None:
    client = made().test_client(use_cookies=False)
    client.get("/")
    assert asked(client, REMOTE_ADDR="192.0.2.7")["visitor"] == "address 192.0.2.7"


def test_a_forged_cookie_is_none() -> None:
    client = made().test_client()
    client.set_cookie("dashapp-8050", "eyJ2aXNpdG9yIjoiYSJ9.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb")
    assert asked(client, REMOTE_ADDR="192.0.2.7")["visitor"] == "address 192.0.2.7"


def test_who_is_somebody_new_each_time_is_known_by_address_in_the_end() -> None:
    server = made()
    for _ in range(int(NEW_AT_ONCE) + 60):  # some come back while this loop runs: 60 of them would take two minutes
        server.test_client().get("/")
    assert "Set-Cookie" not in server.test_client().get("/").headers
    elsewhere = server.test_client().get("/", environ_overrides={"REMOTE_ADDR": "192.0.2.9"})
    assert "Set-Cookie" in elsewhere.headers


@pytest.mark.parametrize(
    ("n_proxies", "told", "found"),
    [
        (0, "198.51.100.1", "192.0.2.7"),  # a visitor's claim
        (1, "", "192.0.2.7"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "203.0.113.5, 198.51.100.1", "198.51.100.1"),  # the first is a claim, the second is the proxy's word
        (2, "10.9.9.9, 203.0.113.5, 198.51.100.1", "203.0.113.5"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "no address", "no address"),
    ],
)
def test_an_address_is_what_trusted_proxies_say_and_nobody_else(n_proxies: int, told: str, found: str) -> None:
    client = made(n_proxies=n_proxies).test_client()
    response = client.post("/ask", headers={"X-Forwarded-For": told}, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert response.get_json()["address"] == found


def test_tls_is_what_a_trusted_proxy_says() -> None:
    for n_proxies, is_so in ((0, False), (1, True)):
        response = made(n_proxies=n_proxies).test_client().post("/ask", headers={"X-Forwarded-Proto": "https"})
        assert response.get_json()["is_secure"] is is_so


def test_who_has_used_the_share_is_told_to_wait_and_others_go_on() -> None:
    server = made(share_s=0.1)
    greedy, other = server.test_client(), server.test_client()
    for client in (greedy, other):
        client.get("/")
    with greedy.post("/work") as response:  # its end is when the seconds are counted
        assert response.status_code == 200
    refused = greedy.post("/ask")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.get_json()["instance"] == "Yours are used up."
    page = greedy.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})  # as a browser opens one
    assert (page.status_code, page.mimetype) == (429, "text/html")
    assert "Yours are used up." in page.text
    assert int(page.headers["Retry-After"]) >= 1
    assert other.post("/ask").status_code == 200
    assert greedy.get("/assets/style.css").status_code == 200


def test_what_a_stream_takes_is_counted_too() -> None:
    server = made(share_s=0.1)

    @server.post("/stream")
    def stream() -> Any:
        def lines() -> Any:
            end = time.thread_time() + 0.2
            while time.thread_time() < end:
                pass
            yield "x"

        return server.response_class(lines())

    client = server.test_client()
    client.get("/")
    with client.post("/stream") as response:
        assert response.text == "x"
    assert client.post("/ask").status_code == 429
