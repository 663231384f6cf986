from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from dashapp.errors import RecipeGone, RecipeTooLarge, StoreUnavailable
from dashapp.store.recipes import LARGEST_BYTES, ORPHAN_AGE_S, RecipeStore

SECRET = "a secret of sixteen and more"


@pytest.fixture
def recipes(tmp_path: Path) -> RecipeStore:
    return RecipeStore(tmp_path / "recipes")


def age(recipes: RecipeStore, key: str, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(recipes.folder / f"{key}.txt", (moment, moment))


@pytest.mark.parametrize("text", ["prompt=Hi", "", "مرحبا 🙂\u202e\0\r\n", "x" * LARGEST_BYTES])
def test_what_is_kept_is_found_again(recipes: RecipeStore, text: str) -> None:
    assert recipes.get(recipes.put(text, secret=SECRET)) == text


def test_half_a_character_is_kept_as_a_question_mark(recipes: RecipeStore) -> None:
    assert recipes.get(recipes.put("a\ud83db", secret=SECRET)) == "a?b"


def test_a_key_has_128_bits_and_follows_from_the_text_and_the_secret_alone(tmp_path: Path) -> None:
    places = [("1", SECRET), ("2", SECRET), ("3", "other")]
    keys = [RecipeStore(tmp_path / folder).put("prompt=Hi", secret=secret) for folder, secret in places]
    assert keys[0] == keys[1] != keys[2]
    assert all(len(bytes.fromhex(key)) == 16 for key in keys)
    assert RecipeStore(tmp_path).put("prompt=Ho", secret=SECRET) != keys[0]


def test_the_same_text_takes_one_file(recipes: RecipeStore) -> None:
    assert recipes.put("prompt=Hi", secret=SECRET) == recipes.put("prompt=Hi", secret=SECRET)
    assert recipes.totals() == (1, len("prompt=Hi"))


def test_another_secret_still_finds_what_was_kept_before(recipes: RecipeStore) -> None:
    key = recipes.put("prompt=Hi", secret=SECRET)
    assert recipes.put("prompt=Hi", secret="changed since") != key
    assert recipes.get(key) == "prompt=Hi"


def test_only_we_can_read_them(recipes: RecipeStore) -> None:
    key = recipes.put("prompt=Hi", secret=SECRET)
    assert stat.S_IMODE(recipes.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((recipes.folder / f"{key}.txt").stat().st_mode) == 0o600
    assert [path.name for path in recipes.folder.iterdir()] == [f"{key}.txt"]


@pytest.mark.parametrize("key", ["0" * 32, "", "../secret_key", "0" * 31, "A" * 32, "0" * 32 + "\n", "\0"])
def test_a_key_without_a_recipe_is_told_so_whatever_it_is(recipes: RecipeStore, key: str) -> None:
    recipes.put("prompt=Hi", secret=SECRET)
    (recipes.folder.parent / "secret_key").write_text("secret")
    with pytest.raises(RecipeGone, match="This server has nothing under the key"):
        recipes.get(key)


def test_bytes_that_are_no_text_are_no_recipe(recipes: RecipeStore) -> None:
    key = recipes.put("prompt=Hi", secret=SECRET)
    (recipes.folder / f"{key}.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeGone):
        recipes.get(key)


def test_a_megabyte_is_refused_before_anything_is_written(recipes: RecipeStore) -> None:
    with pytest.raises(RecipeTooLarge, match=r"1,000,001"):
        recipes.put("x" * (LARGEST_BYTES + 1), secret=SECRET)
    assert not recipes.folder.exists()


def test_the_one_unused_for_longest_goes_first(tmp_path: Path) -> None:
    recipes = RecipeStore(tmp_path, limit_bytes=30)
    old, read, again = (recipes.put(letter * 10, secret=SECRET) for letter in "abc")
    for key, seconds in [(old, 300), (read, 900), (again, 600)]:
        age(recipes, key, seconds)
    recipes.get(read)
    recipes.put("c" * 10, secret=SECRET)
    recipes.put("d" * 10, secret=SECRET)
    assert recipes.totals() == (3, 30)
    assert recipes.get(read) == "b" * 10
    assert recipes.get(again) == "c" * 10
    with pytest.raises(RecipeGone):
        recipes.get(old)


def test_the_newest_stays_though_it_is_larger_than_the_limit(tmp_path: Path) -> None:
    recipes = RecipeStore(tmp_path, limit_bytes=5)
    small = recipes.put("abc", secret=SECRET)
    large = recipes.put("x" * 10, secret=SECRET)
    assert recipes.get(large) == "x" * 10
    with pytest.raises(RecipeGone):
        recipes.get(small)


def test_what_a_dead_writer_left_goes_and_what_a_live_one_writes_stays(recipes: RecipeStore) -> None:
    recipes.put("prompt=Hi", secret=SECRET)
    dead, live = recipes.folder / "dead.part", recipes.folder / "live.part"
    for path, seconds in [(dead, ORPHAN_AGE_S + 5), (live, ORPHAN_AGE_S - 60)]:
        path.write_text("unfinished")
        moment = time.time() - seconds
        os.utime(path, (moment, moment))
    recipes.put("prompt=Ho", secret=SECRET)
    assert (dead.exists(), live.exists()) == (False, True)


def test_clearing_leaves_nothing(recipes: RecipeStore) -> None:
    recipes.put("prompt=Hi", secret=SECRET)
    (recipes.folder / "left.part").write_text("prompt=Ho")
    recipes.clear()
    assert list(recipes.folder.iterdir()) == []
    assert recipes.totals() == (0, 0)
    RecipeStore(recipes.folder.parent / "never made").clear()


def test_a_folder_deleted_while_the_app_runs_is_made_again(recipes: RecipeStore) -> None:
    key = recipes.put("prompt=Hi", secret=SECRET)
    recipes.clear()
    recipes.folder.rmdir()
    assert recipes.totals() == (0, 0)
    assert recipes.get(recipes.put("prompt=Hi", secret=SECRET)) == "prompt=Hi"
    assert recipes.put("prompt=Hi", secret=SECRET) == key


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreUnavailable):
        RecipeStore(tmp_path / "file").put("prompt=Hi", secret=SECRET)
