"""What Cohere cannot do is refused by name; what its answers leave out or get wrong does no harm."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.fold import fold
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError
from gateway.model.reply import Reply
from gateway.providers.cohere import PROVIDER
from gateway.providers.contract import Target

Members = dict[str, Any]

WIRE = PROVIDER.wires["cohere_chat"]
HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "f"}}
MARK = {"cache_control": {"type": "ephemeral"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}


def target(**facts: Any) -> Target:
    return Target("cohere", ModelFacts(**{"id": "m", "name": "M", "api": "cohere_chat", **facts}), "http://c.example")


def body_of(facts: Members | None = None, **members: Any) -> Members:
    call = msgspec.convert({"model": "m", "messages": HELLO, **members}, ChatCall)
    rendered: Members = json.loads(WIRE.render(call, target(**facts or {})).body)
    return rendered


def said(role: str, *parts: Members, **members: Any) -> list[Members]:
    return [{"role": role, "content": list(parts), **members}]


def document(text: bytes, media_type: str = "text/plain", **members: Any) -> Members:
    return {"type": "document", "url": f"data:{media_type};base64,{b64encode(text).decode()}", **members}


def answered(message: Members, **members: Any) -> Reply:
    body = {"id": "a", "finish_reason": "COMPLETE", "message": message, **members}
    return WIRE.parse(HttpResponse(200, {}, json.dumps(body).encode()), target())


def streamed(*events: Members) -> Reply:
    parser = WIRE.stream(target())
    data = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
    return fold([*parser.feed(data), *parser.close()])


def event(kind: str, index: int | None = None, **message: Any) -> Members:
    return {"type": kind, "index": index, "delta": {"message": message}}


END: Members = {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 2}, "n"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"logprobs": True, "top_logprobs": 2}, "top_logprobs"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"store": True}, "store"),
        ({"prompt_cache_key": "k"}, "prompt_cache_key"),
        ({"metadata": {"a": "b"}}, "metadata.a"),
        ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"stop": list("123456")}, "stop"),
        ({"top_p": 1}, "top_p"),
        ({"top_p": 0}, "top_p"),
        ({"top_k": 501}, "top_k"),
        ({"presence_penalty": -0.5}, "presence_penalty"),
        ({"frequency_penalty": 1.5}, "frequency_penalty"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"tools": [TOOL], "response_format": SCHEMA}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
            "response_format.json_schema.schema",
        ),
        ({"tools": [{"type": "inline_gts", "schema": {}}]}, "tools[0].type"),
        ({"tools": [TOOL | MARK]}, "tools[0].cache_control"),
        ({"messages": [{"role": "user", "content": "x", "name": "n"}]}, "messages[0].name"),
        ({"messages": said("user", {"type": "text", "text": "x", **MARK})}, "messages[0].content[0].cache_control"),
        ({"messages": said("user", AUDIO)}, "messages[0].content[0]"),
        ({"messages": said("user", {"type": "video", "url": "https://a.example"})}, "messages[0].content[0]"),
        ({"messages": said("user", document(b"x"))}, "messages[0].content[0]"),
        ({"messages": said("system", {"type": "image", "url": "https://a.example"})}, "messages[0].content[0]"),
        (
            {"messages": said("user", {"type": "image_url", "image_url": {"url": "https://a", "detail": "original"}})},
            "messages[0].content[0].image_url.detail",
        ),
        ({"messages": said("tool", document(b"x", "image/png"), tool_call_id="t")}, "messages[0].content[0]"),
        (
            {"messages": said("tool", {"type": "file", "file": {"file_id": "f"}}, tool_call_id="t")},
            "messages[0].content[0]",
        ),
        ({"messages": [{"role": "assistant", "content": "x", "prefix": True}]}, "messages[0].prefix"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio"),
        ({"provider_options": {"cohere": {"messages": []}}}, "provider_options.cohere.messages"),
    ],
)
def test_refused_by_name(members: Members, param: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        body_of(**members)
    assert refused.value.param == param


def test_what_happens_anyway_may_be_asked_for() -> None:
    asked: Members = {
        "n": 1,
        "top_logprobs": 0,
        "parallel_tool_calls": True,
        "store": False,
        "logit_bias": {},
        "user": "u",
    }
    members: Members = {"metadata": {"conversation_id": "c"}, "reasoning_effort": "none", "tool_choice": "auto"}
    assert body_of(**asked, **members) == {"model": "m", "messages": HELLO}


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_a_model_that_takes_no_sampling(name: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        body_of({"sampling": False}, **{name: 1 if name == "top_k" else 0.5})
    assert refused.value.param == name


@pytest.mark.parametrize(
    ("effort", "facts", "thinking"),
    [
        ("none", {"reasoning_by": "budget"}, {"type": "disabled"}),
        ("minimal", {"reasoning_by": "budget", "max_output_tokens": 1000}, {"type": "enabled", "token_budget": 100}),
        ("low", {"reasoning_by": "budget"}, {"type": "enabled", "token_budget": 819}),
        ("max", {"reasoning_by": "budget", "max_output_tokens": 1000}, {"type": "enabled"}),
        ("high", {"reasoning_by": "effort", "reasoning_efforts": ("none", "high")}, {"type": "enabled"}),
    ],
)
def test_effort(effort: str, facts: Members, thinking: Members) -> None:
    assert body_of(facts, reasoning_effort=effort)["thinking"] == thinking


def test_an_effort_the_model_does_not_have() -> None:
    with pytest.raises(CapabilityNotSupported, match="none, high"):
        body_of({"reasoning_by": "effort", "reasoning_efforts": ("none", "high")}, reasoning_effort="low")


def test_no_tool_is_to_be_called() -> None:
    body = body_of(tools=[TOOL], tool_choice="none")
    assert (body["tool_choice"], "strict_tools" in body) == ("NONE", False)


def test_plain_json() -> None:
    assert body_of(response_format={"type": "json_object"})["response_format"] == {"type": "json_object"}
    assert "response_format" not in body_of(response_format={"type": "text"}, tools=[TOOL])


@pytest.mark.parametrize(
    "part",
    [document(b"[1]", "application/json"), document(b"\xff"), {**document(b""), "url": "data:text/plain;base64,?"}],
)
def test_a_broken_document_of_a_tool(part: Members) -> None:
    with pytest.raises(InvalidRequest) as refused:
        body_of(messages=said("tool", part, tool_call_id="t"))
    assert refused.value.param == "messages[0].content[0]"


def test_a_refusal_and_an_empty_turn_come_back_as_text() -> None:
    turns = [
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "Never."}]},
        {"role": "assistant", "content": "", "reasoning_details": [{"type": "cohere.thinking", "thinking": "Hm."}]},
    ]
    assert body_of(messages=turns)["messages"] == [
        {"role": "assistant", "content": "No."},
        {"role": "assistant", "content": [{"type": "text", "text": "Never."}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}]},
    ]


def test_an_answer_without_anything_in_it() -> None:
    reply = answered({"role": "assistant"})
    assert (reply.choices[0].message.content, reply.usage, reply.extra) == ("", None, None)
    assert answered({"tool_calls": [{}]}, finish_reason="NEW").choices[0].finish_reason == "tool_calls"
    assert answered({}, finish_reason="ERROR_TOXIC").choices[0].finish_reason == "content_filter"


def test_billed_units_stand_in_for_tokens() -> None:
    usage = answered({}, usage={"billed_units": {"input_tokens": 3.0, "output_tokens": 2}, "tokens": None}).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 2)
    assert answered({}, usage={"billed_units": {"search_units": 1}}).usage is None


def test_citations_that_say_little() -> None:
    sources = [{"type": "tool", "id": "t:0", "tool_output": "text"}, "no source", {"type": "document"}]
    citations = [{"sources": sources}, {"start": 0, "end": 2, "sources": None}]
    message = answered({"content": [{"type": "text", "text": "Hi"}], "citations": citations}).choices[0].message
    assert message.annotations == [
        {"type": "tool_citation", "tool_citation": {"id": "t:0", "tool_output": "text"}},
        {"type": "document_citation", "document_citation": {}},
    ]


def test_a_citation_counts_from_its_part_of_the_content() -> None:
    reply = streamed(
        event("content-start", 0, content={"type": "text", "text": ""}),
        event("content-delta", 0, content={"text": "One. "}),
        event("content-start", 1, content={"type": "text", "text": ""}),
        event("content-delta", 1, content={"text": "Two."}),
        event(
            "citation-start",
            0,
            citations={"start": 0, "end": 3, "content_index": 1, "sources": [{"type": "document", "id": "d"}]},
        ),
        END,
    )
    span = {"start_index": 5, "end_index": 8, "id": "d"}
    assert reply.choices[0].message.annotations == [{"type": "document_citation", "document_citation": span}]


def test_parallel_calls_under_one_index() -> None:
    calls = [{"id": f"c{number}", "function": {"name": "f", "arguments": str(number)}} for number in range(3)]
    reply = streamed(*(event("tool-call-start", 0, tool_calls=call) for call in calls), END)
    assert [(call.id, call.function.arguments) for call in reply.choices[0].message.tool_calls or ()] == [
        ("c0", "0"),
        ("c1", "1"),
        ("c2", "2"),
    ]
    assert reply.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    "odd",
    [
        event("content-delta", None, content="text"),
        event("content-delta", 0, content={"text": 7}),
        event("tool-call-delta", 4, tool_calls={"function": {"arguments": "{}"}}),
        event("tool-plan-delta", None, tool_plan=None),
        event("citation-start", 0, citations=[]),
        event("content-end", 9),
        {"type": "content-delta", "delta": [1]},
        {"type": "message-start", "id": 5},
        {"message": "hello"},
    ],
)
def test_odd_events_are_passed_over(odd: Members) -> None:
    reply = streamed(odd, event("content-delta", 0, content={"text": "Hi"}), END, odd)
    assert reply.choices[0].message.content == "Hi"


def test_an_end_that_is_not_as_documented() -> None:
    odd = {"type": "message-end", "delta": {"finish_reason": ["COMPLETE"], "usage": [1]}}
    assert streamed(odd).choices[0].finish_reason == "stop"
    assert streamed({"type": "message-end", "delta": None}).choices[0].finish_reason == "stop"


def test_the_last_event_may_lack_its_empty_line() -> None:
    parser = WIRE.stream(target())
    assert list(parser.feed(b'data: {"type":"message-end","delta":{"finish_reason":"COMPLETE"}}')) == []
    assert [chunk.choices[0].finish_reason for chunk in parser.close()] == ["stop"]
    cut = WIRE.stream(target())
    list(cut.feed(b'data: {"type":"message-'))
    with pytest.raises(ProviderError):
        list(cut.close())
