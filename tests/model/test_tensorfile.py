from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import example, given
from hypothesis import strategies as st

from dashapp.errors import DamagedFile
from dashapp.model.tensorfile import (
    CODES,
    TensorFile,
    round_to_bfloat16,
    save_tensors,
    tensor_chunks,
    widen_bfloat16,
)

ARRAYS = {
    "wide": np.arange(6, dtype=np.float64).reshape(2, 3),
    "bytes": np.arange(5, dtype=np.uint8),
    "flags": np.array([True, False, True]),
    "half": np.arange(4, dtype=np.float16),
    "ids": np.arange(3, dtype=np.int32),
    "scalar": np.float32(2.5).reshape(()),
    "empty": np.zeros((3, 0), np.float32),
}


def file_of(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def opened(content: bytes) -> TensorFile:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.safetensors"
        path.write_bytes(content)
        return TensorFile(path)


# Reading and writing -------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    save_tensors(tmp_path / "file", ARRAYS, {"key": "value"})
    file = TensorFile(tmp_path / "file")
    assert file.metadata == {"key": "value"}
    assert file.entries.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(file.array(name), array, strict=True)


def test_safetensors_reads_our_files(tmp_path: Path) -> None:
    save_tensors(tmp_path / "file", ARRAYS, {"key": "value"})
    theirs = safetensors.numpy.load_file(tmp_path / "file")
    assert theirs.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(theirs[name], array, strict=True)


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from(sorted(CODES, key=str)), st.lists(st.integers(0, 4), max_size=3)),
        max_size=5,
    ),
    st.integers(0, 2**32),
)
def test_files_of_safetensors_read_as_safetensors_reads_them(
    shapes: dict[str, tuple[np.dtype[np.generic], list[int]]], seed: int
) -> None:
    generator = np.random.default_rng(seed)
    arrays = {name: generator.integers(0, 2, shape).astype(dtype) for name, (dtype, shape) in shapes.items()}
    content = safetensors.numpy.save(arrays)
    ours, theirs = opened(content), safetensors.numpy.load(content)
    assert ours.entries.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours.array(name), array, strict=True)
    again = safetensors.numpy.load(b"".join(tensor_chunks(arrays, {})))
    for name, array in theirs.items():
        np.testing.assert_array_equal(again[name], array, strict=True)


def test_tensors_that_start_at_odd_bytes_are_read(tmp_path: Path) -> None:
    """As in the published gpt2, whose header has a length that no dtype divides."""
    header = {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    (tmp_path / "file").write_bytes(file_of(header, np.array([1.5, -2], "<f4").tobytes()))
    file = TensorFile(tmp_path / "file")
    assert (8 + len(json.dumps(header))) % 4, "the example must be misaligned"
    np.testing.assert_array_equal(file.array("x"), np.array([1.5, -2], np.float32))


def test_writing_into_an_array_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    save_tensors(tmp_path / "file", ARRAYS, {})
    before = (tmp_path / "file").read_bytes()
    TensorFile(tmp_path / "file").array("wide")[:] = 7
    assert (tmp_path / "file").read_bytes() == before


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    save_tensors(tmp_path / "file", ARRAYS, {})
    before = (tmp_path / "file").read_bytes()
    with pytest.raises(KeyError):
        save_tensors(tmp_path / "file", {"x": np.zeros(2, np.complex64)}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == before


# Damage --------------------------------------------------------------------------------------------------------------

ROW = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
EIGHT = bytes(8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        (100).to_bytes(8, "little") + b"{}",
        (2**63).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{]",
        (2).to_bytes(8, "little") + b"\xff\xfe",
        (20_000).to_bytes(8, "little") + b"[" * 20_000,
        file_of([]),
        file_of({"__metadata__": {"key": 1}}),
        file_of({"__metadata__": []}),
        file_of({"x": ROW}, bytes(7)),
        file_of({"x": ROW}, bytes(9)),
        file_of({"x": ROW, "y": ROW}, EIGHT),
        file_of({"x": ROW | {"dtype": "F33"}}, EIGHT),
        file_of({"x": ROW | {"dtype": ["F32"]}}, EIGHT),
        file_of({"x": ROW | {"shape": [3]}}, EIGHT),
        file_of({"x": ROW | {"shape": [-2]}}, EIGHT),
        file_of({"x": ROW | {"shape": [2.0]}}, EIGHT),
        file_of({"x": ROW | {"shape": "2"}}, EIGHT),
        file_of({"x": ROW | {"data_offsets": [8, 16]}}, bytes(16)),
        file_of({"x": ROW | {"data_offsets": [8, 0]}}, EIGHT),
        file_of({"x": ROW | {"data_offsets": [-8, 0]}}, EIGHT),
        file_of({"x": {}}, EIGHT),
        file_of({"x": None}, EIGHT),
    ],
)
def test_a_file_that_is_not_what_its_header_says_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DamagedFile, match="delete it and fetch it again"):
        TensorFile(tmp_path / "file")


