"""An HTTP relay on loopback between a client and a server: it counts what passes, and fails when it is told to."""

from __future__ import annotations

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DROPPED = frozenset({"connection", "transfer-encoding", "date", "server", "content-length"})


class Relay:
    """A relay to a port of this machine.

    n_bytes: of the bodies of answers, and n_requests, since `reset`. is_gone: breaks every connection off. delay_s:
    before each answer. fails_every: every so many requests are answered with 503.
    """

    def __init__(self, port: int) -> None:
        self.target_port = port
        self.is_gone, self.delay_s, self.fails_every = False, 0.0, 0
        self.reset()
        self._counting = threading.Lock()
        relay = self

        class Handler(_Handler):
            passes = relay

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def reset(self) -> None:
        self.n_bytes = self.n_requests = 0
        self.asked: list[str] = []

    def count(self, line: str) -> int:
        with self._counting:
            self.n_requests += 1
            self.asked.append(line)
            return self.n_requests

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    passes: Relay
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        relay = self.passes
        content = self._body()
        number = relay.count(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
        time.sleep(relay.delay_s)
        if relay.is_gone:
            self.close_connection = True
            return
        if relay.fails_every and number % relay.fails_every == 0:
            self._answer(503, {}, b"")
            return
        server = http.client.HTTPConnection("127.0.0.1", relay.target_port, timeout=30)
        try:
            server.request(self.command, self.path, body=content, headers=dict(self.headers))
            answer = server.getresponse()
            body, headers = answer.read(), dict(answer.getheaders())
        except OSError:  # the server has ended before this request
            self.close_connection = True
            return
        finally:
            server.close()
        relay.n_bytes += len(body)
        self._answer(answer.status, headers, body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any  # noqa: N815  the names that are called

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in DROPPED:
                self.send_header(name, value)
        is_head = self.command == "HEAD"
        length = next((value for name, value in headers.items() if name.lower() == "content-length"), "0")
        self.send_header("Content-Length", length if is_head else str(len(body)))
        self.end_headers()
        if not is_head:
            self.wfile.write(body)

    def handle_expect_100(self) -> bool:
        return True  # answered where the body is read

    def log_message(self, *_: object) -> None:
        """Tests say what they need to."""
