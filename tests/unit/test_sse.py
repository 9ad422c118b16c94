"""Server-sent events, cut anywhere: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations

import pytest

from gateway.providers.wire.sse import Event, SseDecoder

TEXT = (
    'event: first\nid: 7\nretry: 10\ndata: {"a":"é"}\n\n: comment\ndata:one\ndata: two\n\n'
    "data\n\nevent: none\n\ndata:  x\n\n"
)
EVENTS = [
    Event("first", '{"a":"é"}'.encode()),
    Event("", b"one\ntwo"),
    Event("", b""),
    Event("", b" x"),
]


def decoded(data: bytes, piece_bytes: int) -> list[Event]:
    decoder = SseDecoder()
    pieces = [data[start : start + piece_bytes] for start in range(0, len(data), piece_bytes)]
    return [event for piece in pieces for event in decoder.feed(piece)]


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_any_cut_and_any_line_end_give_the_same_events(piece_bytes: int, line_end: str, start: bytes) -> None:
    data = start + TEXT.replace("\n", line_end).encode()
    assert decoded(data, piece_bytes) == EVENTS


def test_an_event_comes_with_the_byte_that_ends_it() -> None:
    for line_end in (b"\n", b"\r", b"\r\n"):
        decoder = SseDecoder()
        assert list(decoder.feed(b"data: x" + line_end)) == []
        assert list(decoder.feed(line_end[:1])) == [Event("", b"x")]
        assert list(decoder.feed(line_end[1:])) == []
        assert not decoder.pending


def test_pending_tells_a_cut_event_from_a_whole_one() -> None:
    decoder = SseDecoder()
    assert not decoder.pending
    list(decoder.feed(b"data: x"))
    assert decoder.pending
    list(decoder.feed(b"\n"))
    assert decoder.pending
    assert list(decoder.feed(b"\n")) == [Event("", b"x")]
    assert not decoder.pending


def test_an_empty_feed_changes_nothing() -> None:
    decoder = SseDecoder()
    assert list(decoder.feed(b"data: x\r")) == []
    assert list(decoder.feed(b"")) == []
    assert list(decoder.feed(b"\n\r\n")) == [Event("", b"x")]


def test_a_name_that_is_no_utf_8_does_no_harm() -> None:
    assert decoded(b"event: \xff\ndata: x\n\n", 1000) == [Event("\ufffd", b"x")]


def test_unknown_fields_and_lines_without_a_colon_are_ignored() -> None:
    assert decoded(b"foo: bar\nbaz\n\ndata: x\n\n", 1000) == [Event("", b"x")]


def test_a_long_line_in_small_pieces_is_whole() -> None:
    data = b"data: " + b"a" * 200_000 + b"\n\n"
    assert decoded(data, 1024) == [Event("", b"a" * 200_000)]
