from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashapp.errors import StoreUnavailable, TraceTooLarge
from dashapp.store import files
from dashapp.store.files import FileCache

LIMIT = 1000
KEYS = [hashlib.sha256(name.encode()).hexdigest() for name in "abcdefghijkl"]

Step = tuple[str, int, int]
steps = st.lists(st.tuples(st.sampled_from(["put", "find", "discard"]), st.integers(0, 5), st.integers(1, LIMIT // 2)))


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FileCache]:
    cache = FileCache(tmp_path / "cache" / "traces")
    yield cache
    cache.close()


# What is kept ---------------------------------------------------------------------------------------------------------


def test_what_is_put_is_found_byte_for_byte(cache: FileCache) -> None:
    put(cache, KEYS[0], b"first", b"second", memoryview(b"third"))
    found = cache.find(KEYS[0])
    assert found is not None
    assert found.read_bytes() == b"firstsecondthird"
    assert found.stat().st_mode & 0o777 == 0o600
    assert cache.find(KEYS[1]) is None


def test_a_second_value_replaces_the_first_and_its_file(cache: FileCache) -> None:
    put(cache, KEYS[0], b"old")
    put(cache, KEYS[0], b"newer")
    assert content(cache, KEYS[0]) == b"newer"
    assert (cache.totals(), len(data_files(cache))) == ((1, 5), 1)


@settings(max_examples=40, deadline=None)  # each example opens a database: 20 ms on a quiet machine, more on a busy one
@given(steps)
def test_the_least_recently_used_go_first_and_no_more_than_needed(history: list[Step]) -> None:
    """The cache against a dict in order of use, after every step: same keys, same bytes, files and rows agree."""
    folder = Path(tempfile.mkdtemp())
    cache = FileCache(folder / "traces")
    model: dict[str, bytes] = {}
    try:
        for action, key, size in history:
            take_step(cache, model, action, KEYS[key], size)
            assert cache.totals() == (len(model), sum(map(len, model.values())))
            assert sorted(path.stat().st_size for path in data_files(cache)) == sorted(map(len, model.values()))
        assert {kept: content(cache, kept) for kept in model} == model
    finally:
        cache.close()
        shutil.rmtree(folder)


def take_step(cache: FileCache, model: dict[str, bytes], action: str, key: str, size: int) -> None:
    if action == "put":
        put(cache, key, bytes([size % 256]) * size)
        model.pop(key, None)
        while sum(map(len, model.values())) + size > LIMIT:
            del model[next(iter(model))]
        model[key] = bytes([size % 256]) * size
    elif action == "find":
        assert (cache.find(key) is not None) == (key in model)
        if key in model:
            model[key] = model.pop(key)
    else:
        cache.discard(key)
        model.pop(key, None)


def test_a_file_put_again_does_not_count_twice(cache: FileCache) -> None:
    put(cache, KEYS[0], bytes(300))
    put(cache, KEYS[1], bytes(500))
    put(cache, KEYS[1], bytes(500))
    assert content(cache, KEYS[0]) == bytes(300)


def test_the_disk_never_holds_more_than_the_limit_while_a_file_is_written(cache: FileCache) -> None:
    piece, most = 20_000, []  # larger than a writer's buffer, so that every piece is on the disk before the next

    def measured() -> Iterator[bytes]:
        for _ in range(6):
            yield bytes(piece)
            most.append(sum(path.stat().st_size for path in data_files(cache)))

    for key in KEYS:
        cache.put(key, measured, size_bytes=6 * piece, limit_bytes=10 * piece)
    assert max(most) == 6 * piece


@pytest.mark.parametrize("announced", [LIMIT + 1, 10])
def test_a_file_larger_than_the_limit_is_refused_with_both_numbers(cache: FileCache, announced: int) -> None:
    with pytest.raises(TraceTooLarge) as refusal:
        cache.put(KEYS[0], lambda: [bytes(LIMIT + 1)], size_bytes=announced, limit_bytes=LIMIT)
    assert (refusal.value.size_bytes, refusal.value.limit_bytes) == (LIMIT + 1, LIMIT)
    assert (cache.totals(), data_files(cache)) == ((0, 0), [])


def test_a_clock_that_is_set_back_does_not_make_new_files_the_oldest(
    cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cache, KEYS[0], bytes(400))
    put(cache, KEYS[1], bytes(400))
    monkeypatch.setattr(time, "time", lambda: 1.0)
    put(cache, KEYS[2], bytes(400))
    put(cache, KEYS[3], bytes(400))
    assert [content(cache, key) is not None for key in KEYS[:4]] == [False, False, True, True]


def test_a_mapped_file_stays_readable_after_its_eviction(cache: FileCache) -> None:
    put(cache, KEYS[0], b"a" * 900)
    with cache.find(KEYS[0]).open("rb") as reader:  # type: ignore[union-attr]
        put(cache, KEYS[1], b"b" * 900)
        assert cache.find(KEYS[0]) is None
        assert reader.read() == b"a" * 900


# Writers that fail ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure", [ZeroDivisionError(), KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")]
)
def test_a_writer_that_fails_midway_leaves_nothing(cache: FileCache, failure: BaseException) -> None:
    put(cache, KEYS[0], b"old")
    expected = StoreUnavailable if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected):
        cache.put(KEYS[0], breaking(failure), size_bytes=10, limit_bytes=LIMIT)
    assert (content(cache, KEYS[0]), len(data_files(cache))) == (b"old", 1)


