"""Many small pictures in one PNG, for figures whose cells are pictures.

A PNG is a header, a palette and one zlib stream, so no imaging library is needed. One picture under a transparent
heatmap is a third of the bytes and of the drawing time of the same cells as a heatmap: with a palette a cell is one
byte, and the browser scales it.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np

GAP: Final = 255  # the palette's last entry, between tiles; values have the others
GAP_PIXELS: Final = 1  # on each side of a tile
Colour = tuple[int, int, int]


def mosaic(tiles: np.ndarray, *, most_tile_pixels: int) -> np.ndarray:
    """Tiles side by side, as palette entries: uint8 [pixel_y pixel_x] of uint8 [row column y x].

    0..255 becomes 0..254. Small tiles are enlarged up to `most_tile_pixels`, for a browser blurs what it enlarges.
    """
    times = max(1, most_tile_pixels // tiles.shape[-1])
    entries = (tiles.astype(np.uint16) * (GAP - 1) // 255).astype(np.uint8)
    entries = entries.repeat(times, axis=-1).repeat(times, axis=-2)
    edge = ((0, 0), (0, 0), (GAP_PIXELS, GAP_PIXELS), (GAP_PIXELS, GAP_PIXELS))
    entries = np.pad(entries, edge, constant_values=GAP)
    n_row, n_column, height, width = entries.shape
    return entries.transpose(0, 2, 1, 3).reshape(n_row * height, n_column * width)


def png_address(entries: np.ndarray, palette: Sequence[Colour]) -> str:
    """A `data:` address of the PNG of palette entries, uint8 [y x]."""
    height, width = entries.shape
    rows = np.zeros((height, width + 1), dtype=np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = entries
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits a pixel, into a palette
    colours = bytes(channel for colour in palette for channel in colour)
    parts = [
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", header),
        _chunk(b"PLTE", colours),
        _chunk(b"IDAT", zlib.compress(rows.tobytes(), level=6)),
        _chunk(b"IEND", b""),
    ]
    return "data:image/png;base64," + base64.b64encode(b"".join(parts)).decode("ascii")


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
