"""A visitor without a browser: opens pages, presses Generate and draws panels by asking what a page asks.

For load and for tests of faults, where fifty browsers would measure themselves. Knows the words of Dash; whoever makes
one says how a question is sent.
"""

from __future__ import annotations

import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.cookiejar import CookieJar
from typing import Any, Final
from urllib.parse import urlencode

from dashapp import ids
from dashapp.jobs.request import EXAMPLE
from dashapp.panels.catalogue import PAIR_PANELS, PANELS

CALLBACKS: Final = "/_dash-update-component"
ASK_EVERY_S: Final = 1.0  # who waits for a place, as 50-shell.js
POLL_EVERY_S: Final = 0.1  # who waits for a job, as Dash is told to

# The name of the callback that draws every panel, as Dash makes it of the patterns of its outputs.
DRAWN: Final = "..{}..".format(
    "...".join(
        json.dumps({"panel": ["MATCH"], "slot": ["MATCH"], "type": kind}, separators=(",", ":")) + f".{prop}"
        for kind, prop in (("figure", "figure"), ("foot", "children"), ("fault", "children"))
    )
)

Property = tuple[Any, str]  # an id and a property of its component
Send = Callable[[str, bytes | None], tuple[int, bytes]]  # (path, body to post) → status and what came back


class Visitor:
    """One browser, as the server sees it."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def open(self, path: str = "/") -> int:
        """Fetch a page and its layout; the worst status of both."""
        return max(self._send(path, None)[0], self._send("/_dash-layout", None)[0])

    def answer(self, request: Mapping[str, Any], *, again: bool = False) -> dict[str, Any]:
        """What the server says to a request: known, refused, waiting or admitted."""
        asked = [
            (ids.of(ids.REQUEST, "a"), None if again else request),
            (ids.of(ids.ASK, "a"), request if again else None),
        ]
        values = [((name, "data"), value) for name, value in asked]
        told = self._callback([(ids.of(ids.ANSWER, "a"), "data")], values, changed=int(again))
        answer: dict[str, Any] = told["response"][ids.of(ids.ANSWER, "a")]["data"]
        return answer

    def begin(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Begin the job of a request that was let in: its handles."""
        return self._job(request)

    def look(self, request: Mapping[str, Any], handles: Mapping[str, Any]) -> dict[str, Any] | None:
        """What a job came to; None while it runs."""
        told = self._job(request, {"cacheKey": handles["cacheKey"], "job": handles["job"]})
        outcome: dict[str, Any] | None = told.get("response", {}).get(ids.of(ids.JOB_RESULT, "a"), {}).get("data")
        return outcome

    def run(self, request: Mapping[str, Any], *, limit_s: float) -> dict[str, Any]:
        """A request from the press of Generate to what came of it. Raises: TimeoutError."""
        end, answer = time.monotonic() + limit_s, self.answer(request)
        while answer["kind"] == "waiting":
            self._wait(ASK_EVERY_S, end)
            answer = self.answer(request, again=True)
        if answer["kind"] != "admitted":
            return answer
        handles = self.begin(answer["request"])
        while (outcome := self.look(answer["request"], handles)) is None:
            self._wait(POLL_EVERY_S, end)
        return outcome

    def draw(self, panel: str, view: Mapping[str, Any]) -> dict[str, Any]:
        """What a panel answers to a view: its parts by id."""
        figure, foot, fault, seen = (ids.part(kind, panel, "a") for kind in ("figure", "foot", "fault", "view"))
        outputs = [(figure, "figure"), (foot, "children"), (fault, "children")]
        told = self._callback(outputs, [((seen, "data"), view)], state=[((seen, "id"), seen)], name=DRAWN)
        drawn: dict[str, Any] = told["response"]
        return drawn

    def _job(self, request: Mapping[str, Any], handles: Mapping[str, Any] | None = None) -> dict[str, Any]:
        result, admitted = (ids.of(ids.JOB_RESULT, "a"), "data"), (ids.of(ids.ADMITTED, "a"), "data")
        return self._callback([result], [(admitted, request)], query=f"?{urlencode(handles)}" if handles else "")

    def _callback(
        self,
        outputs: Sequence[Property],
        inputs: Sequence[tuple[Property, Any]],
        *,
        state: Sequence[tuple[Property, Any]] = (),
        changed: int = 0,
        name: str = "",
        query: str = "",
    ) -> dict[str, Any]:
        """What a callback answers. name: Dash's, where it is another than its one output. Raises: OSError, refused."""
        named = [{"id": each, "property": prop} for each, prop in outputs]
        body = {
            "output": name or f"{outputs[0][0]}.{outputs[0][1]}",
            "outputs": named if len(outputs) > 1 else named[0],
            "inputs": [{"id": each, "property": prop, "value": value} for (each, prop), value in inputs],
            "state": [{"id": each, "property": prop, "value": value} for (each, prop), value in state],
            "changedPropIds": [f"{_as_text(inputs[changed][0][0])}.{inputs[changed][0][1]}"],
        }
        status, answered = self._send(CALLBACKS + query, json.dumps(body).encode())
        if status not in (200, 204):
            raise OSError(f"the server answered HTTP {status}: {answered[:300]!r}")
        found: dict[str, Any] = json.loads(answered) if answered else {}
        return found

    def _wait(self, seconds: float, end: float) -> None:
        if time.monotonic() > end:
            raise TimeoutError("no outcome within the time")
        time.sleep(seconds)


def asked_for(prompt: str, *, model: str, **settings: Any) -> dict[str, Any]:
    """A press of Generate, under a new id."""
    return EXAMPLE.as_json() | {"id": secrets.token_hex(16), "model": model, "prompt": prompt} | settings


def view_of(panel: str, run: Mapping[str, Any], **selected: Any) -> dict[str, Any]:
    """What a page would send for a panel and a run that is done, with these of the selection."""
    knobs = {knob.name: knob.default for knob in (PANELS | PAIR_PANELS)[panel].knobs}
    nothing = dict.fromkeys(("key_pos", "layer", "head", "neuron", "target", "against"))
    seen = {"key": run["trace"], "pos": run["n_prompt"] - 1, "n_prompt": run["n_prompt"], "branches": None}
    return {
        "theme": "light",
        "text": 1,
        "narrow": False,
        "units": "bits",
        **nothing,
        **seen,
        **selected,
        "knobs": knobs,
    }


def over_http(base: str, *, cookies: bool = True) -> Send:
    """Ask a server that runs, with a jar for its cookies or without."""
    handlers = [urllib.request.HTTPCookieProcessor(CookieJar())] if cookies else []
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)

    def send(path: str, body: bytes | None) -> tuple[int, bytes]:
        request = urllib.request.Request(base + path, data=body, headers={"Content-Type": "application/json"})
        try:
            with opener.open(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    return send


def _as_text(name: Any) -> str:
    return name if isinstance(name, str) else json.dumps(name, sort_keys=True, separators=(",", ":"))
