from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from dashapp.figures.sprite import GAP, mosaic, png_address


def chunks_of(address: str) -> dict[bytes, bytes]:
    """A PNG read as its specification says, checksums included."""
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    found, place = {}, 8
    while place < len(content):
        (size,) = struct.unpack(">I", content[place : place + 4])
        kind, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + size]
        assert struct.unpack(">I", content[place + 8 + size : place + 12 + size]) == (zlib.crc32(kind + data),)
        found[kind] = data
        place += 12 + size
    return found


def test_a_picture_is_read_back_pixel_by_pixel() -> None:
    entries = np.arange(15, dtype=np.uint8).reshape(3, 5)
    chunks = chunks_of(png_address(entries, [(i, 2, 3) for i in range(256)]))
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (5, 3, 8, 3, 0, 0, 0)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(3, 6)
    np.testing.assert_array_equal(rows[:, 0], 0)
    np.testing.assert_array_equal(rows[:, 1:], entries)
    assert chunks[b"PLTE"][9:12] == bytes([3, 2, 3])


def test_tiles_stand_row_by_row_with_gaps_around_them() -> None:
    tiles = np.zeros((2, 3, 4, 4), dtype=np.uint8)
    tiles[1, 2, 0, 3] = 255
    found = mosaic(tiles, most_tile_pixels=4)
    assert found.shape == (2 * 6, 3 * 6)
    assert np.argwhere(found == GAP - 1).tolist() == [[6 + 1, 12 + 1 + 3]]
    assert (found[[0, 5, 6, 11]] == GAP).all()
    assert (found[:, [0, 5, 6, 11, 12, 17]] == GAP).all()


def test_small_tiles_are_enlarged_by_whole_cells() -> None:
    tiles = np.array([[0, 255], [255, 0]], dtype=np.uint8)[None, None]
    inner = mosaic(tiles, most_tile_pixels=7)[1:-1, 1:-1]
    assert inner.shape == (6, 6)
    assert (inner[:3, 3:] == GAP - 1).all()
    assert not inner[:3, :3].any()


def test_no_value_is_taken_for_a_gap() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    inner = mosaic(every, most_tile_pixels=16)[1:-1, 1:-1].ravel()
    assert inner.max() == GAP - 1
    assert (np.diff(inner.astype(int)) >= 0).all()
