"""AWS's event stream framing: our decoder against botocore's, cuts, damage and limits."""

from __future__ import annotations

import datetime
import struct
import uuid
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer

from gateway.model.provider_errors import ProviderError
from gateway.providers.wire.eventstream import MAX_HEADERS_BYTES, MAX_PAYLOAD_BYTES, EventStreamDecoder, Message
from tests.providers.framing import aws_event, frame

STREAM = b"".join([aws_event("a", {"x": 1}), aws_event("b", {"text": "ü" * 300}), frame({}, b""), aws_event("a", {})])
EVERY_TYPE = b"".join(
    [
        *(b"\x01t\x00", b"\x01f\x01", b"\x01b\x02\xff", b"\x01s\x03" + struct.pack(">h", -2)),
        *(b"\x01i\x04" + struct.pack(">i", -3), b"\x01l\x05" + struct.pack(">q", 2**40)),
        *(
            b"\x01y\x06\x00\x02\x00\xff",
            b"\x01n\x07\x00\x02\xc3\xbc",
            b"\x02at\x08" + struct.pack(">q", 1_700_000_000_000),
        ),
        b"\x02id\x09" + bytes(range(16)),
    ]
)


def raw_frame(headers: bytes, payload: bytes = b"") -> bytes:
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    checked = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return checked + struct.pack(">I", crc32(checked))


def decoded(data: bytes, piece_bytes: int = 0) -> list[Message]:
    decoder = EventStreamDecoder()
    size = piece_bytes or len(data)
    found = [message for at in range(0, len(data), size) for message in decoder.feed(data[at : at + size])]
    assert not decoder.pending
    return found


@pytest.mark.parametrize("piece_bytes", [0, 1, 2, 7, 11, 12, 13, 64])
def test_messages_are_botocores_however_they_are_cut(piece_bytes: int) -> None:
    theirs = EventStreamBuffer()
    theirs.add_data(STREAM)
    expected = [(message.headers, message.payload) for message in theirs]
    assert [(dict(message.headers), message.payload) for message in decoded(STREAM, piece_bytes)] == expected


def test_headers_of_every_type() -> None:
    headers = dict(decoded(raw_frame(EVERY_TYPE, b"p"))[0].headers)
    theirs = EventStreamBuffer()
    theirs.add_data(raw_frame(EVERY_TYPE, b"p"))
    expected = next(theirs).headers
    assert headers == expected
    assert headers["at"] == datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=datetime.UTC).timestamp() * 1000
    assert uuid.UUID(bytes=bytes(range(16))).bytes == headers["id"]


def test_a_begun_message_is_pending() -> None:
    decoder = EventStreamDecoder()
    assert list(decoder.feed(STREAM[:5])) == []
    assert decoder.pending
    assert list(decoder.feed(b"")) == []


def test_any_flipped_byte_is_noticed() -> None:
    """Also in the length, which could otherwise make the decoder wait for more: the prelude has its own checksum."""
    message = aws_event("a", {"x": 1})
    for place in range(len(message)):
        data = bytearray(message)
        data[place] ^= 0x20
        with pytest.raises(ProviderError, match="damaged"):
            list(EventStreamDecoder().feed(bytes(data)))


@pytest.mark.parametrize(
    ("total_bytes", "headers_bytes"),
    [(15, 0), (0, 0), (20, 10), (MAX_HEADERS_BYTES + 17, MAX_HEADERS_BYTES + 1), (MAX_PAYLOAD_BYTES + 17, 0)],
)
def test_impossible_sizes_are_refused_before_they_are_waited_for(total_bytes: int, headers_bytes: int) -> None:
    prelude = struct.pack(">II", total_bytes, headers_bytes)
    with pytest.raises(ProviderError, match="impossible size"):
        list(EventStreamDecoder().feed(prelude + struct.pack(">I", crc32(prelude))))


@pytest.mark.parametrize(
    "headers",
    [
        b"\x05ab",
        b"\x01a",
        b"\x01a\x07\x00\x09short",
        b"\x01a\x07\x00",
        b"\x01a\x04\x00",
        b"\x01a\x0a",
        b"\x01\xff\x00",
        b"\x01a\x09\x00",
    ],
)
def test_broken_headers(headers: bytes) -> None:
    with pytest.raises(ProviderError):
        list(EventStreamDecoder().feed(raw_frame(headers)))


def test_messages_before_the_damage_are_given() -> None:
    decoder = EventStreamDecoder()
    found: list[Message] = []
    with pytest.raises(ProviderError):
        found.extend(decoder.feed(aws_event("a", 1) + b"x" * 20))
    assert [message.payload for message in found] == [b"1"]
