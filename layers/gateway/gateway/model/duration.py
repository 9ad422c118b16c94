"""How long a recording is, read from its bytes: nothing is decoded."""

from __future__ import annotations

import struct

from gateway.model.wav import chunks_of

# Kilobits a second by the index in a frame header, of layer III: http://www.mp3-tech.org/programmer/frame_header.html
_MPEG_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_ADTS_RATES_HZ = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_SAMPLES = (1, 3, 0xFFFE)
"""Forms of WAV that are samples, whole or in floating point: what they say of bytes a second may be wrong."""
MAX_GAP_BYTES = 64 * 1024
_OGG_BEGINS = 2


class Corrupt(ValueError):
    """The bytes begin like a recording and are none."""


def duration_ms(data: bytes, content_type: str) -> int | None:
    """Rounded up; None for a container whose length is not read here. Raises Corrupt."""
    reader = {
        "audio/wav": _wav,
        "audio/mpeg": _mpeg,
        "audio/aac": _adts,
        "audio/flac": _flac,
        "audio/opus": _ogg,
        "audio/ogg": _ogg,
        "audio/mp4": _mp4,
        "video/mp4": _mp4,
    }.get(content_type)
    if reader is None:
        return None
    try:
        return reader(data)
    except (struct.error, IndexError, ZeroDivisionError):
        raise Corrupt from None


def _wav(data: bytes) -> int:
    """By the bytes that are there: a streamed file does not know how many it has."""
    bytes_per_s = 0
    for name, at, size in chunks_of(data):
        if name == b"fmt ":
            form, channels, rate_hz, bytes_per_s, _, bits = struct.unpack_from("<HHIIHH", data, at)
            if form in _SAMPLES:
                bytes_per_s = rate_hz * channels * bits // 8
        if name == b"data":
            return _ms(min(size, len(data) - at), bytes_per_s)
    raise Corrupt


def _mpeg(data: bytes) -> int:
    """Frame by frame, so a bit rate that changes is no lie."""
    at, seconds, frames = _after_id3(data), 0.0, 0
    while at + 4 <= len(data):
        frame = _mpeg_frame(data[at : at + 4])
        if frame is None:
            at = _next_sync(data, at)
            if at < 0:
                break
            continue
        size, lasts_s = frame
        at, seconds, frames = at + size, seconds + lasts_s, frames + 1
    if not frames:
        raise Corrupt
    return _ms(round(seconds * 10**6), 10**6)


def _after_id3(data: bytes) -> int:
    if data[:3] != b"ID3":
        return 0
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))


def _mpeg_frame(head: bytes) -> tuple[int, float] | None:
    """Size in bytes, and seconds; None for what is no header of layer III."""
    version, layer, index, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or version == 1 or layer != 1 or index in (0, 15) or rate == 3:
        return None
    rate_hz = _RATES_HZ[version][rate]
    samples = 1152 if version == 3 else 576
    kbits = (_MPEG_1 if version == 3 else _MPEG_2)[index]
    return samples // 8 * kbits * 1000 // rate_hz + (head[2] >> 1 & 1), samples / rate_hz


def _next_sync(data: bytes, at: int) -> int:
    """Where another frame may begin, not too far away; -1 when there is none."""
    return data.find(b"\xff", at + 1, at + MAX_GAP_BYTES)


def _adts(data: bytes) -> int:
    at, frames, rate_hz = _after_id3(data), 0, 0
    while at + 7 <= len(data) and data[at] == 0xFF and data[at + 1] & 0xF6 == 0xF0:
        rate_hz = _ADTS_RATES_HZ[data[at + 2] >> 2 & 15]
        at += max(7, (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5)
        frames += 1
    if not frames:
        raise Corrupt
    return _ms(frames * 1024, rate_hz)


def _flac(data: bytes) -> int | None:
    """STREAMINFO is first. None where a streamed file does not know its length."""
    at = _after_id3(data)
    bits = int.from_bytes(data[at + 18 : at + 26], "big")
    if data[at : at + 4] != b"fLaC" or len(data) < at + 42:
        raise Corrupt
    rate_hz, samples = bits >> 44, bits & (1 << 36) - 1
    return _ms(samples, rate_hz) if samples else None


def _ogg(data: bytes) -> int:
    """By the position that the last page of each stream has; streams follow one another."""
    lasts_ms = head = position = 0
    at = data.find(b"OggS")
    while at >= 0:
        flags, reached = struct.unpack_from("<Bq", data, at + 5)
        content = at + 27 + data[at + 26]
        if flags & _OGG_BEGINS:
            lasts_ms += _ogg_ms(data, head, position) if head else 0
            head, position = content, 0
        position = max(position, reached)  # -1: no packet ends in this page
        at = data.find(b"OggS", content + sum(data[at + 27 : content]))
    return lasts_ms + _ogg_ms(data, head, position)


def _ogg_ms(data: bytes, head: int, position: int) -> int:
    """`head`: where the first packet begins. Opus always counts 48 kHz."""
    packet = data[head : head + 40]
    if packet.startswith(b"OpusHead"):
        (skipped,) = struct.unpack_from("<H", packet, 10)
        return _ms(max(0, position - skipped), 48_000)
    if packet.startswith(b"\x01vorbis"):
        return _ms(position, struct.unpack_from("<I", packet, 12)[0])
    raise Corrupt


def _mp4(data: bytes) -> int | None:
    """The `mvhd` box, wherever it lies: ISO/IEC 14496-12 section 8.2.2. None where it does not say, as in a file that
    was written in fragments.
    """
    at = data.find(b"mvhd")
    if at < 0:
        raise Corrupt
    form, unknown = (">IQ", 2**64 - 1) if data[at + 4] == 1 else (">II", 2**32 - 1)
    scale, units = struct.unpack_from(form, data, at + (24 if data[at + 4] == 1 else 16))
    if not scale:
        raise Corrupt
    return None if units in (0, unknown) else _ms(units, scale)


def _ms(count: int, per_s: int) -> int:
    return -(-count * 1000 // per_s)
