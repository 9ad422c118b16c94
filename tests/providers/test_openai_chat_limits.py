"""What imitators of OpenAI cannot do is refused by name, and asking for what happens anyway is not."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.errors import CapabilityNotSupported
from gateway.model.http import HttpResponse
from gateway.providers.contract import Target
from gateway.providers.lookup import provider_named
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks
from gateway.providers.wire.openai_chat_messages import messages

Members = dict[str, Any]

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "f"}}
WAV = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
REPLY_AUDIO = {"role": "assistant", "audio": {"id": "a", "data": "AAAA"}}
MARKED = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
AUDIO_URL = {"type": "audio", "url": "https://example.org/a.wav"}
VIDEO_URL = {"type": "video", "url": "https://example.org/a.mp4"}
PREFIX = {"role": "assistant", "content": "It", "prefix": True}
OBFUSCATED = {"stream": True, "stream_options": {"include_obfuscation": True}}


def body_of(provider: str, **members: Any) -> Members:
    call = msgspec.convert({"model": "m", "messages": HELLO, **members}, ChatCall)
    target = Target(provider, ModelFacts(id="m", name="M"), "http://model.example/v1")
    rendered: Members = json.loads(provider_named(provider).wires["chat_completions"].render(call, target).body)
    return rendered


def asking(*parts: Members) -> list[Members]:
    return [{"role": "user", "content": list(parts)}]


@pytest.mark.parametrize(
    ("provider", "members", "param"),
    [
        ("mistral", {"logprobs": True}, "logprobs"),
        ("mistral", {"store": True}, "store"),
        ("mistral", {"safety_identifier": "s"}, "safety_identifier"),
        ("groq", {"logit_bias": {"1": 2}}, "logit_bias"),
        ("groq", {"metadata": {"a": "b"}}, "metadata.a"),
        ("groq", {"prompt_cache_key": "k"}, "prompt_cache_key"),
        ("deepseek", {"n": 2}, "n"),
        ("deepseek", {"service_tier": "flex"}, "service_tier"),
        ("xai", {"verbosity": "low"}, "verbosity"),
        ("together", {"parallel_tool_calls": False, "tools": [TOOL]}, "parallel_tool_calls"),
        ("fireworks", {"web_search_options": {}}, "web_search_options"),
        ("openrouter", {"n": 3}, "n"),
        ("perplexity", {"response_format": {"type": "json_object"}}, "response_format.type"),
        ("cerebras", {"modalities": ["text", "audio"]}, "modalities"),
        ("ollama", {"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        ("ollama", {"tools": [TOOL], "tool_choice": {"function": {"name": "f"}}}, "tool_choice"),
        ("vllm", {"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ("mistral", OBFUSCATED, "stream_options.include_obfuscation"),
        ("openai", {"tools": [{**TOOL, "cache_control": {"type": "ephemeral"}}]}, "tools[0].cache_control"),
        ("openai", {"messages": asking(MARKED)}, "messages[0].content[0].cache_control"),
        ("openai", {"messages": asking(AUDIO_URL)}, "messages[0].content[0]"),
        ("openai", {"messages": asking(VIDEO_URL)}, "messages[0].content[0]"),
        ("openai", {"messages": [*HELLO, PREFIX]}, "messages[1].prefix"),
        ("groq", {"messages": asking(WAV)}, "messages[0].content[0]"),
        ("groq", {"messages": asking({"type": "file", "file": {"file_id": "f"}})}, "messages[0].content[0]"),
        ("groq", {"messages": [{"role": "assistant", "name": "bob", "content": "Hi"}]}, "messages[0].name"),
        ("groq", {"messages": [*HELLO, REPLY_AUDIO]}, "messages[1].audio"),
        ("openai", {"messages": [{"role": "assistant", "audio": {"transcript": "x"}}]}, "messages[0].audio"),
    ],
)
def test_refused(provider: str, members: Members, param: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        body_of(provider, **members)
    assert refused.value.param == param


@pytest.mark.parametrize("name", ["mistral", "groq", "deepseek", "xai", "together", "fireworks", "cerebras", "ollama"])
def test_what_happens_anyway_is_not_refused(name: str) -> None:
    neutral: Members = {"modalities": ["text"], "store": False, "verbosity": "medium", "user": "u"}
    neutral |= {"metadata": {"conversation_id": "c"}, "web_search_options": None}
    body = body_of(name, **neutral, stream=True, stream_options={"include_usage": False, "include_obfuscation": False})
    assert body.keys() <= {"model", "messages", "stream", "stream_options", "user", "verbosity"}
    assert body.get("stream_options", {"include_usage": True}) == {"include_usage": True}


def test_stream_false_is_passed_on() -> None:
    assert body_of("openai", stream=False)["stream"] is False


def test_an_option_merges_into_a_response_format() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    options = {"openai": {"response_format": {"json_schema": {"strict": False}}}}
    body = body_of("openai", response_format=wanted, provider_options=options)
    assert body["response_format"]["json_schema"] == {"name": "a", "schema": {"type": "object"}, "strict": False}


def test_a_refusal_becomes_text_where_there_is_none() -> None:
    refused = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    tool = {"role": "tool", "tool_call_id": "t", "content": [{"type": "refusal", "refusal": "No."}], "name": "f"}
    assert body_of("groq", messages=[refused, tool])["messages"] == [
        {"role": "assistant", "content": [{"type": "text", "text": "No."}]},
        {"role": "tool", "tool_call_id": "t", "content": [{"type": "text", "text": "No."}]},
    ]


def test_a_provider_without_tools() -> None:
    call = msgspec.convert({"model": "m", "messages": HELLO, "tools": [TOOL]}, ChatCall)
    wire = OpenAiChat(Quirks(lacks=frozenset({"tools"})))
    with pytest.raises(CapabilityNotSupported) as refused:
        wire.render(call, Target("x", ModelFacts(id="m", name="M"), "http://model.example"))
    assert refused.value.param == "tools"


def test_messages_that_need_no_change_are_not_copied() -> None:
    """A 10 MB image is encoded once, not rebuilt."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    given = [{"role": "system", "content": "Hi", "name": "s"}, *asking({"type": "text", "text": "Look"}, image)]
    call = msgspec.convert({"model": "m", "messages": given}, ChatCall)
    assert all(new is old for new, old in zip(messages(call.messages, "x", Quirks()), call.messages, strict=True))
    assert body_of("openai", messages=given)["messages"] == given


