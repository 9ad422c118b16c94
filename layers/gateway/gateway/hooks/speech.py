"""A call for speech and its recording, as hooks see them: the words that are spoken, and of the recording its facts."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace as with_members

from gateway.hooks.call_subject import CallSubject, WordlessReply
from gateway.hooks.subject import Change, Fixed
from gateway.model.chat import Json
from gateway.model.speech import SpeechCall


class SpeechRequest(CallSubject[SpeechCall], frozen=True):
    PATCHED = frozenset({"input", "voice", "response_format", "speed", "instructions"})
    """What a hook may change. Not whose request it is, which model answers, and how the recording is given."""

    def with_texts(self, change: Change) -> SpeechRequest:
        call = self.call
        instructions = change(call.instructions) if call.instructions else call.instructions
        said = change(call.input)
        return self.of(with_members(call, input=said, instructions=instructions, **self.common_with(change)))

    def own_fixed(self) -> Iterable[Fixed]:
        voice = self.call.voice
        yield Fixed("voice", voice if isinstance(voice, str) else voice.id)


class SpeechReply(msgspec.Struct, WordlessReply, frozen=True):
    """`model`: as the client is told it."""

    model: str
    content_type: str
    size_bytes: int

    def documents(self) -> Iterable[bytes]:
        yield msgspec.json.encode(self.body())

    def body(self) -> Json:
        facts = {"content_type": self.content_type, "size_bytes": self.size_bytes}
        return {"object": "audio.speech", "model": self.model, **facts}
