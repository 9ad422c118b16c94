"""From the normalised conversation to Anthropic's `system` and `messages`.

Source: https://platform.claude.com/docs/en/api/messages (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from gateway.model.chat import (
    AssistantMessage,
    Content,
    DeveloperMessage,
    DocumentPart,
    FilePart,
    ImagePart,
    ImageUrlPart,
    Json,
    LargePart,
    Medium,
    Message,
    Part,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
)
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.media_type import is_text
from gateway.providers.contract import PDF, TEXT, WEB_IMAGES
from gateway.providers.wire.anthropic_replay import own_details
from gateway.providers.wire.call_ids import CallIds
from gateway.providers.wire.text_documents import decoded

Blocks: TypeAlias = list[Json]

ASSISTANT_FIRST = "(The assistant speaks first.)"
"""Refused: 'first message must use the "user" role', and on Bedrock "A conversation must start with a user message"."""

READS: Mapping[Medium, tuple[str, ...]] = {"image": WEB_IMAGES, "document": (PDF, TEXT)}
"""As in `InlineLimits`. Sources: https://platform.claude.com/docs/en/build-with-claude/vision,
https://platform.claude.com/docs/en/build-with-claude/files#file-types-and-content-blocks
"""

# "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'": https://github.com/maximhq/bifrost/issues/5097
CALL_IDS = CallIds(r"[a-zA-Z0-9_-]+", 32)


def conversation(messages: Iterable[Message], model: str) -> tuple[str | Blocks, Blocks]:
    """The system prompt ("" for none) and the turns, alternating between user and assistant, for this model.

    Raises CapabilityNotSupported for a part or member that the API has no word for, InvalidRequest for a broken URL.
    """
    system: list[str | Blocks] = []
    turns: Blocks = []
    for position, message in enumerate(messages):
        where = f"messages[{position}]"
        if message.name is not None and not isinstance(message, ToolMessage):
            raise CapabilityNotSupported("Anthropic has no names of participants", param=f"{where}.name")
        if isinstance(message, SystemMessage | DeveloperMessage):
            system.append(_system(message.content, where))
        elif isinstance(message, AssistantMessage):
            _append(turns, "assistant", _assistant(message, where, model))
        elif isinstance(message, ToolMessage):
            _append(turns, "user", [_tool_result(message, where)])
        else:
            _append(turns, "user", _user(message.content, where))
    if not turns:
        raise CapabilityNotSupported("Anthropic answers only to a user message", param="messages")
    if turns[0]["role"] != "user":
        turns.insert(0, {"role": "user", "content": ASSISTANT_FIRST})
    if len(system) == 1 and isinstance(system[0], str):
        return system[0].strip() and system[0], turns
    return [block for content in system for block in _without_blanks(_blocks(content))], turns


def _append(turns: Blocks, role: str, content: str | Blocks) -> None:
    """Turns of one role in a row become one: all results of parallel calls have to be in one user turn.

    Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/parallel-tool-use
    """
    if not content:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] = _blocks(turns[-1]["content"]) + _blocks(content)
    else:
        turns.append({"role": role, "content": content})


def _blocks(content: str | Blocks) -> Blocks:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _content(content: Content, where: str) -> str | Blocks:
    if isinstance(content, str):
        return content
    return [_block(part, f"{where}.content[{position}]") for position, part in enumerate(content)]


def _without_blanks(blocks: Blocks) -> Blocks:
    """Blank text is refused."""
    return [block for block in blocks if block["type"] != "text" or block["text"].strip()]


def _user(content: Content, where: str) -> str | Blocks:
    given = _content(content, where)
    kept = given if isinstance(given, str) else _without_blanks(given)
    if not kept or (isinstance(kept, str) and kept.isspace()):
        raise CapabilityNotSupported("Anthropic takes no blank user messages", param=f"{where}.content")
    return kept


def _system(content: Content, where: str) -> str | Blocks:
    if not isinstance(content, str):
        _only_text(content, where)
    return _content(content, where)


def _only_text(parts: list[Part], where: str) -> None:
    for position, part in enumerate(parts):
        if not isinstance(part, TextPart | RefusalPart):
            raise CapabilityNotSupported(
                "Anthropic takes only text in system and assistant messages", param=f"{where}.content[{position}]"
            )


def _tool_result(message: ToolMessage, where: str) -> Json:
    """A cache mark inside the result moves to the result itself, the only place where it is documented.

    Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching#what-can-be-cached
    """
    content = _content(message.content, where)
    result: Json = {"type": "tool_result", "tool_use_id": CALL_IDS.of(message.tool_call_id)}
    if not isinstance(content, str):
        marks = [block.pop("cache_control") for block in content if "cache_control" in block]
        if marks:
            result["cache_control"] = marks[-1]
        content = _without_blanks(content)
    elif content.isspace():
        content = ""
    return {**result, "content": content} if content else result


def _block(part: Part, where: str) -> Json:
    if isinstance(part, TextPart):
        block: Json = {"type": "text", "text": part.text}
    elif isinstance(part, ImageUrlPart):
        _one_detail(part.image_url.detail, where)
        block = {"type": "image", "source": _source(part.image_url.url, where)}
    elif isinstance(part, ImagePart):
        return {"type": "image", "source": _source(part.url, where)}
    elif isinstance(part, DocumentPart):
        return _document(part.url, part.name, where)
    elif isinstance(part, RefusalPart):
        return {"type": "text", "text": part.refusal}
    elif isinstance(part, FilePart):
        block = _file(part, where)
    else:
        raise CapabilityNotSupported("Anthropic takes no audio or video", param=where)
    if part.cache_control is not None:
        block["cache_control"] = part.cache_control
    return block


def _one_detail(detail: str | None, where: str) -> None:
    if detail in ("low", "original"):
        raise CapabilityNotSupported("Anthropic sees every image in one detail", param=f"{where}.image_url.detail")


def _file(part: FilePart, where: str) -> Json:
    if isinstance(part, LargePart):
        return _uploaded(part, where)
    if part.file.file_data is None:
        raise CapabilityNotSupported("Only a file's content can be sent to Anthropic", param=f"{where}.file")
    return _document(part.file.file_data, part.file.filename, where)


def _uploaded(part: LargePart, where: str) -> Json:
    """Source: https://platform.claude.com/docs/en/build-with-claude/files#file-types-and-content-blocks"""
    source = {"type": "file", "file_id": part.file.file_id or ""}
    if part.medium == "image":
        _one_detail(part.detail, where)
        return {"type": "image", "source": source}
    block: Json = {"type": "document", "source": source}
    return block if part.file.filename is None else {**block, "title": part.file.filename}


