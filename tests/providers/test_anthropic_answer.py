"""Edges of Anthropic's answers, streams and failures."""

from __future__ import annotations

import json

import pytest

from gateway.model.http import HttpResponse
from gateway.model.provider_errors import (
    ProviderError,
    ProviderFailure,
    ProviderLacksModel,
    ProviderRateLimited,
    ProviderRefusedSize,
    ProviderRejected,
    ProviderTimeout,
)
from tests.providers.anthropic_exchange import (
    START,
    STOP,
    WIRE,
    Members,
    block,
    cut,
    end,
    folded,
    parsed,
    sse,
    streamed,
    target,
)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "stop"),
        ("model_context_window_exceeded", "length"),
        ("of_next_year", "stop"),
        (None, "stop"),
    ],
)
def test_finish_reasons(reason: str | None, finish: str) -> None:
    assert parsed(stop_reason=reason).choices[0].finish_reason == finish
    chunks = streamed(START, end(reason), STOP)
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == [finish]


def test_an_unknown_reason_after_a_call_means_the_call() -> None:
    used = {"type": "tool_use", "id": "t", "name": "f", "input": {"z": 1, "a": 1.50}}

    choice = parsed(stop_reason="of_next_year", content=[used]).choices[0]

    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].function.arguments == '{"z":1,"a":1.5}'
    assert streamed(START, *cut(0, used), end("of_next_year"), STOP)[-1].choices[0].finish_reason == "tool_calls"


def test_what_finish_reason_blurs_is_kept() -> None:
    assert parsed(stop_reason="pause_turn").extra == {"stop_reason": "pause_turn"}
    assert parsed(stop_reason="stop_sequence", stop_sequence="END").extra == {"stop_sequence": "END"}
    assert parsed(stop_reason="end_turn", usage={"inference_geo": "not_available"}).extra is None


def test_a_refusal_says_why_when_the_provider_does() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "Not this."}

    refused = parsed(stop_reason="refusal", stop_details=details).choices[0].message

    assert (refused.content, refused.refusal) == ("", "Not this.")
    assert parsed(stop_reason="end_turn", stop_details=details).choices[0].message.refusal is None


def test_usage_counts_the_cache_into_the_prompt() -> None:
    figures = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 200,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 40},
        "server_tool_use": {"web_search_requests": 2},
        "service_tier": "standard",
    }

    reply = parsed(stop_reason="end_turn", usage=figures)

    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (240, 50)
    assert (reply.usage.prompt.cached_tokens, reply.usage.prompt.cache_write_tokens) == (200, 30)
    assert reply.usage.prompt.cache_write_1h_tokens == 20
    assert reply.usage.completion.reasoning_tokens == 40
    assert (reply.service_tier, reply.extra) == ("default", {"server_tool_use": {"web_search_requests": 2}})
    assert parsed().usage is None


@pytest.mark.parametrize(("speed", "tier"), [("fast", "fast"), ("standard", "default"), (None, "default")])
def test_the_fast_mode_is_a_tier_of_its_own(speed: str | None, tier: str) -> None:
    reply = parsed(usage={"input_tokens": 1, "output_tokens": 1, "service_tier": "standard", "speed": speed})
    assert reply.service_tier == tier


def test_later_figures_of_a_stream_replace_only_what_they_name() -> None:
    first = {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 1}
    start = {"type": "message_start", "message": {"id": "m", "model": "x", "usage": first}}
    later = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9, "input_tokens": None}}

    usages = [chunk.usage for chunk in streamed(start, later, end("end_turn", input_tokens=6, output_tokens=9), STOP)]

    assert [usage and (usage.prompt_tokens, usage.completion_tokens) for usage in usages] == [(12, 1), (12, 9), (13, 9)]