def test_a_full_disk_is_said_and_the_partial_file_removed(cache: FileCache) -> None:
    with pytest.raises(StoreUnavailable, match="No space left on device"):
        cache.put(KEYS[0], breaking(OSError(errno.ENOSPC, "No space left on device")), size_bytes=10, limit_bytes=LIMIT)
    assert (cache.totals(), data_files(cache)) == ((0, 0), [])
    put(cache, KEYS[0], b"later")
    assert content(cache, KEYS[0]) == b"later"


def test_on_a_disk_smaller_than_the_limit_the_oldest_give_way(cache: FileCache) -> None:
    """A disk of 700 bytes under a limit of 1,000."""

    def on_small_disk() -> Iterator[bytes]:
        yield bytes(200)
        if sum(path.stat().st_size for path in data_files(cache)) + 300 > 700:
            raise OSError(errno.ENOSPC, "No space left on device")
        yield bytes(100)

    for key in KEYS:
        cache.put(key, on_small_disk, size_bytes=300, limit_bytes=LIMIT)
    assert [content(cache, key) is not None for key in KEYS] == [False] * 10 + [True] * 2


def test_a_limit_on_file_size_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    program = """
        import resource
        cache = FileCache(folder)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            cache.put("a" * 64, lambda: [bytes(60_000)] * 3, size_bytes=180_000, limit_bytes=10**6)
        except StoreUnavailable as error:
            print(error)
        print(cache.totals())
    """
    printed = run_program(program, tmp_path / "cache" / "traces")
    assert "File too large" in printed
    assert printed.endswith("(0, 0)\n")
    assert list((tmp_path / "cache" / "traces").glob("*.safetensors")) == []


def test_a_folder_that_we_may_not_write_is_said_when_opened() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:  # pytest's own folders are closed to nobody
        Path(place).chmod(0o755 if os.getuid() == 0 else 0o500)
        program = """
            import os
            if os.getuid() == 0:
                os.setuid(65534)
            try:
                FileCache(folder)
            except StoreUnavailable as error:
                print(error)
        """
        assert "Permission denied" in run_program(program, Path(place) / "cache" / "traces")


def test_a_folder_made_read_only_is_said_and_reading_goes_on() -> None:
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o777)
    program = """
        import os
        if os.getuid() == 0:
            os.setuid(65534)
        cache = FileCache(folder)
        for key in ("a" * 64, "b" * 64):
            cache.put(key, lambda: [b"kept"], size_bytes=4, limit_bytes=10**6)
        folder.chmod(0o500)
        try:
            cache.put("c" * 64, lambda: [b"lost"], size_bytes=4, limit_bytes=10**6)
        except StoreUnavailable as error:
            print(error)
        print(cache.find("a" * 64).read_bytes(), cache.find("c" * 64))
        folder.chmod(0o700)
        cache.put("c" * 64, lambda: [b"again"], size_bytes=5, limit_bytes=10**6)
        print(cache.find("c" * 64).read_bytes())
    """
    try:
        printed = run_program(program, place / "cache" / "traces")
    finally:
        shutil.rmtree(place)
    assert "Permission denied" in printed
    assert printed.endswith("b'kept' None\nb'again'\n")


