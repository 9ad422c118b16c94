"""A chat request as hooks see it: the client's own, with its own names for models and tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace as with_members

from gateway.hooks.call_subject import CallSubject, shown
from gateway.hooks.chat_names import fixed_of
from gateway.hooks.media import with_media, without_media
from gateway.hooks.replayed import replayable
from gateway.hooks.schemas import schema_with
from gateway.hooks.subject import Change, Fixed, json_with, options_with, unless_changed
from gateway.model.chat import (
    AssistantMessage,
    ChatCall,
    Content,
    DocumentPart,
    FilePart,
    FunctionTool,
    InlineGtsTool,
    Json,
    JsonSchemaFormat,
    Message,
    Part,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
)
from gateway.model.hook import HookFailed


class ChatRequest(CallSubject[ChatCall], frozen=True):
    PATCHED = frozenset(
        {
            "messages",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "response_format",
            "response_schema",
            "max_tokens",
            "max_completion_tokens",
            "temperature",
            "top_p",
            "top_k",
            "stop",
            "seed",
            "presence_penalty",
            "frequency_penalty",
            "reasoning_effort",
            "verbosity",
        }
    )
    """What a hook may change: what is said and how it is answered. Not whose request it is, which model answers, what a
    token costs, where the reply goes, nor what is handed to a provider as it is.
    """

    def with_texts(self, change: Change) -> ChatRequest:
        call = self.call
        changed = with_members(
            call,
            messages=[_message(message, change) for message in call.messages],
            tools=None if call.tools is None else [_tool(tool, change) for tool in call.tools],
            response_format=_format(call.response_format, change),
            response_schema=schema_with(call.response_schema, change),
            prediction=options_with(call.prediction, change),
            web_search_options=options_with(call.web_search_options, change),
            stop=_stop(call.stop, change),
            prompt_cache_key=unless_changed(call.prompt_cache_key, change),
            safety_identifier=unless_changed(call.safety_identifier, change),
            **self.common_with(change),
        )
        return self.of(changed)

    def own_fixed(self) -> Iterator[Fixed]:
        return fixed_of(self.call)

    def written(self) -> ChatRequest:
        messages = [_without_details(message) for message in self.call.messages]
        return self.of(with_members(self.call, messages=messages))

    def body(self) -> Json:
        return self._shown([])

    def _check(self, call: ChatCall) -> None:
        """What is signed may be left out by a patch, and changed by none."""
        known = [_details(message) for message in self.call.messages]
        if any(details and details not in known for details in map(_details, call.messages)):
            raise HookFailed("patch_details")

    def _given(self, patch: Json) -> Json:
        if "messages" not in patch:
            return patch
        taken: list[str] = []
        self._shown(taken)
        return {**patch, "messages": _each_part(patch["messages"], partial(with_media, taken=taken))}

    def _shown(self, taken: list[str]) -> Json:
        body = shown(self.call)
        return {**body, "messages": _each_part(body["messages"], partial(without_media, taken=taken))}


def _message(message: Message, change: Change) -> Message:
    changed = with_members(message, name=unless_changed(message.name, change))
    if message.content:
        changed = with_members(changed, content=_content(message.content, change))
    if isinstance(changed, AssistantMessage):
        changed = with_members(
            changed,
            refusal=_optional(changed.refusal, change),
            reasoning_content=_optional(changed.reasoning_content, change),
            reasoning_details=replayable(changed.reasoning_details, change),
            tool_calls=None if changed.tool_calls is None else [_call(call, change) for call in changed.tool_calls],
        )
    return changed


def _details(message: Message) -> list[Json] | None:
    return message.reasoning_details if isinstance(message, AssistantMessage) else None


def _without_details(message: Message) -> Message:
    return with_members(message, reasoning_details=None) if isinstance(message, AssistantMessage) else message


def _content(content: Content, change: Change) -> Content:
    return change(content) if isinstance(content, str) else [_part(part, change) for part in content]


def _part(part: Part, change: Change) -> Part:
    if isinstance(part, TextPart):
        return with_members(part, text=change(part.text))
    if isinstance(part, RefusalPart):
        return with_members(part, refusal=change(part.refusal))
    if isinstance(part, DocumentPart):
        return with_members(part, name=_optional(part.name, change))
    if isinstance(part, FilePart):
        return with_members(part, file=with_members(part.file, filename=_optional(part.file.filename, change)))
    return part


def _stop(stop: str | list[str] | None, change: Change) -> str | list[str] | None:
    """Models write the token, so they stop at it."""
    return [change(one) for one in stop] if isinstance(stop, list) else _optional(stop, change)


def _call(call: ToolCall, change: Change) -> ToolCall:
    extra = call.extra_content
    kept = extra if extra is None or replayable([extra], change) else None
    return call_with(with_members(call, extra_content=kept), change)


def call_with(call: ToolCall, change: Change) -> ToolCall:
    """Arguments that are JSON are changed string by string, so that they stay JSON; others as the text they are."""
    arguments = call.function.arguments
    try:
        value = msgspec.json.decode(arguments)
        changed = json_with(value, change)
        text = arguments if changed == value else msgspec.json.encode(changed).decode()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        text = change(arguments)
    return with_members(call, function=with_members(call.function, arguments=text))


def _tool(tool: Tool, change: Change) -> Tool:
    if isinstance(tool, FunctionTool):
        function = tool.function
        parameters = schema_with(function.parameters, change)
        described = with_members(function, description=_optional(function.description, change), parameters=parameters)
        return with_members(tool, function=described)
    if isinstance(tool, InlineGtsTool):
        return with_members(tool, schema=schema_with(tool.schema, change))
    return tool


def _format(wanted: ResponseFormat | None, change: Change) -> ResponseFormat | None:
    if not isinstance(wanted, JsonSchemaFormat):
        return wanted
    named = wanted.json_schema
    schema = schema_with(named.schema, change)
    described = with_members(named, description=_optional(named.description, change), schema=schema)
    return with_members(wanted, json_schema=described)


def _optional(text: str | None, change: Change) -> str | None:
    return change(text) if text else text


def _each_part(messages: Any, change: Callable[[Any], Any]) -> Any:
    """Of messages that may be anything: what is no message is left to be refused by whoever reads it."""
    if not isinstance(messages, list):
        return messages
    return [
        {**message, "content": change(message["content"])}
        if isinstance(message, dict) and isinstance(message.get("content"), list)
        else message
        for message in messages
    ]
