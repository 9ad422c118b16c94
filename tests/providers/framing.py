"""Streams as bytes: AWS's framing, written independently of the decoder, and the streams of hand-written cases."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any
from zlib import crc32

SSE, EVENT_STREAM = "response.sse", "response.eventstream.json"
CONVERSE_EVENTS = {
    *("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"),
}


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message with headers of text. Source: https://smithy.io/2.0/aws/amazon-eventstream.html"""
    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    head = b"".join(
        bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value for name, value in named
    )
    prelude = struct.pack(">II", len(head) + len(payload) + 16, len(head))
    checked = prelude + struct.pack(">I", crc32(prelude)) + head + payload
    return checked + struct.pack(">I", crc32(checked))


def aws_event(name: str, payload: Any) -> bytes:
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(payload).encode())


def aws_exception(name: str, payload: Any) -> bytes:
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps(payload).encode())


def stream_of(case: Path) -> bytes | None:
    """The streamed answer of a case, None when it has none.

    `response.eventstream.json` is a list of {"event" or "exception": its name, "payload": ...}.
    """
    if (case / SSE).is_file():
        return (case / SSE).read_bytes()
    if not (case / EVENT_STREAM).is_file():
        return None
    messages = json.loads((case / EVENT_STREAM).read_text())
    return b"".join(
        aws_event(one["event"], one["payload"]) if "event" in one else aws_exception(one["exception"], one["payload"])
        for one in messages
    )