def _source(url: str, where: str) -> Json:
    if url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    head, _, data = url.partition(",")
    media_type, *parameters = head.removeprefix("data:").split(";")
    if not head.startswith("data:") or "base64" not in parameters or not media_type:
        raise InvalidRequest(f"{where} has neither an https URL nor a data: URL with a type and base64", param=where)
    return {"type": "base64", "media_type": media_type, "data": data}


def _document(url: str, name: str | None, where: str) -> Json:
    """A PDF, a text or, because a file part may hold one, an image."""
    source = _source(url, where)
    media_type = source.get("media_type", "application/pdf")
    if media_type.startswith("image/"):
        return {"type": "image", "source": source}
    if is_text(media_type):
        source = {"type": "text", "media_type": "text/plain", "data": decoded(source["data"], where)}
    elif media_type != "application/pdf":
        raise CapabilityNotSupported(f"Anthropic reads no documents of type {media_type}", param=where)
    block = {"type": "document", "source": source}
    return block if name is None else {**block, "title": name}


def _assistant(message: AssistantMessage, where: str, model: str) -> str | Blocks:
    if message.audio is not None:
        raise CapabilityNotSupported("Anthropic has no earlier audio to refer to", param=f"{where}.audio")
    content = message.content or message.refusal or ""
    details = own_details(message, where, model)
    calls = [_tool_use(call) for call in message.tool_calls or ()]
    if isinstance(content, str):
        blocks = _woven(details, content, calls)
        return content if blocks == _blocks(content) else _unless_only_thoughts(blocks)
    _only_text(content, where)
    opaque = [detail for detail in details if detail["type"] not in ("text", "tool_use")]
    return _unless_only_thoughts([*opaque, *_without_blanks(_blocks(_content(content, where))), *calls])


def _unless_only_thoughts(blocks: Blocks) -> Blocks:
    """A turn without words is refused, and one may not end in thinking: it was cut before it said anything."""
    return blocks if any(block["type"] not in ("thinking", "redacted_thinking") for block in blocks) else []


def _woven(details: Blocks, text: str, calls: Blocks) -> Blocks:
    """Opaque blocks at their marks (see `anthropic_parse.Places`), then what is left of text and calls.

    Without marks the opaque blocks come first, as the API demands of thinking. Blank text is left out: it is refused.
    """
    blocks: Blocks = []
    left = list(calls)
    for detail in details:
        if detail["type"] == "text":
            chars = max(0, detail["chars"])
            blocks.append({"type": "text", "text": text[:chars]})
            text = text[chars:]
        elif detail["type"] == "tool_use":
            named = [call for call in left if call["id"] == detail.get("id")]
            blocks += named
            left = [call for call in left if call not in named]
        else:
            blocks.append(detail)
    blocks.append({"type": "text", "text": text})
    return _without_blanks(blocks) + left


def _tool_use(call: ToolCall) -> Json:
    """`extra_content.anthropic` may hold who called, for which the normalised call has no word."""
    block: Json = {"type": "tool_use", "id": CALL_IDS.of(call.id), "name": call.function.name}
    block["input"] = _input(call.function.arguments)
    extra = (call.extra_content or {}).get("anthropic")
    return {**block, "caller": extra["caller"]} if isinstance(extra, dict) and "caller" in extra else block


def _input(arguments: str) -> msgspec.Raw | Json:
    """The arguments byte for byte; those that are no JSON object are wrapped the way the documentation advises.

    Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
    """
    if not arguments.strip():
        return {}
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return {"INVALID_JSON": arguments}
    return msgspec.Raw(arguments)
