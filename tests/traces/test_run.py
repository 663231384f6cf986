from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dashapp.errors import DamagedTrace, NotATrace, StoreError
from dashapp.model.sampling import SamplingSettings
from dashapp.model.tensorfile import TensorFile, save_tensors
from dashapp.model.tokenizer import END_OF_TEXT_ID, encode
from dashapp.traces.keys import trace_key
from dashapp.traces.names import TRACE_FORMAT
from dashapp.traces.run import TENSORS, Run, RunStep, new_run
from tests.store.made import FINGERPRINT, made_run, made_trace

IDENTITY = {"fingerprint": FINGERPRINT, "model": "tiny", "dtype": "float32"}
SETTINGS = SamplingSettings(max_new_tokens=20, temperature=0.8, top_k=40, top_p=0.95, seed=3)


def run_of(prompt: list[int], drawn: list[int], settings: SamplingSettings = SETTINGS, stop: str = "length") -> Run:
    steps = [
        RunStep(token, str(token), i / 8, np.arange(i, i + 5, dtype=np.int32), np.full(5, i / 16, dtype=np.float32))
        for i, token in enumerate(drawn)
    ]
    prompt_ids = np.array(prompt, dtype=np.int32)
    return new_run(prompt_ids=prompt_ids, steps=steps, settings=settings, stop=stop, identity=IDENTITY)


def words(text: str) -> list[int]:
    return encode(text).tolist()


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_steps", [0, 1, 3])
def test_a_saved_run_is_the_same(tmp_path: Path, n_steps: int) -> None:
    made = run_of(words("Once upon a time"), words(" there was")[:n_steps])
    made.save(tmp_path / "run")
    opened = Run.open(tmp_path / "run")
    assert opened.metadata == made.metadata
    assert (opened.key, opened.trace_key, opened.text) == (made.key, made.trace_key, made.text)
    assert (opened.settings, opened.stop, opened.n_prompt) == (SETTINGS, "length", 4)
    np.testing.assert_array_equal(opened.token_ids, made.token_ids, strict=True)
    assert len(opened.steps) == len(made.steps)
    for one, other in zip(opened.steps, made.steps, strict=True):
        assert (one.token, one.u) == (other.token, other.u)
        np.testing.assert_array_equal(one.top_ids, other.top_ids, strict=True)
        np.testing.assert_array_equal(one.top_probs, other.top_probs, strict=True)
    assert b"".join(bytes(chunk) for chunk in opened.chunks()) == (tmp_path / "run").read_bytes()


def test_arrays_of_a_run_cannot_be_written_to(tmp_path: Path) -> None:
    made_run().save(tmp_path / "run")
    for run in (made_run(), Run.open(tmp_path / "run")):
        for array in (run.token_ids, run.steps[0].top_ids, run.steps[0].top_probs):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


@pytest.mark.parametrize("mask", [0x01, 0xFF])
def test_a_flipped_byte_anywhere_is_found_or_changes_nothing(tmp_path: Path, mask: int) -> None:
    path, made = tmp_path / "run", made_run()
    made.save(path)
    content = path.read_bytes()
    header = 8 + len(content[8:4104].rstrip())
    for offset in [*range(0, header, 5), *range(4104, len(content))]:
        damaged = bytearray(content)
        damaged[offset] ^= mask
        path.write_bytes(damaged)
        try:
            found = Run.open(path)
        except StoreError:
            continue
        assert offset < header, "every flipped value is found"
        assert (found.key, found.text, found.stop) == (made.key, made.text, made.stop), offset


def test_a_run_whose_arrays_have_other_dtypes_is_damaged(tmp_path: Path) -> None:
    """The checksums are of bytes: a flipped dtype in the header changes what they mean and not what they are."""
    made = made_run()
    made.save(tmp_path / "run")
    stored = TensorFile(tmp_path / "run")
    arrays = {name: stored.array(name) for name in [*TENSORS, "checksums"]}
    save_tensors(tmp_path / "other", {**arrays, "u": arrays["u"].view(np.int64)}, made.metadata)
    with pytest.raises(DamagedTrace):
        Run.open(tmp_path / "other")


