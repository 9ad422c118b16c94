"""OpenAI's events of one response, made from what a provider with other words says.

https://developers.openai.com/api/reference/resources/realtime/server-events (2026-11)
"""

from __future__ import annotations

from typing import Literal

from gateway.model.chat import Json
from gateway.model.realtime_events import ServerEvent, usage_member
from gateway.model.usage import TokenUsage

Status = Literal["completed", "cancelled", "incomplete", "failed"]


class Ids:
    """Unique in a session, by counting. `made`: how many there are, for whoever goes on counting."""

    def __init__(self, made: int = 0) -> None:
        self.made = made

    def new(self, kind: str) -> str:
        self.made += 1
        return f"{kind}_{self.made:06}"

    def event(self, kind: str, **members: object) -> ServerEvent:
        return {"type": kind, "event_id": self.new("event"), **members}


def item_events(ids: Ids, item: Json, previous_id: str | None) -> list[ServerEvent]:
    """Of an item that is whole when it appears."""
    return [
        ids.event(f"conversation.item.{what}", previous_item_id=previous_id, item=item) for what in ("added", "done")
    ]


class Turn:
    """One response. What it says goes into one message, each call of a function into an item of its own.

    `spoken`: whether the message is sound with its transcript, else text. `previous_id`: the item before it.
    """

    def __init__(self, ids: Ids, *, spoken: bool, previous_id: str | None, metadata: object = None) -> None:
        self._ids, self._spoken = ids, spoken
        self._previous_id = previous_id
        self._metadata = metadata
        self._output: list[Json] = []
        self._said = ""
        self.message_id: str | None = None
        self.sound_bytes = 0
        self.id = ids.new("resp")

    def begin(self) -> list[ServerEvent]:
        return [self._ids.event("response.created", response=self._response("in_progress"))]

    def sound(self, audio: str) -> list[ServerEvent]:
        """`audio`: base64."""
        self.sound_bytes += len(audio) * 3 // 4 - audio[-2:].count("=")
        return [*self._open(), self._delta("response.output_audio.delta", audio)]

    def text(self, said: str) -> list[ServerEvent]:
        """The text, or the transcript of the sound."""
        kind = "response.output_audio_transcript.delta" if self._spoken else "response.output_text.delta"
        events = [*self._open(), self._delta(kind, said)]
        self._said += said
        return events

    def call(self, call_id: str, name: str, arguments: str) -> list[ServerEvent]:
        """A call that came in one piece."""
        events = self._close("completed")
        item: Json = {"id": self._ids.new("item"), "object": "realtime.item", "type": "function_call"}
        empty = {**item, "status": "in_progress", "call_id": call_id, "name": name, "arguments": ""}
        whole = {**empty, "status": "completed", "arguments": arguments}
        place = {"response_id": self.id, "item_id": item["id"], "output_index": len(self._output), "call_id": call_id}
        events += [
            self._item_event("response.output_item.added", empty),
            self._ids.event("conversation.item.added", previous_item_id=self._previous_id, item=empty),
            self._ids.event("response.function_call_arguments.delta", **place, delta=arguments),
            self._ids.event("response.function_call_arguments.done", **place, name=name, arguments=arguments),
            self._ids.event("conversation.item.done", previous_item_id=self._previous_id, item=whole),
            self._item_event("response.output_item.done", whole),
        ]
        self._output.append(whole)
        self._previous_id = item["id"]
        return events

    def end(self, status: Status, reason: str | None, usage: TokenUsage | None) -> list[ServerEvent]:
        """`reason`: why it was not completed, in OpenAI's word."""
        events = self._close("completed" if status == "completed" else "incomplete")
        details = None if status == "completed" else {"type": status, "reason": reason}
        response = {**self._response(status), "status_details": details}
        response["usage"] = usage_member(usage) if usage else None
        return [*events, self._ids.event("response.done", response=response)]

    @property
    def last_id(self) -> str | None:
        return self.message_id or self._previous_id

    def _response(self, status: str) -> Json:
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": None,
            "output": list(self._output),
            "output_modalities": ["audio" if self._spoken else "text"],
            "usage": None,
            "metadata": self._metadata,
        }

    def _message(self, status: str, content: list[Json]) -> Json:
        item: Json = {"id": self.message_id, "object": "realtime.item", "type": "message", "status": status}
        return {**item, "role": "assistant", "content": content}

    def _item_event(self, kind: str, item: Json) -> ServerEvent:
        return self._ids.event(kind, response_id=self.id, output_index=len(self._output), item=item)

    def _place(self) -> Json:
        return {
            "response_id": self.id,
            "item_id": self.message_id,
            "output_index": len(self._output),
            "content_index": 0,
        }

    def _delta(self, kind: str, delta: str) -> ServerEvent:
        return self._ids.event(kind, **self._place(), delta=delta)

    def _part(self) -> Json:
        """What the events of parts call audio and text, items call output_audio and output_text."""
        return {"type": "audio", "transcript": self._said} if self._spoken else {"type": "text", "text": self._said}

    def _open(self) -> list[ServerEvent]:
        if self.message_id is not None:
            return []
        self.message_id, self._said = self._ids.new("item"), ""
        item = self._message("in_progress", [])
        return [
            self._item_event("response.output_item.added", item),
            self._ids.event("conversation.item.added", previous_item_id=self._previous_id, item=item),
            self._ids.event("response.content_part.added", **self._place(), part=self._part()),
        ]

    def _close(self, status: str) -> list[ServerEvent]:
        if self.message_id is None:
            return []
        place, part = self._place(), self._part()
        whole = self._message(status, [{**part, "type": f"output_{part['type']}"}])
        if self._spoken:
            ends = [
                self._ids.event("response.output_audio.done", **place),
                self._ids.event("response.output_audio_transcript.done", **place, transcript=self._said),
            ]
        else:
            ends = [self._ids.event("response.output_text.done", **place, text=self._said)]
        events = [
            *ends,
            self._ids.event("response.content_part.done", **place, part=part),
            self._ids.event("conversation.item.done", previous_item_id=self._previous_id, item=whole),
            self._item_event("response.output_item.done", whole),
        ]
        self._output.append(whole)
        self._previous_id, self.message_id = self.message_id, None
        return events
