from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from dashapp.errors import DamagedTrace, StoreUnavailable, TraceTooLarge
from dashapp.model.tensorfile import TensorFile
from dashapp.store.contract import find_trace
from dashapp.store.disk import TraceStore, default_size_limit
from dashapp.traces.names import TENSORS
from dashapp.traces.record import Trace
from tests.store.made import file_bytes, made_result, made_run, made_trace, sizes

ROOMY = 10**7
KEY = "a" * 64
SIZE = sizes([made_trace()])  # bytes on disk of any of these traces


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    store = TraceStore(tmp_path / "cache", size_limit_bytes=ROOMY)
    yield store
    store.close()


# Put and get ----------------------------------------------------------------------------------------------------------


def test_a_trace_comes_back_bit_for_bit(store: TraceStore) -> None:
    trace = made_trace()
    assert store.get_trace(trace.key) is None
    store.put_trace(trace)
    kept = found(store, trace)
    assert file_bytes(kept) == file_bytes(trace)
    for name in TENSORS:
        np.testing.assert_array_equal(kept.read(name), trace.read(name))


def test_a_run_comes_back_bit_for_bit_and_apart_from_traces(store: TraceStore) -> None:
    run = made_run()
    store.put_run(run)
    kept = store.get_run(run.key)
    assert kept is not None
    assert file_bytes(kept) == file_bytes(run)
    assert store.get_trace(run.key) is None


def test_a_trace_is_read_from_the_disk_and_not_copied_into_memory(store: TraceStore) -> None:
    trace = made_trace()
    store.put_trace(trace)
    assert isinstance(base_of(found(store, trace).q), np.memmap)


@pytest.mark.parametrize("key", ["", "../" * 22, "A" * 64, "a" * 63, "a" * 64 + "\n", "٣" * 64])
def test_only_keys_are_looked_up(store: TraceStore, key: str) -> None:
    for act in (
        store.get_trace,
        store.get_run,
        store.get_result,
        store.discard,
        lambda key: store.computing(key).__enter__(),
    ):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            act(key)


def test_the_store_counts_discards_and_clears(store: TraceStore) -> None:
    traces, runs = [made_trace(seed) for seed in range(3)], [made_run(seed) for seed in range(2)]
    fill(store, *traces)
    for run in runs:
        store.put_run(run)
    stats = store.stats()
    assert (stats.n_traces, stats.n_runs, stats.limit_bytes) == (3, 2, ROOMY)
    assert stats.size_bytes == sizes([*traces, *runs])
    store.discard(traces[0].key)
    store.discard(runs[0].key)
    store.discard("0" * 64)
    assert (store.stats().n_traces, store.stats().n_runs) == (2, 1)
    store.clear()
    assert (store.stats().size_bytes, files_in(store)) == (0, [])


