"""A small picture: one byte a pixel, from a palette of reds and blues of growing opacity. PNG, by zlib alone."""

__all__ = ["NOT_FINITE", "UNKNOWN", "png", "shades"]

import struct
import zlib

import numpy as np

from gradproof.arrays import HostArray

UNKNOWN, NOT_FINITE = 254, 255
"""Shades of a cell without a value, and of one that holds NaN or an infinity."""

_NEGATIVE, _POSITIVE = (49, 118, 240), (232, 62, 58)
"""Blue and red that stand out on white and on black: opacity tells the size, so that one picture serves both themes."""


def shades(places: HostArray) -> HostArray:
    """Palette indices for places in [−1, 1], NaN where the value is not finite."""
    known = np.nan_to_num(places, nan=0.0)
    return np.where(np.isnan(places), NOT_FINITE, 127 + np.round(126 * known)).astype(np.uint8)


def png(pixels: HostArray) -> bytes:
    """The PNG file of palette indices, uint8 of shape (rows, columns)."""
    rows, columns = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in pixels.astype(np.uint8))
    colours, opacity = _palette()
    parts = [
        _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
        _chunk(b"PLTE", colours),
        _chunk(b"tRNS", opacity),
        _chunk(b"IDAT", zlib.compress(lines, 9)),
        _chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _palette() -> tuple[bytes, bytes]:
    """Colours (256 × 3 bytes) and their opacities (256 bytes)."""
    places = (np.arange(256) - 127) / 126
    colours = np.where(places[:, None] < 0, _NEGATIVE, _POSITIVE).astype(np.uint8)
    opacity = np.round(255 * np.minimum(np.abs(places), 1) ** 0.9).astype(np.uint8)
    colours[UNKNOWN], opacity[UNKNOWN] = (128, 128, 128), 48
    colours[NOT_FINITE], opacity[NOT_FINITE] = (245, 176, 20), 255
    return colours.tobytes(), opacity.tobytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
