from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from dashapp.errors import DiskTooSmall, HubCacheUnwritable, ModelUnreachable, WrongDownload
from dashapp.model import download
from dashapp.model.download import PIECE_BYTES, Progress, cached_folder, fetch_folder
from tests.hub_server import COMMIT, Hub, hub_server

REPO = "someone/gpt2"
FILES = ("config.json", "model.safetensors")
CONFIG = b'{"n_layer": 2}'
WEIGHTS = bytes(range(256)) * 8000  # 2 MB, eight pieces
TOTAL = len(CONFIG) + len(WEIGHTS)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_server() as hub:
        hub.files = {(REPO, "config.json"): CONFIG, (REPO, "model.safetensors"): WEIGHTS}
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


def fetch(cache: Path, progress: Progress | None = None) -> Path:
    return fetch_folder("gpt2", REPO, FILES, cache_dir=cache, progress=progress, wait_s=0)


def assert_whole(folder: Path) -> None:
    assert (folder / "config.json").read_bytes() == CONFIG
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def blobs(cache: Path) -> Path:
    return cache / "models--someone--gpt2" / "blobs"


def partial_of_weights(cache: Path) -> Path:
    return blobs(cache) / f"{hashlib.sha256(WEIGHTS).hexdigest()}.dashapp.incomplete"


class Stopped(Exception):
    """What a cancelled job raises out of its progress."""


def stop_after(n_bytes: int) -> Progress:
    def progress(done: int, total: int) -> None:
        if done >= n_bytes:
            raise Stopped

    return progress


# Fetching ------------------------------------------------------------------------------------------------------------


def test_what_is_fetched_is_in_the_hubs_cache_for_every_program(hub: Hub, tmp_path: Path) -> None:
    from huggingface_hub import hf_hub_download, scan_cache_dir

    folder = fetch(tmp_path)
    assert_whole(folder)
    assert folder.name == COMMIT
    theirs = hf_hub_download(REPO, "model.safetensors", cache_dir=tmp_path, local_files_only=True)
    assert Path(theirs) == folder / "model.safetensors"
    report = scan_cache_dir(tmp_path)
    assert not report.warnings
    assert report.size_on_disk == TOTAL


def test_only_the_files_asked_for_are_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.files[(REPO, "pytorch_model.bin")] = b"a pickle"
    fetch(tmp_path)
    assert {request.file for request in hub.requests} == set(FILES)


def test_files_are_asked_for_as_they_are(hub: Hub, tmp_path: Path) -> None:
    """The hub compresses small files for those who accept it, and a compressed answer has no bytes to resume at."""
    fetch(tmp_path)
    assert {request.encoding for request in hub.requests} == {"identity"}


