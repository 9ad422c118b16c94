"""AWS event stream framing, the sending half.

https://smithy.io/2.0/aws/amazon-eventstream.html
"""

import struct
from typing import Any
from zlib import crc32

import msgspec

TEXT = b"\x07"


def event(name: str, payload: Any) -> bytes:
    """One event with a JSON payload."""
    return frame({":event-type": name, ":content-type": "application/json", ":message-type": "event"}, payload)


def exception(name: str, payload: Any) -> bytes:
    """One exception with a JSON payload; the stream ends with it."""
    return frame({":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}, payload)


def frame(headers: dict[str, str], payload: Any) -> bytes:
    """Lengths, checksum of the lengths, headers, payload, checksum of it all."""
    head = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    body = msgspec.json.encode(payload)
    lengths = struct.pack(">II", 4 + 4 + 4 + len(head) + len(body) + 4, len(head))
    checked = lengths + struct.pack(">I", crc32(lengths)) + head + body
    return checked + struct.pack(">I", crc32(checked))


def _header(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + TEXT + struct.pack(">H", len(value)) + value
