"""How large a picture is, read from its header: nothing is decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable

from gateway.model.image_size import Pixels

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
_VP8_SIDE = 0x3FFF


def picture_size(body: bytes, content_type: str) -> Pixels | None:
    """None for a kind whose size is not read here, and for a header that is broken off."""
    reader = _READERS.get(content_type)
    if reader is None:
        return None
    try:
        return reader(body)
    except (struct.error, IndexError):
        return None


def _png(body: bytes) -> Pixels:
    """IHDR is the first chunk: https://www.w3.org/TR/png-3/#11IHDR"""
    return Pixels(*struct.unpack_from(">II", body, 16))


def _gif(body: bytes) -> Pixels:
    return Pixels(*struct.unpack_from("<HH", body, 6))


def _bmp(body: bytes) -> Pixels:
    """The height of a picture that is stored from the top is negative."""
    if int.from_bytes(body[14:18], "little") == 12:
        return Pixels(*struct.unpack_from("<HH", body, 18))
    width, height = struct.unpack_from("<ii", body, 18)
    return Pixels(width, abs(height))


def _jpeg(body: bytes) -> Pixels | None:
    """From segment to segment up to the frame header: https://www.w3.org/Graphics/JPEG/itu-t81.pdf section B.2"""
    at = 2
    while body[at] == 0xFF:
        marker = body[at + 1]
        if marker == 0xFF or marker in _JPEG_BARE:
            at += 1 if marker == 0xFF else 2
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", body, at + 5)
            return Pixels(width, height)
        else:
            at += 2 + int.from_bytes(body[at + 2 : at + 4], "big")
    return None


def _webp(body: bytes) -> Pixels | None:
    """The first chunk tells which of three forms it is: https://developers.google.com/speed/webp/docs/riff_container"""
    form = body[12:16]
    if form == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 26)
        return Pixels(width & _VP8_SIDE, height & _VP8_SIDE)
    if form == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 21)
        return Pixels((bits & _VP8_SIDE) + 1, (bits >> 14 & _VP8_SIDE) + 1)
    if form == b"VP8X" and len(body) >= 30:
        return Pixels(*(int.from_bytes(body[at : at + 3], "little") + 1 for at in (24, 27)))
    return None


_READERS: dict[str, Callable[[bytes], Pixels | None]] = {
    "image/png": _png,
    "image/gif": _gif,
    "image/bmp": _bmp,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
}
