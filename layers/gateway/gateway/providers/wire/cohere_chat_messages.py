"""From the normalised conversation to the `messages` of Cohere's chat API.

Source: https://docs.cohere.com/reference/chat (2026-11).
"""

from __future__ import annotations

from base64 import b64decode

import msgspec

from gateway.model.chat import (
    AssistantMessage,
    DocumentPart,
    FilePart,
    ImagePart,
    ImageUrlPart,
    Json,
    Message,
    Part,
    RefusalPart,
    TextPart,
    ToolMessage,
    UserMessage,
)
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.providers.wire.replayed import check_members, replayed

THINKING = "cohere.thinking"
TOOL_PLAN = "cohere.tool_plan"
"""Types of the reasoning blocks that a reply has and the next turn brings back."""


def messages(given: list[Message]) -> list[Json]:
    """Raises CapabilityNotSupported for what the API has no word for, InvalidRequest for a broken URL."""
    return [_message(message, f"messages[{position}]") for position, message in enumerate(given)]


def _message(message: Message, where: str) -> Json:
    if isinstance(message, ToolMessage):
        content = _content(message, f"{where}.content")
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": content}
    if message.name is not None:
        raise CapabilityNotSupported("Cohere has no names of participants.", param=f"{where}.name")
    if isinstance(message, AssistantMessage):
        return _assistant(message, where)
    role = "user" if isinstance(message, UserMessage) else "system"
    return {"role": role, "content": _content(message, f"{where}.content")}


def _content(message: Message, where: str) -> str | list[Json]:
    content = message.content
    return _parts(content, message, where) if isinstance(content, list) else str(content)


def _parts(parts: list[Part], message: Message, where: str) -> list[Json]:
    return [_part(part, message, f"{where}[{position}]") for position, part in enumerate(parts)]


def _part(part: Part, message: Message, where: str) -> Json:
    """Images are for users to send, documents for tools to give back; text is for everybody."""
    if getattr(part, "cache_control", None) is not None:
        raise CapabilityNotSupported("Cohere takes no cache marks.", param=f"{where}.cache_control")
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, RefusalPart):
        return {"type": "text", "text": part.refusal}
    if isinstance(part, ImageUrlPart | ImagePart) and isinstance(message, UserMessage):
        return {"type": "image_url", "image_url": _image(part, where)}
    if isinstance(part, FilePart | DocumentPart) and isinstance(message, ToolMessage):
        return {"type": "document", "document": _document(part, where)}
    kind, role = part.__struct_config__.tag, message.__struct_config__.tag
    raise CapabilityNotSupported(f"Cohere takes no '{kind}' parts in {role} messages.", param=where)


def _image(part: ImageUrlPart | ImagePart, where: str) -> Json:
    if isinstance(part, ImagePart):
        return {"url": part.url}
    detail = part.image_url.detail
    if detail == "original":
        raise CapabilityNotSupported("Cohere has no image detail 'original'.", param=f"{where}.image_url.detail")
    return {"url": part.image_url.url} if detail is None else {"url": part.image_url.url, "detail": detail}


def _document(part: FilePart | DocumentPart, where: str) -> Json:
    """A JSON object is the document's data, a text one member of it; the name is what citations refer to."""
    if isinstance(part, DocumentPart):
        url, name = part.url, part.name
    else:
        url, name = part.file.file_data or "", part.file.filename
    head, _, encoded = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        raise CapabilityNotSupported("Cohere takes a tool's documents as data: URLs with base64.", param=where)
    media_type = head.removeprefix("data:").partition(";")[0]
    try:
        text = b64decode(encoded, validate=True).decode()
    except ValueError:
        raise InvalidRequest(f"{where} is no base64 of a text.", param=where) from None
    data = _object(text, where) if media_type == "application/json" else {"text": text}
    if media_type != "application/json" and not media_type.startswith("text/"):
        raise CapabilityNotSupported(f"Cohere reads no documents of type {media_type}.", param=where)
    return {"data": data} if name is None else {"id": name, "data": data}


def _object(text: str, where: str) -> Json:
    try:
        return msgspec.json.decode(text, type=Json)
    except msgspec.MsgspecError:
        raise InvalidRequest(f"{where} is no JSON object.", param=where) from None


def _assistant(message: AssistantMessage, where: str) -> Json:
    if message.audio is not None:
        raise CapabilityNotSupported("Cohere hears no audio.", param=f"{where}.audio")
    if message.prefix:
        raise CapabilityNotSupported("Cohere continues no messages.", param=f"{where}.prefix")
    rendered: Json = {"role": "assistant"}
    # Blocks of another provider, after a fallback or a change of models, are not for this one.
    if plans := _thoughts(message, TOOL_PLAN, "tool_plan", where):
        rendered["tool_plan"] = "".join(plans)
    if (content := _said(message, where)) is not None:
        rendered["content"] = content
    if message.tool_calls:
        rendered["tool_calls"] = [
            {"id": call.id, "type": "function", "function": call.function} for call in message.tool_calls
        ]
    return rendered


def _said(message: AssistantMessage, where: str) -> str | list[Json] | None:
    """Thoughts come before the text. A refusal of an earlier reply is text."""
    said = message.refusal
    thoughts = [
        {"type": "thinking", "thinking": thought} for thought in _thoughts(message, THINKING, "thinking", where)
    ]
    if isinstance(message.content, list):
        return [*thoughts, *_parts(message.content, message, f"{where}.content")]
    if isinstance(message.content, str):
        said = message.content
    if not thoughts:
        return said
    return [*thoughts, {"type": "text", "text": said}] if said else thoughts


def _thoughts(message: AssistantMessage, kind: str, member: str, where: str) -> list[str]:
    own = [(at, detail) for at, detail in replayed(message, where) if detail.get("type") == kind]
    for at, detail in own:
        check_members(detail, {member: str}, at)
    return [detail[member] for _, detail in own]