# Things that happen to folders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["cache", "cache/traces"])
def test_a_folder_deleted_while_running_is_made_again(cache: FileCache, tmp_path: Path, level: str) -> None:
    put(cache, KEYS[0], b"old")
    shutil.rmtree(tmp_path / level)
    assert cache.find(KEYS[0]) is None
    put(cache, KEYS[0], b"new")
    assert content(cache, KEYS[0]) == b"new"
    assert [(tmp_path / part).stat().st_mode & 0o777 for part in ("cache", "cache/traces")] == [0o700, 0o700]


def test_every_thread_and_process_moves_to_the_folder_made_again(cache: FileCache, tmp_path: Path) -> None:
    other = FileCache(cache.folder)
    in_thread(lambda: put(cache, KEYS[0], b"old"))
    shutil.rmtree(tmp_path / "cache")
    put(other, KEYS[0], b"new")
    seen: list[bytes | None] = []
    in_thread(lambda: seen.append(content(cache, KEYS[0])))
    assert [*seen, content(cache, KEYS[0])] == [b"new", b"new"]
    other.close()


def test_an_index_that_is_no_database_is_begun_anew(cache: FileCache, caplog: pytest.LogCaptureFixture) -> None:
    put(cache, KEYS[0], b"old")
    cache.close()
    for path in cache.folder.glob("cache.db*"):
        path.write_bytes(b"not a database" * 1000)
    again = FileCache(cache.folder)
    assert "damaged" in caplog.text
    assert again.find(KEYS[0]) is None
    put(again, KEYS[1], b"new")
    assert content(again, KEYS[1]) == b"new"
    assert again.reconcile(before=time.time() + 1) == 1
    assert [path.read_bytes() for path in data_files(again)] == [b"new"]
    again.close()


def test_an_index_garbled_while_running_is_begun_anew(cache: FileCache) -> None:
    put(cache, KEYS[0], b"old")
    cache.close()
    database = cache.folder / "cache.db"
    database.write_bytes(b"not a database" * 1000)  # same file, same inode
    assert cache.find(KEYS[0]) is None
    put(cache, KEYS[1], b"new")
    assert content(cache, KEYS[1]) == b"new"


def test_files_that_dead_writers_left_are_removed_and_those_of_living_ones_kept(cache: FileCache) -> None:
    put(cache, KEYS[0], b"kept")
    dead, living = (cache.folder / f"{digit * 16}-{digit * 16}.safetensors" for digit in "01")
    for path in (dead, living, *data_files(cache)):
        path.write_bytes(b"half")
    old = time.time() - 1000
    os.utime(dead, (old, old))
    os.utime(cache.find(KEYS[0]) or dead, (old, old))
    assert cache.reconcile(before=time.time() - 500) == 1
    assert not dead.exists()
    assert living.exists()
    assert content(cache, KEYS[0]) == b"half"


def test_rows_whose_file_is_gone_are_removed(cache: FileCache) -> None:
    put(cache, KEYS[0], b"gone")
    put(cache, KEYS[1], b"kept")
    cache.find(KEYS[0]).unlink()  # type: ignore[union-attr]
    assert cache.reconcile(before=0) == 1
    assert cache.totals() == (1, 4)


def test_dropping_a_bad_file_spares_the_one_that_replaced_it(cache: FileCache) -> None:
    put(cache, KEYS[0], b"bad")
    bad = cache.find(KEYS[0])
    assert bad is not None
    put(cache, KEYS[0], b"good")
    cache.drop(KEYS[0], bad)
    assert content(cache, KEYS[0]) == b"good"


# Several at once ------------------------------------------------------------------------------------------------------


