"""Recordings that depend on a text alone: real WAV, MP3, FLAC, AAC and Ogg Opus files, all but WAV and PCM silent."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

RATE_HZ = 24_000
MS_PER_CHARACTER, MOST_MS = 40, 60_000
FLAC_BLOCK = 4096


def duration_ms(text: str) -> int:
    return min(MOST_MS, MS_PER_CHARACTER * max(1, len(text)))


def recording(text: str, kind: str, *, sized: bool = True) -> bytes:
    """`kind`: wav, pcm, mp3, flac, aac or opus. `sized`: whether a WAV header says how long it is.

    Two texts have the same recording only by chance.
    """
    digest, length_ms = hashlib.sha256(text.encode()).digest(), duration_ms(text)
    if kind == "mp3":
        return _mp3(digest, length_ms)
    if kind == "flac":
        return _flac(digest, length_ms)
    if kind == "aac":
        return _aac(digest, length_ms)
    if kind == "opus":
        return _opus(digest, length_ms)
    samples = _pcm(digest, length_ms)
    return samples if kind == "pcm" else wav_of(samples, sized=sized)


def wav_of(samples: bytes, rate_hz: int = RATE_HZ, *, sized: bool = True) -> bytes:
    """Of 16-bit samples of one channel."""
    data, riff = (len(samples), len(samples) + 36) if sized else (0xFFFFFFFF, 0xFFFFFFFF)
    about = struct.pack("<HHIIHH", 1, 1, rate_hz, rate_hz * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<I", 16) + about + _chunk_head(data) + samples


def _chunk_head(size: int) -> bytes:
    return b"data" + struct.pack("<I", size)


def _pcm(digest: bytes, length_ms: int) -> bytes:
    """A wave whose form is the digest."""
    wave = struct.pack("<32h", *((byte - 128) * 64 for byte in digest))
    wanted = RATE_HZ * 2 * length_ms // 1000
    return (wave * (wanted // len(wave) + 1))[: wanted - wanted % 2]


def _mp3(digest: bytes, length_ms: int) -> bytes:
    """MPEG-1 layer III, 32 kbit/s, 32 kHz, one channel: frames of 36 ms and 144 bytes without main data. What follows
    the 17 bytes of side information is ancillary data, which players skip.
    """
    frame = b"\xff\xfb\x18\xc4" + bytes(17) + (digest * 4)[: 144 - 21]
    return frame * max(1, length_ms // 36)


def _aac(digest: bytes, length_ms: int) -> bytes:
    """ADTS, AAC-LC, 24 kHz, one channel; the digest is where a header says how full the encoder's buffer is."""
    silence = bytes.fromhex("00c800802380")
    frames = []
    for number in range(max(1, length_ms * RATE_HZ // 1000 // 1024)):
        size = 7 + len(silence)
        bits = 0xFFF1 << 40 | 1 << 38 | 6 << 34 | 1 << 30 | size << 13 | digest[number % 32] << 2
        frames.append(bits.to_bytes(7, "big") + silence)
    return b"".join(frames)


def _flac(digest: bytes, length_ms: int) -> bytes:
    """Frames with one constant subframe each: https://www.rfc-editor.org/rfc/rfc9639"""
    blocks = max(1, length_ms * RATE_HZ // 1000 // FLAC_BLOCK)
    rate_and_size = RATE_HZ << 44 | 0 << 41 | 15 << 36 | blocks * FLAC_BLOCK
    info = struct.pack(">HH", FLAC_BLOCK, FLAC_BLOCK) + bytes(6) + rate_and_size.to_bytes(8, "big") + bytes(16)
    note = b"digest=" + digest.hex().encode()
    comment = struct.pack("<I", 3) + b"sim" + struct.pack("<II", 1, len(note)) + note
    head = b"fLaC\x00" + len(info).to_bytes(3, "big") + info + b"\x84" + len(comment).to_bytes(3, "big") + comment
    return head + b"".join(_flac_frame(number) for number in range(blocks))


def _flac_frame(number: int) -> bytes:
    head = b"\xff\xf8\xc7\x08" + chr(number).encode("utf-8", "surrogatepass")
    head += bytes([_crc(head, 0x07, 8)])
    frame = head + b"\x00\x00\x00"
    return frame + _crc(frame, 0x8005, 16).to_bytes(2, "big")


def _crc(data: bytes, polynomial: int, width: int) -> int:
    crc, top, mask = 0, 1 << (width - 1), (1 << width) - 1
    for byte in data:
        crc ^= byte << (width - 8)
        for _ in range(8):
            crc = (crc << 1 ^ polynomial if crc & top else crc << 1) & mask
    return crc


def _opus(digest: bytes, length_ms: int) -> bytes:
    """Ogg Opus with packets of 20 ms of silence: https://www.rfc-editor.org/rfc/rfc7845"""
    head = b"OpusHead\x01\x01" + struct.pack("<HIhB", 0, RATE_HZ, 0, 0)
    note = b"digest=" + digest.hex().encode()
    tags = b"OpusTags" + struct.pack("<I", 3) + b"sim" + struct.pack("<II", 1, len(note)) + note
    return b"".join(_ogg_pages([[head], [tags], *_packets(max(1, length_ms // 20))]))


def _packets(count: int) -> Iterator[list[bytes]]:
    silence = b"\xf8\xff\xfe"
    for first in range(0, count, 50):
        yield [silence] * min(50, count - first)


def _ogg_pages(pages: list[list[bytes]]) -> Iterator[bytes]:
    granule = 0
    for number, packets in enumerate(pages):
        flags = 2 if number == 0 else 4 if number == len(pages) - 1 else 0
        granule += len(packets) * 960 if number > 1 else 0
        sizes = bytes(len(packet) for packet in packets)
        head = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, 1, number, 0) + bytes([len(sizes)]) + sizes
        page = head + b"".join(packets)
        crc = _crc(page, 0x04C11DB7, 32)
        yield page[:22] + struct.pack("<I", crc) + page[26:]
