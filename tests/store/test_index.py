from __future__ import annotations

import json
import pickle
import sqlite3
from pathlib import Path
from typing import Any

import diskcache
import pytest
from diskcache.core import MODE_BINARY, MODE_PICKLE, MODE_TEXT

from dashapp.errors import DamagedTrace
from dashapp.store.files import FileCache
from dashapp.store.index import Index, RawFiles, WrittenFile, new_file_name

KEY = "a" * 64


class Bomb:
    """Unpickling it leaves a file behind, as an attack would leave worse."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("value", [b"bytes", "text", 1, 1.5, {"a": 1}, None])
def test_only_written_files_go_in(tmp_path: Path, value: object) -> None:
    index = Index(tmp_path)
    with pytest.raises(TypeError, match="values are files"):
        index.set(KEY, value)
    assert len(index) == 0
    index.close()


@pytest.mark.parametrize("key", [b"bytes", 1, 1.5, ("a",), None])
def test_only_strings_are_keys(tmp_path: Path, key: object) -> None:
    index = Index(tmp_path)
    with pytest.raises(TypeError, match="keys are strings"):
        index.set(key, WrittenFile(new_file_name(KEY), 1))
    index.close()


def test_the_bomb_of_these_tests_does_go_off(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "boom")))  # noqa: S301  (our own, to show that the next test can fail)
    assert (tmp_path / "boom").exists()


@pytest.mark.parametrize("inline", [True, False])
def test_a_planted_pickle_is_removed_and_never_opened(tmp_path: Path, inline: bool) -> None:
    cache = FileCache(tmp_path / "cache" / "traces")
    bomb, name = pickle.dumps(Bomb(tmp_path / "boom")), new_file_name(KEY)
    (cache.folder / name).write_bytes(bomb)
    plant(cache.folder, mode=MODE_PICKLE, filename=None if inline else name, value=bomb if inline else None)
    assert cache.find(KEY) is None
    assert cache.totals() == (0, 0)
    assert not (tmp_path / "boom").exists()
    cache.close()


def test_diskcache_itself_would_have_opened_that_pickle(tmp_path: Path) -> None:
    diskcache.Cache(str(tmp_path)).close()
    plant(tmp_path, mode=MODE_PICKLE, value=pickle.dumps(Bomb(tmp_path / "boom")))
    with diskcache.Cache(str(tmp_path)) as cache:
        cache.get(KEY)
    assert (tmp_path / "boom").exists()


def test_a_planted_pickled_key_is_never_opened(tmp_path: Path) -> None:
    index = Index(tmp_path)
    plant(tmp_path, mode=MODE_BINARY, key=pickle.dumps(Bomb(tmp_path / "boom")), raw=0)
    with pytest.raises(DamagedTrace):
        list(index)
    assert not (tmp_path / "boom").exists()
    index.close()


@pytest.mark.parametrize("name", ["../../letter.txt", "/etc/passwd", "letter.txt", "", None, 7])
def test_a_row_cannot_name_a_file_that_is_not_ours(tmp_path: Path, name: object) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("hello")
    cache = FileCache(tmp_path / "cache" / "traces")
    plant(cache.folder, mode=MODE_BINARY, filename=name)
    assert cache.find(KEY) is None
    assert letter.read_text() == "hello"
    cache.close()


def test_values_kept_in_other_ways_are_refused(tmp_path: Path) -> None:
    disk = RawFiles(str(tmp_path))
    for mode in (None, 0, 1, MODE_TEXT, MODE_PICKLE, 99):
        with pytest.raises(DamagedTrace):
            disk.fetch(mode, new_file_name(KEY), json.dumps(1), read=False)  # type: ignore[arg-type]


def plant(
    folder: Path, *, mode: int, filename: object = None, value: object = None, key: object = KEY, raw: int = 1
) -> None:
    connection = sqlite3.connect(folder / "cache.db")
    columns = "key, raw, store_time, access_time, size, mode, filename, value"
    row = (key, raw, 0, 0, 1, mode, filename, value)
    connection.execute(f"INSERT INTO Cache ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()
