"""Who asks: a person by a signed cookie, or by the network address where cookies are refused. Knows requests only.

The cookie holds a random number and ends with the browser; nothing about it is kept on the disk. A class of forty
behind one address is forty visitors, for each browser has its own. Who throws cookies away to be somebody new each time
is counted by address after a while: one address gets some hundred at once.
"""

from __future__ import annotations

import ipaddress
import secrets
import time
from typing import Final

from flask import Flask, Response, current_app, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask.typing import ResponseReturnValue

from dashapp.door.refusals import refused
from dashapp.door.shares import Shares
from dashapp.errors import ShareUsedUp

VISITOR: Final = "visitor"  # in the cookie
USER: Final = "dashapp_user"  # in Flask's g: whom a proxy has signed in
PROXIES: Final = "DASHAPP_TRUSTED_PROXIES"  # in Flask's config
NEW_AT_ONCE: Final = 200.0  # cookies for one address, and
NEW_EACH_S: Final = 0.5  # so many more each second
UNCOUNTED: Final = ("/assets/", "/_dash-component-suites/", "/healthz", "/readyz")  # files, the same for everybody


def visitor() -> str:
    """Whoever asks: whom a proxy signed in, or a cookie, or else an address."""
    if USER in g:
        return f"user {g.get(USER)}"
    known = session.get(VISITOR)
    return f"cookie {known}" if isinstance(known, str) else f"address {address()}"


def address() -> str:
    """The network address that asks; of IPv6 the first 64 bits, which one household has all of.

    Behind trusted proxies it is what the first of them says; what a visitor claims beyond that is not believed.
    """
    told = _hop("X-Forwarded-For") or request.remote_addr or ""
    try:
        found = ipaddress.ip_address(told)
    except ValueError:
        return told[:64]
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


def is_secure() -> bool:
    """Whether the browser speaks TLS with us or with the first trusted proxy."""
    return (_hop("X-Forwarded-Proto") or request.scheme) == "https"


def _hop(header: str) -> str:
    """What the first trusted proxy has written into a header to which each adds; "" where there is none."""
    n_proxies: int = current_app.config[PROXIES]
    told = [part.strip() for part in request.headers.get(header, "").split(",") if part.strip()]
    return told[-min(n_proxies, len(told))] if n_proxies and told else ""


class _Cookies(SecureCookieSessionInterface):
    """Flask's signed cookies, sent over TLS alone where the browser speaks it."""

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002  what Flask passes
        return is_secure()


def tell_visitors_apart(server: Flask, *, port: int, n_proxies: int) -> None:
    """Give each browser that opens a page a cookie. port: in its name, for browsers send one server's to all ports."""
    server.config[PROXIES] = n_proxies
    server.config.update(SESSION_COOKIE_NAME=f"dashapp-{port}", SESSION_COOKIE_SAMESITE="Lax")
    server.session_interface = _Cookies()
    new = Shares(NEW_AT_ONCE, comes_back=NEW_EACH_S)

    @server.after_request
    def greet(response: Response) -> Response:
        is_page = request.method == "GET" and response.mimetype == "text/html" and response.status_code == 200
        if is_page and VISITOR not in session:
            now, here = time.monotonic(), address()
            if not new.wait_s(here, now=now):
                new.charge(here, 1, now=now)
                session[VISITOR] = secrets.token_hex(8)
        return response


def share_out(server: Flask, shares: Shares) -> None:
    """Let each visitor use its share of the server and no more; files and health are not counted."""

    @server.before_request
    def refuse_who_used_theirs() -> ResponseReturnValue | None:
        if request.path.startswith(UNCOUNTED):
            return None
        g.dashapp_began_s = time.thread_time()
        wait_s = shares.wait_s(visitor(), now=time.monotonic())
        if not wait_s:
            return None
        return refused(ShareUsedUp(shares.full_s, 60 * shares.comes_back, wait_s), 429, wait_s=wait_s)

    @server.after_request
    def charge(response: Response) -> Response:
        began_s, who = g.get("dashapp_began_s"), visitor() if "dashapp_began_s" in g else ""
        if began_s is not None:  # one thread answers a request from beginning to end, what is streamed too
            response.call_on_close(lambda: shares.charge(who, time.thread_time() - began_s, now=time.monotonic()))
        return response
