"""A video that is one: an MP4 file with a track of PNG pictures, one a second, each of one colour.

ISO/IEC 14496-12 has the boxes, https://mp4ra.org/registered-types/object-types says how a track of PNG is marked.
"""

from __future__ import annotations

import struct
import zlib

PNG_OBJECT_TYPE, VISUAL_STREAM = 0x6D, 0x04
_UNITY = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def video(width: int, height: int, seconds: int, *, padding_bytes: int = 0) -> bytes:
    """The same for the same arguments. `padding_bytes`: of free space at the end, which players skip."""
    frames = [picture(width, height, (40 * number % 256, 80, 160)) for number in range(seconds)]
    head = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2mp41")
    offset = len(head) + len(_moov(width, height, frames, 0)) + 8
    free = _box(b"free", bytes(padding_bytes)) if padding_bytes else b""
    return head + _moov(width, height, frames, offset) + _box(b"mdat", *frames) + free


def picture(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """PNG, 8 bits for each of red, green and blue."""
    rows = (b"\0" + bytes(colour) * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _box(kind: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I", 8 + sum(map(len, parts))) + kind + b"".join(parts)


def _full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


def _moov(width: int, height: int, frames: list[bytes], offset: int) -> bytes:
    """Times in seconds. `offset`: of the first frame in the file."""
    seconds = len(frames)
    times = struct.pack(">IIII", 0, 0, 1, seconds)
    movie = _full(b"mvhd", times, struct.pack(">IH10x", 0x10000, 0x100), _UNITY, bytes(24), struct.pack(">I", 2))
    track = struct.pack(">IIIII8xHHHH", 0, 0, 1, 0, seconds, 0, 0, 0, 0) + _UNITY
    track_head = _full(b"tkhd", track, struct.pack(">II", width << 16, height << 16), flags=3)
    handler = _full(b"hdlr", bytes(4), b"vide", bytes(12), b"pictures\0")
    media_head = _full(b"mdhd", times, struct.pack(">HH", 0x55C4, 0))
    reference = _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1)))
    information = _box(b"minf", _full(b"vmhd", bytes(8), flags=1), reference, _table(width, height, frames, offset))
    return _box(b"moov", movie, _box(b"trak", track_head, _box(b"mdia", media_head, handler, information)))


def _table(width: int, height: int, frames: list[bytes], offset: int) -> bytes:
    """One sample a second, all of them in one chunk."""
    sizes = [len(frame) for frame in frames]
    count = len(frames)
    return _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), _entry(width, height, max(sizes))),
        _full(b"stts", struct.pack(">III", 1, count, 1)),
        _full(b"stsc", struct.pack(">IIII", 1, 1, count, 1)),
        _full(b"stsz", struct.pack(f">II{count}I", 0, count, *sizes)),
        _full(b"stco", struct.pack(">II", 1, offset)),
    )


def _entry(width: int, height: int, largest: int) -> bytes:
    fields = struct.pack(">6xH16xHHII4xH32sHh", 1, width, height, 0x480000, 0x480000, 1, b"", 24, -1)
    decoder = struct.pack(
        ">BB3sII", PNG_OBJECT_TYPE, VISUAL_STREAM << 2 | 1, largest.to_bytes(3), largest * 8, largest * 8
    )
    stream = _descriptor(3, struct.pack(">HB", 1, 0), _descriptor(4, decoder), _descriptor(6, b"\x02"))
    return _box(b"mp4v", fields, _full(b"esds", stream))


def _descriptor(tag: int, *parts: bytes) -> bytes:
    return bytes([tag, sum(map(len, parts))]) + b"".join(parts)