def test_progress_counts_bytes_up_to_all_of_them(hub: Hub, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fetch(tmp_path, lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {TOTAL}
    dones = [done for done, _ in seen]
    assert dones == sorted(dones)
    assert dones[-1] == TOTAL
    assert len(set(dones)) >= len(WEIGHTS) // PIECE_BYTES


def test_what_is_cached_is_found_without_a_request(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cached_folder(REPO, FILES, tmp_path) is None
    folder = fetch(tmp_path)
    hub.requests.clear()
    assert cached_folder(REPO, FILES, tmp_path) == folder
    assert hub.requests == []


def test_half_a_cached_model_is_not_found(hub: Hub, tmp_path: Path) -> None:
    folder = fetch(tmp_path)
    (folder / "model.safetensors").unlink()
    assert cached_folder(REPO, FILES, tmp_path) is None


# Resuming ------------------------------------------------------------------------------------------------------------


def test_a_broken_connection_is_resumed_at_the_byte_it_broke_at(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.n_cuts = 3 * PIECE_BYTES, 2
    assert_whole(fetch(tmp_path))
    assert hub.ranges("model.safetensors") == ["", f"bytes={3 * PIECE_BYTES}-", f"bytes={6 * PIECE_BYTES}-"]


def test_a_stopped_download_is_resumed_by_the_next_call(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fetch(tmp_path, stop_after(TOTAL // 2))
    have = partial_of_weights(tmp_path).stat().st_size
    assert 0 < have < len(WEIGHTS)
    seen: list[int] = []
    assert_whole(fetch(tmp_path, lambda done, total: seen.append(done)))
    assert hub.ranges("model.safetensors") == ["", f"bytes={have}-"]
    assert seen[:2] == [len(CONFIG), len(CONFIG) + have]  # what is here counts from the first word on
    assert not partial_of_weights(tmp_path).exists()


def test_a_killed_download_is_resumed(hub: Hub, tmp_path: Path) -> None:
    hub.pause_s = 0.05  # 64 KiB at a time: 1.6 s for the whole file
    code = (
        "from pathlib import Path\n"
        "from dashapp.model.download import fetch_folder\n"
        f"fetch_folder('gpt2', {REPO!r}, {FILES!r}, cache_dir=Path({str(tmp_path)!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    partial = partial_of_weights(tmp_path)
    deadline = time.monotonic() + 60
    while not (partial.exists() and partial.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    have = partial.stat().st_size
    assert 0 < have < len(WEIGHTS)
    hub.pause_s = 0
    assert_whole(fetch(tmp_path))
    assert hub.ranges("model.safetensors") == ["", f"bytes={have}-"]


def test_a_server_without_ranges_sends_the_whole_file_again(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.n_cuts, hub.ignores_ranges = 3 * PIECE_BYTES, 1, True
    assert_whole(fetch(tmp_path))


def test_two_downloads_at_once_fetch_the_file_once(hub: Hub, tmp_path: Path) -> None:
    hub.pause_s = 0.02
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(fetch(tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 2
    assert_whole(folders[0])
    assert hub.ranges("model.safetensors") == [""]


# Failing -------------------------------------------------------------------------------------------------------------


def test_without_a_network_the_way_forward_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with hub_server() as hub:
        address = hub.address
    monkeypatch.setenv("HF_ENDPOINT", address)  # nobody listens there now
    with pytest.raises(ModelUnreachable, match=rf"the hub at {address}.*: there is no connection\. .*or use 'demo'"):
        fetch(tmp_path)
    assert "cannot be reached: " in caplog.text  # what the system said of it, for whoever runs the server


def test_a_connection_that_keeps_breaking_is_given_up_and_what_arrived_is_kept(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fetch(tmp_path, stop_after(TOTAL // 2))
    have = partial_of_weights(tmp_path).stat().st_size
    hub.cut_after, hub.n_cuts = 0, 1000
    with pytest.raises(ModelUnreachable, match="the connection breaks"):
        fetch(tmp_path)
    assert partial_of_weights(tmp_path).stat().st_size == have


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_a_hub_that_refuses_is_quoted(hub: Hub, tmp_path: Path, status: int) -> None:
    hub.status = status
    with pytest.raises(ModelUnreachable, match=rf"it answered {status} for config\.json"):
        fetch(tmp_path)


def test_a_repository_without_safetensors_fetches_nothing(hub: Hub, tmp_path: Path) -> None:
    del hub.files[(REPO, "model.safetensors")]
    hub.files[(REPO, "pytorch_model.bin")] = b"a pickle"
    with pytest.raises(ModelUnreachable, match=r"it answered 404 for model\.safetensors"):
        fetch(tmp_path)
    assert all(request.method == "HEAD" for request in hub.requests)


def test_a_server_that_is_no_hub_is_refused(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.hub_server.COMMIT", "")
    with pytest.raises(ModelUnreachable, match=r"does not say the version, hash and size of config\.json"):
        fetch(tmp_path)


def test_other_bytes_are_refused_and_removed(hub: Hub, tmp_path: Path) -> None:
    hub.garbles = True
    with pytest.raises(WrongDownload, match=r"'config\.json' of 'gpt2' came from .* with git blob id"):
        fetch(tmp_path)
    del hub.files[(REPO, "config.json")]
    with pytest.raises(WrongDownload, match=r"'model\.safetensors' of 'gpt2' came from .* with SHA-256"):
        fetch_folder("gpt2", REPO, FILES[1:], cache_dir=tmp_path, wait_s=0)
    assert not partial_of_weights(tmp_path).exists()
    assert cached_folder(REPO, FILES, tmp_path) is None


def test_garbled_bytes_are_not_resumed_from(hub: Hub, tmp_path: Path) -> None:
    hub.garbles = True
    with pytest.raises(WrongDownload):
        fetch(tmp_path)
    hub.garbles = False
    assert_whole(fetch(tmp_path))


def test_a_file_shorter_than_announced_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.announces = len(WEIGHTS) + 10
    with pytest.raises(ModelUnreachable, match="the connection breaks"):
        fetch(tmp_path)


def test_more_bytes_than_announced_are_refused(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = download._Fetch.describe

    def describe_less(self: download._Fetch, file: str) -> download._RemoteFile:
        true = original(self, file)
        return download._RemoteFile(name=true.name, url=true.url, etag=true.etag, size_bytes=true.size_bytes - 1)

    monkeypatch.setattr(download._Fetch, "describe", describe_less)
    with pytest.raises(WrongDownload, match="with more than its 13 bytes"):
        fetch(tmp_path)


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with pytest.raises(DiskTooSmall, match=r"'gpt2' needs 2\.0 MB more in .* where 1\.0 MB are free"):
        fetch(tmp_path)
    assert hub.ranges("model.safetensors") == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="macOS has no /dev/full")
def test_a_disk_that_fills_up_meanwhile_is_said(hub: Hub, tmp_path: Path) -> None:
    blobs(tmp_path).mkdir(parents=True)
    partial_of_weights(tmp_path).symlink_to("/dev/full")
    with pytest.raises(DiskTooSmall, match="what has arrived is kept"):
        fetch(tmp_path)


def test_a_cache_that_cannot_be_written_is_said(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(HubCacheUnwritable, match="HF_HUB_CACHE"):
        fetch(tmp_path / "file")
