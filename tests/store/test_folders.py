from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dashapp.store.folders import TAG_NAME, claim_folder, private_file, private_folder


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277])
def test_new_folders_and_files_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    with umask_of(umask):
        private_folder(tmp_path / "cache")
        private_file(tmp_path / "cache" / "cache.db")
    assert mode(tmp_path / "cache") == 0o700
    assert mode(tmp_path / "cache" / "cache.db") == 0o600


def test_wide_folders_and_files_are_tightened_and_their_parents_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder, file = tmp_path / "cache", tmp_path / "cache" / "cache.db"
    folder.mkdir()
    file.write_bytes(b"kept")
    folder.chmod(0o777)
    file.chmod(0o666)
    private_folder(folder)
    private_file(file)
    assert (mode(tmp_path), mode(folder), mode(file)) == (0o755, 0o700, 0o600)
    assert file.read_bytes() == b"kept"


def test_an_empty_folder_becomes_ours_and_stays_so(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o755)
    claim_folder(folder)
    (folder / "traces").mkdir()
    folder.chmod(0o777)
    claim_folder(folder)
    assert mode(folder) == 0o700
    assert (folder / TAG_NAME).read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_a_folder_that_holds_other_things_keeps_its_mode(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").write_text("hello")
    home.chmod(0o755)
    claim_folder(home)
    assert mode(home) == 0o755
    assert [path.name for path in home.iterdir()] == ["letter.txt"]


@contextmanager
def umask_of(umask: int) -> Iterator[None]:
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
