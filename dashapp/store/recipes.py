"""Recipes: the part of a link that is too long for an address, kept here under a key that the link carries instead.

    folder/recipes/<key>.txt   one text a recipe, mode 0600; its time of change is when it was last used

A key is an HMAC of the text under the server's secret. So nobody can guess one (128 bits that only the secret gives),
and the same text has the same key: a page may ask again whenever it likes, and a reload, a second window and a
colleague's copy make one file. Whoever makes a key by asking for it knows the text already.

Recipes outlive traces, which are computed again from them: they have a limit of their own, 256 MB, which holds some
tens of thousands of prompts; beyond it the one that was not used for the longest time goes first. Knows texts; knows
nothing of prompts or pages.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dashapp.errors import RecipeGone, RecipeTooLarge, StoreUnavailable
from dashapp.store.folders import new_private_file, private_folder

LARGEST_BYTES: Final = 1_000_000  # of one: two prompts as long as any model of ours reads, percent-encoded
LIMIT_BYTES: Final = 256 * 10**6  # of all
ORPHAN_AGE_S: Final = 600.0  # a writer that wrote nothing for ten minutes is taken for dead
KEY: Final = re.compile(r"[0-9a-f]{32}")
PURPOSE: Final = b"dashapp recipe\0"  # the secret signs other things too
SUFFIX: Final = ".txt"
UNFINISHED: Final = ".part"


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    size_bytes: int
    last_used_ns: int


class RecipeStore:
    """Texts by key in a folder of their own. Threads and processes may share the folder; it is made when needed."""

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes

    def put(self, text: str, *, secret: str) -> str:
        """Keep a text; its key. The same text again counts as use.

        secret: of this server; with another, texts get other keys, and the keys of before still find theirs.
        Raises: RecipeTooLarge, StoreUnavailable.
        """
        content = recipe_content(text)
        key = recipe_key(content, secret)
        try:
            if not self._use(key):
                self._write(key, content)
                self._make_room(keep=key)
        except OSError as error:
            raise StoreUnavailable(self.folder, error.strerror or error) from error
        return key

    def get(self, key: str) -> str:
        """The text of a key that came from anywhere; being read counts as use. Raises: RecipeGone."""
        if not KEY.fullmatch(key):
            raise RecipeGone(key)
        try:
            text = self._path(key).read_bytes().decode()  # not as a text file, whose line ends Python changes
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeGone(key) from error
        with suppress(OSError):  # on a full or read-only disk only the order of going suffers
            self._use(key)
        return text

    def clear(self) -> None:
        """Remove all of them. Raises: StoreUnavailable."""
        try:
            for path in self.folder.glob("*"):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreUnavailable(self.folder, error.strerror or error) from error

    def totals(self) -> tuple[int, int]:
        """How many there are, and their bytes."""
        files = self._files()
        return len(files), sum(file.size_bytes for file in files)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{SUFFIX}"

    def _use(self, key: str) -> bool:
        """Make a recipe the one used last; False when it is not here."""
        try:
            os.utime(self._path(key))
        except FileNotFoundError:
            return False
        return True

    def _write(self, key: str, content: bytes) -> None:
        """A file that appears whole or not at all, though its writer may die."""
        private_folder(self.folder)
        unfinished = self.folder / f"{key}-{secrets.token_hex(8)}{UNFINISHED}"
        try:
            with os.fdopen(new_private_file(unfinished), "wb") as file:
                file.write(content)
            unfinished.replace(self._path(key))
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    def _make_room(self, *, keep: str) -> None:
        """Remove those unused for the longest time until the rest fit, and what dead writers have left."""
        files = sorted(self._files(), key=lambda file: file.last_used_ns)
        total = sum(file.size_bytes for file in files)
        for file in files:
            if total <= self.limit_bytes:
                break
            if file.path != self._path(keep):
                file.path.unlink(missing_ok=True)
                total -= file.size_bytes
        before = time.time() - ORPHAN_AGE_S
        for path in self.folder.glob(f"*{UNFINISHED}"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()

    def _files(self) -> list[_File]:
        found = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):  # another process has removed it this very moment
                status = path.stat()
                found.append(_File(path, status.st_size, status.st_mtime_ns))
        return found


def recipe_content(text: str) -> bytes:
    """What is kept of a text. Raises: RecipeTooLarge."""
    content = text.encode(errors="replace")  # half a surrogate pair, which no prompt may hold
    if len(content) > LARGEST_BYTES:
        raise RecipeTooLarge(len(content), LARGEST_BYTES)
    return content


def recipe_key(content: bytes, secret: str) -> str:
    """The key of a text: 32 hexadecimal digits, which nobody can guess without the secret."""
    return hmac.new(secret.encode(), PURPOSE + content, hashlib.sha256).hexdigest()[:32]
