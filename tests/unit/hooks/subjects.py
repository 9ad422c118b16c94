"""Requests and replies as hooks see them, for the tests of hooks."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gateway.hooks.chat_reply import ChatReply
from gateway.hooks.chat_request import ChatRequest
from gateway.model.chat import ChatCall
from gateway.model.reply import Choice, Reply, ReplyMessage
from gateway.pipeline.read import read_chat_call


def read(body: bytes) -> ChatCall:
    return read_chat_call("application/json", body)


def request(*messages: Any, **members: Any) -> ChatRequest:
    """A text stands for a message of the user."""
    said = [{"role": "user", "content": one} if isinstance(one, str) else one for one in messages]
    return ChatRequest(read(json.dumps({"model": "openai/gpt-4o", "messages": said, **members}).encode()), read)


def reply(*contents: str | None, **message: Any) -> ChatReply:
    """A choice for each content."""
    choices = [
        Choice(
            index=index, message=msgspec.convert({"content": content, **message}, ReplyMessage), finish_reason="stop"
        )
        for index, content in enumerate(contents)
    ]
    return ChatReply(Reply(choices=choices), "openai/gpt-4o")


def said(subject: ChatReply) -> list[str | None]:
    return [choice.message.content for choice in subject.reply.choices]


def called(subject: ChatReply) -> list[Any]:
    """Arguments of the first choice's calls."""
    return [json.loads(call.function.arguments) for call in subject.reply.choices[0].message.tool_calls or ()]


TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "send", "arguments": '{"to": "joe@example.org"}'}}
