"""The store in a bucket: real requests to moto's server on loopback, through a relay that counts and fails."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashapp.errors import DamagedTrace, ObjectStoreUnavailable, RecipeGone, RecipeTooLarge, TraceTooLarge
from dashapp.model.config import GPT2Config
from dashapp.panels.head_pattern import HEAD_PATTERN
from dashapp.panels.panel import draw
from dashapp.store import objects, remote_file, remote_locks
from dashapp.store.contract import StoreAddress
from dashapp.store.opened import new_store
from dashapp.store.recipes import LARGEST_BYTES, RecipeStore
from dashapp.store.remote import LARGEST_BYTES as LARGEST_TRACE
from dashapp.store.remote import ObjectRecipes, ObjectStore
from dashapp.store.remote_file import FIRST_BYTES
from dashapp.traces.names import TENSORS
from dashapp.traces.record import Trace
from tests.buckets import Bucket
from tests.store.made import file_bytes, made_result, made_run, made_trace

ROOMY = 10**7
KEY = "a" * 64
LIMIT_S = 60
WIDE = GPT2Config(n_layer=5, n_head=2, d_model=64, d_mlp=256, n_ctx=512)  # a trace of megabytes


@pytest.fixture
def store(bucket: Bucket, tmp_path: Path) -> Iterator[ObjectStore]:
    store = ObjectStore(bucket.objects(), tmp_path / "here", size_limit_bytes=ROOMY)
    yield store
    store.close()


@pytest.fixture
def elsewhere(bucket: Bucket, tmp_path: Path) -> Iterator[ObjectStore]:
    """The same bucket from another machine: nothing but the bucket is shared."""
    store = ObjectStore(bucket.objects(), tmp_path / "elsewhere", size_limit_bytes=ROOMY)
    yield store
    store.close()


def found(store: ObjectStore, trace: Trace) -> Trace:
    kept = store.get_trace(trace.key)
    assert kept is not None
    return kept


def until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def replaced(bucket: Bucket, name: str, change: Callable[[bytearray], object]) -> None:
    """Put an object with other bytes in the place of one."""
    inside = bucket.objects()
    stamp = inside.stamp(name)
    assert stamp is not None
    part = inside.read(name, 0, stamp.size_bytes)
    assert part is not None
    content = bytearray(part.content)
    change(content)
    inside.write(name, bytes(content))


def flipped(place: int) -> Callable[[bytearray], object]:
    def flip(content: bytearray) -> None:
        content[place] ^= 8

    return flip


def span_of(trace: Trace, name: str, index: int) -> tuple[int, int]:
    """Where a slice lies in a trace's file, and how many bytes it has."""
    content = file_bytes(trace)
    part = np.ascontiguousarray(trace.read(name, index)).tobytes()
    assert content.count(part) == 1
    return content.index(part), len(part)


# Put and get ----------------------------------------------------------------------------------------------------------


def test_a_file_that_was_brought_to_one_machine_is_read_on_another_and_stands_for_no_prompt(
    store: ObjectStore, elsewhere: ObjectStore
) -> None:
    trace = made_trace(config=WIDE)
    store.put_file(trace, KEY)
    found = elsewhere.get_file(KEY)
    assert found is not None
    assert (found.key, found.is_from_file) == (KEY, True)
    assert b"".join(map(bytes, found.chunks(trace.metadata))) == file_bytes(trace)
    assert (elsewhere.get_trace(KEY), elsewhere.get_file(trace.key), elsewhere.get_trace(trace.key)) == (None,) * 3
    assert elsewhere.stats().n_files == 1
    elsewhere.clear()
    assert store.get_file(KEY) is None


