"""Whatever comes, cut wherever it is: readers of streams and ids find the same in it, or say what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.gts.ids import MAX_ID_CHARS, GtsId, MalformedId, parse, parse_pattern
from gateway.model.provider_errors import ProviderError
from gateway.providers.wire.eventstream import EventStreamDecoder, Message
from gateway.providers.wire.sse import BYTE_ORDER_MARK, Event, SseDecoder
from tests.providers.framing import frame

CUTS = st.lists(st.integers(min_value=0, max_value=400))
SSE_LINES = st.lists(
    st.sampled_from(
        [b"data", b"data:", b"data: a", b"data:b: c", b"event: e", b"event:", b": hello", b"id: 1", b"", b"x"]
    )
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
HEADERS = st.dictionaries(
    st.text(min_size=1, max_size=20).filter(lambda name: 0 < len(name.encode()) < 256), st.text(max_size=30), max_size=4
)
TOKEN = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
NUMBER = st.integers(min_value=0, max_value=10**6)


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts})
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        yield data[start:end]


def events(data: bytes, cuts: list[int]) -> list[Event]:
    decoder = SseDecoder()
    return [event for piece in pieces(data, cuts) for event in decoder.feed(piece)]


def as_the_standard_says(text: bytes) -> list[Event]:
    """Line by line, of the whole. https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation"""
    found, name, data = [], "", b""
    *lines, _ = re.split(rb"\r\n|\n|\r", text.removeprefix(BYTE_ORDER_MARK))
    for line in lines:
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if not line:
            if data:
                found.append(Event(name, data[:-1]))
            name, data = "", b""
        elif field == b"data":
            data += value + b"\n"
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return found


@given(SSE_LINES, st.data(), st.booleans(), CUTS)
def test_events_are_those_of_the_standard_wherever_bytes_are_cut(
    lines: list[bytes], data: st.DataObject, is_marked: bool, cuts: list[int]
) -> None:
    text = BYTE_ORDER_MARK * is_marked + b"".join(line + data.draw(ENDS) for line in lines)
    assert events(text, cuts) == as_the_standard_says(text)


@given(st.binary(max_size=300), CUTS)
def test_any_bytes_are_events_or_none(data: bytes, cuts: list[int]) -> None:
    assert events(data, cuts) == as_the_standard_says(data)


def messages(data: bytes, cuts: list[int]) -> tuple[list[Message], EventStreamDecoder]:
    decoder = EventStreamDecoder()
    return [message for piece in pieces(data, cuts) for message in decoder.feed(piece)], decoder


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=60)), max_size=4), CUTS)
def test_messages_come_back_as_they_were_framed(sent: list[tuple[dict[str, str], bytes]], cuts: list[int]) -> None:
    found, decoder = messages(b"".join(frame(headers, payload) for headers, payload in sent), cuts)
    assert found == [Message(headers, payload) for headers, payload in sent]
    assert not decoder.pending


@given(st.binary(max_size=300), CUTS)
def test_bytes_that_are_no_event_stream_are_refused_or_waited_for(data: bytes, cuts: list[int]) -> None:
    try:
        found, decoder = messages(data, cuts)
    except ProviderError as refused:
        assert refused.status == 502
    else:
        assert decoder.pending == (len(data) > 0)
        assert found == []


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=60)), min_size=1, max_size=2), st.data(), CUTS)
def test_one_changed_bit_is_never_taken_for_a_message(
    sent: list[tuple[dict[str, str], bytes]], data: st.DataObject, cuts: list[int]
) -> None:
    """CRC-32 finds every single bit, and the lengths have one of their own."""
    whole = bytearray(b"".join(frame(headers, payload) for headers, payload in sent))
    bit = data.draw(st.integers(min_value=0, max_value=len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ProviderError):
        messages(bytes(whole), cuts)


@st.composite
def segments(draw: st.DrawFn) -> str:
    tokens = ".".join(draw(st.lists(TOKEN, min_size=4, max_size=4)))
    minor = draw(st.none() | NUMBER)
    return f"{tokens}.v{draw(NUMBER)}" + ("" if minor is None else f".{minor}")


@st.composite
def ids(draw: st.DrawFn) -> str:
    types = draw(st.lists(segments(), min_size=1, max_size=3))
    end = draw(st.just("") | segments() | st.uuids().map(str))
    return f"gts.{'~'.join(types)}~{end}"


@given(ids())
def test_an_id_says_what_it_is_made_of(text: str) -> None:
    found = parse(text)
    assert str(found) == text
    written = "~".join(map(str, found.segments))
    assert text == f"gts.{written}" + ("~" if found.is_type else f"~{found.uuid_tail}" if found.uuid_tail else "")
    if found.parent is not None:
        assert text.startswith(found.parent)
        assert parse(found.parent).is_type
    assert parse_pattern(text).matches(found)


@given(ids(), st.data())
def test_a_wildcard_covers_what_begins_so_and_has_it_for_its_prefix(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(min_value=4, max_value=len(text)))
    try:
        pattern = parse_pattern(f"{text[:cut]}*")
    except MalformedId:
        return
    found = parse(text)
    if pattern.matches(found):
        assert text.startswith(pattern.prefix)


@given(st.text(max_size=60) | st.text("gts.~v*_0a-/:", max_size=60) | ids().map(lambda text: text * 12))
def test_any_text_is_an_id_or_malformed(text: str) -> None:
    for read in (parse, parse_pattern):
        try:
            found = read(text)
        except MalformedId as refused:
            assert str(refused)
        else:
            assert len(text) <= MAX_ID_CHARS
            assert found.text == text
            assert isinstance(found, GtsId) or read is parse_pattern
