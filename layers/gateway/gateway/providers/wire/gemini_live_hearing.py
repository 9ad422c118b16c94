"""What the user said in a Live session, as the items and events of OpenAI's API.

Gemini tells neither when speech begins nor what became an item of the conversation: that follows from its transcripts,
and from the model's beginning to answer.
"""

from __future__ import annotations

from gateway.model.chat import Json
from gateway.model.realtime_events import ServerEvent
from gateway.providers.wire.realtime_turn import Ids

_TRANSCRIPTION = "conversation.item.input_audio_transcription"


class Hearing:
    """`ms`: of sound, since the session began."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._item_id: str | None = None
        self._is_committed = False
        self._said = ""
        self._committed_ms = self.ms = 0.0

    @property
    def is_open(self) -> bool:
        """Somebody speaks, or has spoken and is not answered."""
        return self._item_id is not None and not self._is_committed

    @property
    def has_sound(self) -> bool:
        """That belongs to no item yet."""
        return self.ms > self._committed_ms

    def transcript(self, text: str) -> list[ServerEvent]:
        events = self.speech()
        self._said += text
        return [*events, self._ids.event(f"{_TRANSCRIPTION}.delta", item_id=self._item_id, content_index=0, delta=text)]

    def speech(self) -> list[ServerEvent]:
        """Somebody has begun to speak."""
        if self._item_id is not None:
            return []
        self._item_id, self._is_committed = self._ids.new("item"), False
        begun = round(self._committed_ms)
        return [self._ids.event("input_audio_buffer.speech_started", audio_start_ms=begun, item_id=self._item_id)]

    def commit(self, previous_id: str | None, *, detected: bool) -> list[ServerEvent]:
        """What was heard becomes an item. `detected`: by voice, not by the client's word."""
        if self._is_committed or not (self.has_sound or self._item_id):
            return []
        events = self.speech() if detected else []
        self._item_id = self._item_id or self._ids.new("item")
        self._is_committed, self._committed_ms = True, self.ms
        if detected:
            end = round(self.ms)
            events.append(self._ids.event("input_audio_buffer.speech_stopped", audio_end_ms=end, item_id=self._item_id))
        place = {"previous_item_id": previous_id}
        item = self._item()
        return [
            *events,
            self._ids.event("input_audio_buffer.committed", **place, item_id=self._item_id),
            self._ids.event("conversation.item.added", **place, item=item),
            self._ids.event("conversation.item.done", **place, item=item),
        ]

    def end(self) -> list[ServerEvent]:
        """The turn is over: what comes after is of the next."""
        if not self._is_committed:
            return []
        item_id, said = self._item_id, self._said
        self._item_id, self._said, self._is_committed = None, "", False
        if not said:
            return []
        usage = {"type": "duration", "seconds": 0}
        done = {"item_id": item_id, "content_index": 0, "transcript": said, "usage": usage}
        return [self._ids.event(f"{_TRANSCRIPTION}.completed", **done)]

    def _item(self) -> Json:
        content = [{"type": "input_audio", "transcript": self._said or None}]
        item: Json = {"id": self._item_id, "object": "realtime.item", "type": "message"}
        return {**item, "status": "completed", "role": "user", "content": content}
