"""From the normalised conversation to Converse's `system` and `messages`.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import (
    AssistantMessage,
    Content,
    DeveloperMessage,
    Json,
    Message,
    Part,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
)
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.wire.anthropic_content import ASSISTANT_FIRST
from gateway.providers.wire.call_ids import CallIds
from gateway.providers.wire.converse_media import DocumentNames, media_block
from gateway.providers.wire.converse_replay import BLOCKS, own_details

Blocks: TypeAlias = list[Json]

DOCUMENT_ALONE = "(See the document.)"
"""Refused: "If you include a ContentBlock with a document field in the array, you must also include a ContentBlock with
a text field". Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html
"""
RESULT_KINDS = ("text", "image", "document", "video", "cachePoint")
# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html; Claude takes no dots and colons
CALL_IDS = CallIds(r"[a-zA-Z0-9_-]{1,64}", 32)


def cache_point(mark: Json) -> Json:
    """`cache_control` as a block of its own, which stands behind what is to be cached.

    Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CachePointBlock.html
    """
    point = {"type": "default"}
    return {"cachePoint": {**point, "ttl": mark["ttl"]} if "ttl" in mark else point}


class Conversation:
    """`turns` alternate between user and assistant. `has_tools`: whether a tool was called or answered in them.

    Raises CapabilityNotSupported for a part or member that the API has no word for, InvalidRequest for a broken URL.
    """

    def __init__(self, messages: Iterable[Message], model: ModelFacts) -> None:
        self.system: Blocks = []
        self.turns: Blocks = []
        self.has_tools = False
        self._model = model
        self._names = DocumentNames()
        for position, message in enumerate(messages):
            self._add(message, f"messages[{position}]")
        if not self.turns:
            raise CapabilityNotSupported("Bedrock answers only to a user message", param="messages")
        if self.turns[0]["role"] != "user":
            self.turns.insert(0, {"role": "user", "content": [{"text": ASSISTANT_FIRST}]})
        for turn in self.turns:
            if _has(turn, "document") and not _has(turn, "text"):
                turn["content"].append({"text": DOCUMENT_ALONE})

    def _add(self, message: Message, where: str) -> None:
        if message.name is not None and not isinstance(message, ToolMessage):
            raise CapabilityNotSupported("Bedrock has no names of participants", param=f"{where}.name")
        if isinstance(message, SystemMessage | DeveloperMessage):
            self.system += self._texts(message.content, where)
        elif isinstance(message, AssistantMessage):
            self._append("assistant", self._assistant(message, where))
        elif isinstance(message, ToolMessage):
            self._append("user", self._tool_result(message, where))
        else:
            self._append("user", self._user(message.content, where))

    def _user(self, content: Content, where: str) -> Blocks:
        blocks = _without_blanks(self._content(content, where))
        if not blocks:
            raise CapabilityNotSupported("Bedrock takes no blank user messages", param=f"{where}.content")
        return blocks

    def _append(self, role: str, blocks: Blocks) -> None:
        """Turns of one role in a row become one: all results of parallel calls have to be in one user turn."""
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        elif blocks:
            self.turns.append({"role": role, "content": blocks})

    def _content(self, content: Content, where: str) -> Blocks:
        if isinstance(content, str):
            return [{"text": content}]
        return [
            block
            for position, part in enumerate(content)
            for block in self._blocks(part, f"{where}.content[{position}]")
        ]

    def _blocks(self, part: Part, where: str) -> Blocks:
        if isinstance(part, RefusalPart):
            return [{"text": part.refusal}]
        block = {"text": part.text} if isinstance(part, TextPart) else media_block(part, where, self._names)
        mark = getattr(part, "cache_control", None)
        return [block, cache_point(mark)] if mark is not None else [block]

    def _texts(self, content: Content, where: str) -> Blocks:
        if not isinstance(content, str):
            for position, part in enumerate(content):
                if not isinstance(part, TextPart | RefusalPart):
                    raise CapabilityNotSupported(
                        "Bedrock takes only text in system and assistant messages", param=f"{where}.content[{position}]"
                    )
        return _without_blanks(self._content(content, where))

    def _tool_result(self, message: ToolMessage, where: str) -> Blocks:
        """A cache mark inside the result moves behind the result, the only place for one."""
        self.has_tools = True
        blocks = _without_blanks(self._content(message.content, where))
        for block in blocks:
            if not set(RESULT_KINDS) & set(block):
                raise CapabilityNotSupported("Bedrock takes no audio in a tool's result", param=f"{where}.content")
        result = {
            "toolUseId": CALL_IDS.of(message.tool_call_id),
            "content": [block for block in blocks if "cachePoint" not in block],
        }
        return [{"toolResult": result}, *[block for block in blocks if "cachePoint" in block][-1:]]

    def _assistant(self, message: AssistantMessage, where: str) -> Blocks:
        """A turn of nothing but reasoning is left out: newer Claude models take it for the beginning of their answer.

        Source: https://github.com/NousResearch/hermes-agent/issues/105780
        """
        if message.audio is not None:
            raise CapabilityNotSupported("Bedrock has no earlier audio to refer to", param=f"{where}.audio")
        content = message.content or message.refusal or ""
        details = own_details(message, where, self._model)
        calls = [_tool_use(call) for call in message.tool_calls or ()]
        if isinstance(content, str):
            blocks = _woven(details, content, calls)
        else:
            opaque = [_opaque(detail) for detail in details if detail["type"] in BLOCKS]
            blocks = [*opaque, *self._texts(content, where), *calls]
        self.has_tools = self.has_tools or any("toolUse" in block for block in blocks)
        return blocks if any("reasoningContent" not in block for block in blocks) else []


def _has(turn: Json, kind: str) -> bool:
    return any(kind in block for block in turn["content"])


def _opaque(detail: Json) -> Json:
    return {detail["type"]: detail[detail["type"]]}


def _woven(details: Blocks, text: str, calls: Blocks) -> Blocks:
    """Opaque blocks at their marks (see `anthropic_parse.Places`), then what is left of text and calls."""
    blocks: Blocks = []
    left = list(calls)
    for detail in details:
        if detail["type"] == "text":
            chars = max(0, detail["chars"])
            blocks.append({"text": text[:chars]})
            text = text[chars:]
        elif detail["type"] == "tool_use":
            named = [call for call in left if call["toolUse"]["toolUseId"] == detail.get("id")]
            blocks += named
            left = [call for call in left if call not in named]
        else:
            blocks.append(_opaque(detail))
    blocks.append({"text": text})
    return _without_blanks(blocks) + left


def _without_blanks(blocks: Blocks) -> Blocks:
    """Blank text is refused."""
    return [block for block in blocks if "text" not in block or block["text"].strip()]


def in_words(turns: Blocks) -> Blocks:
    """The turns with calls and results as text: Bedrock takes neither without tools, and has no choice "none"."""
    names: dict[str, str] = {}
    return [
        {**turn, "content": [told for block in turn["content"] for told in _in_words(block, names)]} for turn in turns
    ]


def _in_words(block: Json, names: dict[str, str]) -> Blocks:
    if (use := block.get("toolUse")) is not None:
        names[use["toolUseId"]] = use["name"]
        return [{"text": f"[Called {use['name']}: {msgspec.json.encode(use['input']).decode()}]"}]
    if (result := block.get("toolResult")) is not None:
        parts = result["content"]
        text = "".join(part["text"] for part in parts if "text" in part)
        told = {"text": f"[{names.get(result['toolUseId'], 'A tool')} gave: {text}]"}
        return [told, *(part for part in parts if "text" not in part)]
    return [block]


def _tool_use(call: ToolCall) -> Json:
    use = {"toolUseId": CALL_IDS.of(call.id), "name": call.function.name, "input": _input(call.function.arguments)}
    return {"toolUse": use}


def _input(arguments: str) -> msgspec.Raw | Json:
    """The arguments byte for byte; those that are no JSON object are wrapped, for Bedrock takes only objects."""
    if not arguments.strip():
        return {}
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return {"INVALID_JSON": arguments}
    return msgspec.Raw(arguments)
