"""Whatever a provider answers, whole or in a stream: a reply that can be told and paid, or a failure of its."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.fold import fold
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.usage import TokenUsage
from tests.odd_json import ODD, spoilt
from tests.providers.framing import EVENT_STREAM, SSE, aws_event, aws_exception
from tests.providers.test_cases import CASES, PROVIDERS, setting

HALF = settings(max_examples=settings().max_examples // 2)
"""There are many wires."""
STATUSES = st.sampled_from([200, 201, 299])
FAILURES = st.sampled_from([301, 400, 401, 403, 404, 413, 422, 429, 500, 503, 529])
CUTS = st.lists(st.integers(0, 4_000), max_size=6)


def _wires() -> dict[str, list[Path]]:
    """By wire: the hand-written cases of all providers that speak it."""
    found: dict[str, list[Path]] = {}
    for case in CASES:
        _, wire, _ = setting(case)
        found.setdefault(type(wire).__name__, []).append(case)
    return found


WIRES = _wires()
ANSWERED = {
    name: found for name, cases in WIRES.items() if (found := [c for c in cases if (c / "response.json").is_file()])
}
STREAMED = {
    name: found
    for name, cases in WIRES.items()
    if (found := [c for c in cases if (c / SSE).is_file() or (c / EVENT_STREAM).is_file()])
}


def test_every_wire_is_among_them() -> None:
    """Imagen, which has no case of that kind, is in `test_any_other_answer.py`."""
    wires = [[*one.wires.values(), *one.embeddings.values(), *one.images.values()] for one in PROVIDERS]
    assert {type(wire).__name__ for of_one in wires for wire in of_one} == {*ANSWERED, "Imagen"}
    assert {type(wire).__name__ for one in PROVIDERS for wire in one.wires.values()} == STREAMED.keys()


def check_usage(usage: TokenUsage | None) -> None:
    if usage is not None:
        counts = json.loads(msgspec.json.encode(usage))
        assert all(count >= 0 for count in _numbers(counts)), counts
        assert usage.total_tokens < 2**53, counts


def _numbers(value: Any) -> Iterator[int]:
    for member in value.values():
        if isinstance(member, dict):
            yield from _numbers(member)
        elif not isinstance(member, bool):
            yield member


def told(look: Callable[[], Any]) -> None:
    try:
        found = look()
    except ProviderFailure as failure:
        check_failure(failure)
    else:
        msgspec.json.encode(found)
        check_usage(getattr(found, "usage", None))


def check_failure(failure: ProviderFailure) -> None:
    assert isinstance(failure, ProviderFailure)
    json.dumps([failure.message, failure.param, failure.provider_code, failure.retry_after_s, failure.facts()])
    check_usage(failure.charged)


@pytest.mark.parametrize("name", ANSWERED)
@HALF
@given(data=st.data())
def test_any_answer_is_a_reply_or_a_failure(name: str, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(ANSWERED[name]))
    _, wire, target = setting(case)
    answer = json.loads((case / "response.json").read_text())
    body = json.dumps(data.draw(spoilt(answer["body"]) | ODD)).encode()
    cut = data.draw(st.none() | st.integers(0, len(body)))
    headers = {**answer.get("headers", {}), **data.draw(HEADERS)}
    told(lambda: wire.parse(HttpResponse(data.draw(STATUSES), headers, body[:cut]), target))
    check_failure(wire.fail(HttpResponse(data.draw(FAILURES), headers, body[:cut]), target))


HEADERS = st.dictionaries(
    st.sampled_from(
        ["retry-after", "x-amzn-errortype", "content-type", "x-amzn-bedrock-input-token-count", "x-request-id"]
    ),
    st.text(st.characters(max_codepoint=255), max_size=12) | st.sampled_from(["-1", "1e9", "inf", "nan", "9" * 40]),
    max_size=3,
)


@pytest.mark.parametrize("name", STREAMED)
@HALF
@given(data=st.data())
def test_any_stream_is_a_reply_or_a_failure(name: str, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(STREAMED[name]))
    _, wire, target = setting(case)
    body = data.draw(events_of(case))
    told(lambda: whole_of(wire.stream(target), body, data.draw(CUTS)))


def whole_of(parser: Any, body: bytes, cuts: list[int]) -> Any:
    chunks = pieces_of(parser, body, cuts)
    msgspec.json.encode(chunks)
    for chunk in chunks:
        check_usage(chunk.usage)
    return fold(chunks)


def pieces_of(parser: Any, body: bytes, cuts: list[int]) -> list[Any]:
    places = sorted({min(cut, len(body)) for cut in cuts})
    parts = [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]
    return [*(piece for part in parts for piece in parser.feed(part)), *parser.close()]


@st.composite
def events_of(draw: st.DrawFn, case: Path) -> bytes:
    """Its stream with some events spoilt, missing, twice or in another order, and sometimes cut."""
    if (case / SSE).is_file():
        made = b"".join(_changed(draw, re.split(rb"(?<=\n\n)", (case / SSE).read_bytes()), _spoilt_text))
    else:
        made = b"".join(_changed(draw, json.loads((case / EVENT_STREAM).read_text()), _spoilt_message))
    return made[: draw(st.none() | st.integers(0, len(made)))]


def _changed(draw: st.DrawFn, events: list[Any], spoil: Callable[[st.DrawFn, Any], bytes]) -> list[bytes]:
    order = list(range(len(events)))
    for number in draw(st.lists(st.sampled_from(order), max_size=2)):
        order.insert(draw(st.integers(0, len(order))), number)
    for number in draw(st.lists(st.sampled_from(order), max_size=1)):
        order.remove(number)
    chosen = draw(st.sets(st.sampled_from(order or [0]), max_size=2))
    plain = _plain_text if spoil is _spoilt_text else _plain_message
    return [spoil(draw, events[number]) if number in chosen else plain(events[number]) for number in order]


def _plain_text(event: bytes) -> bytes:
    return event


def _spoilt_text(draw: st.DrawFn, event: bytes) -> bytes:
    """Of a server-sent event; what is no JSON stays as it is."""
    before, found, data = event.partition(b"data:")
    try:
        value = json.loads(data)
    except ValueError:
        return event
    return before + found + b" " + json.dumps(draw(spoilt(value) | ODD)).encode() + b"\n\n"


def _plain_message(event: dict[str, Any]) -> bytes:
    return (
        aws_event(event["event"], event["payload"])
        if "event" in event
        else aws_exception(event["exception"], event["payload"])
    )


def _spoilt_message(draw: st.DrawFn, event: dict[str, Any]) -> bytes:
    return _plain_message({**event, "payload": draw(spoilt(event["payload"]) | ODD)})
