"""Starting: what stands in the way is said in a sentence before anything runs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from dashapp.errors import NotAModelFolder, PortTaken, StoreUnavailable
from dashapp.server import refuse_taken_port, serve
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
