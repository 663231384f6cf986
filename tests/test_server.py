"""Starting: what stands in the way is said in a sentence before anything runs. What the server says before the app."""

from __future__ import annotations

import html
import socket
from http.client import HTTPResponse
from pathlib import Path

import pytest
from gunicorn.http.errors import InvalidRequestLine, LimitRequestLine

from dashapp.errors import AddressTooLong, NotAModelFolder, PortTaken, StoreUnavailable
from dashapp.server import LONGEST_ADDRESS, _Server, _Worker, refuse_taken_port, serve
from dashapp.settings import Settings


@pytest.fixture
def taken() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def test_a_taken_port_is_said_and_another_named(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    with taken, pytest.raises(PortTaken, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*in use"):
        serve(Settings(port=port))


def test_a_port_that_was_just_left_is_free(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    taken.close()
    refuse_taken_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.1"])
def test_an_address_that_is_not_ours_is_said(host: str) -> None:
    with pytest.raises(PortTaken, match=host):
        refuse_taken_port(host, 8050)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_folder_without_a_model_is_said_before_the_server_starts(tmp_path: Path) -> None:
    with pytest.raises(NotAModelFolder, match=r"config\.json"):
        serve(Settings(port=free_port(), model=str(tmp_path), cache_dir=tmp_path / "cache"))


def test_a_cache_that_cannot_be_written_is_said_before_the_server_starts(tmp_path: Path, model_folder: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="file"):
        serve(Settings(port=free_port(), model=str(model_folder), cache_dir=tmp_path / "file" / "cache"))


def test_an_address_holds_a_prompt_and_stands_in_no_log() -> None:
    assert _Server(Settings()).cfg.accesslog is None
    proxy = (Path(__file__).parents[1] / "deploy" / "nginx.conf").read_text()
    assert [line.split()[1] for line in proxy.splitlines() if line.strip().startswith("access_log")] == ["off;"]


def test_a_request_that_cannot_be_read_is_not_quoted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker = _Worker.__new__(_Worker)  # of its own it needs nothing to answer
        worker.handle_error(None, ours, ("127.0.0.1", 1), InvalidRequestLine("GET /?prompt=my secret HTTP/1.1"))
        answer = theirs.recv(1000)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert "InvalidRequestLine" in caplog.text
    assert "secret" not in caplog.text + answer.decode()


def test_an_address_that_is_too_long_is_refused_in_words() -> None:
    config = _Server(Settings()).cfg
    assert (config.worker_class, config.limit_request_line) == (_Worker, LONGEST_ADDRESS)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker = _Worker.__new__(_Worker)  # of its own it needs nothing to answer
        worker.handle_error(None, ours, ("127.0.0.1", 1), LimitRequestLine(9000, LONGEST_ADDRESS))
        answer = HTTPResponse(theirs)
        answer.begin()
        page = answer.read().decode()
    assert (answer.status, answer.getheader("Referrer-Policy")) == (414, "no-referrer")
    assert html.escape(str(AddressTooLong(LONGEST_ADDRESS))) in page
    assert '<a href="/">' in page
    assert "default-src 'none'" in str(answer.getheader("Content-Security-Policy"))