def test_files_of_something_else_are_no_runs(tmp_path: Path) -> None:
    made_trace().save(tmp_path / "trace")
    with pytest.raises(NotATrace):
        Run.open(tmp_path / "trace")
    (tmp_path / "text").write_text("Once upon a time")
    with pytest.raises(DamagedTrace):
        Run.open(tmp_path / "text")
    save_tensors(tmp_path / "old", {}, made_run().metadata | {"format": "0"})
    with pytest.raises(NotATrace):
        Run.open(tmp_path / "old")


def test_a_truncated_run_is_damaged(tmp_path: Path) -> None:
    made_run().save(tmp_path / "run")
    content = (tmp_path / "run").read_bytes()
    for n_left in (0, 5, 4104, len(content) - 1):
        (tmp_path / "run").write_bytes(content[:n_left])
        with pytest.raises(DamagedTrace):
            Run.open(tmp_path / "run")


def test_a_run_without_an_array_is_damaged(tmp_path: Path) -> None:
    save_tensors(tmp_path / "part", {"token_ids": np.zeros(3, np.int32)}, made_run().metadata)
    with pytest.raises(DamagedTrace, match="missing"):
        Run.open(tmp_path / "part")


# Text ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "drawn", "text"),
    [
        ([END_OF_TEXT_ID, *words("Once upon")], words(" a time"), "Once upon a time"),
        (words("Once upon"), words(" a time"), "Once upon a time"),
        ([END_OF_TEXT_ID, *words("Once")], [*words(" upon"), END_OF_TEXT_ID], "Once upon"),
        ([END_OF_TEXT_ID], [END_OF_TEXT_ID], ""),
        ([END_OF_TEXT_ID], [], ""),
        ([END_OF_TEXT_ID], words("A"), "A"),
        ([*words("A"), END_OF_TEXT_ID], [], "A<|endoftext|>"),
        (words("A"), [END_OF_TEXT_ID, *words("B")], "A<|endoftext|>B"),
        (words("🙂")[:1], words("🙂")[1:], "🙂"),
    ],
)
def test_the_text_is_without_end_of_text_in_front_and_behind(prompt: list[int], drawn: list[int], text: str) -> None:
    assert run_of(prompt, drawn).text == text


def test_steps_are_the_drawn_tokens_with_their_texts() -> None:
    run = run_of(words("Once"), words(" upon 🙂"))
    assert [step.token for step in run.steps] == run.token_ids[run.n_prompt :].tolist()
    assert run.steps[0].text == " upon"
    assert (run.steps[0].u, run.steps[1].u) == (0, 1 / 8)


# Keys ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"max_new_tokens": 21},
        {"temperature": 0.9},
        {"top_k": 41},
        {"top_p": 0.9},
        {"seed": 4},
        {"stop_at_end": False},
    ],
    ids=str,
)
def test_every_setting_is_part_of_the_key(change: dict[str, object]) -> None:
    assert set(change) <= set(SETTINGS.as_dict())
    changed = replace(SETTINGS, **change)  # type: ignore[arg-type]
    assert run_of([1, 2], [3], changed).key != run_of([1, 2], [3]).key


def test_all_settings_are_in_the_test_above() -> None:
    assert len(SETTINGS.as_dict()) == 6


def test_the_key_is_of_what_was_asked_and_not_of_what_came() -> None:
    assert run_of([1, 2], [3]).key == run_of([1, 2], [4, 5]).key
    assert run_of([1, 2], [3]).key != run_of([1], [2, 3]).key, "where the prompt ends matters"


def test_the_trace_key_is_that_of_the_trace_of_all_its_tokens() -> None:
    run, trace = made_run(), made_trace()
    expected = trace_key(run.token_ids, fingerprint=FINGERPRINT, dtype="float32", trace_format=TRACE_FORMAT)
    assert run.trace_key == expected
    same_tokens = new_run(prompt_ids=trace.token_ids, steps=[], settings=SETTINGS, stop="none", identity=IDENTITY)
    assert same_tokens.trace_key == trace.key
