"""What Bedrock's answers mean where they are unusual, broken or new."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from gateway.model.fold import fold
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderTimeout
from tests.providers.bedrock_exchange import STOP, USAGE, WIRE, delta, end, parsed, start, streamed, target
from tests.providers.framing import aws_event, frame

USE = {"toolUseId": "t", "name": "weather", "input": {}}
BEGUN = {"toolUseId": "t", "name": "weather"}
WEB = {"location": {"web": {"url": "https://example.com", "domain": "example.com"}}}


@pytest.mark.parametrize(
    ("stop", "blocks", "meant"),
    [
        ("end_turn", [{"text": "x"}], "stop"),
        ("end_turn", [{"toolUse": USE}], "tool_calls"),
        ("tool_use", [{"toolUse": USE}], "tool_calls"),
        ("tool_use", [{"text": "x"}], "stop"),
        ("tool_use", [{"toolUse": {**USE, "type": "server_tool_use"}}], "stop"),
        ("stop_sequence", [{"text": "x"}], "stop"),
        ("max_tokens", [{"toolUse": USE}], "length"),
        ("model_context_window_exceeded", [{"text": "x"}], "length"),
        ("content_filtered", [{"text": "x"}], "content_filter"),
        ("guardrail_intervened", [{"text": "x"}], "content_filter"),
        ("unheard_of", [{"toolUse": USE}], "tool_calls"),
    ],
)
def test_finish_reasons(stop: str, blocks: list[Any], meant: str) -> None:
    assert parsed(*blocks, stop=stop).choices[0].finish_reason == meant


@pytest.mark.parametrize("reason", ["malformed_tool_use", "malformed_model_output"])
def test_an_answer_that_was_broken_off_is_an_error(reason: str) -> None:
    figures = {"inputTokens": 9, "outputTokens": 1}
    stop = ("messageStop", {"stopReason": reason})
    for take in (
        lambda: parsed({"text": "x"}, stop=reason, usage=figures),
        lambda: streamed(delta(0, text="x"), end(0), stop, ("metadata", {"usage": figures})),
    ):
        with pytest.raises(ProviderError) as broken:
            take()
        assert broken.value.provider_code == reason
        assert broken.value.charged is not None
        assert broken.value.charged.prompt_tokens == 9


@pytest.mark.parametrize(("latency", "tier"), [("optimized", "optimized"), ("standard", "default")])
def test_optimized_latency_is_a_tier_of_its_own(latency: str, tier: str) -> None:
    reply = parsed({"text": "x"}, performanceConfig={"latency": latency}, serviceTier={"type": "default"})
    assert reply.service_tier == tier


def test_an_empty_answer_has_empty_content() -> None:
    assert parsed().choices[0].message.content == ""
    assert parsed({"toolUse": USE}).choices[0].message.content is None


def test_an_answer_without_figures_has_no_usage() -> None:
    assert parsed({"text": "x"}, usage=None).usage is None


def test_generated_images_are_media() -> None:
    here = {"image": {"format": "png", "source": {"bytes": "aGk="}}}
    there = {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/a.png"}}}}
    media = parsed(here, there, {"image": {"format": "png", "error": {"message": "m"}}}).choices[0].message.media
    image = {"type": "image", "content_type": "image/png"}
    assert media == [{**image, "data": "aGk="}, {**image, "url": "s3://bucket/a.png"}]
    pieces = [delta(0, image={"source": {"bytes": piece}}) for piece in ("aGk=", "IQ==")]
    reply = fold(streamed(start(0, image={"format": "png"}), *pieces, end(0), STOP))
    assert reply.choices[0].message.media == [{**image, "data": "aGkh"}]


def test_citations_of_a_whole_answer() -> None:
    cited = {"citationsContent": {"content": [{"text": "two"}], "citations": [{"title": "t", "location": "odd"}]}}
    reply = parsed({"text": "one "}, cited, {"citationsContent": {"citations": [WEB]}})
    assert reply.choices[0].message.content == "one two"
    assert reply.choices[0].message.annotations == [
        {
            "type": "document_citation",
            "document_citation": {"start_index": 4, "end_index": 7, "title": "t", "location": "odd"},
        },
        {
            "type": "url_citation",
            "url_citation": {"start_index": 4, "end_index": 7, "url": "https://example.com", "title": "example.com"},
        },
    ]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"output": {}}', b'{"output": {"message": {"content": 1}}}', b"\xff", b"[" * 5000]
)
def test_a_body_that_is_no_answer(body: bytes) -> None:
    with pytest.raises(ProviderError):
        WIRE.parse(HttpResponse(200, {}, body), target())


@pytest.mark.parametrize(
    ("status", "code", "kind", "ours"),
    [
        (408, "ModelTimeoutException", ProviderTimeout, 504),
        (424, "ModelErrorException", ProviderError, 502),
        (503, "ServiceUnavailableException", ProviderError, 502),
        (400, "IncompleteSignature", ProviderError, 502),
        (413, "", ProviderFailure, 413),
    ],
)
def test_errors(status: int, code: str, kind: type[ProviderFailure], ours: int) -> None:
    headers = {"x-amzn-errortype": f"{code}:http://internal.amazon.com/"} if code else {}
    failure = WIRE.fail(HttpResponse(status, headers, b"not json"), target())
    assert isinstance(failure, kind)
    assert failure.status == ours


def test_blocks_that_are_not_ended_end_with_the_message() -> None:
    thought = delta(0, reasoningContent={"text": "Hm", "signature": "c2ln"})
    reply = fold(streamed(thought, start(1, toolUse=BEGUN), delta(2, text="x"), delta(2, citation=WEB), STOP))
    message = reply.choices[0].message
    signed = {"reasoningText": {"text": "Hm", "signature": "c2ln"}}
    assert {"type": "reasoningContent", "reasoningContent": signed} in (message.reasoning_details or [])
    assert [call.function.arguments for call in message.tool_calls or []] == ["{}"]
    assert message.annotations
    assert reply.choices[0].finish_reason == "tool_calls"


def test_redacted_reasoning_in_pieces_is_one_block() -> None:
    pieces = [delta(0, reasoningContent={"redactedContent": piece}) for piece in ("aGk=", "IQ==")]
    details = fold(streamed(*pieces, end(0), STOP)).choices[0].message.reasoning_details
    assert (details or [])[0] == {"type": "reasoningContent", "reasoningContent": {"redactedContent": "aGkh"}}


def test_usage_after_the_end_counts_and_content_does_not_have_to_come() -> None:
    reply = fold(streamed(("messageStart", {"role": "assistant"}), STOP, ("metadata", {"usage": USAGE})))
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3, 2)


@pytest.mark.parametrize(
    "events",
    [
        [delta(0, toolUse={"input": "{}"}), STOP],
        [delta(0, text="x"), delta(0, toolUse={"input": "{}"}), STOP],
        [delta(0, text=1)],
        [("contentBlockDelta", [])],
        [("messageStop", "end")],
        [start(0, toolUse={**BEGUN, "type": "server_tool_use"}), delta(0, toolUse={"input": "{"}), STOP],
        [
            delta(0, reasoningContent={"redactedContent": "a"}),
            delta(0, reasoningContent={"redactedContent": "b"}),
            STOP,
        ],
        [delta(0, text="x")],
        [],
    ],
)
def test_streams_that_make_no_sense(events: list[tuple[str, Any]]) -> None:
    with pytest.raises(ProviderError):
        streamed(*events)


@pytest.mark.parametrize("data", [b'{"message": "something failed"}', b"<html>" * 10, frame({}, b""), b"{}"])
def test_bytes_that_are_no_stream(data: bytes) -> None:
    parser = WIRE.stream(target())
    with pytest.raises(ProviderFailure):
        _ = [*parser.feed(data), *parser.close()]


def test_an_error_without_a_known_name() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "An internal error"}
    with pytest.raises(ProviderError, match="status 500") as failed:
        list(WIRE.stream(target()).feed(frame(headers, b"")))
    assert failed.value.provider_code == "InternalError"


def test_damaged_events_in_sound_frames() -> None:
    """The checksums cannot help against a server that sends nonsense itself."""
    events = [
        ("messageStart", {"role": "assistant"}),
        *(start(0, toolUse=BEGUN), delta(0, toolUse={"input": "{}"}), end(0)),
        *(delta(1, text="Hello"), delta(1, citation=WEB), end(1)),
        *(delta(2, reasoningContent={"text": "Hm"}), delta(2, reasoningContent={"signature": "c2ln"}), end(2)),
        *(STOP, ("metadata", {"usage": USAGE, "serviceTier": {"type": "default"}})),
    ]
    chance = random.Random(1)  # noqa: S311  # damage that is the same in every run
    for _ in range(600):
        parser = WIRE.stream(target())
        try:
            for name, payload in events:
                raw = bytearray(json.dumps(payload).encode())
                if chance.random() < 0.2:
                    place = chance.randrange(len(raw))
                    raw[place : place + chance.randint(0, 3)] = chance.choice(
                        [b"", b"1", b"{}", b"null", b'"', b"\xff"]
                    )
                kinds = {":event-type": name, ":message-type": "event"}
                list(parser.feed(frame(kinds, bytes(raw))))
            parser.close()
        except ProviderFailure:
            continue


def test_an_unknown_event_gives_nothing() -> None:
    assert list(WIRE.stream(target()).feed(aws_event("somethingNew", ["whatever"]))) == []