def test_citations_point_into_the_joined_text() -> None:
    web = {
        "type": "web_search_result_location",
        "url": "https://a",
        "title": "A",
        "cited_text": "x",
        "encrypted_index": "e",
    }
    page = {
        "type": "page_location",
        "document_index": 0,
        "start_page_number": 1,
        "end_page_number": 2,
        "cited_text": "y",
    }
    content = [
        {"type": "text", "text": "ab", "citations": None},
        {"type": "text", "text": "cde", "citations": [web]},
        {"type": "text", "text": "f", "citations": [page]},
    ]
    events = [
        *block(0, {"type": "text", "text": "ab"}),
        *block(
            1,
            {"type": "text", "text": ""},
            {"type": "citations_delta", "citation": web},
            {"type": "text_delta", "text": "cde"},
        ),
        *block(2, {"type": "text", "text": "", "citations": [page]}, {"type": "text_delta", "text": "f"}),
    ]

    message = parsed(content=content).choices[0].message
    chunks = streamed(START, *events, end("end_turn"), STOP)

    cited = {"start_index": 2, "end_index": 5, "url": "https://a", "title": "A", "cited_text": "x"}
    paged = {"start_index": 5, "end_index": 6} | {name: value for name, value in page.items() if name != "type"}
    annotations = [{"type": "url_citation", "url_citation": cited}, {"type": "page_location", "page_location": paged}]
    assert (message.content, message.annotations) == ("abcdef", annotations)
    assert "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices) == "abcdef"
    assert [a for chunk in chunks for c in chunk.choices for a in c.delta.annotations or ()] == annotations


def test_unknown_blocks_are_kept_whatever_their_members() -> None:
    unknown = {"type": "of_next_year", "text": {"not": "text"}, "id": None}

    message = parsed(content=[unknown, {"type": "text", "text": "Hi"}]).choices[0].message

    assert (message.content, message.reasoning_details) == ("Hi", [unknown])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"null",
        b'{"type":"message","content":"x"}',
        b'{"type":"message","content":[1]}',
        b'{"type":"message","content":[{"type":"text","text":1}]}',
        b'{"type":"message","content":[],"usage":{"input_tokens":"x"}}',
    ],
)
def test_a_body_that_is_no_message_is_the_providers_error(body: bytes) -> None:
    with pytest.raises(ProviderError):
        WIRE.parse(HttpResponse(200, {}, body), target())


def test_a_call_without_arguments_still_has_json() -> None:
    chunks = streamed(
        START, *block(0, {"type": "tool_use", "id": "t", "name": "f", "input": {}}), end("tool_use"), STOP
    )

    assert folded(chunks)["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


def test_a_block_may_begin_with_content() -> None:
    thought = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}

    chunks = streamed(START, *block(0, thought), *block(1, {"type": "text", "text": "Hi"}), end("end_turn"), STOP)

    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert "".join(delta.reasoning_content or "" for delta in deltas) == "Hm"
    assert "".join(delta.content or "" for delta in deltas) == "Hi"
    mark = {"type": "model", "model": "claude-test"}
    assert [detail for delta in deltas for detail in delta.reasoning_details or ()] == [thought, mark]


def test_an_end_without_a_beginning_and_unknown_pieces_are_ignored() -> None:
    unknown = block(0, {"type": "text", "text": ""}, {"type": "of_next_year"}, {"type": "signature_delta"})
    stray = {"type": "content_block_stop", "index": 7}

    assert streamed(START, *unknown, stray, end("end_turn"), STOP) == streamed(START, end("end_turn"), STOP)


def test_only_the_first_reason_to_stop_counts() -> None:
    chunks = streamed(START, end("end_turn"), end("max_tokens"), STOP)

    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices] == [None, "stop"]


def test_pings_and_unknown_events_are_ignored() -> None:
    unknown = {"type": "of_next_year", "index": "x", "delta": 1}

    assert streamed(START, {"type": "ping"}, unknown, end("end_turn"), STOP) == streamed(START, end("end_turn"), STOP)


