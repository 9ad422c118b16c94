"""The conversation in Anthropic's words, there and back."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from gateway.model.errors import CapabilityNotSupported, GatewayError, InvalidRequest
from tests.providers.anthropic_exchange import (
    HELLO,
    PIXEL,
    START,
    STOP,
    WIRE,
    Members,
    call,
    cut,
    end,
    folded,
    parsed,
    rendered,
    streamed,
    target,
    turns,
)


@pytest.mark.parametrize(
    ("prompts", "system"),
    [
        (["Be brief."], "Be brief."),
        ([[{"type": "text", "text": "A"}]], [{"type": "text", "text": "A"}]),
        (
            [[{"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}}], "B", ""],
            [{"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "B"}],
        ),
    ],
)
def test_system_messages(prompts: list[Any], system: Any) -> None:
    messages = [{"role": "system", "content": prompts[0]}, *HELLO]
    messages += [{"role": "developer", "content": prompt} for prompt in prompts[1:]]

    assert rendered(call(messages=messages))["system"] == system


def test_an_empty_system_message_is_none_at_all() -> None:
    assert "system" not in rendered(call(messages=[{"role": "system", "content": ""}, *HELLO]))


def test_turns_alternate_and_parallel_results_share_one() -> None:
    calls = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in ("a", "b")]

    found = turns(
        {"role": "user", "content": "One"},
        {"role": "user", "content": [{"type": "text", "text": "Two"}]},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "name": "f", "content": [{"type": "text", "text": "2"}]},
        {"role": "user", "content": "Three"},
    )

    assert [turn["role"] for turn in found] == ["user", "assistant", "user"]
    assert found[0]["content"] == [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]
    assert [block["type"] for block in found[1]["content"]] == ["tool_use", "tool_use"]
    assert found[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "2"}]},
        {"type": "text", "text": "Three"},
    ]


@pytest.mark.parametrize("choice", [{}, {"tool_choice": "none"}, {"tool_choice": "auto"}, {"tools": []}])
def test_a_conversation_that_used_tools_goes_on_without_any(choice: Members) -> None:
    """Anthropic answers 400: "Requests which include `tool_use` or `tool_result` blocks must define tools"."""
    calls = [{"id": i, "type": "function", "function": {"name": f, "arguments": "{}"}} for i, f in ("af", "bg", "cf")]
    results = [{"role": "tool", "tool_call_id": i, "content": "1"} for i in "abc"]
    messages = [*HELLO, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
    body = rendered(call(messages=messages, **choice))
    assert body["tools"] == [{"name": name, "input_schema": {"type": "object"}} for name in "fg"]
    assert body["tool_choice"] == {"type": "none"}
    own = {"anthropic": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}}
    assert "tool_choice" not in rendered(call(messages=messages, provider_options=own))
    assert "tools" not in rendered(call())


def test_a_tool_result_carries_its_image_and_its_cache_mark() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    part = {"type": "image_url", "image_url": {"url": PIXEL}, "cache_control": mark}

    found = turns(
        *HELLO, {"role": "assistant", "content": "x"}, {"role": "tool", "tool_call_id": "a", "content": [part]}
    )

    source = {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}
    assert found[2]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": [{"type": "image", "source": source}],
            "cache_control": mark,
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"b": 1.0, "a": 12345678901234567890}', '{"b": 1.0, "a": 12345678901234567890}'),
        ("", "{}"),
        ('{"cut": "he', '{"INVALID_JSON":"{\\"cut\\": \\"he"}'),
        ("[1]", '{"INVALID_JSON":"[1]"}'),
    ],
)
def test_arguments_go_back_byte_for_byte_or_wrapped(arguments: str, sent: str) -> None:
    used = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}

    body = WIRE.render(call(messages=[*HELLO, {"role": "assistant", "tool_calls": [used]}]), target()).body

    assert f'"input":{sent}}}'.encode() in body


def test_arguments_nested_without_end_are_wrapped_too() -> None:
    used = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"a":' + "[" * 100_000}}

    assert "INVALID_JSON" in turns(*HELLO, {"role": "assistant", "tool_calls": [used]})[1]["content"][0]["input"]


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (
            {"type": "image_url", "image_url": {"url": PIXEL, "detail": "auto"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}},
        ),
        (
            {"type": "image", "url": "https://host/a.png"},
            {"type": "image", "source": {"type": "url", "url": "https://host/a.png"}},
        ),
        (
            {"type": "document", "url": "https://host/a.pdf", "name": "A"},
            {"type": "document", "source": {"type": "url", "url": "https://host/a.pdf"}, "title": "A"},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGVsbG8=", "filename": "a.pdf"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "aGVsbG8="},
                "title": "a.pdf",
            },
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/csv;charset=utf-8;base64,aGVsbG8="}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}},
        ),
        (
            {"type": "file", "file": {"file_data": PIXEL}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}},
        ),
        ({"type": "refusal", "refusal": "No."}, {"type": "text", "text": "No."}),
    ],
)
def test_parts(part: Members, sent: Members) -> None:
    assert turns({"role": "user", "content": [part]})[0]["content"] == [sent]


@pytest.mark.parametrize(
    ("role", "part", "kind", "param"),
    [
        ("user", {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, CapabilityNotSupported, "[0]"),
        ("user", {"type": "audio", "url": "https://host/a.wav"}, CapabilityNotSupported, "[0]"),
        ("user", {"type": "video", "url": "https://host/a.mp4"}, CapabilityNotSupported, "[0]"),
        ("user", {"type": "file", "file": {"file_id": "file-1"}}, CapabilityNotSupported, "[0].file"),
        (
            "user",
            {"type": "file", "file": {"file_data": "data:application/zip;base64,aGVsbG8="}},
            CapabilityNotSupported,
            "[0]",
        ),
        (
            "user",
            {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
            CapabilityNotSupported,
            "[0].image_url.detail",
        ),
        ("user", {"type": "image", "url": "gs://bucket/a.png"}, InvalidRequest, "[0]"),
        ("user", {"type": "image", "url": "data:image/png,raw"}, InvalidRequest, "[0]"),
        ("user", {"type": "document", "url": "data:text/plain;base64,!!"}, InvalidRequest, "[0]"),
        ("user", {"type": "document", "url": "data:text/plain;base64,/w=="}, InvalidRequest, "[0]"),
        ("system", {"type": "image", "url": "https://host/a.png"}, CapabilityNotSupported, "[0]"),
        ("assistant", {"type": "image", "url": "https://host/a.png"}, CapabilityNotSupported, "[0]"),
    ],
)
def test_parts_that_cannot_be_sent(role: str, part: Members, kind: type[GatewayError], param: str) -> None:
    with pytest.raises(kind) as refused:
        turns({"role": role, "content": [part]}, *HELLO)

    assert refused.value.param == f"messages[0].content{param}"


def test_details_of_another_provider_are_not_sent() -> None:
    foreign = [
        {"type": "reasoning.text", "text": "Hm"},
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
        {"type": ["text"]},
        {"no": "type"},
    ]

    found = turns(*HELLO, {"role": "assistant", "content": "Hi", "reasoning_details": foreign})

    assert found[1]["content"] == "Hi"


@pytest.mark.parametrize(
    "content",
    [
        [
            {"type": "thinking", "thinking": "Hm \u00e9", "signature": "c2ln+/=="},
            {"type": "redacted_thinking", "data": "cmVk"},
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1, "a": [2]}},
            {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
        ],
        [
            {"type": "text", "text": "First \U0001f642, "},
            {"type": "thinking", "thinking": "", "signature": "czE="},
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "web_search_result"}]},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
            {"type": "thinking", "thinking": "And", "signature": "czI="},
            {"type": "text", "text": "second."},
            {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
        ],
        [
            {"type": "server_tool_use", "id": "s1", "name": "code_execution", "input": {"code": "f()"}},
            {
                "type": "tool_use",
                "id": "t1",
                "name": "f",
                "input": {},
                "caller": {"type": "code_execution_20260120", "tool_id": "s1"},
            },
        ],
    ],
    ids=["thinking first", "interleaved", "called by code"],
)
def test_a_reply_sent_back_is_the_blocks_that_came(content: list[Members]) -> None:
    whole = msgspec.to_builtins(parsed(content=content).choices[0].message)
    events = [event for index, one in enumerate(content) for event in cut(index, one)]
    pieces = folded(streamed(START, *events, end(None), STOP))

    assert turns(*HELLO, {"role": "assistant", **whole})[1]["content"] == content
    assert turns(*HELLO, {"role": "assistant", **pieces})[1]["content"] == content


def test_marks_that_do_not_fit_the_text_lose_nothing_of_it() -> None:
    thought = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}
    marks = [{"type": "text", "chars": 99}, {"type": "tool_use", "id": "gone"}, {"type": "text", "chars": -1}, thought]

    found = turns(*HELLO, {"role": "assistant", "content": "Shorter now", "reasoning_details": marks})
    parts = [{"type": "text", "text": "In"}, {"type": "text", "text": " parts"}, {"type": "text", "text": ""}]
    split = turns(*HELLO, {"role": "assistant", "content": parts, "reasoning_details": marks})

    assert found[1]["content"] == [{"type": "text", "text": "Shorter now"}, thought]
    assert split[1]["content"] == [thought, *parts[:2]]


def test_text_documents_survive_any_character() -> None:
    data = base64.b64encode("Grüße 🙂".encode()).decode()

    part = {"type": "document", "url": f"data:text/plain;base64,{data}"}

    assert turns({"role": "user", "content": [part]})[0]["content"][0]["source"]["data"] == "Grüße 🙂"
