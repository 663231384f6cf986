"""Who may come in: all, or those who know one shared password, or those whom a proxy has signed in.

A password is compared in constant time; who said it right has that in the signed cookie, until the browser ends or the
password changes. What is open to all is health alone: every page, file, callback and route is closed.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import time
from typing import Final

from flask import Flask, Response, g, redirect, request, session
from flask.typing import ResponseReturnValue

from dashapp.door.frame import framed
from dashapp.door.refusals import refused
from dashapp.door.shares import Shares
from dashapp.door.visitors import USER, address
from dashapp.errors import NotSignedIn, NotSignedInByProxy, TooManyPasswords

OPEN: Final = ("/healthz", "/readyz")
PATH: Final = "/sign-in"
ENTERED: Final = "entered"  # in the cookie
WRONG_AT_ONCE: Final = 20.0  # passwords from one address, a class that mistypes among them, and
WRONG_EACH_S: Final = 0.1  # so many more each second

FORM: Final = """<p>This server is for those who know its password. Whoever runs it can tell you.</p>
<form method="post" action="{path}">
<input type="hidden" name="next" value="{wanted}">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus {describes}>
{wrong}
<button type="submit">Sign in</button>
</form>"""


def ask_for_password(server: Flask, password: str) -> None:
    """Close everything to those who have not said this password. Before all else that looks at requests."""
    token = hmac.new(str(server.secret_key).encode(), b"dashapp password\0" + password.encode(), hashlib.sha256)
    entered, wrong = token.hexdigest(), Shares(WRONG_AT_ONCE, comes_back=WRONG_EACH_S)

    @server.before_request
    def stop_strangers() -> ResponseReturnValue | None:
        if request.path in (*OPEN, PATH) or _is_same(str(session.get(ENTERED, "")), entered) or _said_it(password):
            return None
        if request.method == "GET" and not request.path.startswith(("/assets/", "/_dash-")):
            return _page(request.full_path.rstrip("?"))
        return refused(NotSignedIn(), 401)

    @server.post(PATH)
    def sign_in() -> ResponseReturnValue:
        wanted, now, here = _own_path(request.form.get("next", "")), time.monotonic(), address()
        wait_s = wrong.wait_s(here, now=now)
        if wait_s:
            return _page(wanted, str(TooManyPasswords(wait_s)), status=429)
        if not _is_same(request.form.get("password", ""), password):
            wrong.charge(here, 1, now=now)
            return _page(wanted, "That is not the password. Type it again.")
        session[ENTERED] = entered
        return redirect(wanted, 303)

    @server.get(PATH)
    def sign_in_page() -> ResponseReturnValue:
        return redirect("/", 303)

    @server.after_request
    def keep_to_the_browser(response: Response) -> Response:
        """What is closed is in nobody else's cache either."""
        kept = response.headers.get("Cache-Control", "")
        response.headers["Cache-Control"] = kept.replace("public", "private") or "private"
        return response


def believe_proxy(server: Flask, header: str) -> None:
    """Close everything to requests without the header in which a proxy names whom it has signed in."""

    @server.before_request
    def stop_strangers() -> ResponseReturnValue | None:
        user = request.headers.get(header, "").strip()
        if user:
            setattr(g, USER, user)
        elif request.path not in OPEN:
            return refused(NotSignedInByProxy(header), 401)
        return None


def _said_it(password: str) -> bool:
    """Programs, such as one that reads the metrics, say it with each request: as bearer's token or basic password."""
    said = request.authorization
    return said is not None and _is_same(str(said.token or said.password or ""), password)


def _is_same(said: str, known: str) -> bool:
    return hmac.compare_digest(said.encode(errors="replace"), known.encode())


def _own_path(wanted: str) -> str:
    """An address of this server, whatever a form says: no other machine's."""
    return wanted if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable() else "/"


def _page(wanted: str, wrong: str = "", *, status: int = 401) -> ResponseReturnValue:
    said = f'<p id="wrong" role="alert">{html.escape(wrong)}</p>' if wrong else ""
    describes = 'aria-describedby="wrong" aria-invalid="true"' if wrong else ""
    form = FORM.format(path=PATH, wanted=html.escape(wanted), wrong=said, describes=describes)
    return framed("Sign in", form), status, {"Cache-Control": "no-store"}
