"""Files of a model from the hub: found in its cache, or fetched with byte progress, resumed after a break, checked.

huggingface_hub itself starts a broken download again from nothing (2.4 writes to a new file each time and removes it on
failure), and does not compare what arrived with the hash that the hub names. So the bytes are fetched here, with its
session and headers, into the place where its cache keeps files by hash; it then links them as its own, and every other
program that uses the cache finds them. Torch-free; knows nothing of GPT-2. Linux and macOS (file locks).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dashapp.errors import DiskTooSmall, HubCacheUnwritable, ModelUnreachable, WrongDownload

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]  # bytes that are here, bytes in all

HUB = "https://huggingface.co"
TRIES = 4  # in a row without a new byte
PIECE_BYTES = 1 << 18  # small, so that a break loses little and progress is smooth
TIMEOUT_S = 20.0
POLL_S = 0.2


def hub_address() -> str:
    """The hub's address: HF_ENDPOINT, or the public one."""
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def cached_folder(repo: str, files: Sequence[str], cache_dir: Path | None = None) -> Path | None:
    """The folder in the hub's cache that holds all `files` of a repository, or None. Asks no network."""
    from huggingface_hub import try_to_load_from_cache  # heavy: a quarter of a second, and not every start needs it

    found = [try_to_load_from_cache(repo, file, cache_dir=cache_dir) for file in files]
    folders = {Path(path).parent for path in found if isinstance(path, str)}
    return folders.pop() if len(folders) == 1 and all(isinstance(path, str) for path in found) else None


def fetch_folder(
    name: str,
    repo: str,
    files: Sequence[str],
    *,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    wait_s: float = 1.0,
) -> Path:
    """The folder in the hub's cache with `files` of a repository, fetched now. `name` is for errors.

    progress(done, total) counts the bytes of all files, from where an earlier, broken call stopped; it may raise to
    stop the download, which a later call then resumes. `wait_s` is the pause before a try after a break.
    Raises: ModelUnreachable, DiskTooSmall, WrongDownload.
    """
    from huggingface_hub.constants import HF_HUB_CACHE

    fetch = _Fetch(name, repo, Path(cache_dir or HF_HUB_CACHE), hub_address(), wait_s)
    wanted = [fetch.describe(file) for file in files]
    total = sum(file.size_bytes for file in wanted)
    before = 0
    for file in wanted:

        def report(done: int, *, before: int = before) -> None:
            if progress:
                progress(before + done, total)

        fetch.bring(file, report)
        before += file.size_bytes
    folder = cached_folder(repo, files, cache_dir)
    if folder is None:
        raise ModelUnreachable(name, fetch.hub, "the repository changed while it was being fetched")
    return folder


@dataclass(frozen=True, kw_only=True)
class _RemoteFile:
    """A file as the hub describes it; `etag` is its SHA-256, or its git blob id when it is small."""

    name: str
    url: str
    etag: str
    size_bytes: int


class _Interrupted(Exception):
    """The connection broke; what arrived is kept."""


