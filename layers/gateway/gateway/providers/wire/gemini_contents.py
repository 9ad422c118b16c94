"""From the normalised conversation to Gemini's `systemInstruction` and `contents`.

Source: https://ai.google.dev/api/caching#Content (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from gateway.model.chat import (
    AssistantMessage,
    Content,
    DeveloperMessage,
    Json,
    Message,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
)
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.providers.contract import Target
from gateway.providers.wire.gemini_media import media_entry, media_part
from gateway.providers.wire.gemini_replay import own_details
from gateway.providers.wire.replayed import objects_in

Parts: TypeAlias = list[Json]

NO_SIGNATURE = "skip_thought_signature_validator"
"""Stands in for the signature of a call that Gemini did not make itself, or whose client lost it: Gemini 3 and later
refuse calls without one.

Source: https://ai.google.dev/gemini-api/docs/thought-signatures#faqs
"""

INSIDE_RESULTS = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"})
"""Source: https://ai.google.dev/gemini-api/docs/function-calling#multimodal, where data is inline only. Models before
Gemini 3 refuse it.
"""


class Conversation:
    """`contents` alternate between "user" and "model"; `system` holds the text of all system messages in order.

    Raises CapabilityNotSupported for a part or member that the API has no word for, InvalidRequest for a broken one.
    """

    def __init__(self, messages: Iterable[Message], target: Target, *, files_root: str, call_ids: bool) -> None:
        self.system: Parts = []
        self.contents: list[Json] = []
        self._names: dict[str, str] = {}
        self._results: list[tuple[str, Parts]] = []
        self._files_root, self._call_ids = files_root, call_ids
        # Models told how much to think by a level are Gemini 3 and later.
        self._signed_calls = target.model.reasoning_by == "effort"
        self._inside_results = INSIDE_RESULTS if self._signed_calls else frozenset()
        for position, message in enumerate(messages):
            self._add(message, f"messages[{position}]")
        self._give_results()
        if not self.contents:
            raise CapabilityNotSupported("Gemini answers only to a user message", param="messages")

    def _add(self, message: Message, where: str) -> None:
        if isinstance(message, ToolMessage):
            self._results.append((message.tool_call_id, self._result(message, where)))
            return
        self._give_results()
        if message.name is not None:
            raise CapabilityNotSupported("Gemini has no names of participants", param=f"{where}.name")
        if isinstance(message, SystemMessage | DeveloperMessage):
            self.system += self._texts(message.content, where)
        elif isinstance(message, AssistantMessage):
            self._append("model", self._answer(message, where))
        else:
            self._append("user", self._parts(message.content, where))

    def _give_results(self) -> None:
        """Where ids do not say so, the order says which call a result is of."""
        results, self._results = self._results, []
        if not self._call_ids:
            order = {call_id: position for position, call_id in enumerate(self._names)}
            results.sort(key=lambda result: order.get(result[0], len(order)))
        for _, parts in results:
            self._append("user", parts)

    def _append(self, role: str, parts: Parts) -> None:
        """Messages of one role in a row become one: the results of parallel calls have to come together."""
        if not parts:
            return
        if self.contents and self.contents[-1]["role"] == role:
            self.contents[-1]["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": parts})

    def _parts(self, content: Content, where: str) -> Parts:
        if isinstance(content, str):
            return [{"text": content}]
        parts: Parts = []
        for position, part in enumerate(content):
            at = f"{where}.content[{position}]"
            if isinstance(part, TextPart):
                _refuse_cache_mark(part, at)
                parts.append({"text": part.text})
            elif isinstance(part, RefusalPart):
                parts.append({"text": part.refusal})
            else:
                parts.append(media_part(part, at, self._files_root))
        return parts

    def _texts(self, content: Content, where: str) -> Parts:
        parts = self._parts(content, where)
        for position, part in enumerate(parts):
            if "text" not in part:
                at = f"{where}.content[{position}]"
                raise CapabilityNotSupported("Gemini takes only text in system and assistant messages", param=at)
        return parts

    def _answer(self, message: AssistantMessage, where: str) -> Parts:
        if message.audio is not None:
            raise CapabilityNotSupported("Gemini has no earlier audio to refer to", param=f"{where}.audio")
        if message.prefix:
            raise CapabilityNotSupported("Gemini does not continue a message", param=f"{where}.prefix")
        texts = self._texts(message.content or message.refusal or "", where)
        media = [media_entry(entry, f"{where}.media[{at}]") for at, entry in enumerate(message.media or ())]
        calls = self._calls(message.tool_calls or [])
        if details := own_details(message, where):
            return _woven(details, "".join(part["text"] for part in texts), media, calls)
        return [part for part in texts if part["text"]] + media + [part for _, part in calls]

    def _calls(self, calls: list[ToolCall]) -> list[tuple[str, Json]]:
        parts = [(call.id, _call(call, has_id=self._call_ids)) for call in calls]
        self._names |= {call.id: call.function.name for call in calls}
        if parts and self._signed_calls:
            parts[0][1].setdefault("thoughtSignature", NO_SIGNATURE)
        return parts

    def _result(self, message: ToolMessage, where: str) -> Parts:
        """Media go inside the result where the model takes them there, else they follow it."""
        name = self._names.get(message.tool_call_id) or message.name
        if name is None:
            raise InvalidRequest(
                f"{where}.tool_call_id is not the id of an earlier tool call", param=f"{where}.tool_call_id"
            )
        parts = self._parts(message.content, where)
        text = "".join(part.get("text", "") for part in parts)
        said = {"id": message.tool_call_id} if self._call_ids else {}
        result: Json = {**said, "name": name, "response": _response(text)}
        media = [part for part in parts if "text" not in part]
        if inside := [part for part in media if _inline_type(part) in self._inside_results]:
            result["parts"] = inside
        return [
            {"functionResponse": result},
            *(part for part in media if _inline_type(part) not in self._inside_results),
        ]


def _response(text: str) -> msgspec.Raw | Json:
    """A JSON object is given as one, unless it has a "$ref" in it, as schemas and OpenAPI documents do: "The referenced
    name ... in function_response.response does not match to a display_name in the function_response.parts."

    Source: https://github.com/googleapis/python-genai/issues/2268
    """
    given = _object(text)
    return {"output": text} if given is None or _has_references(text) else given


def _has_references(text: str) -> bool:
    try:
        return any("$ref" in held for _, held in objects_in(msgspec.json.decode(text), ""))
    except RecursionError:
        return True  # nobody knows, and as text it says the same


def _inline_type(part: Json) -> str | None:
    return part["inlineData"]["mimeType"] if "inlineData" in part else None


def _refuse_cache_mark(part: TextPart, where: str) -> None:
    if part.cache_control is not None:
        raise CapabilityNotSupported("Gemini takes no cache marks", param=f"{where}.cache_control")


def _call(call: ToolCall, *, has_id: bool) -> Json:
    """Arguments that are no JSON object, which the API demands, are kept as the text they are."""
    arguments = call.function.arguments
    args = _object(arguments) or ({"INVALID_JSON": arguments} if arguments.strip() else {})
    said = {"id": call.id} if has_id else {}
    part: Json = {"functionCall": {**said, "name": call.function.name, "args": args}}
    google = (call.extra_content or {}).get("google")
    if isinstance(google, dict) and isinstance(signature := google.get("thought_signature"), str):
        part["thoughtSignature"] = signature
    return part


def _object(text: str) -> msgspec.Raw | None:
    """`text` byte for byte when it is a JSON object, else None."""
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return None
    return msgspec.Raw(text)


def _woven(details: list[Json], text: str, media: Parts, calls: list[tuple[str, Json]]) -> Parts:
    """The parts as they stood in the reply (see `gemini_parts.Places`), then what the details do not place."""
    parts: Parts = []
    for detail in details:
        if detail["type"] == "gemini.text":
            chars = max(0, detail["chars"])
            parts.append(_signed({"text": text[:chars]}, detail))
            text = text[chars:]
        elif detail["type"] == "gemini.part":
            parts.append(detail["part"])
        elif detail["type"] == "gemini.media":
            parts += [_signed(part, detail) for part in media[:1]]
            media = media[1:]
        else:
            parts += [part for call_id, part in calls if call_id == detail["id"]]
            calls = [(call_id, part) for call_id, part in calls if call_id != detail["id"]]
    parts += [{"text": text}, *media, *(part for _, part in calls)]
    return [part for part in parts if part != {"text": ""}]


def _signed(part: Json, detail: Json) -> Json:
    signature = detail.get("thought_signature")
    return part if signature is None else {**part, "thoughtSignature": signature}
