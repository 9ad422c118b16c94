"""Bad input: the right error, and it names the field."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.chat import ChatCall
from gateway.model.errors import InvalidRequest, UnreadableBody, UnsupportedMediaType
from gateway.pipeline.decode import invalid
from gateway.pipeline.read import read_chat_call

GOOD: dict[str, Any] = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
JSON = "application/json"


def read(**changes: Any) -> Any:
    return read_chat_call(JSON, json.dumps({**GOOD, **changes}).encode())


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "tool", "content": "4"}]}, "messages[0].tool_call_id"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 2.5}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"n": 0}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": 2**31}, "max_tokens"),
        ({"max_tokens": 10**4000}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"stop": [1]}, "stop[0]"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"logit_bias": {"50256": "high"}}, "logit_bias[...]"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"temprature": 1}, "temprature"),
        ({"messages": [{"role": "user", "content": "Hi", "colour": 1}]}, "messages[0].colour"),
        ({"timeouts": {"ttft_ms": 0}}, "timeouts.ttft_ms"),
        ({"timeouts": {"ttft_ms": 500}}, "timeouts.ttft_ms"),
        ({"timeouts": {"ttft_ms": 285_001}, "stream": True}, "timeouts.ttft_ms"),
        ({"timeouts": {"total_ms": 285_001}}, "timeouts.total_ms"),
        ({"timeouts": {"total_ms": 840_001}, "stream": True}, "timeouts.total_ms"),
        ({"provider_options": {"openai": {}, "opnai": {"x": 1}}}, "provider_options.opnai"),
        ({"provider_options": {"lookup": {}}}, "provider_options.lookup"),
        ({"provider_options": {"openai": None}}, "provider_options[...]"),
        ({"metadata": {"conversation_id": "a b"}}, "metadata.conversation_id"),
        ({"metadata": {"conversation_id": "x" * 200}}, "metadata.conversation_id"),
        ({"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
    ],
)
def test_an_invalid_request_is_named(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**changes)
    assert caught.value.param == param
    assert caught.value.code == "validation_error"
    assert (
        param.rsplit(".", maxsplit=1)[-1].split("[", maxsplit=1)[0] in caught.value.message
        or param in caught.value.message
    )


def test_a_missing_member_is_named() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_chat_call(JSON, b'{"model": "m"}')
    assert caught.value.param == "messages"
    assert caught.value.details[0].pointer == "/messages"


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"model": "\xff"}', b"[" * 100_000, b'{"a":' * 50_000])
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_chat_call(JSON, body)
    assert caught.value.status == 400


def test_broken_json_says_so() -> None:
    with pytest.raises(UnreadableBody, match="not valid JSON"):
        read_chat_call(JSON, b'{"model": "m", ')


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/form-data; boundary=x"])
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType) as caught:
        read_chat_call(content_type, b"{}")
    assert caught.value.status == 415


def test_a_charset_does_not_matter() -> None:
    assert read_chat_call("Application/JSON; charset=utf-8", json.dumps(GOOD).encode()).model == "openai/gpt-4o"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"fallback": {"models": ["a/b"]}, "models": ["a/b"]}, "models"),
        ({"fallbacks": ["a/b"], "models": ["a/b"]}, "models"),
        ({"fallback": {"models": ["a/b"]}, "fallbacks": []}, "fallbacks"),
    ],
)
def test_what_to_fall_back_on_is_said_once(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**changes)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("changes", "ceiling"),
    [({"timeouts": {"total_ms": 300_000}}, "285000"), ({"timeouts": {"total_ms": 900_000}, "stream": True}, "840000")],
)
def test_a_limit_that_cannot_be_had_names_the_ceiling(changes: dict[str, Any], ceiling: str) -> None:
    with pytest.raises(InvalidRequest, match=ceiling):
        read(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"timeouts": {"total_ms": 285_000}},
        {"timeouts": {"ttft_ms": 285_000, "total_ms": 840_000}, "stream": True},
        {"provider_options": {"anthropic": {"betas": []}, "bedrock": {}}},
    ],
)
def test_limits_up_to_the_ceiling_and_options_for_other_providers_are_taken(changes: dict[str, Any]) -> None:
    assert read(**changes) != read()


def test_null_means_left_out() -> None:
    left_out = dict.fromkeys(ChatCall.__struct_encode_fields__)
    assert read(**{**left_out, **GOOD}) == read()


def test_a_reply_message_may_be_sent_back() -> None:
    reply: dict[str, Any] = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "function_call": None,
        "audio": None,
    }
    assert len(read(messages=[{"role": "user", "content": "Hi"}, reply]).messages) == 2


def test_what_the_sdk_leaves_in_a_reply_is_taken_and_forgotten() -> None:
    """A message of `parse()` or `stream()` goes back as it is; strict providers refuse members they do not know."""
    function = {"name": "add", "arguments": "{}", "parsed_arguments": {"a": 1}}
    calls = [{"id": "c", "type": "function", "function": function, "index": 0}]
    call = read(messages=[{"role": "assistant", "content": None, "tool_calls": calls, "parsed": {"a": 1}}])
    assert msgspec.to_builtins(call.messages[0].tool_calls) == [
        {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({**GOOD, "a/b": 1}, "/a~1b"),
        ({**GOOD, "a~b": 1}, "/a~0b"),
        ({**GOOD, "a.b[0]": 1}, "/a.b[0]"),
        ({**GOOD, "messages": [{**GOOD["messages"][0], "x.y/z": 1}]}, "/messages/0/x.y~1z"),
        ({"model": "openai/gpt-4o"}, "/messages"),
        (
            {**GOOD, "messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
            "/messages/0/content/0/text",
        ),
        ({**GOOD, "a`b": 1}, "/a`b"),
        ({**GOOD, "a\n`b": 1}, "/a\n`b"),
        ({**GOOD, "x - at `$.y`": 1}, "/x - at `$.y`"),
        ({**GOOD, "messages": [{**GOOD["messages"][0], "x` - at `$.y": 1}]}, "/messages/0/x` - at `$.y"),
        ({**GOOD, "reasoning_effort": "low - at `$.y`"}, "/reasoning_effort"),
    ],
)
def test_a_pointer_leads_to_the_member_whatever_it_is_called(body: Any, pointer: str) -> None:
    """RFC 6901: "~" and "/" of a name are written "~0" and "~1"."""
    with pytest.raises(InvalidRequest) as caught:
        read_chat_call(JSON, json.dumps(body).encode())
    assert caught.value.details[0].pointer == pointer


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"metadata": {"a/b": 5}}, "/metadata"),
        ({"logit_bias": {"50256": "high"}}, "/logit_bias"),
        ({"provider_options": {"openai": None}}, "/provider_options"),
    ],
)
def test_a_pointer_leads_to_the_map_whose_members_the_client_names(changes: dict[str, Any], pointer: str) -> None:
    """Which of them is wrong is not known here; it is said what is."""
    with pytest.raises(InvalidRequest) as caught:
        read(**changes)
    assert caught.value.details[0].pointer == pointer


@pytest.mark.parametrize(
    ("said", "param", "pointer"),
    [
        ("Expected `str` of length <= 2 - at `key` in `$.prices`", "prices", "/prices"),
        ("Object contains unknown field `a` - at `$.prices[...]`", "prices[...].a", "/prices"),
        ("Expected `int`, got `str` - at `$.prices[...].list[0]`", "prices[...].list[0]", "/prices"),
    ],
)
def test_a_pointer_leads_as_far_as_names_are_known(said: str, param: str, pointer: str) -> None:
    refused = invalid(said)
    assert (refused.param, refused.details[0].pointer) == (param, pointer)


@given(st.text(min_size=1).filter(lambda name: name not in ChatCall.__struct_encode_fields__))
def test_a_pointer_leads_to_any_name(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**{name: 1})
    assert caught.value.details[0].pointer == "/" + name.replace("~", "~0").replace("/", "~1")
