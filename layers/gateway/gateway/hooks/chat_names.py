"""What of a chat request has to stay as it is: names of tools and schemas, what schemas demand, ids that are texts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.hooks.schemas import schema_demands
from gateway.hooks.subject import Fixed, options_fixed, strings_of
from gateway.model.chat import (
    AssistantMessage,
    ChatCall,
    FunctionTool,
    JsonSchemaFormat,
    Message,
    NamedToolChoice,
    ReferenceTool,
    Tool,
    ToolMessage,
)

_HANDLE = re.compile(r"[\w.:-]{1,128}")
"""An id as providers and SDKs make them, which says nothing."""
_OF_THE_API = {
    *("type", "content", "text", "voice", "format", "ephemeral", "ttl", "5m", "1h", "id"),
    *("search_context_size", "user_location", "approximate", "city", "country", "region", "timezone"),
}


def fixed_of(call: ChatCall) -> Iterator[Fixed]:
    for member, texts in _by_member(call):
        for text in texts:
            yield Fixed(member, text)


def _by_member(call: ChatCall) -> Iterator[tuple[str, Iterator[str]]]:
    for message in call.messages:
        yield "messages", _of_message(message)
    for tool in call.tools or ():
        yield "tools", _of_tool(tool)
    if isinstance(call.tool_choice, NamedToolChoice):
        yield "tool_choice", iter([call.tool_choice.function.name])
    if isinstance(call.response_format, JsonSchemaFormat):
        named = call.response_format.json_schema
        yield "response_format", iter([named.name, *schema_demands(named.schema)])
    yield "response_schema", schema_demands(call.response_schema)
    for member in ("prediction", "web_search_options"):
        yield member, _chosen(options_fixed(getattr(call, member)))
    yield "audio", _chosen(strings_of(call.audio))
    yield "service_tier", strings_of(call.service_tier)
    yield "logit_bias", (token for token in call.logit_bias or () if not token.isdigit())


def _of_message(message: Message) -> Iterator[str]:
    if isinstance(message, ToolMessage):
        yield from _texts([message.tool_call_id])
    if isinstance(message, AssistantMessage):
        for call in message.tool_calls or ():
            yield call.function.name
            yield from _texts([call.id])
    if isinstance(message.content, list):
        for part in message.content:
            yield from _chosen(strings_of(getattr(part, "cache_control", None)))


def _of_tool(tool: Tool) -> Iterator[str]:
    if isinstance(tool, FunctionTool):
        yield tool.function.name
        yield from schema_demands(tool.function.parameters)
        yield from _chosen(strings_of(tool.cache_control))
    elif isinstance(tool, ReferenceTool):
        yield tool.schema_id
    else:
        yield from schema_demands(tool.schema)


def _chosen(texts: Iterator[str]) -> Iterator[str]:
    """Without the words that the API has of itself."""
    return (text for text in texts if text not in _OF_THE_API)


def _texts(ids: list[str]) -> Iterator[str]:
    return (text for text in ids if _HANDLE.fullmatch(text) is None)