def test_a_stream_may_end_without_a_reason() -> None:
    assert streamed(START, STOP)[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("seen", [[], [START], [START, end("end_turn")]])
def test_a_stream_without_its_last_event_ended_early(seen: list[Members]) -> None:
    with pytest.raises(ProviderError, match="ended early"):
        streamed(*seen)


def test_what_came_before_a_failure_is_not_lost() -> None:
    parser = WIRE.stream(target())
    failed = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    chunks = parser.feed(sse(START, *block(0, {"type": "text", "text": "Hi"}), failed))

    assert next(iter(chunks)).id == "msg_1"
    assert next(iter(chunks)).choices[0].delta.content == "Hi"
    with pytest.raises(ProviderError) as failure:
        next(iter(chunks))
    assert failure.value.provider_code == "overloaded_error"


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        ("invalid_request_error", ProviderRejected),
        ("authentication_error", ProviderError),
        ("billing_error", ProviderError),
        ("permission_error", ProviderError),
        ("not_found_error", ProviderLacksModel),
        ("request_too_large", ProviderRefusedSize),
        ("rate_limit_error", ProviderRateLimited),
        ("api_error", ProviderError),
        ("timeout_error", ProviderError),
        ("overloaded_error", ProviderError),
        ("of_next_year", ProviderError),
    ],
)
def test_an_error_without_a_status_is_known_by_its_type(kind: str, failure: type[ProviderFailure]) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "x"}}

    with pytest.raises(failure) as in_stream:
        streamed(START, error)
    with pytest.raises(failure) as in_body:
        WIRE.parse(HttpResponse(200, {}, json.dumps(error).encode()), target())

    assert type(in_stream.value) is type(in_body.value) is failure
    assert in_stream.value.provider_code == in_body.value.provider_code == kind


@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n",
        b"data: \xff\n\n",
        b"data: 1\n\n",
        b'data: {"type":"error"}\n\n',
        b'data: {"type":"error","error":"text"}\n\n',
        b'data: {"type":"content_block_delta","index":"x"}\n\n',
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}\n\n',
        b'data: {"type":"content_block_start","index":0,"content_block":{}}\n\n',
        b'data: {"type":"content_block_start","index":0,"content_block":1}\n\n',
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":1}}\n\n',
        sse(*block(0, {"type": "server_tool_use"}, {"type": "input_json_delta", "partial_json": "{"})),
    ],
)
def test_nonsense_in_a_stream_is_the_providers_error(data: bytes) -> None:
    parser = WIRE.stream(target())

    with pytest.raises(ProviderError):
        list(parser.feed(data))


def test_nothing_after_the_end_counts() -> None:
    stray = {"type": "content_block_delta", "index": 9, "delta": {"type": "text_delta", "text": "x"}}

    assert streamed(START, end("end_turn"), STOP, stray) == streamed(START, end("end_turn"), STOP)


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (400, ProviderRejected),
        (401, ProviderError),
        (402, ProviderError),
        (403, ProviderError),
        (404, ProviderLacksModel),
        (408, ProviderTimeout),
        (413, ProviderRefusedSize),
        (429, ProviderRateLimited),
        (500, ProviderError),
        (503, ProviderError),
        (504, ProviderError),
        (529, ProviderError),
        (599, ProviderError),
    ],
)
def test_statuses(status: int, failure: type[ProviderFailure]) -> None:
    body = json.dumps(
        {"type": "error", "error": {"type": "some_error", "message": "x"}, "request_id": "req_1"}
    ).encode()

    said = WIRE.fail(HttpResponse(status, {"retry-after": "2"}, body), target())
    unsaid = WIRE.fail(HttpResponse(status, {}, b"<html>"), target())

    assert type(said) is type(unsaid) is failure
    assert said.provider_code == (None if failure is ProviderTimeout else "some_error")
    assert unsaid.provider_code is None


@pytest.mark.parametrize(
    "words", ["Your credit balance is too low", "You have reached your specified API usage limits."]
)
def test_a_400_about_the_gateways_own_account_is_not_the_clients_fault(words: str) -> None:
    body = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": words}}).encode()

    failure = WIRE.fail(HttpResponse(400, {}, body), target())

    assert isinstance(failure, ProviderError)
    assert words not in failure.message


def test_a_refused_request_says_why() -> None:
    body = json.dumps(
        {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long"}}
    ).encode()

    assert WIRE.fail(HttpResponse(400, {}, body), target()).message.endswith("prompt is too long")