def test_reasoning_is_turned_off_in_the_providers_own_words() -> None:
    assert body_of("deepseek", reasoning_effort="none").keys() - {"model", "messages"} == {"thinking"}
    assert body_of("deepseek", reasoning_effort="high")["reasoning_effort"] == "high"
    assert body_of("groq", reasoning_effort="none")["reasoning_effort"] == "none"


@pytest.mark.parametrize(
    ("provider", "api", "sent"),
    [
        ("openai", "chat_completions", None),
        ("openai", "responses", None),
        ("deepseek", "chat_completions", {"thinking": {"type": "disabled"}}),
        ("openrouter", "chat_completions", {"reasoning_effort": "none"}),
        ("together", "chat_completions", {"reasoning": {"enabled": False}}),
    ],
)
def test_not_to_reason_at_a_model_that_has_no_such_level(provider: str, api: str, sent: Any) -> None:
    call = msgspec.convert({"model": "m", "messages": HELLO, "reasoning_effort": "none"}, ChatCall)
    facts = ModelFacts(id="m", name="M", reasoning_efforts=("low", "high"))
    wire, target = provider_named(provider).wires[api], Target(provider, facts, "http://model.example")
    if sent is not None:
        assert json.loads(wire.render(call, target).body).items() >= sent.items()
        return
    with pytest.raises(CapabilityNotSupported) as refused:
        wire.render(call, target)
    assert refused.value.param == "reasoning_effort"


@pytest.mark.parametrize(
    ("api", "param", "context", "told"),
    [
        ("chat_completions", "response_format", "()", "response_format.json_schema.schema"),
        (
            "chat_completions",
            "response_format",
            "('properties', 'a', 'anyOf', '0')",
            "response_format.json_schema.schema.properties.a.anyOf[0]",
        ),
        (
            "responses",
            "text.format.schema",
            "('properties', \"it's\")",
            "response_format.json_schema.schema.properties.it's",
        ),
        ("chat_completions", "tools[0].function.parameters", "('items',)", "tools[0].function.parameters.items"),
        ("chat_completions", "response_format", "", "response_format"),
    ],
)
def test_the_place_in_a_schema_that_is_refused_is_told(api: str, param: str, context: str, told: str) -> None:
    at = f"In context={context}, " if context else ""
    message = f"Invalid schema for response_format 'City': {at}'additionalProperties' is required to be supplied."
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    response = HttpResponse(400, {}, json.dumps({"error": error}).encode())
    target = Target("openai", ModelFacts(id="m", name=""), "https://api.openai.com/v1")
    assert provider_named("openai").wires[api].fail(response, target).param == told
