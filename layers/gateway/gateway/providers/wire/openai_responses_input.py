"""The normalised conversation as input items of OpenAI's responses.

Source: https://platform.openai.com/docs/api-reference/responses/create#responses-create-input (2026-11)
"""

from __future__ import annotations

from typing import Any, NoReturn

from gateway.model.chat import (
    AssistantMessage,
    Content,
    DeveloperMessage,
    DocumentPart,
    FilePart,
    FileRef,
    ImagePart,
    ImageUrlPart,
    Json,
    Message,
    Part,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolMessage,
)
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.contract import Target
from gateway.providers.wire.call_ids import CallIds
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_responses_items import CALL, CALL_MEMBERS, TEXT, with_image
from gateway.providers.wire.openai_responses_replay import own_details
from gateway.providers.wire.text_documents import text_of

# "Invalid 'input[3].call_id': string too long", beyond 64: https://github.com/decolua/9router/issues/393
CALL_IDS = CallIds(r".{1,64}", 40)


def items(given: list[Message], target: Target, quirks: Quirks) -> list[Json]:
    """Raises CapabilityNotSupported (400) for what the API has no word for."""
    result: list[Json] = []
    for position, message in enumerate(given):
        where = f"messages[{position}]"
        if isinstance(message, AssistantMessage):
            result += _assistant(message, where, target)
        elif isinstance(message, ToolMessage):
            output: Json = {"call_id": CALL_IDS.of(message.tool_call_id)}
            output["output"] = _content(message.content, f"{where}.content", target)
            result.append({"type": "function_call_output", **output})
        else:
            if message.name is not None:
                _refuse(target, f"{where}.name", "'name' on messages")
            role = str(message.__struct_config__.tag)
            if isinstance(message, DeveloperMessage) and not quirks.developer_role:
                role = "system"
            result.append({"role": role, "content": _content(message.content, f"{where}.content", target)})
    return result


def _refuse(target: Target, where: str, what: str) -> NoReturn:
    raise CapabilityNotSupported(f"{target.provider} does not support {what}.", param=where)


def _content(content: Content, where: str, target: Target) -> str | list[Json]:
    if isinstance(content, str):
        return content
    return [_part(part, f"{where}[{position}]", target) for position, part in enumerate(content)]


def _part(part: Part, where: str, target: Target) -> Json:
    if getattr(part, "cache_control", None) is not None:
        _refuse(target, f"{where}.cache_control", "'cache_control'")
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, RefusalPart):
        return {"type": "input_text", "text": part.refusal}
    if isinstance(part, ImageUrlPart):
        image: Json = {"type": "input_image", "image_url": part.image_url.url}
        return image if part.image_url.detail is None else {**image, "detail": part.image_url.detail}
    if isinstance(part, ImagePart):
        return {"type": "input_image", "image_url": part.url}
    if isinstance(part, FilePart):
        return _file(part.file, where)
    if isinstance(part, DocumentPart):
        return _document(part, where)
    _refuse(target, where, f"'{part.__struct_config__.tag}' parts with this API")


def _file(file: FileRef, where: str) -> Json:
    """A text as it goes by chat completions: as a file only the first 1,000 rows of a table would be read.

    Source: https://developers.openai.com/api/docs/guides/file-inputs (2026-11)
    """
    if file.file_data is None:
        return {"type": "input_file", "file_id": file.file_id}
    if (text := text_of(file.file_data, file.filename, where)) is not None:
        return {"type": "input_text", "text": text}
    return {"type": "input_file", "filename": file.filename or _name(file.file_data), "file_data": file.file_data}


def _document(part: DocumentPart, where: str) -> Json:
    if (text := text_of(part.url, part.name, where)) is not None:
        return {"type": "input_text", "text": text}
    if not part.url.startswith("data:"):
        return {"type": "input_file", "file_url": part.url}
    return {"type": "input_file", "filename": part.name or _name(part.url), "file_data": part.url}


def _name(data_url: str) -> str:
    """Inline data needs a name, by which the kind of file is known."""
    media_type = data_url.partition(";")[0].removeprefix("data:")
    return f"document.{media_type.rpartition('/')[2] or 'pdf'}"


def _assistant(message: AssistantMessage, where: str, target: Target) -> list[Json]:
    """Items of an earlier reply stand where they stood in it; what has no place follows, text before tool calls."""
    for name, what in (("name", "'name' on messages"), ("audio", "audio of an earlier reply")):
        if getattr(message, name) is not None:
            _refuse(target, f"{where}.{name}", what)
    if message.prefix:
        _refuse(target, f"{where}.prefix", "'prefix' on messages")
    turn = _Turn(message, f"{where}.content", target)
    for detail in own_details(message, where, target.provider):
        turn.place(detail)
    return turn.whole()


class _Turn:
    """One assistant message on its way to items."""

    def __init__(self, message: AssistantMessage, where: str, target: Target) -> None:
        self._items: list[Json] = []
        self._text, self._parts = _spoken(message, where, target)
        self._calls = list(message.tool_calls or ())
        self._media = list(message.media or ())
        self._provider = target.provider
        self._must_speak = not self._calls and not message.reasoning_details

    def place(self, detail: Json) -> None:
        if detail["type"] == TEXT:
            chars = max(0, detail["chars"])
            self._say(self._text[:chars], detail.get("phase"))
            self._text = self._text[chars:]
        elif detail["type"] == CALL:
            place = next((place for place, call in enumerate(self._calls) if call.id == detail.get("id")), None)
            if place is not None:
                self._items.append(_call(self._calls.pop(place), self._provider))
        else:
            self._item(detail)

    def whole(self) -> list[Json]:
        if self._parts:
            said = [{"type": "output_text", "text": self._text}] if self._text else []
            self._items.append({"role": "assistant", "content": [*said, *self._parts]})
        elif self._text or (self._must_speak and not self._items):
            self._items.append({"role": "assistant", "content": self._text})
        return self._items + [_call(call, self._provider) for call in self._calls]

    def _say(self, text: str, phase: Any) -> None:
        if text:
            said = {} if phase is None else {"phase": phase}
            self._items.append({"role": "assistant", "content": text, **said})

    def _item(self, detail: Json) -> None:
        item = with_image(detail["item"], self._media) if detail.get("image") else detail["item"]
        if item is not None:
            self._items.append(item)


def _spoken(message: AssistantMessage, where: str, target: Target) -> tuple[str, list[Json]]:
    """The text, which items may have to be put between, and parts that follow it."""
    refusal = [{"type": "refusal", "refusal": message.refusal}] if message.refusal else []
    content = message.content or ""
    if isinstance(content, str):
        return content, refusal
    texts = [part.text for part in content if isinstance(part, TextPart) and part.cache_control is None]
    if len(texts) == len(content):
        return "".join(texts), refusal
    return "", [_own_part(part, f"{where}[{position}]", target) for position, part in enumerate(content)] + refusal


def _own_part(part: Part, where: str, target: Target) -> Json:
    if isinstance(part, TextPart) and part.cache_control is None:
        return {"type": "output_text", "text": part.text}
    if isinstance(part, RefusalPart):
        return {"type": "refusal", "refusal": part.refusal}
    _refuse(target, where, "this part in an assistant message")


def _call(call: ToolCall, provider: str) -> Json:
    item = {"type": "function_call", "call_id": CALL_IDS.of(call.id), "name": call.function.name}
    item["arguments"] = call.function.arguments
    kept = (call.extra_content or {}).get(provider)
    return item | {name: kept[name] for name in CALL_MEMBERS if name in kept} if isinstance(kept, dict) else item
