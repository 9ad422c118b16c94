"""WAV files: the header around raw samples. Source: http://soundfile.sapp.org/doc/WaveFormat/"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_PCM = 1
UNKNOWN_BYTES = 0xFFFFFFFF
"""In place of a size that is not known yet, as OpenAI has it in what it streams."""


def wav_header(rate_hz: int, *, channels: int = 1, bits: int = 16, data_bytes: int | None = None) -> bytes:
    """44 bytes. `data_bytes`: None for a recording whose length is not known yet."""
    block = channels * bits // 8
    data = UNKNOWN_BYTES if data_bytes is None else data_bytes
    riff = UNKNOWN_BYTES if data_bytes is None else data_bytes + _HEADER.size - 8
    about = (b"fmt ", 16, _PCM, channels, rate_hz, rate_hz * block, block, bits)
    return _HEADER.pack(b"RIFF", riff, b"WAVE", *about, b"data", data)


def chunks_of(wav: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, where its content begins, and the size that it says it has, of each chunk of a RIFF file."""
    at = 12
    while at + 8 <= len(wav):
        name, size = struct.unpack_from("<4sI", wav, at)
        yield name, at + 8, size
        at += 8 + size + size % 2


def with_sizes(wav: bytes) -> bytes:
    """The whole recording with the sizes in its header that it has by now; anything else as it is."""
    if wav[:4] != b"RIFF" or wav[8:12] != b"WAVE":
        return wav
    for name, at, size in chunks_of(wav):
        if name == b"data" and at + size > len(wav):
            riff, data = struct.pack("<I", len(wav) - 8), struct.pack("<I", len(wav) - at)
            return b"".join((wav[:4], riff, wav[8 : at - 4], data, wav[at:]))
    return wav
