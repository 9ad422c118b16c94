"""Messages and content parts for OpenAI's chat completions. What needs no change is passed on as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET

from gateway.model.chat import (
    AssistantMessage,
    AudioPart,
    Content,
    DeveloperMessage,
    DocumentPart,
    FilePart,
    ImagePart,
    ImageUrlPart,
    InputAudioPart,
    Json,
    Message,
    Part,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolMessage,
    VideoPart,
)
from gateway.providers.contract import PDF
from gateway.providers.wire.lacking import lacking
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_chat_replay import reasoning_blocks, thinking_parts
from gateway.providers.wire.text_documents import text_of

Rendered: TypeAlias = Any
"""A struct that is sent unchanged, or a plain object."""


UNDERSTOOD: Json = {"role": "assistant", "content": "OK"}


def messages(given: list[Message], provider: str, quirks: Quirks) -> list[Rendered]:
    """Raises CapabilityNotSupported (400) for what this provider cannot take."""
    rendered: list[Rendered] = []
    media: list[Rendered] = []
    before: Message | None = None
    for position, message in enumerate(given):
        where = f"messages[{position}]"
        if isinstance(message, ToolMessage):
            rendered.append(_result(message, where, provider, quirks, media))
        elif quirks.empty_answers or not _is_empty(message):
            if isinstance(before, ToolMessage):
                rendered += _after_results(media, quirks, is_answer=isinstance(message, AssistantMessage))
                media = []
            rendered.append(_message(message, where, provider, quirks))
        else:
            continue
        before = message
    return rendered + _after_results(media, quirks, is_answer=True)


def _is_empty(message: Message) -> bool:
    """An answer that says nothing and calls nothing."""
    if not isinstance(message, AssistantMessage):
        return False
    return not (message.content or message.tool_calls or message.refusal or message.audio)


def _after_results(media: list[Rendered], quirks: Quirks, *, is_answer: bool) -> list[Rendered]:
    """What stands between the results of tools and the next message, which may be their answer."""
    shown = [{"role": "user", "content": media}] if media else []
    needs_answer = bool(shown) or not is_answer
    return [UNDERSTOOD, *shown] if needs_answer and not quirks.user_after_results else shown


def _result(message: ToolMessage, where: str, provider: str, quirks: Quirks, media: list[Rendered]) -> Rendered:
    """`media` takes what is no text: a model sees it in user messages only, and so after all results.

    Sources: https://github.com/openai/openai-openapi/issues/523, https://github.com/OpenHands/OpenHands/issues/7700
    """
    call_id = quirks.call_ids.of(message.tool_call_id)
    content = _content(message.content, f"{where}.content", provider, quirks)
    if not isinstance(message.content, str):
        is_text = [isinstance(part, TextPart | RefusalPart) for part in message.content]
        if not all(is_text):
            media.append({"type": "text", "text": f"Media of the result of {call_id}:"})
            media += [part for part, stays in zip(content, is_text, strict=True) if not stays]
            content = [part for part, stays in zip(content, is_text, strict=True) if stays] or "Its media follow."
    if content is message.content and call_id == message.tool_call_id and (message.name is None or quirks.names):
        return message
    name = message.name if quirks.names else None  # the call's id says it already
    return _object("tool", content=content, tool_call_id=call_id, name=name)


def _message(message: Message, where: str, provider: str, quirks: Quirks) -> Rendered:
    if isinstance(message, AssistantMessage):
        return _assistant(message, where, provider, quirks)
    content = _content(message.content, f"{where}.content", provider, quirks)
    if message.name is not None and not quirks.names:
        raise lacking(provider, f"{where}.name", "'name' on messages")
    if isinstance(message, DeveloperMessage) and not quirks.developer_role:
        return _object("system", content=content, name=message.name)
    if content is message.content:
        return message
    return _object(str(message.__struct_config__.tag), content=content, name=message.name)


def _assistant(message: AssistantMessage, where: str, provider: str, quirks: Quirks) -> Rendered:
    """Of the members that only replies have, those the provider wants back."""
    content = message.content
    if isinstance(content, list):
        content = _content(content, f"{where}.content", provider, quirks)
    refusal = message.refusal
    if refusal is not None and not quirks.refusals:
        content = content or refusal
        refusal = None
    if message.name is not None and not quirks.names:
        raise lacking(provider, f"{where}.name", "'name' on messages")
    result = _object("assistant", name=message.name, refusal=refusal)
    if _is_empty(message):
        result["content"] = ""  # null is for calls: https://github.com/run-llama/llama_index/pull/17921
    elif content is not UNSET:
        result["content"] = content
    if message.tool_calls:
        result["tool_calls"] = _calls(message.tool_calls, quirks)
    if message.audio is not None:
        result["audio"] = _audio_reference(message.audio, f"{where}.audio", provider, quirks)
    if message.prefix and not quirks.prefix:
        raise lacking(provider, f"{where}.prefix", "'prefix' on messages")
    if message.prefix is not None and quirks.prefix:
        result["prefix"] = message.prefix
    _take_back_reasoning(result, message, where, quirks)
    return result


def _take_back_reasoning(result: Json, message: AssistantMessage, where: str, quirks: Quirks) -> None:
    if quirks.reasoning and message.reasoning_content is not None:
        result[quirks.reasoning] = message.reasoning_content
    if quirks.reasoning_blocks == "reasoning_details":
        if own := reasoning_blocks(message, where):
            result["reasoning_details"] = own
    elif quirks.reasoning_blocks == "content" and (own := thinking_parts(message, where)):
        text = result.get("content") or []
        result["content"] = own + (text if isinstance(text, list) else [{"type": "text", "text": text}])


def _calls(calls: list[ToolCall], quirks: Quirks) -> list[ToolCall]:
    return [_call(call, quirks) for call in calls]


def _call(call: ToolCall, quirks: Quirks) -> ToolCall:
    extra = call.extra_content if quirks.extra_content else None
    return msgspec.structs.replace(call, id=quirks.call_ids.of(call.id), extra_content=extra)


def _audio_reference(audio: Json, where: str, provider: str, quirks: Quirks) -> Json:
    """An earlier reply's audio goes back by its id alone.

    Source: https://platform.openai.com/docs/guides/audio#multi-turn-conversations
    """
    if quirks.audio != "input_audio" or not isinstance(audio.get("id"), str):
        raise lacking(provider, where, "this audio of an earlier reply")
    return {"id": audio["id"]}


def _content(content: Content, where: str, provider: str, quirks: Quirks) -> Rendered:
    """The same object when nothing in it needs a change."""
    if isinstance(content, str):
        return content
    parts = [_part(part, f"{where}[{position}]", provider, quirks) for position, part in enumerate(content)]
    return content if all(new is old for new, old in zip(parts, content, strict=True)) else parts


def _part(part: Part, where: str, provider: str, quirks: Quirks) -> Rendered:
    if isinstance(part, TextPart | ImageUrlPart | InputAudioPart | FilePart):
        if part.cache_control is not None and not quirks.cache_control:
            raise lacking(provider, f"{where}.cache_control", "'cache_control'")
        if isinstance(part, TextPart):
            return part
    if quirks.documents and (text := _document_text(part, where)) is not None:
        return text
    rendered = _PARTS[type(part)](part, quirks)
    if rendered is None:
        raise lacking(provider, where, f"'{part.__struct_config__.tag}' parts of this form")
    return rendered


def _document_text(part: Part, where: str) -> Rendered | None:
    """A document that is text, as a text part: OpenAI takes no file but a PDF here, and asks for this.

    Source: https://developers.openai.com/api/docs/guides/file-inputs (2026-11)
    """
    if isinstance(part, FilePart):
        url, name, mark = part.file.file_data or "", part.file.filename, part.cache_control
    elif isinstance(part, DocumentPart):
        url, name, mark = part.url, part.name, None
    else:
        return None
    text = text_of(url, name, where)
    return None if text is None else TextPart(text=text, cache_control=mark)


def _image_url(part: ImageUrlPart, quirks: Quirks) -> Rendered:
    return part if _image_fits(part.image_url.url, quirks) else None


def _image(part: ImagePart, quirks: Quirks) -> Rendered:
    return {"type": "image_url", "image_url": {"url": part.url}} if _image_fits(part.url, quirks) else None


def _image_fits(url: str, quirks: Quirks) -> bool:
    return quirks.images == "image_url" or (quirks.images == "image_data" and url.startswith("data:"))


def _input_audio(part: InputAudioPart, quirks: Quirks) -> Rendered:
    if quirks.audio == "input_audio_text":
        return {"type": "input_audio", "input_audio": part.input_audio.data}
    return part if quirks.audio else None


def _audio(part: AudioPart, quirks: Quirks) -> Rendered:
    media_type, data = _inline(part.url)
    if quirks.audio == "input_audio_text":
        return {"type": "input_audio", "input_audio": data or part.url}
    if not quirks.audio or not data:
        return None
    kind = media_type.partition("/")[2].removeprefix("x-")
    return {"type": "input_audio", "input_audio": {"data": data, "format": {"mpeg": "mp3"}.get(kind, kind)}}


def _file(part: FilePart, quirks: Quirks) -> Rendered:
    data = part.file.file_data
    if quirks.documents in ("file", "file_or_url"):
        return part if data is None or _inline(data)[0] in ("", PDF) else None
    if quirks.documents == "file_url":
        return None if data is None else _file_url(data, part.file.filename)
    if quirks.documents != "document_url":
        return None
    return {"type": "file", "file_id": part.file.file_id} if data is None else _document_url(data, part.file.filename)


def _document(part: DocumentPart, quirks: Quirks) -> Rendered:
    if quirks.documents == "document_url":
        return _document_url(part.url, part.name)
    if quirks.documents == "file_url":
        return _file_url(part.url, part.name)
    media_type, data = _inline(part.url)
    if not quirks.documents or (not data and quirks.documents == "file") or media_type not in ("", PDF):
        return None
    name = part.name or f"document.{media_type.rpartition('/')[2] or 'pdf'}"
    return {"type": "file", "file": {"filename": name, "file_data": part.url}}


def _file_url(url: str, name: str | None) -> Json:
    """Base64 without a prefix stands where a URL would."""
    rendered = {"type": "file_url", "file_url": {"url": _inline(url)[1] or url}}
    return rendered if name is None else {**rendered, "file_name": name}


def _document_url(url: str, name: str | None) -> Json:
    rendered = {"type": "document_url", "document_url": url}
    return rendered if name is None else {**rendered, "document_name": name}


def _video(part: VideoPart, quirks: Quirks) -> Rendered:
    return {"type": "video_url", "video_url": {"url": part.url}} if quirks.video else None


def _refusal(part: RefusalPart, quirks: Quirks) -> Rendered:
    return part if quirks.refusals else {"type": "text", "text": part.refusal}


_PARTS: Mapping[type[Any], Callable[[Any, Quirks], Rendered]] = {
    ImageUrlPart: _image_url,
    ImagePart: _image,
    InputAudioPart: _input_audio,
    AudioPart: _audio,
    FilePart: _file,
    DocumentPart: _document,
    VideoPart: _video,
    RefusalPart: _refusal,
}


def _inline(url: str) -> tuple[str, str]:
    """Media type and base64 of a `data:` URL; two empty strings for any other."""
    if not url.startswith("data:"):
        return "", ""
    header, _, data = url[5:].partition(",")
    return header.partition(";")[0], data


def _object(role: str, **members: Any) -> Json:
    """A message of the members that are set."""
    return {"role": role, **{name: value for name, value in members.items() if value is not None}}
