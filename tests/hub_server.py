"""A model hub on the loopback address: serves files that tests make, in the hub's own protocol, and fails when told to.

It speaks what huggingface_hub asks of the real one: `HEAD` and `GET /{repo}/resolve/{revision}/{file}` with the commit,
an ETag that is the file's SHA-256 (its git blob id for small text, as the hub does) and byte ranges.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c0ffee" + "0" * 34
PATH = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass(frozen=True)
class Request:
    """One request that arrived: its method, the file it named, its Range and Accept-Encoding headers ('' if none)."""

    method: str
    file: str
    range: str
    encoding: str


@dataclass
class Hub:
    """What the server serves, how it fails, and what it was asked. Tests change it between requests.

    files: (repo, file) → content. status: answer everything with it. cut_after: break each answer off after so many
    bytes, as long as `n_cuts` lasts. ignores_ranges: always send the whole file. garbles: send other bytes of the same
    number. announces: say this size instead of the true one. pause_s: wait before each 64 KiB. hold_after: send the
    bytes of a file from there on only once it is None.
    """

    address: str
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    status: int = 0
    cut_after: int = 0
    n_cuts: int = 0
    ignores_ranges: bool = False
    garbles: bool = False
    announces: int | None = None
    pause_s: float = 0.0
    hold_after: int | None = None
    requests: list[Request] = field(default_factory=list)

    def ranges(self, file: str) -> list[str]:
        """The Range headers of the `GET`s of a file, in order."""
        return [each.range for each in self.requests if each.method == "GET" and each.file == file]


def etag_of(file: str, content: bytes) -> str:
    if file.endswith(".json"):
        return hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
    return hashlib.sha256(content).hexdigest()


@contextmanager
def hub_server() -> Iterator[Hub]:
    """A running hub; `hub.address` is for HF_ENDPOINT."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.hub = Hub(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.hub  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined,no-any-return]

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        match = PATH.fullmatch(self.path)
        key = (match["repo"], match["file"]) if match else ("", self.path)
        asked = self.headers.get("Range", "")
        self.hub.requests.append(Request(self.command, key[1], asked, self.headers.get("Accept-Encoding", "")))
        content = self.hub.files.get(key)
        if self.hub.status or content is None:
            self.refuse(self.hub.status or 404)
            return
        start = 0 if self.hub.ignores_ranges or not asked else int(asked.removeprefix("bytes=").rstrip("-"))
        self.start(key[1], content, start)
        if with_body:
            self.send(content[start:], start)

    def refuse(self, status: int) -> None:
        self.send_response(status)
        if status == 404:
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def start(self, file: str, content: bytes, start: int) -> None:
        size = len(content) if self.hub.announces is None else self.hub.announces
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{etag_of(file, content)}"')
        self.end_headers()

    def send(self, body: bytes, start: int) -> None:
        if self.hub.garbles:
            body = bytes(byte ^ 0xFF for byte in body)
        is_cut = bool(self.hub.n_cuts) and len(body) > self.hub.cut_after
        if is_cut:
            self.hub.n_cuts -= 1
            body = body[: self.hub.cut_after]
        with suppress(ConnectionError):  # a client that went away is what some tests are about
            for first in range(0, len(body), 1 << 16):
                time.sleep(self.hub.pause_s)
                while self.hub.hold_after is not None and start + first >= self.hub.hold_after:
                    time.sleep(0.02)
                self.wfile.write(body[first : first + (1 << 16)])
        self.close_connection = is_cut or self.hub.announces is not None

    def log_message(self, *args: object) -> None:
        """Say nothing: `hub.requests` is the log."""
