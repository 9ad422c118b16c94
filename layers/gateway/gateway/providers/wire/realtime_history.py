"""The conversation of a realtime session, as far as it can be told to a new connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.model.chat import Json

MAX_CARRIED_BYTES = 200 * 1024
"""Of the conversation, as JSON: what is carried over fits an item of DynamoDB, which has at most 400 KB."""
FRONT = "root"
"""After which an item goes that is to be the first: the client's word, which is told back."""
SPOKEN = "[The user said something here of which there is no transcript.]"
_KEPT = {"function_call": ("name", "arguments", "call_id"), "function_call_output": ("call_id", "output")}


class History:
    """Follows the events that a client gets. Sound is not kept, only what was written down of it."""

    def __init__(self, items: Iterable[Json] = ()) -> None:
        self._items: dict[str, Json] = {item["id"]: item for item in items}
        self._heard: dict[str, float] = {}

    @property
    def last_id(self) -> str | None:
        return next(reversed(self._items), None)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def take(self, event: Json) -> None:
        kind = event.get("type")
        if kind in ("conversation.item.added", "conversation.item.done"):
            self._put(event.get("item"), event.get("previous_item_id"))
        elif kind == "conversation.item.deleted":
            self._items.pop(str(event.get("item_id")), None)
        elif kind == "conversation.item.input_audio_transcription.completed":
            self._transcribe(str(event.get("item_id")), str(event.get("transcript") or ""))

    def shorten(self, item_id: str, heard: float) -> None:
        """Of what was said in it only this part of 1 was heard, also where its transcript is still to come."""
        self._heard[item_id] = min(1.0, max(0.0, heard))

    def told(self) -> tuple[Json, ...]:
        """What a client could have created, oldest first, no more than MAX_CARRIED_BYTES."""
        kept: list[Json] = []
        size = 0
        for item in reversed([told for item in self._items.values() if (told := _told(self._as_heard(item)))]):
            size += len(msgspec.json.encode(item))
            if size > MAX_CARRIED_BYTES:
                break
            kept.append(item)
        calls = {item["call_id"] for item in kept if item["type"] == "function_call"}
        return tuple(i for i in reversed(kept) if i["type"] != "function_call_output" or i["call_id"] in calls)

    def _as_heard(self, item: Json) -> Json:
        if (heard := self._heard.get(item["id"])) is None:
            return item
        parts = [
            {**part, "transcript": said[: round(len(said) * heard)]} if (said := part.get("transcript")) else part
            for part in _parts(item)
        ]
        return {**item, "content": parts}

    def _put(self, item: Any, previous_id: Any) -> None:
        if not isinstance(item, dict) or not isinstance(item_id := item.get("id"), str):
            return
        known = self._items.get(item_id)
        item = {**item, "content": [_with_transcript(part, known, at) for at, part in enumerate(_parts(item))]}
        if known is None and previous_id == FRONT:
            self._items = {item_id: item, **self._items}
            return
        if known is not None or previous_id not in self._items or previous_id == self.last_id:
            self._items[item_id] = item
            return
        order = list(self._items.items())
        at = next(n for n, (known_id, _) in enumerate(order) if known_id == previous_id) + 1
        self._items = dict([*order[:at], (item_id, item), *order[at:]])

    def _transcribe(self, item_id: str, transcript: str) -> None:
        for part in (self._items.get(item_id) or {}).get("content") or ():
            if part.get("type") == "input_audio":
                part["transcript"] = transcript


def _parts(item: Json) -> list[Json]:
    return [dict(part) for part in item["content"] if isinstance(part, dict)] if item.get("content") else []


def _with_transcript(part: Json, known: Json | None, at: int) -> Json:
    """Which may have come before the item was done, and is not in it then."""
    part.pop("audio", None)
    before = (known or {}).get("content") or []
    if not part.get("transcript") and at < len(before) and before[at].get("transcript"):
        return {**part, "transcript": before[at]["transcript"]}
    return part


def _told(item: Json) -> Json | None:
    """None for what is not finished, or says nothing."""
    kind = str(item.get("type"))
    if item.get("status") == "in_progress":
        return None
    if kind in _KEPT:
        return {"id": item["id"], "type": kind, **{name: item.get(name, "") for name in _KEPT[kind]}}
    if kind != "message":
        return None
    role = item.get("role")
    text_type = "output_text" if role == "assistant" else "input_text"
    texts = [text for part in item.get("content") or () if (text := _text(part))]
    content = [{"type": text_type, "text": text} for text in texts]
    return {"id": item["id"], "type": kind, "role": role, "content": content} if content else None


def _text(part: Json) -> str:
    said = part.get("text") or part.get("transcript")
    return str(said or (SPOKEN if part.get("type") == "input_audio" else ""))
