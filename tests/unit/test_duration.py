"""How long recordings are, by their bytes: of files that other programs would read the same way."""

from __future__ import annotations

import struct

import pytest

from gateway.model.duration import Corrupt, duration_ms
from gateway.model.media_type import sniff
from local.simulators.sounds import recording, wav_of

TEXT = "x" * 100  # four seconds


@pytest.mark.parametrize(
    ("kind", "content_type", "wanted_ms"),
    [
        ("wav", "audio/wav", 4000),
        ("mp3", "audio/mpeg", 3996),  # 111 frames of 36 ms
        ("flac", "audio/flac", 3926 + 1),  # 23 blocks of 4096 samples
        ("aac", "audio/aac", 3968 + 1),  # 93 frames of 1024 samples
        ("opus", "audio/opus", 4000),
    ],
)
def test_every_kind(kind: str, content_type: str, wanted_ms: int) -> None:
    sound = recording(TEXT, kind)
    assert sniff(sound) == content_type
    found = duration_ms(sound, content_type)
    assert found is not None
    assert abs(found - wanted_ms) <= 1


def test_a_wav_file_is_as_long_as_its_samples_whatever_it_says() -> None:
    assert duration_ms(wav_of(bytes(16_000), 8_000, sized=False), "audio/wav") == 1000
    sized = wav_of(bytes(16_000), 8_000)
    assert duration_ms(sized[:28] + b"\0" * 4 + sized[32:], "audio/wav") == 1000
    assert duration_ms(sized[:28] + b"\xff" * 4 + sized[32:], "audio/wav") == 1000
    assert duration_ms(sized[:28] + b"\xff" * 6 + sized[34:], "audio/wav") == 1000


def test_an_mp3_file_with_a_tag_and_noise_between_its_frames() -> None:
    frames = recording("x" * 50, "mp3")
    tag = b"ID3\x04\x00\x00\x00\x00\x00\x05hello"
    assert duration_ms(tag + frames, "audio/mpeg") == duration_ms(frames, "audio/mpeg") == 1980
    assert duration_ms(frames[:144] + b"\0" * 100 + frames[144:], "audio/mpeg") == 1980


def test_an_mp4_file_by_its_header() -> None:
    movie = b"mvhd" + bytes(12) + struct.pack(">II", 1000, 2500)
    assert duration_ms(b"\0\0\0\x18ftypM4A " + movie, "audio/mp4") == 2500
    long = b"mvhd\1" + bytes(19) + struct.pack(">IQ", 600, 1800)
    assert duration_ms(long, "video/mp4") == 3000


@pytest.mark.parametrize("units", [0, 2**32 - 1])
def test_an_mp4_file_in_fragments_does_not_say_how_long_it_is(units: int) -> None:
    assert duration_ms(b"mvhd" + bytes(12) + struct.pack(">II", 1000, units), "audio/mp4") is None


def ogg_page(position: int, packet: bytes = b"", *, begins: bool = False) -> bytes:
    return b"OggS\0" + struct.pack("<Bq", 2 * begins, position) + bytes(12) + b"\1" + bytes([len(packet)]) + packet


def test_a_vorbis_file_by_its_last_page() -> None:
    packet = b"\x01vorbis" + bytes(5) + struct.pack("<I", 44_100) + bytes(14)
    assert duration_ms(ogg_page(0, packet, begins=True) + ogg_page(88_200), "audio/ogg") == 2000


def test_ogg_streams_that_follow_one_another() -> None:
    head = b"OpusHead\1\1" + struct.pack("<HIHB", 480, 48_000, 0, 0)
    stream = ogg_page(0, head, begins=True) + ogg_page(48_480) + ogg_page(-1)
    assert duration_ms(stream, "audio/opus") == 1000
    assert duration_ms(stream + stream, "audio/opus") == 2000


def test_what_is_not_read_is_not_known() -> None:
    assert duration_ms(b"\x1a\x45\xdf\xa3", "audio/webm") is None
    flac = bytearray(recording("x", "flac"))
    flac[21:26] = bytes([flac[21] & 0xF0, 0, 0, 0, 0])
    assert duration_ms(bytes(flac), "audio/flac") is None


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"RIFF....WAVE", "audio/wav"),
        (b"RIFF....WAVEfmt ", "audio/wav"),
        (wav_of(bytes(8))[:36], "audio/wav"),
        (b"RIFF....WAVEdata\x08\0\0\0" + bytes(8), "audio/wav"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x00 nothing", "audio/mpeg"),
        (b"\xff" * 300_000, "audio/mpeg"),
        (b"\xff\xf1", "audio/aac"),
        (b"fLaC" + bytes(4), "audio/flac"),
        (b"OggS", "audio/opus"),
        (b"OggS" + bytes(60), "audio/ogg"),
        (b"\0\0\0\x18ftypM4A ", "audio/mp4"),
        (b"mvhd" + bytes(12) + bytes(8), "audio/mp4"),
    ],
)
def test_what_is_corrupt(data: bytes, content_type: str) -> None:
    with pytest.raises(Corrupt):
        duration_ms(data, content_type)