def test_who_reads_a_whole_trace_holds_a_part_of_it(
    store: ObjectStore, elsewhere: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_bytes = 10**6
    monkeypatch.setattr(remote_file, "IN_MEMORY_BYTES", limit_bytes)
    trace = made_trace(config=WIDE, n_tokens=300)
    store.put_trace(trace)
    kept = found(elsewhere, trace)
    held = []
    for _ in kept.chunks():
        arrays = kept._tensors._arrays.values()  # type: ignore[union-attr]
        held.append(sum(array.nbytes for array in arrays))
    assert max(held) <= limit_bytes < trace.size_bytes


@pytest.mark.parametrize("config", [None, WIDE], ids=["small", "wide"])
def test_what_one_machine_keeps_another_finds_bit_for_bit(
    store: ObjectStore, elsewhere: ObjectStore, config: GPT2Config | None
) -> None:
    trace = made_trace(config=config) if config else made_trace()
    run, arrays = made_run(), made_result()
    assert (store.get_trace(trace.key), store.get_run(run.key), store.get_result(KEY)) == (None, None, None)
    store.put_trace(trace)
    store.put_run(run)
    store.put_result(KEY, arrays)
    kept, kept_run, kept_arrays = found(elsewhere, trace), elsewhere.get_run(run.key), elsewhere.get_result(KEY)
    assert file_bytes(kept) == file_bytes(trace)
    assert kept_run is not None
    assert file_bytes(kept_run) == file_bytes(run)
    assert kept_arrays is not None
    assert kept_arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(kept_arrays[name], array, strict=True)


def test_arrays_cannot_be_written_to(store: ObjectStore) -> None:
    trace = made_trace()
    store.put_trace(trace)
    for array in (found(store, trace).q, found(store, trace).read("k", 1), found(store, trace).token_ids):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("key", ["", "../" * 22, "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_only_keys_are_looked_up(store: ObjectStore, bucket: Bucket, key: str) -> None:
    for act in (
        store.get_trace,
        store.get_run,
        store.get_result,
        store.discard,
        lambda key: store.computing(key).__enter__(),
    ):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            act(key)
    assert bucket.relay.asked == []


def test_the_store_counts_discards_and_clears_for_all_machines(store: ObjectStore, elsewhere: ObjectStore) -> None:
    traces, runs = [made_trace(seed) for seed in range(3)], [made_run(seed) for seed in range(2)]
    for trace in traces:
        store.put_trace(trace)
    for run in runs:
        store.put_run(run)
    store.put_result(KEY, made_result())
    stats = elsewhere.stats()
    assert (stats.n_traces, stats.n_runs, stats.n_results, stats.limit_bytes, stats.is_all) == (3, 2, 1, None, True)
    assert stats.size_bytes > sum(len(file_bytes(each)) for each in [*traces, *runs])
    opened = found(elsewhere, traces[0])
    store.discard(traces[0].key)
    assert elsewhere.get_trace(traces[0].key) is None
    assert opened.n_tokens == traces[0].n_tokens
    store.clear()
    assert (store.stats().size_bytes, elsewhere.get_trace(traces[1].key)) == (0, None)


def test_more_than_is_counted_is_said_to_be_more(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashapp.store.remote.N_COUNTED", 2)
    for seed in range(3):
        store.put_run(made_run(seed))
    assert (store.stats().n_runs, store.stats().is_all) == (2, False)


def test_what_is_too_large_for_one_object_is_refused_before_it_is_computed(store: ObjectStore) -> None:
    store.refuse_too_large(LARGEST_TRACE)
    with pytest.raises(TraceTooLarge):
        store.refuse_too_large(LARGEST_TRACE + 1)


def test_an_address_opens_the_same_store_in_another_process(store: ObjectStore) -> None:
    store.put_run(made_run())
    opened = new_store(StoreAddress.from_json(store.address.as_json()))
    assert isinstance(opened, ObjectStore)
    assert opened.get_run(made_run().key) is not None
    opened.close()


def test_an_app_on_one_machine_imports_no_client() -> None:
    program = "import sys, dashapp.store.opened; print(sorted({'boto3', 'torch', 'dash'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"


# Only what is looked at -----------------------------------------------------------------------------------------------


def test_a_panel_fetches_its_slice_once_and_nothing_else(
    store: ObjectStore, elsewhere: ObjectStore, bucket: Bucket
) -> None:
    trace = made_trace(config=WIDE, n_tokens=300)
    store.put_trace(trace)
    view = {"theme": "light", "text": 1, "narrow": False, "pos": 3, "layer": 2, "head": 1}
    view["knobs"] = {"shade": "even", "stage": "pattern", "first": "shown"}
    bucket.relay.reset()
    first = draw(HEAD_PATTERN, found(elsewhere, trace), view)
    of_layer = trace.read("q", 2).nbytes + trace.read("k", 2).nbytes
    allowed = FIRST_BYTES + of_layer + trace.token_ids.nbytes
    assert of_layer < bucket.relay.n_bytes <= allowed < trace.size_bytes / 5
    assert sum(line.startswith("GET") for line in bucket.relay.asked) <= 4  # the header, q, k and the tokens
    bucket.relay.reset()
    assert draw(HEAD_PATTERN, found(elsewhere, trace), view).figure.to_json() == first.figure.to_json()
    assert (bucket.relay.n_bytes, [line.split()[0] for line in bucket.relay.asked]) == (0, ["HEAD"])


def test_copies_stay_under_their_limit_and_what_is_larger_is_read_all_the_same(
    store: ObjectStore, bucket: Bucket, tmp_path: Path
) -> None:
    trace = made_trace(config=WIDE, n_tokens=300)
    store.put_trace(trace)
    limit_bytes = 3 * trace.read("q", 0).nbytes
    small = ObjectStore(bucket.objects(), tmp_path / "small", size_limit_bytes=limit_bytes)
    for name in TENSORS:
        np.testing.assert_array_equal(found(small, trace).read(name), trace.read(name))
        np.testing.assert_array_equal(found(small, trace).read(name, 1), trace.read(name, 1))
    sizes = [path.stat().st_size for path in (tmp_path / "small" / "slices").glob("*.safetensors")]
    assert 0 < sum(sizes) <= limit_bytes
    small.close()


# Damage ---------------------------------------------------------------------------------------------------------------


def test_a_damaged_copy_is_fetched_again(store: ObjectStore, tmp_path: Path, bucket: Bucket) -> None:
    trace = made_trace(config=WIDE, n_tokens=300)
    store.put_trace(trace)
    np.testing.assert_array_equal(found(store, trace).read("v", 2), trace.read("v", 2))
    for path in (tmp_path / "here" / "slices").glob("*.safetensors"):
        content = bytearray(path.read_bytes())
        content[5] ^= 1
        path.write_bytes(content)
    np.testing.assert_array_equal(found(store, trace).read("v", 2), trace.read("v", 2))
    assert bucket.objects().stamp(f"traces/{trace.key}") is not None


@pytest.mark.parametrize("name", ["q", "resid", "thumbnails"])
def test_a_damaged_slice_is_found_when_it_is_read_and_the_trace_removed(
    store: ObjectStore, elsewhere: ObjectStore, bucket: Bucket, name: str
) -> None:
    trace = made_trace(config=WIDE, n_tokens=300)
    store.put_trace(trace)
    start, n_bytes = span_of(trace, name, 1)
    replaced(bucket, f"traces/{trace.key}", flipped(start + n_bytes // 2))
    opened = found(elsewhere, trace)
    np.testing.assert_array_equal(opened.read(name, 0), trace.read(name, 0))
    with pytest.raises(DamagedTrace):
        opened.read(name, 1)
    assert store.get_trace(trace.key) is None


def test_a_damaged_slice_is_healed_by_who_can_compute_it(store: ObjectStore, bucket: Bucket) -> None:
    trace = made_trace(config=WIDE, n_tokens=300)
    store.put_trace(trace)
    start, n_bytes = span_of(trace, "mlp_pre", 4)
    replaced(bucket, f"traces/{trace.key}", flipped(start + n_bytes - 1))

    def heal() -> Trace:
        store.put_trace(trace)
        return found(store, trace)

    damaged = store.get_trace(trace.key, heal=heal)
    assert damaged is not None
    np.testing.assert_array_equal(damaged.mlp_pre, trace.mlp_pre)
    np.testing.assert_array_equal(found(store, trace).mlp_pre, trace.mlp_pre)


@pytest.mark.parametrize("place", [0, 3, 11, 200, 900])
def test_a_damaged_header_and_a_damaged_run_are_a_miss(store: ObjectStore, bucket: Bucket, place: int) -> None:
    store.put_trace(made_trace())
    store.put_run(made_run())
    for name in (f"traces/{made_trace().key}", f"runs/{made_run().key}"):
        replaced(bucket, name, flipped(place))
    assert (store.get_trace(made_trace().key), store.get_run(made_run().key)) == (None, None)
    assert store.stats().n_traces == store.stats().n_runs == 0


def test_what_is_cut_short_and_what_is_of_another_key_is_a_miss(store: ObjectStore, bucket: Bucket) -> None:
    inside, trace = bucket.objects(), made_trace()
    for content in (b"", file_bytes(trace)[:-3], file_bytes(made_trace(1))):
        inside.write(f"traces/{trace.key}", content)
        assert store.get_trace(trace.key) is None
        assert inside.stamp(f"traces/{trace.key}") is None


def test_a_trace_that_another_machine_removes_while_it_is_read_is_told(
    store: ObjectStore, elsewhere: ObjectStore
) -> None:
    trace = made_trace(config=WIDE, n_tokens=300)
    store.put_trace(trace)
    opened = found(elsewhere, trace)
    store.discard(trace.key)
    with pytest.raises(DamagedTrace):
        opened.read("q", 1)
    assert elsewhere.get_trace(trace.key) is None


def test_a_version_that_was_replaced_is_not_mixed_with_the_new_one(store: ObjectStore, bucket: Bucket) -> None:
    """Computed by another processor, the same trace has other last bits; slices of both would not belong together."""
    trace = made_trace(config=WIDE, n_tokens=300)
    store.put_trace(trace)
    opened = found(store, trace)
    start, _ = span_of(trace, "q", 1)
    replaced(bucket, f"traces/{trace.key}", flipped(start))
    with pytest.raises(DamagedTrace):
        opened.read("k", 3)
    assert bucket.objects().stamp(f"traces/{trace.key}") is not None  # the new one is none of this reader's business


# One computation per key ----------------------------------------------------------------------------------------------


def test_many_who_ask_for_one_key_cost_one_computation(
    store: ObjectStore, elsewhere: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_locks, "LEASE_S", LIMIT_S)  # or a machine that stands still would count as dead
    monkeypatch.setattr(remote_locks, "LOOK_S", 0.05)
    trace, computed, seen = made_trace(), [], []

    def ask(store: ObjectStore) -> None:
        with store.computing(trace.key):
            if store.get_trace(trace.key) is None:
                computed.append(True)
                time.sleep(0.2)
                store.put_trace(trace)
            seen.append(file_bytes(found(store, trace)))
        store.close()

    threads = [threading.Thread(target=ask, args=(each,)) for each in (store, elsewhere) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert computed == [True]
    assert seen == [file_bytes(trace)] * 6


def test_a_lock_is_written_anew_while_it_is_held_and_gone_after(
    store: ObjectStore, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_locks, "BEAT_S", 0.05)
    inside, seen = bucket.objects(), set()
    with store.computing(KEY):
        until(lambda: seen.add(inside.stamp(f"locks/{KEY}")) or len(seen) >= 3)
    assert inside.stamp(f"locks/{KEY}") is None


def test_the_lock_of_a_holder_that_died_is_taken_over(
    store: ObjectStore, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_locks, "LEASE_S", 0.3)
    monkeypatch.setattr(remote_locks, "LOOK_S", 0.05)
    inside = bucket.objects()
    dead = inside.write_if(f"locks/{KEY}", b"whoever wrote this is gone", etag=None)
    waited: list[bool] = []
    with store.computing(KEY, while_waiting=lambda: waited.append(True)):
        assert inside.stamp(f"locks/{KEY}") != dead
    assert waited
    assert inside.stamp(f"locks/{KEY}") is None


def test_who_waits_for_a_lock_can_be_stopped(store: ObjectStore, elsewhere: ObjectStore) -> None:
    def stop() -> None:
        raise InterruptedError

    with store.computing(KEY), pytest.raises(InterruptedError), elsewhere.computing(KEY, while_waiting=stop):
        raise AssertionError("the lock is held")


# Failures -------------------------------------------------------------------------------------------------------------


def test_a_store_that_is_gone_is_told_in_words_and_serves_again_when_it_is_back(
    store: ObjectStore, bucket: Bucket
) -> None:
    trace = made_trace()
    store.put_trace(trace)
    bucket.relay.is_gone = True
    acts: list[Callable[[], Any]] = [
        lambda: store.get_trace(trace.key),
        lambda: store.put_run(made_run()),
        lambda: store.computing(KEY).__enter__(),
        store.stats,
        store.clear,
    ]
    for act in acts:
        bucket.relay.reset()
        with pytest.raises(ObjectStoreUnavailable, match=f"'{bucket.url}' at {bucket.endpoint} did not"):
            act()
        assert bucket.relay.n_requests <= objects.N_ATTEMPTS
    assert not store.is_writable()
    bucket.relay.is_gone = False
    assert store.is_writable()
    assert file_bytes(found(store, trace)) == file_bytes(trace)


def test_a_store_that_fails_every_second_request_loses_nothing(store: ObjectStore, bucket: Bucket) -> None:
    bucket.relay.fails_every = 2
    trace = made_trace()
    with store.computing(trace.key):
        store.put_trace(trace)
    assert file_bytes(found(store, trace)) == file_bytes(trace)


def test_a_store_that_does_not_answer_is_given_up(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "READ_S", 0.1)
    bucket.relay.delay_s = 1.0
    store = ObjectStore(bucket.objects(), tmp_path, size_limit_bytes=ROOMY)
    with pytest.raises(ObjectStoreUnavailable, match="timeout"):
        store.get_run(KEY)
    store.close()


def test_a_bucket_that_is_not_there_is_told(bucket: Bucket, tmp_path: Path) -> None:
    absent = objects.Objects("s3://no-such-bucket", bucket.endpoint)
    store = ObjectStore(absent, tmp_path, size_limit_bytes=ROOMY)
    with pytest.raises(ObjectStoreUnavailable, match="NoSuchBucket"):
        store.put_run(made_run())
    store.close()


# Long links -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["prompt=Hi", "", "مرحبا 🙂\u202e\0\r\n", "a\ud83db"])
def test_a_long_link_has_the_key_that_it_has_on_one_machine_and_opens_on_all(
    bucket: Bucket, tmp_path: Path, text: str
) -> None:
    key = ObjectRecipes(bucket.objects()).put(text, secret="a secret of all servers")
    assert key == RecipeStore(tmp_path).put(text, secret="a secret of all servers")
    assert ObjectRecipes(bucket.objects()).get(key) == text.encode(errors="replace").decode()


def test_links_are_refused_counted_and_cleared_as_on_one_machine(bucket: Bucket) -> None:
    recipes = ObjectRecipes(bucket.objects())
    key = recipes.put("prompt=Hi", secret="a secret of all servers")
    with pytest.raises(RecipeTooLarge):
        recipes.put("x" * (LARGEST_BYTES + 1), secret="a secret of all servers")
    for other in ("0" * 32, "", "../traces", "A" * 32):
        with pytest.raises(RecipeGone):
            recipes.get(other)
    assert recipes.totals() == (1, len("prompt=Hi"))
    recipes.clear()
    assert recipes.totals() == (0, 0)
    with pytest.raises(RecipeGone):
        recipes.get(key)