def test_two_objects_on_one_folder_share_limit_and_order(cache: FileCache) -> None:
    other = FileCache(cache.folder)
    put(cache, KEYS[0], bytes(400))
    put(other, KEYS[1], bytes(400))
    assert cache.find(KEYS[0]) is not None
    put(other, KEYS[2], bytes(400))
    assert [other.find(key) is not None for key in KEYS[:3]] == [True, False, True]
    other.close()


def test_processes_that_write_and_read_the_same_keys_never_see_a_torn_file(tmp_path: Path) -> None:
    program = """
        import random
        cache, random = FileCache(folder), random.Random(seed)
        keys = [letter * 64 for letter in "abcd"]
        for _ in range(60):
            letter = random.choice("wxyz").encode()
            cache.put(random.choice(keys), lambda: [letter * 500] * 8, size_bytes=4000, limit_bytes=12_000)
            path = cache.find(random.choice(keys))
            try:
                seen = path.read_bytes() if path else b""
            except FileNotFoundError:  # evicted between
                seen = b""
            assert len(seen) in (0, 4000) and len(set(seen)) <= 1
            assert cache.totals()[1] <= 12_000
    """
    folder = tmp_path / "cache" / "traces"
    processes = [start_program(program, folder, seed=seed) for seed in range(3)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
    cache = FileCache(folder)
    assert cache.totals() == (len(data_files(cache)), sum(path.stat().st_size for path in data_files(cache)))
    cache.close()


def test_a_writer_killed_midway_leaves_a_file_that_no_key_names(tmp_path: Path) -> None:
    program = """
        import os
        cache = FileCache(folder)
        def chunks():
            yield bytes(100_000)
            os.kill(os.getpid(), 9)
        cache.put("a" * 64, chunks, size_bytes=1, limit_bytes=10**6)
    """
    folder = tmp_path / "cache" / "traces"
    with start_program(program, folder) as process:
        assert process.wait(timeout=60) == -9
    cache = FileCache(folder)
    assert (cache.find("a" * 64), len(data_files(cache))) == (None, 1)
    assert cache.reconcile(before=time.time() + 1) == 1
    assert data_files(cache) == []
    cache.close()


def test_an_index_locked_by_another_is_said(cache: FileCache, monkeypatch: pytest.MonkeyPatch) -> None:
    put(cache, KEYS[0], b"one")
    put(cache, KEYS[1], b"two")
    other = FileCache(cache.folder)
    monkeypatch.setattr("dashapp.store.index.BUSY_TIMEOUT_S", 0.05)
    impatient = FileCache(cache.folder)
    with other._opened().transact():
        assert content(impatient, KEYS[0]) == b"one"  # reading needs no lock
        with pytest.raises(StoreUnavailable, match="locked"):
            put(impatient, KEYS[2], b"three")
    assert len(data_files(cache)) == 2
    other.close()
    impatient.close()


def put(cache: FileCache, key: str, *chunks: bytes | memoryview) -> None:
    cache.put(key, lambda: chunks, size_bytes=sum(map(len, chunks)), limit_bytes=LIMIT)


def content(cache: FileCache, key: str) -> bytes | None:
    path = cache.find(key)
    return path.read_bytes() if path else None


def data_files(cache: FileCache) -> list[Path]:
    return list(cache.folder.glob("*.safetensors"))


def breaking(failure: BaseException) -> files.Chunks:
    def chunks() -> Iterator[bytes]:
        yield bytes(100_000)  # more than the writer's buffer, so that a part reaches the disk
        raise failure

    return chunks


def in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def start_program(program: str, folder: Path, *, seed: int = 0) -> subprocess.Popen[str]:
    """Run lines of Python with `folder`, `seed`, FileCache and StoreUnavailable at hand."""
    head = f"""
from pathlib import Path
from dashapp.errors import StoreUnavailable
from dashapp.store.files import FileCache
folder, seed = Path({str(folder)!r}), {seed}
"""
    command = [sys.executable, "-c", head + textwrap.dedent(program)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run_program(program: str, folder: Path) -> str:
    process = start_program(program, folder)
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    return printed