@given(st.integers(0, 10_000))
def test_a_file_cut_anywhere_is_refused(n_bytes: int) -> None:
    content = b"".join(tensor_chunks(ARRAYS, {"key": "value"}))
    with pytest.raises(DamagedFile):
        opened(content[: n_bytes % len(content)])


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_damaged_file(content: bytes) -> None:
    read_all_of(content)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["F32", "BF16", "U8", "__metadata__", "dtype"])
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries({}, optional={"dtype": JSON, "shape": JSON, "data_offsets": JSON})
NEAR_ROWS = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "U8", "BOOL", "F8_E4M3"]),
        "shape": st.lists(st.integers(-1, 9), max_size=3) | JSON,
        "data_offsets": st.lists(st.integers(-1, 40) | st.booleans(), min_size=1, max_size=3),
    }
)


@given(st.dictionaries(st.text(max_size=3) | st.just("__metadata__"), JSON | ROWS | NEAR_ROWS, max_size=3), st.binary())
@example({"x": ROW | {"data_offsets": [False, 8]}}, EIGHT)
def test_odd_headers_raise_nothing_but_damaged_file(header: object, data: bytes) -> None:
    read_all_of(file_of(header, data))


@given(st.data())
def test_a_changed_byte_raises_nothing_but_damaged_file(data: st.DataObject) -> None:
    content = bytearray(b"".join(tensor_chunks({"x": ARRAYS["ids"], "y": ARRAYS["half"]}, {"k": "v"})))
    header_end = 8 + content[8:].index(b" " * 8)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, header_end))] = data.draw(st.integers(0, 255))
    read_all_of(bytes(content))


def read_all_of(content: bytes) -> None:
    try:
        file = opened(content)
    except DamagedFile:
        return
    for name, entry in file.entries.items():
        assert file.array(name).shape == entry.shape


# bfloat16 ------------------------------------------------------------------------------------------------------------


def test_bfloat16_values_widen_exactly() -> None:
    bits = np.array([0x3F80, 0xC040, 0x0000, 0x7F80], np.uint16)  # sign, 8 bits of exponent, 7 of fraction
    np.testing.assert_array_equal(widen_bfloat16(bits), np.array([1, -3, 0, np.inf], np.float32))


def test_rounding_to_bfloat16_takes_the_nearest_and_ties_to_even() -> None:
    ulp = 2.0**-7  # the step between bfloat16 values from 1 to 2
    values = np.array([1, 1 + 0.4 * ulp, 1 + 0.5 * ulp, 1 + 1.5 * ulp, 1 + 0.6 * ulp, -1 - 0.6 * ulp], np.float32)
    expected = np.array([1, 1, 1, 1 + 2 * ulp, 1 + ulp, -1 - ulp], np.float32)
    np.testing.assert_array_equal(widen_bfloat16(round_to_bfloat16(values)), expected)


def test_rounding_to_bfloat16_keeps_what_is_not_a_number() -> None:
    values = np.array([0xFFFFFFFF, 0x7F800001, 0x7F800000, 0xFF800000], np.uint32).view(np.float32)
    rounded = widen_bfloat16(round_to_bfloat16(values))
    np.testing.assert_array_equal(rounded, np.array([np.nan, np.nan, np.inf, -np.inf], np.float32))


@given(st.lists(st.integers(0, 2**16 - 1), min_size=1))
def test_rounding_what_was_widened_gives_the_same_bits(patterns: list[int]) -> None:
    bits = np.array(patterns, np.uint16)
    bits = bits[~np.isnan(widen_bfloat16(bits))]
    np.testing.assert_array_equal(round_to_bfloat16(widen_bfloat16(bits)), bits)


def test_rounding_to_bfloat16_is_torchs() -> None:
    import torch

    values = np.random.default_rng(0).integers(0, 2**32, 3_000_000, np.uint32).view(np.float32)  # three pieces
    values = values[~np.isnan(values)].reshape(-1, 1)
    theirs = torch.from_numpy(values).to(torch.bfloat16).view(torch.uint16).numpy()
    np.testing.assert_array_equal(round_to_bfloat16(values), theirs)
