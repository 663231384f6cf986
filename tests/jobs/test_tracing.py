from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dashapp.errors import DamagedTrace, StoreUnavailable, TraceTooLarge
from dashapp.jobs.tracing import trace_tokens
from dashapp.model.gpt2 import GPT2
from dashapp.model.tensorfile import TensorFile
from dashapp.store.disk import TraceStore
from dashapp.traces.names import TENSORS, trace_bytes
from tests.doubles import TINY, tiny_model

IDS = np.array([3, 1, 4, 1, 5], dtype=np.int32)


class Passes:
    """Counts the forward passes of a model."""

    def __init__(self, model: GPT2) -> None:
        self.n = 0
        model.ln_f.register_forward_hook(self._count)

    def _count(self, *_: object) -> None:
        self.n += 1


@pytest.fixture
def model() -> GPT2:
    """A tiny model of the test's own."""
    return tiny_model()


@pytest.fixture
def store(tmp_path: Path) -> TraceStore:
    return TraceStore(tmp_path / "cache", size_limit_bytes=10**8)


def stored_file(store: TraceStore) -> Path:
    (file,) = (store.folder / "traces").glob("*.safetensors")
    return file


def damage(file: Path, name: str = "q") -> None:
    """Flip a byte of a tensor's first slice."""
    header_bytes = int.from_bytes(file.read_bytes()[:8], "little")
    content = bytearray(file.read_bytes())
    content[8 + header_bytes + TensorFile(file).entries[name].start + 3] ^= 0xFF
    copy = file.with_suffix(".new")
    copy.write_bytes(content)
    copy.replace(file)


def test_a_known_trace_is_found_without_running_the_model(model: GPT2, store: TraceStore) -> None:
    passes = Passes(model)
    computed, found = (trace_tokens(model, IDS, store=store) for _ in range(2))
    assert passes.n == 1
    assert found.key == computed.key
    for name in TENSORS:
        np.testing.assert_array_equal(found.read(name), computed.read(name))


def test_a_trace_found_in_the_store_has_the_models_weights_at_hand(model: GPT2, store: TraceStore) -> None:
    trace_tokens(model, IDS, store=store)
    found = trace_tokens(model, IDS, store=store)
    with torch.no_grad():
        expected = model(torch.from_numpy(IDS.astype(np.int64))[None])[0].numpy()
    np.testing.assert_allclose(found.logits, expected, rtol=0, atol=1e-5)  # two float32 ways: docs/numerics.md


def test_without_a_store_every_call_computes(model: GPT2) -> None:
    passes = Passes(model)
    assert trace_tokens(model, IDS, store=None).key == trace_tokens(model, IDS, store=None).key
    assert passes.n == 2


def test_other_tokens_another_dtype_and_other_weights_are_other_traces(model: GPT2, store: TraceStore) -> None:
    passes = Passes(model)
    keys = {trace_tokens(model, ids, store=store).key for ids in (IDS, IDS[:-1], IDS[::-1].copy())}
    half = tiny_model(dtype=torch.bfloat16)
    passes_of_half = Passes(half)
    keys |= {trace_tokens(half, IDS, store=store).key, trace_tokens(tiny_model(seed=1), IDS, store=store).key}
    assert len(keys) == 5
    assert (passes.n, passes_of_half.n) == (3, 1)


def test_an_edited_model_is_not_taken_for_the_stored_one(model: GPT2, store: TraceStore) -> None:
    before = trace_tokens(model, IDS, store=store)
    with torch.no_grad():
        model.h[1].mlp.c_fc.bias += 1
    after = trace_tokens(model, IDS, store=store)
    assert after.key != before.key
    assert not np.array_equal(after.mlp_pre[1], before.mlp_pre[1])
    with torch.no_grad():
        model.h[1].mlp.c_fc.bias -= 1
        model.h[1].mlp.c_fc.bias.copy_(tiny_model().h[1].mlp.c_fc.bias)
    passes = Passes(model)
    assert trace_tokens(model, IDS, store=store).key == before.key, "edited back, it is the same again"
    assert passes.n == 0


@pytest.mark.parametrize("problem", ["a slice", "the tokens", "half of it", "not a file of ours", "gone"])
def test_a_damaged_trace_is_computed_again_without_an_error(model: GPT2, store: TraceStore, problem: str) -> None:
    computed = trace_tokens(model, IDS, store=store)
    file = stored_file(store)
    match problem:
        case "a slice":
            damage(file)
        case "the tokens":
            damage(file, "token_ids")
        case "half of it":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        case "not a file of ours":
            file.write_bytes(b"Once upon a time")
        case "gone":
            file.unlink()
    passes = Passes(model)
    found = trace_tokens(model, IDS, store=store)
    for name in TENSORS:
        np.testing.assert_array_equal(found.read(name), computed.read(name))
    assert passes.n == 1
    again = trace_tokens(model, IDS, store=store)
    np.testing.assert_array_equal(again.q, computed.q)
    assert passes.n == 1, "and what was computed again is kept"