class _Fetch:
    """One repository being fetched into one cache."""

    def __init__(self, name: str, repo: str, cache_dir: Path, hub: str, wait_s: float) -> None:
        self.name, self.repo, self.cache_dir, self.hub, self.wait_s = name, repo, cache_dir, hub, wait_s
        self.blobs = cache_dir / ("models--" + repo.replace("/", "--")) / "blobs"

    def describe(self, file: str) -> _RemoteFile:
        """What the hub says of a file. Raises: ModelUnreachable."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        url = hf_hub_url(self.repo, file, endpoint=self.hub)
        with self._no_connection(), self._hub_errors(file):
            about: HfFileMetadata = get_hf_file_metadata(url, timeout=TIMEOUT_S, endpoint=self.hub)
        if not (about.size and about.commit_hash and about.etag and re.fullmatch(r"[\w-]+", about.etag)):
            raise ModelUnreachable(self.name, self.hub, f"it does not say the version, hash and size of {file}")
        return _RemoteFile(name=file, url=url, etag=about.etag, size_bytes=about.size)

    def bring(self, file: _RemoteFile, report: Callable[[int], None]) -> None:
        """Put a file into the cache, unless it is there."""
        blob = self.blobs / file.etag
        partial = self.blobs / f"{file.etag}.dashapp.incomplete"
        with self._disk_errors(file, partial):
            self.blobs.mkdir(parents=True, exist_ok=True)
            with _lock(partial.with_suffix(".lock"), while_waiting=lambda: report(_size(partial))):
                if not blob.exists():
                    self._refuse_small_disk(file, partial)
                    self._complete(file, partial, report)
                    self._check(file, partial)
                    partial.replace(blob)
            report(file.size_bytes)
            self._link(file)

    def _complete(self, file: _RemoteFile, partial: Path, report: Callable[[int], None]) -> None:
        """Fetch until all bytes are here, from where the last try stopped."""
        tries = TRIES
        report(_size(partial))
        while (have := _size(partial)) < file.size_bytes:
            try:
                with partial.open("ab") as target, self._hub_errors(file.name):
                    self._stream(file, target, have, report)
            except _Interrupted as error:
                tries = TRIES if _size(partial) > have else tries - 1
                if not tries:
                    raise ModelUnreachable(self.name, self.hub, f"the connection breaks ({error})") from error
                time.sleep(self.wait_s)

    def _stream(self, file: _RemoteFile, target: BinaryIO, have: int, report: Callable[[int], None]) -> None:
        from huggingface_hub import get_session

        # Documented there, but not in the way that mypy wants.
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

        # Identity: a compressed answer could not be resumed at a byte of the file.
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with get_session().stream("GET", file.url, headers=headers, timeout=TIMEOUT_S) as response:
            hf_raise_for_status(response)
            if have and response.status_code != 206:  # the whole file after all
                target.truncate(0)
                have = 0
            for piece in response.iter_bytes(PIECE_BYTES):
                target.write(piece)
                have += len(piece)
                if have > file.size_bytes:
                    target.truncate(0)
                    raise WrongDownload(self.name, file.name, self.hub, f"more than its {file.size_bytes:,} bytes")
                report(have)

    def _check(self, file: _RemoteFile, partial: Path) -> None:
        """Compare what arrived with the hash that the hub names; a name that is no hash says nothing."""
        if len(file.etag) == 64:
            kind, digest = "SHA-256", hashlib.sha256()
        elif len(file.etag) == 40:
            kind, digest = "git blob id", hashlib.sha1(f"blob {file.size_bytes}\0".encode(), usedforsecurity=False)
        else:
            return
        with partial.open("rb") as content:
            while piece := content.read(1 << 20):
                digest.update(piece)
        if digest.hexdigest() != file.etag:
            partial.unlink()
            found = f"{kind} {digest.hexdigest()[:12]}… instead of {file.etag[:12]}…"
            raise WrongDownload(self.name, file.name, self.hub, found)

    def _link(self, file: _RemoteFile) -> None:
        """Let huggingface_hub name the file in its cache; the bytes are there, so it fetches none."""
        from huggingface_hub import hf_hub_download

        with self._no_connection(), self._hub_errors(file.name):
            hf_hub_download(self.repo, file.name, cache_dir=self.cache_dir, endpoint=self.hub)

    def _refuse_small_disk(self, file: _RemoteFile, partial: Path) -> None:
        needed_bytes = file.size_bytes - _size(partial)
        free_bytes = shutil.disk_usage(self.blobs).free
        if needed_bytes > free_bytes:
            raise DiskTooSmall(self.name, needed_bytes, self.cache_dir, free_bytes)

    @contextmanager
    def _disk_errors(self, file: _RemoteFile, partial: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise HubCacheUnwritable(self.cache_dir, error.strerror) from error
            needed_bytes = file.size_bytes - _size(partial)
            raise DiskTooSmall(self.name, needed_bytes, self.cache_dir, shutil.disk_usage(self.blobs).free) from error

    @contextmanager
    def _no_connection(self) -> Iterator[None]:
        try:
            yield
        except _Interrupted as error:
            logger.warning("The hub at %s cannot be reached: %s", self.hub, error)
            raise ModelUnreachable(self.name, self.hub, "there is no connection") from error

    @contextmanager
    def _hub_errors(self, file: str) -> Iterator[None]:
        """The many ways in which a hub fails, as the two that matter: it broke off, or it said no."""
        import httpx2  # huggingface_hub's own client
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

        try:
            yield
        except HfHubHTTPError as error:
            status = error.response.status_code
            raise ModelUnreachable(self.name, self.hub, f"it answered {status} for {file}") from error
        except OfflineModeIsEnabled as error:
            raise ModelUnreachable(self.name, self.hub, "HF_HUB_OFFLINE forbids it") from error
        except LocalEntryNotFoundError as error:
            logger.warning("The hub at %s cannot be reached: %s", self.hub, error.__cause__ or error)
            raise ModelUnreachable(self.name, self.hub, "there is no connection") from error
        except httpx2.HTTPError as error:
            raise _Interrupted(str(error) or type(error).__name__) from error


@contextmanager
def _lock(path: Path, *, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock between processes; it goes with the process that holds it, however that ends."""
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                while_waiting()
                time.sleep(POLL_S)
        yield


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