def test_a_result_comes_back_bit_for_bit_and_is_no_pickle(store: TraceStore) -> None:
    arrays = made_result()
    store.put_result(KEY, arrays)
    kept = store.get_result(KEY)
    assert kept is not None
    assert kept.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (kept[name].dtype, kept[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(kept[name], array)
        with pytest.raises(ValueError, match="read-only"):
            kept[name][...] = 0
    assert TensorFile(file_of(store, "results")).metadata["kind"] == "result"


def test_results_count_are_discarded_and_cleared_with_the_rest(store: TraceStore) -> None:
    store.put_trace(made_trace())
    store.put_result(KEY, made_result())
    stats = store.stats()
    assert (stats.n_traces, stats.n_runs, stats.n_results) == (1, 0, 1)
    assert stats.size_bytes == sum(path.stat().st_size for path in files_in(store))
    store.discard(KEY)
    assert (store.stats().n_results, store.get_result(KEY)) == (0, None)
    store.put_result(KEY, made_result())
    store.clear()
    assert (store.stats().n_results, files_in(store)) == (0, [])


def test_neither_a_trace_nor_a_result_is_handed_out_for_the_other(store: TraceStore) -> None:
    trace = made_trace()
    store.put_trace(trace)
    store.put_result(KEY, made_result())
    assert store.get_result(trace.key) is None
    assert store.get_trace(KEY) is None
    assert store.stats().n_results == store.stats().n_traces == 1


def test_one_flipped_bit_anywhere_in_a_result_is_found(store: TraceStore) -> None:
    store.put_result(KEY, made_result())
    n_bytes = file_of(store, "results").stat().st_size
    spaces = range(900, 4000)  # the padding of the header, which means nothing
    for place in [each for each in range(0, n_bytes, 7) if each not in spaces]:
        store.put_result(KEY, made_result())
        flip(file_of(store, "results"), place, 3)
        assert store.get_result(KEY) is None, f"byte {place}"
        assert store.stats().n_results == 0


# The limit ------------------------------------------------------------------------------------------------------------


def test_the_least_recently_used_trace_makes_room(tmp_path: Path) -> None:
    traces = [made_trace(seed) for seed in range(4)]
    with closing(TraceStore(tmp_path, size_limit_bytes=3 * SIZE)) as store:
        fill(store, *traces[:3])
        store.get_trace(traces[0].key)
        store.put_trace(traces[3])
        assert [store.get_trace(trace.key) is not None for trace in traces] == [True, False, True, True]


def test_traces_and_runs_together_stay_under_the_limit(tmp_path: Path) -> None:
    with closing(TraceStore(tmp_path, size_limit_bytes=3 * SIZE)) as store:
        for seed in range(12):
            store.put_trace(made_trace(seed))
            assert store.stats().size_bytes <= 3 * SIZE
            store.put_run(made_run(seed))
            assert store.stats().size_bytes <= 3 * SIZE
            assert store.get_trace(made_trace(seed).key) is not None
        assert sum(path.stat().st_size for path in files_in(store)) == store.stats().size_bytes


def test_a_run_takes_its_room_from_the_oldest_trace(tmp_path: Path) -> None:
    with closing(TraceStore(tmp_path, size_limit_bytes=2 * SIZE)) as store:
        fill(store, made_trace(0), made_trace(1))
        store.put_run(made_run())
        assert (store.stats().n_traces, store.stats().n_runs) == (1, 1)
        assert store.get_trace(made_trace(1).key) is not None


def test_results_make_room_among_themselves_and_never_pass_the_limit(tmp_path: Path) -> None:
    with closing(TraceStore(tmp_path, size_limit_bytes=4 * SIZE)) as store:
        fill(store, *(made_trace(seed) for seed in range(4)))
        for i in range(60):
            store.put_result(f"{i:064x}", made_result())
            assert store.stats().size_bytes <= 4 * SIZE
        stats = store.stats()
        assert 0 < stats.n_results < 60
        assert stats.n_traces == 3
        assert store.get_result(f"{59:064x}") is not None
        assert store.get_result(f"{0:064x}") is None


def test_what_had_to_go_is_counted_for_all_who_share_the_folder(tmp_path: Path) -> None:
    with (
        closing(TraceStore(tmp_path, size_limit_bytes=3 * SIZE)) as first,
        closing(TraceStore(tmp_path, size_limit_bytes=3 * SIZE)) as second,
    ):
        fill(first, *(made_trace(seed) for seed in range(3)))
        assert (first.stats().n_evicted, second.stats().n_evicted) == (0, 0)
        fill(second, *(made_trace(seed) for seed in range(3, 8)))
        assert first.stats().n_evicted == second.stats().n_evicted == 8 - first.stats().n_traces == 5
        first.clear()  # what a person removes made no room for anything
        assert first.stats().n_evicted == 5
    with closing(TraceStore(tmp_path, size_limit_bytes=3 * SIZE)) as third:
        assert third.stats().n_evicted == 5


def test_a_run_outlives_its_trace(tmp_path: Path) -> None:
    run, first = made_run(), made_trace()
    with closing(TraceStore(tmp_path, size_limit_bytes=2 * SIZE)) as store:
        store.put_run(run)
        fill(store, first, *(made_trace(seed) for seed in range(1, 20)))
        assert store.get_trace(first.key) is None
        assert store.get_run(run.key) is not None


def test_a_trace_that_cannot_fit_is_refused_with_both_numbers(tmp_path: Path) -> None:
    with closing(TraceStore(tmp_path, size_limit_bytes=20_000)) as store:
        with pytest.raises(TraceTooLarge) as before_computing:
            store.refuse_too_large(made_trace().size_bytes)
        with pytest.raises(TraceTooLarge) as before_writing:
            store.put_trace(made_trace())
        for refusal in (before_computing.value, before_writing.value):
            assert (refusal.size_bytes, refusal.limit_bytes) == (made_trace().size_bytes, 20_000)
        store.refuse_too_large(20_000)
        assert files_in(store) == []


def test_an_evicted_trace_stays_readable_for_who_has_it(tmp_path: Path) -> None:
    trace = made_trace()
    with closing(TraceStore(tmp_path, size_limit_bytes=SIZE)) as store:
        store.put_trace(trace)
        reader = found(store, trace)
        store.put_trace(made_trace(1))
        assert store.get_trace(trace.key) is None
        assert len(files_in(store)) == 1
        assert file_bytes(reader) == file_bytes(trace)


class Disk(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("free", "expected"), [(400, 100), (32 * 10**9, 8 * 10**9), (10**15, 8 * 10**9), (0, 0)])
def test_the_default_limit_is_8_gb_or_a_quarter_of_the_free_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, expected: int
) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> Disk:
        asked.append(path)
        return Disk(2 * free, free, free)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert default_size_limit(tmp_path / "not" / "yet") == expected
    assert asked == [tmp_path]


def test_the_default_limit_does_not_shrink_as_the_cache_fills(
    store: TraceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def usage(_: Path) -> Disk:
        held = sum(path.stat().st_size for path in files_in(store))
        return Disk(10**6, held, 10**6 - held)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    empty = default_size_limit(store.folder)
    fill(store, made_trace(0), made_trace(1))
    store.put_run(made_run())
    assert default_size_limit(store.folder) == empty == 250_000


# Damage ---------------------------------------------------------------------------------------------------------------


def test_a_truncated_file_is_found_and_removed_at_any_length(
    store: TraceStore, caplog: pytest.LogCaptureFixture
) -> None:
    trace = made_trace()
    for length in (0, 7, 8, 100, SIZE // 2, SIZE - 1):
        store.put_trace(trace)
        os.truncate(file_of(store), length)
        assert store.get_trace(trace.key) is None
        assert (files_in(store), store.stats().n_traces) == ([], 0)
    assert caplog.text.count("Removed ") == 6


def test_one_flipped_bit_anywhere_is_found_and_the_file_removed(store: TraceStore) -> None:
    """In the length, in each part of the header, in each tensor: when opened or, at the latest, when read."""
    trace = made_trace()
    store.put_trace(trace)
    layout = TensorFile(file_of(store))
    data_start = SIZE - max(entry.stop for entry in layout.entries.values())
    tensors = [data_start + (entry.start + entry.stop) // 2 for entry in layout.entries.values()]
    for place in [*range(8), *range(8, data_start, 29), *tensors]:
        for bit in (0, 5):
            store.put_trace(trace)
            flip(file_of(store), place, bit)
            opened = store.get_trace(trace.key)
            if opened is None:
                assert files_in(store) == []
                continue
            with pytest.raises(DamagedTrace):
                read_all(opened)
            assert store.get_trace(trace.key) is None
            assert files_in(store) == []


def test_a_damaged_slice_is_healed_by_the_hook_and_the_bad_file_is_gone(store: TraceStore) -> None:
    trace, healed = made_trace(), []

    def heal() -> Trace:
        assert files_in(store) == []
        healed.append(True)
        store.put_trace(trace)
        return found(store, trace)

    store.put_trace(trace)
    flip(file_of(store), middle_of(file_of(store), "mlp_pre"), 3)
    damaged = store.get_trace(trace.key, heal=heal)
    assert damaged is not None
    np.testing.assert_array_equal(damaged.q, trace.q)
    assert healed == []
    np.testing.assert_array_equal(damaged.mlp_pre, trace.mlp_pre)
    assert healed == [True]
    np.testing.assert_array_equal(found(store, trace).mlp_pre, trace.mlp_pre)


def test_healing_leaves_alone_what_another_has_put_in_its_place(store: TraceStore) -> None:
    trace = made_trace()
    store.put_trace(trace)
    flip(file_of(store), middle_of(file_of(store), "v"), 3)
    damaged = found(store, trace)
    store.put_trace(trace)
    with pytest.raises(DamagedTrace):
        _ = damaged.v
    np.testing.assert_array_equal(found(store, trace).v, trace.v)


def test_the_file_of_another_key_is_not_handed_out(store: TraceStore) -> None:
    trace, other = made_trace(0), made_trace(1)
    store.put_trace(trace)
    file_of(store).write_bytes(file_bytes(other))
    assert store.get_trace(trace.key) is None
    assert files_in(store) == []


def test_a_damaged_run_is_found_and_removed(store: TraceStore) -> None:
    run = made_run()
    for place in range(0, len(file_bytes(run)), 61):
        store.put_run(run)
        flip(file_of(store, "runs"), place, 0)
        assert store.get_run(run.key) is None
        store.put_run(run)
        os.truncate(file_of(store, "runs"), place)
        assert store.get_run(run.key) is None
    assert files_in(store) == []


def test_a_file_deleted_by_hand_is_a_miss_and_is_no_longer_counted(store: TraceStore) -> None:
    trace = made_trace()
    store.put_trace(trace)
    file_of(store).unlink()
    assert store.get_trace(trace.key) is None
    assert store.stats().n_traces == 0


def test_too_many_open_files_does_not_cost_a_sound_trace(store: TraceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = made_trace()
    store.put_trace(trace)

    def refuse(*_: object, **__: object) -> Trace:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Trace, "open", refuse)
        assert store.get_trace(trace.key) is None
    assert store.get_trace(trace.key) is not None


def test_the_cache_deleted_while_running_is_made_again_with_its_mode(store: TraceStore) -> None:
    trace, run = made_trace(), made_run()
    store.put_trace(trace)
    shutil.rmtree(store.folder)
    assert (store.get_trace(trace.key), store.get_run(run.key)) == (None, None)
    store.put_trace(trace)
    store.put_run(run)
    with store.computing(trace.key):
        assert store.get_trace(trace.key) is not None
    folders = [store.folder, *(path for path in store.folder.iterdir() if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert len(folders) == 6


def test_a_file_that_was_brought_answers_no_question_but_its_own(store: TraceStore) -> None:
    trace, key = made_trace(), "a" * 64
    store.put_file(trace, key)
    found = store.get_file(key)
    assert found is not None
    assert (found.key, found.is_from_file) == (key, True)
    assert b"".join(map(bytes, found.chunks(trace.metadata))) == file_bytes(trace)
    assert (store.get_trace(key), store.get_trace(trace.key), store.get_file(trace.key)) == (None,) * 3
    assert (find_trace(store, key) or trace).key == key
    assert store.stats().n_files == 1
    store.discard(key)
    assert store.get_file(key) is None


def test_nothing_in_the_store_can_be_read_by_others(store: TraceStore) -> None:
    store.put_trace(made_trace())
    store.put_run(made_run())
    with store.computing("0" * 64):
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (store.folder, *store.folder.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_a_folder_whose_name_holds_a_variable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="variable"):
        TraceStore(tmp_path / "$HOME", size_limit_bytes=ROOMY)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a letter")
    with pytest.raises(StoreUnavailable, match="cache"):
        TraceStore(tmp_path / "cache", size_limit_bytes=ROOMY)


def test_checking_removes_what_dead_processes_left_and_nothing_else(store: TraceStore) -> None:
    trace, run = made_trace(), made_run()
    store.put_trace(trace)
    store.put_run(run)
    for room in ("traces", "runs"):
        (store.folder / room / f"{'0' * 16}-{'1' * 16}.safetensors").write_bytes(b"half")
    (store.folder / "locks").mkdir()
    (store.folder / "locks" / f"{'0' * 64}.lock").touch()
    with store.computing(trace.key):
        assert store.check() == 1  # the lock: its holder is gone, while the files are young
        assert store.check(older_than_s=-1) == 2
        assert len(list((store.folder / "locks").iterdir())) == 1
    assert list((store.folder / "locks").iterdir()) == []
    assert (store.get_trace(trace.key) is None, store.get_run(run.key) is None) == (False, False)


# Several at once ------------------------------------------------------------------------------------------------------


def test_many_who_ask_for_one_key_cost_one_computation(tmp_path: Path) -> None:
    store = TraceStore(tmp_path, size_limit_bytes=ROOMY)
    trace, computed, seen = made_trace(), [], []

    def ask() -> None:
        with store.computing(trace.key):
            kept = store.get_trace(trace.key)
            if kept is None:
                computed.append(True)
                store.put_trace(trace)
                kept = found(store, trace)
            seen.append(file_bytes(kept))
        store.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert computed == [True]
    assert seen == [file_bytes(trace)] * 8


def test_processes_that_write_one_key_at_once_leave_one_whole_trace(tmp_path: Path) -> None:
    program = """
import sys
from dashapp.store.disk import TraceStore
from tests.store.made import file_bytes, made_trace
store, trace = TraceStore(sys.argv[1], size_limit_bytes=10**7), made_trace()
for _ in range(20):
    store.put_trace(trace)
    kept = store.get_trace(trace.key)
    assert kept is None or file_bytes(kept) == file_bytes(trace)  # None: replaced between looking up and opening
"""
    processes = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    with closing(TraceStore(tmp_path, size_limit_bytes=ROOMY)) as store:
        assert file_bytes(found(store, made_trace())) == file_bytes(made_trace())
        assert len(files_in(store)) == 1


def test_two_stores_on_one_folder_see_each_other(store: TraceStore) -> None:
    other, trace = TraceStore(store.folder, size_limit_bytes=ROOMY), made_trace()
    store.put_trace(trace)
    assert other.get_trace(trace.key) is not None
    other.discard(trace.key)
    assert store.get_trace(trace.key) is None
    other.close()


def test_the_store_needs_neither_torch_nor_dash() -> None:
    program = "import sys, dashapp.store.disk; print(sorted({'torch', 'dash', 'plotly'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"


def found(store: TraceStore, trace: Trace) -> Trace:
    kept = store.get_trace(trace.key)
    assert kept is not None
    return kept


def fill(store: TraceStore, *traces: Trace) -> None:
    for trace in traces:
        store.put_trace(trace)


def files_in(store: TraceStore) -> list[Path]:
    return [path for room in ("traces", "runs", "results") for path in (store.folder / room).glob("*.safetensors")]


def file_of(store: TraceStore, room: str = "traces") -> Path:
    (path,) = (store.folder / room).glob("*.safetensors")
    return path


def read_all(trace: Trace) -> list[np.ndarray]:
    return [trace.read(name) for name in TENSORS]


def flip(path: Path, place: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))


def middle_of(path: Path, name: str) -> int:
    """The place of a byte in the middle of a tensor."""
    layout = TensorFile(path)
    data_start = path.stat().st_size - max(entry.stop for entry in layout.entries.values())
    return data_start + (layout.entries[name].start + layout.entries[name].stop) // 2


def base_of(array: np.ndarray) -> object:
    while isinstance(array.base, np.ndarray):
        if isinstance(array, np.memmap):
            return array
        array = array.base
    return array