def test_healing_does_not_need_a_store_that_can_be_written(
    model: GPT2, store: TraceStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    computed = trace_tokens(model, IDS, store=store)
    damage(stored_file(store))
    found = trace_tokens(model, IDS, store=store)

    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable(store.folder, "the disk is full")

    monkeypatch.setattr(TraceStore, "put_trace", refuse)
    np.testing.assert_array_equal(found.q, computed.q)
    assert "could not be kept" in caplog.text


def test_damage_is_not_healed_by_a_model_that_was_edited_since(model: GPT2, store: TraceStore) -> None:
    """Issue 2: it was, and the edited model's activations were kept under the first model's key."""
    trace_tokens(model, IDS, store=store)
    damage(stored_file(store))
    found = trace_tokens(model, IDS, store=store)
    with torch.no_grad():
        model.ln_f.bias += 1
    with pytest.raises(DamagedTrace, match="edited since"):
        found.read("q")


def test_a_trace_too_large_for_the_store_is_refused_before_anything_is_computed(model: GPT2, tmp_path: Path) -> None:
    limit = trace_bytes(TINY, 5) - 1
    passes = Passes(model)
    with pytest.raises(TraceTooLarge) as refused:
        trace_tokens(model, IDS, store=TraceStore(tmp_path, size_limit_bytes=limit))
    assert (refused.value.size_bytes, refused.value.limit_bytes) == (limit + 1, limit)
    assert passes.n == 0


def test_who_waited_finds_what_the_other_computed(model: GPT2, store: TraceStore) -> None:
    """While the key is locked, a second asker waits; here the first keeps the trace just before it lets go."""
    passes = Passes(model)
    other = TraceStore(store.folder, size_limit_bytes=10**8)
    kept = trace_tokens(model, IDS, store=None)
    holding = other.computing(kept.key)
    holding.__enter__()
    n_waits = 0

    def while_waiting() -> None:
        nonlocal n_waits
        n_waits += 1
        if n_waits == 2:
            other.put_trace(kept)
            holding.__exit__(None, None, None)

    found = trace_tokens(model, IDS, store=store, while_waiting=while_waiting)
    assert n_waits == 2
    assert passes.n == 1, "that of `kept`"
    np.testing.assert_array_equal(found.q, kept.q)


def test_progress_is_told_while_computing_and_not_for_a_known_trace(model: GPT2, store: TraceStore) -> None:
    shares: list[float] = []
    trace_tokens(model, IDS, store=store, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    n_told = len(shares)
    trace_tokens(model, IDS, store=store, progress=shares.append)
    assert len(shares) == n_told


TWO_AT_ONCE = """
import importlib, pkgutil, sys, time
from pathlib import Path
import dashapp
assert "torch" not in sys.modules
for module in pkgutil.walk_packages(dashapp.__path__, "dashapp."):
    if module.name.startswith(("dashapp.model", "dashapp.traces", "dashapp.store", "dashapp.api", "dashapp.jobs.t")):
        importlib.import_module(module.name)
from dashapp.jobs import tracing

folder, me = Path(sys.argv[1]), sys.argv[2]
capture = tracing.capture

def counted(*arguments, **options):
    (folder / f"computed-by-{me}").touch()
    time.sleep(0.3)  # long enough for the other to ask meanwhile
    return capture(*arguments, **options)

tracing.capture = counted
model = dashapp.load(folder / "tiny")
(folder / f"ready-{me}").touch()
while len(list(folder.glob("ready-*"))) < 2:
    time.sleep(0.005)
trace = dashapp.trace(model, "The cat sat on the mat")
run = dashapp.generate(model, "The cat", max_new_tokens=3, seed=1)
print(trace.key, float(trace.q.sum()), run.key, run.token_ids.tolist())
"""


def test_two_processes_that_ask_for_one_trace_compute_it_once(tmp_path: Path, model_folder: Path) -> None:
    """And each public function is called after the engine's modules were imported: none is in the place of one."""
    (tmp_path / "tiny").symlink_to(model_folder)
    environ = {"DASHAPP_CACHE_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1", "PYTHONPATH": "."}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", TWO_AT_ONCE, str(tmp_path)]
    both = [
        subprocess.Popen([*command, me], stdout=subprocess.PIPE, env=environ, cwd=root, text=True) for me in ("a", "b")
    ]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1] != ""
    assert len(list(tmp_path.glob("computed-by-*"))) == 1


def test_dropout_is_no_part_of_a_traces_key() -> None:
    """It acts in training only: the same weights with another dropout are the same trace."""
    config = dataclasses.replace(TINY, resid_pdrop=0.9)
    assert trace_tokens(tiny_model(config), IDS, store=None).key == trace_tokens(tiny_model(), IDS, store=None).key


def test_a_trace_that_cannot_be_kept_is_an_error_for_who_gets_only_its_key(
    model: GPT2, store: TraceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a job would say that all is well, and every panel would find nothing."""

    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable(store.folder, "the disk is full")

    monkeypatch.setattr(TraceStore, "put_trace", refuse)
    with pytest.raises(StoreUnavailable):
        trace_tokens(model, IDS, store=store)
