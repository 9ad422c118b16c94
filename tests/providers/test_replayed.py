"""What a client sends back as reasoning may be its own invention: it leads to nothing that is not in the request."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.providers.contract import Target
from gateway.providers.lookup import provider_named

Json = dict[str, Any]

APIS: dict[str, Any] = {
    "anthropic": "messages",
    "bedrock": "converse",
    "google": "generate_content",
    "openai": "responses",
    "openrouter": "chat_completions",
    "mistral": "chat_completions",
    "cohere": "cohere_chat",
}
AT = "messages[1].reasoning_details[0]"
NAMED = "made-up"


def item(kind: str, **members: Any) -> Json:
    return {"type": "responses.item", "provider": "openai", "item": {"type": kind, **members}}


def part(**members: Any) -> Json:
    return {"type": "gemini.part", "part": members}


def block(kind: str, **members: Any) -> Json:
    return {"type": kind, kind: members}


def sent(provider: str, *details: Json, **members: Any) -> str:
    """The body that the provider gets."""
    said = {"role": "assistant", "content": "Hi", "reasoning_details": list(details), **members}
    history = [{"role": "user", "content": "Hello"}, said, {"role": "user", "content": "And?"}]
    call = msgspec.convert({"model": "m", "messages": history}, ChatCall)
    facts = ModelFacts(id="m", name="M", api=APIS[provider], dialect="anthropic")
    return (
        provider_named(provider)
        .wires[APIS[provider]]
        .render(call, Target(provider, facts, "https://host.example"))
        .body.decode()
    )


DOCUMENT = {"type": "document", "source": {"type": "url", "url": f"https://{NAMED}.example"}}
STORED = {"type": "document", "source": {"type": "file", "file_id": NAMED}}


@pytest.mark.parametrize(
    ("provider", "detail", "param"),
    [
        ("anthropic", {"type": "thinking", "thinking": "Hm"}, ".signature"),
        ("anthropic", {"type": "thinking", "signature": "c2ln"}, ".thinking"),
        ("anthropic", {"type": "redacted_thinking", "data": 7}, ".data"),
        ("anthropic", {"type": "text", "chars": "3"}, ".chars"),
        ("anthropic", {"type": "server_tool_use", "id": "s", "name": "web_search"}, ".input"),
        ("anthropic", {"type": "web_search_tool_result", "content": []}, ".tool_use_id"),
        (
            "anthropic",
            {"type": "web_fetch_tool_result", "tool_use_id": "s", "content": {"content": DOCUMENT}},
            ".content.content.source",
        ),
        ("anthropic", {"type": "mcp_tool_result", "tool_use_id": "s", "content": [STORED]}, ".content[0].source"),
        (
            "anthropic",
            {"type": "mcp_tool_result", "tool_use_id": "s", "content": [{"type": "container_upload", "file_id": "f"}]},
            ".content[0]",
        ),
        (
            "anthropic",
            {"type": "redacted_thinking", "data": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            ".cache_control",
        ),
        ("bedrock", {"type": "thinking", "thinking": "Hm"}, ".signature"),
        ("bedrock", {"type": "reasoningContent", "reasoningContent": "Hm"}, ".reasoningContent"),
        (
            "bedrock",
            block("reasoningContent", reasoningText={"text": "Hm"}),
            ".reasoningContent.reasoningText.signature",
        ),
        ("bedrock", block("reasoningContent", redactedContent=7), ".reasoningContent.redactedContent"),
        ("bedrock", block("toolUse", toolUseId="t", name="f", input={}), ".toolUse.type"),
        (
            "bedrock",
            block("toolResult", toolUseId="t", content=[{"document": {"source": {"s3Location": {"uri": "s3://b/k"}}}}]),
            ".toolResult.content[0]",
        ),
        ("google", {"type": "gemini.text", "chars": "3"}, ".chars"),
        ("google", {"type": "gemini.text", "chars": 1, "thought_signature": 7}, ".thought_signature"),
        ("google", {"type": "gemini.part", "part": "x"}, ".part"),
        ("google", {"type": "gemini.call"}, ".id"),
        ("google", part(fileData={"fileUri": f"https://{NAMED}.example"}), ".part.fileData"),
        ("google", part(file_data={"file_uri": f"gs://{NAMED}"}), ".part.file_data"),
        ("google", part(functionResponse={"name": "f", "parts": []}), ".part.functionResponse"),
        ("google", part(text="Obey"), ".part.text"),
        ("google", part(inlineData={"mimeType": "image/png", "data": "cG5n"}), ".part.inlineData"),
        ("google", part(thought=True, inlineData={"mimeType": "image/png", "data": "AAAA"}), ".part.inlineData"),
        ("openai", {"type": "responses.item", "provider": "openai"}, ".item"),
        ("openai", {"type": "responses.text", "provider": "openai", "chars": "3"}, ".chars"),
        ("openai", item("reasoning", id=NAMED, summary=[]), ".item.encrypted_content"),
        (
            "openai",
            item("tool_search_output", tools=[{"type": "mcp", "server_url": "https://x"}]),
            ".item.tools[0].server_url",
        ),
        ("openrouter", {"type": "reasoning.encrypted", "data": None}, ".data"),
        ("openrouter", {"type": "reasoning.text", "text": 7}, ".text"),
        ("mistral", {"type": "thinking", "thinking": [{"type": "image_url", "image_url": NAMED}]}, ".thinking[0]"),
        ("mistral", {"type": "thinking", "thinking": ["Hm"]}, ".thinking[0]"),
        ("cohere", {"type": "cohere.thinking", "thinking": 7}, ".thinking"),
        ("cohere", {"type": "cohere.tool_plan"}, ".tool_plan"),
    ],
)
def test_what_is_malformed_or_not_in_the_request_is_refused_by_name(provider: str, detail: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sent(provider, detail)
    assert (refused.value.code, refused.value.param) == ("validation_error", f"{AT}{param}")


@pytest.mark.parametrize(
    ("provider", "detail"),
    [
        ("openai", item("message", role="system", content=NAMED)),
        ("openai", item("item_reference", id=NAMED)),
        ("openai", item("input_file", file_id=NAMED)),
        ("openai", item("function_call_output", call_id="c", output=NAMED)),
        ("openai", item("computer_call_output", call_id="c", output={"type": "input_image", "file_id": NAMED})),
        ("openai", item("code_interpreter_call", id="ci", container_id=NAMED, code="")),
        ("openai", item("image_generation_call", id=NAMED, status="completed", result=None)),
        ("anthropic", {"type": "tool_result", "tool_use_id": "t", "content": NAMED}),
        ("anthropic", {"type": "document", "source": {"type": "file", "file_id": NAMED}}),
        ("anthropic", {"type": "container_upload", "file_id": NAMED}),
        ("bedrock", block("document", name="d", source={"s3Location": {"uri": f"s3://{NAMED}"}})),
        ("bedrock", {"type": ["reasoningContent"], "text": NAMED}),
        ("google", {"type": "gemini.file", "part": {"fileData": {"fileUri": NAMED}}}),
        ("openrouter", {"type": "reasoning.server_tool_call", "id": NAMED}),
        ("openrouter", {"type": {"a": NAMED}}),
        ("mistral", {"type": "document_url", "document_url": NAMED}),
    ],
)
def test_what_is_no_part_of_a_reply_is_left_out(provider: str, detail: Json) -> None:
    assert NAMED not in sent(provider, detail)


@pytest.mark.parametrize(
    ("provider", "detail", "as_sent"),
    [
        ("anthropic", {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}, None),
        (
            "anthropic",
            {
                "type": "web_search_tool_result",
                "tool_use_id": "s",
                "content": [{"type": "web_search_result", "url": "https://a.example", "encrypted_content": "x"}],
            },
            None,
        ),
        ("anthropic", {"type": "compaction", "content": "So far"}, None),
        ("google", part(executableCode={"language": "PYTHON", "code": "1"}, thoughtSignature="eA=="), "part"),
        ("google", part(text="Hm", thought=True, thoughtSignature="eA=="), "part"),
        ("openai", item("web_search_call", id="ws", action={"type": "open_page", "url": "https://a.example"}), "item"),
        ("openrouter", {"type": "reasoning.text", "text": None, "signature": "c2ln", "index": 0}, None),
        ("mistral", {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}], "closed": True}, None),
    ],
)
def test_what_a_reply_has_goes_back_as_it_came(provider: str, detail: Json, as_sent: str | None) -> None:
    expected = detail if as_sent is None else detail[as_sent]
    assert json.dumps(expected, separators=(",", ":")) in sent(provider, detail)


def test_a_call_brings_back_who_called_and_nothing_else() -> None:
    extra = {"caller": {"type": "code_execution_20260120", "tool_id": "s"}, "cache_control": {"type": "ephemeral"}}
    function = {"name": "f", "arguments": "{}"}
    call = {"id": "t", "type": "function", "function": function, "extra_content": {"anthropic": extra}}
    body = sent("anthropic", tool_calls=[call])
    assert '"tool_id":"s"' in body
    assert "cache_control" not in body


def test_gemini_reads_no_addresses_of_earlier_media() -> None:
    media = [{"type": "video", "content_type": "video/mp4", "url": "https://youtu.be/x"}]
    with pytest.raises(CapabilityNotSupported) as refused:
        sent("google", media=media)
    assert refused.value.param == "messages[1].media[0]"
