"""Folders that only we can open. Knows modes and owners; knows nothing of what lies in them.

Whoever can write into the cache could plant rows and files, whoever can read it reads other people's prompts: so mode
0700, whatever the umask.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

# https://bford.info/cachedir: tells backup programs to pass by, and us that the folder is ours.
TAG_NAME: Final = "CACHEDIR.TAG"
TAG_TEXT: Final = b"Signature: 8a477f597d28d172789f06886806bc55\n# A cache of dashapp: it may be deleted at any time.\n"


def private_folder(folder: Path) -> None:
    """Make a folder of mode 0700, or tighten the one that is there; its parents are left as they are."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        folder.chmod(0o700)


def claim_folder(folder: Path) -> None:
    """Make the folder that a person named ours: private when it is new, empty or was ours before.

    A folder that holds other things (a home, /tmp, /var/cache) keeps its mode, for others may need to get in; what we
    put into it is in private folders of its own.
    """
    tag = folder / TAG_NAME
    if folder.exists() and not tag.exists() and any(folder.iterdir()):
        return
    private_folder(folder)
    if not tag.exists():
        private_file(tag)
        tag.write_bytes(TAG_TEXT)


def new_private_file(path: Path) -> int:
    """A descriptor to write a new file of mode 0600. Raises: FileExistsError and other OSErrors."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.fchmod(descriptor, 0o600)  # the umask may have taken more away
    return descriptor


def private_file(path: Path) -> None:
    """Make an empty file of mode 0600, or tighten the one that is there.

    An existing file is never opened: if it is an SQLite database, closing it would drop the locks that other threads of
    this process hold on it (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        os.close(new_private_file(path))
    except FileExistsError:
        if stat.S_IMODE(path.stat().st_mode) != 0o600:
            path.chmod(0o600)
