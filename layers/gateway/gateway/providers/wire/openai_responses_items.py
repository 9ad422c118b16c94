"""What of a response's output the normalised message has no word for, kept in `reasoning_details` to go back unchanged.

Three kinds of details, each with the provider that made it:

- `responses.item`: an output item as it came (reasoning with its encrypted content, calls of the provider's own tools),
  but for a generated `image`;
- `responses.text`: so many characters of the content are one message, perhaps of a phase;
- `responses.call`: here stands that tool call.

The last two are told only where the usual order (items, one message, tool calls) does not say it. All items have to go
back in their order: https://platform.openai.com/docs/guides/reasoning#keeping-reasoning-items-in-context (2026-11).
"""

from __future__ import annotations

from typing import Any

from gateway.model.chat import Json
from gateway.providers.wire.openai_chat_parse import objects, text

ITEM, TEXT, CALL = "responses.item", "responses.text", "responses.call"
CALL_MEMBERS = ("namespace", "caller", "async")
"""Members of a function call that have to come back and are no part of a normalised one."""

_IMAGE_TYPES = {"/9j/": "jpeg", "iVBO": "png", "UklG": "webp", "R0lG": "gif"}
"""Image formats by the first base64 characters of their signatures."""


class Places:
    """Where output items stand among text and calls."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._marks: list[Json] = []

    def text(self, chars: int, phase: Any) -> None:
        """A message. Its phase has to be resent.

        Source: https://github.com/openai/openai-python/blob/main/src/openai/types/responses/response_output_message.py
        """
        if chars:
            said = {"phase": phase} if isinstance(phase, str) else {}
            self._marks.append({"type": TEXT, "provider": self._provider, "chars": chars, **said})

    def call(self, call_id: str) -> None:
        self._marks.append({"type": CALL, "provider": self._provider, "id": call_id})

    def item(self, item: Json, *, pictured: bool) -> list[Json]:
        """The item's detail after the marks that belong before it. `pictured`: its image went into `media`."""
        said = {"image": True} if pictured else {}
        details = [*self._marks, {"type": ITEM, "provider": self._provider, "item": item, **said}]
        self._marks.clear()
        return details

    def rest(self) -> list[Json]:
        """The marks that nothing follows, unless they tell of one plain message and then calls."""
        kinds = [mark["type"] for mark in self._marks]
        plain = not any("phase" in mark for mark in self._marks)
        return [] if plain and TEXT not in kinds[1:] else self._marks


def thoughts(item: Json) -> list[str]:
    """The parts of readable reasoning: the reasoning itself where a provider shows it, else its summary."""
    parts = objects(item.get("content")) or objects(item.get("summary")) or []
    return [said for part in parts if (said := text(part.get("text")))]


def is_worth_keeping(item: Json) -> bool:
    """Reasoning that is not in its item is the name of what the provider may have stored, which does not go back."""
    return item.get("type") != "reasoning" or bool(item.get("encrypted_content") or item.get("content"))


def citations(parts: list[Json], start: int) -> list[Json]:
    """In the shape of chat completions, counted from the start of the whole content, where `parts` begin at `start`."""
    found: list[Json] = []
    for part in parts:
        found += [_annotation(given, start) for given in objects(part.get("annotations")) or ()]
        start += len(text(part.get("text")))
    return found


def _annotation(given: Json, start: int) -> Json:
    kind = text(given.get("type"))
    members = {name: value for name, value in given.items() if name != "type"}
    for name in ("start_index", "end_index", "index"):
        if isinstance(place := members.get(name), int):
            members[name] = place + start
    return {"type": kind, kind: members}


def logprobs(values: list[Any]) -> Json | None:
    """In the shape of chat completions; None when there are none."""
    return {"content": values, "refusal": None} if values else None


def extra_content(item: Json, provider: str) -> Json | None:
    """What a function call has to bring back beyond id, name and arguments."""
    kept = {name: value for name in CALL_MEMBERS if (value := item.get(name)) is not None}
    return {provider: kept} if kept else None


def image(item: Json) -> tuple[Json | None, Json]:
    """A generated image, and the item without it: the image travels once, in `media`, and `with_image` puts it back."""
    data = item.get("result")
    if item.get("type") != "image_generation_call" or not isinstance(data, str) or not data:
        return None, item
    kind = text(item.get("output_format")) or _IMAGE_TYPES.get(data[:4], "png")
    media = {"type": "image", "content_type": f"image/{'svg+xml' if kind == 'svg' else kind}", "data": data}
    return media, {**item, "result": None}


def with_image(item: Json, media: list[Json]) -> Json | None:
    """The item with the first image of `media`, which is taken out; None when there is no image with its bytes."""
    while media:
        data = media.pop(0).get("data")
        if isinstance(data, str) and data:
            return {**item, "result": data}
    return None
