"""Recorded InvokeModel streams of Claude: our framing carries another wire's events as well."""

from __future__ import annotations

import base64
import csv
import json
from typing import Any

import pytest

from gateway.model.fold import fold
from gateway.providers.wire.anthropic_stream import MessageStream
from gateway.providers.wire.eventstream import EventStreamDecoder
from tests.providers import replay
from tests.providers.inverse import messages

INDEX = replay.ROOT / "INDEX.tsv"
if not INDEX.is_file():
    pytest.skip(f"no recordings at {replay.ROOT}", allow_module_level=True)
with INDEX.open(newline="") as lines:
    ROWS = [row for row in csv.DictReader(lines, delimiter="\t") if row["api"] == "invoke_model"]
OLDER_API = ("anthropic.claude-instant-v1",)
STREAMS = [
    row
    for row in ROWS
    if row["stream"] == "yes" and row["status"] == "200" and "claude" in row["model"] and row["model"] not in OLDER_API
]


def events_of(recording: dict[str, Any], piece_bytes: int) -> list[bytes]:
    """The events inside: each message's payload is `{"bytes": base64}`."""
    data, decoder = base64.b64decode(recording["response"]["base64"]), EventStreamDecoder()
    size = piece_bytes or len(data)
    found = [message for at in range(0, len(data), size) for message in decoder.feed(data[at : at + size])]
    assert {message.headers[":event-type"] for message in found} == {"chunk"}
    return [base64.b64decode(json.loads(message.payload)["bytes"]) for message in found]


def test_there_are_some() -> None:
    assert len(STREAMS) >= 5


@pytest.mark.parametrize("row", STREAMS, ids=[row["id"] for row in STREAMS])
def test_an_invoked_claude_is_understood(row: dict[str, str]) -> None:
    recording = json.loads((replay.ROOT / row["file"]).read_text())
    for piece_bytes in (0, replay.PIECE_BYTES):
        events = events_of(recording, piece_bytes)
        parser = MessageStream("bedrock", row["model"])
        reply = fold([chunk for event in events for chunk in parser.event(event)])
        parser.close()
        expected = messages.expected({"response": {"status": 200, "chunks": [json.loads(event) for event in events]}})
        assert replay.as_expected(reply, expected) == expected
