"""A call for speech and its recording, as hooks see them: the words that are spoken, and of the recording its facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import msgspec
from msgspec.structs import replace as with_members

from gateway.hooks.subject import Change, json_with
from gateway.model.chat import Json
from gateway.model.errors import GatewayError
from gateway.model.hook import HookFailed
from gateway.model.speech import SpeechCall

PATCHED = frozenset({"input", "voice", "response_format", "speed", "instructions"})
"""What a hook may change. Not whose request it is, which model answers, and how the recording is given."""


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """`read`: reads a body as one that a client sent. Raises GatewayError for a wrong one."""

    call: SpeechCall
    read: Callable[[bytes], SpeechCall]

    def with_texts(self, change: Change) -> SpeechRequest:
        call = self.call
        instructions = change(call.instructions) if call.instructions else call.instructions
        options = json_with(call.provider_options, change)
        changed = with_members(call, input=change(call.input), instructions=instructions, provider_options=options)
        return self if changed == call else replace(self, call=changed)

    def documents(self) -> Iterable[bytes]:
        yield msgspec.json.encode(self.body())

    def body(self) -> Json:
        body: Json = msgspec.to_builtins(self.call)
        return body

    def patched(self, patch: Json) -> SpeechRequest:
        """Raises HookFailed for members that no hook may change, and for a request that would be refused."""
        if not patch.keys() <= PATCHED:
            raise HookFailed("patch_member")
        try:
            call = self.read(msgspec.json.encode({**self.body(), **patch}))
        except GatewayError as error:
            raise HookFailed("patch_request") from error
        return self if call == self.call else replace(self, call=call)


@dataclass(frozen=True, slots=True)
class SpeechReply:
    """`model`: as the client is told it. Nothing of it can be patched, for there are no words."""

    model: str
    content_type: str
    size_bytes: int

    def with_texts(self, _change: Change) -> SpeechReply:
        return self

    def restored(self, _change: Change) -> SpeechReply:
        return self

    def documents(self) -> Iterable[bytes]:
        yield msgspec.json.encode(self.body())

    def body(self) -> Json:
        facts = {"content_type": self.content_type, "size_bytes": self.size_bytes}
        return {"object": "audio.speech", "model": self.model, **facts}

    def patched(self, patch: Json) -> SpeechReply:
        """Raises HookFailed for every member."""
        if patch:
            raise HookFailed("patch_member")
        return self
