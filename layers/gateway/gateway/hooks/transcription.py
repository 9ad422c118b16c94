"""A call for a transcript and the transcript, as hooks see them: the words of both, and not the recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import msgspec
from msgspec.structs import replace as with_members

from gateway.hooks.subject import Change, json_with
from gateway.model.chat import Json
from gateway.model.errors import GatewayError
from gateway.model.hook import HookFailed
from gateway.model.transcription import Transcript, TranscriptionCall

PATCHED = frozenset({"language", "prompt", "temperature"})
"""What a hook may change. Not whose request it is, which recording it is about, which model answers, and how."""


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """`read`: reads a body as one that a client sent. Raises GatewayError for a wrong one."""

    call: TranscriptionCall
    read: Callable[[bytes], TranscriptionCall]

    def with_texts(self, change: Change) -> TranscriptionRequest:
        call = self.call
        prompt = change(call.prompt) if call.prompt else call.prompt
        changed = with_members(call, prompt=prompt, provider_options=json_with(call.provider_options, change))
        return self if changed == call else replace(self, call=changed)

    def documents(self) -> Iterable[bytes]:
        yield msgspec.json.encode(self.body())

    def body(self) -> Json:
        """Where the recording is, unless that is the recording itself."""
        body: Json = msgspec.to_builtins(self.call)
        if str(body.get("file", "")).startswith("data:"):
            del body["file"]
        return body

    def patched(self, patch: Json) -> TranscriptionRequest:
        """Raises HookFailed for members that no hook may change, and for a request that would be refused."""
        if not patch.keys() <= PATCHED:
            raise HookFailed("patch_member")
        try:
            call = self.read(msgspec.json.encode({**msgspec.to_builtins(self.call), **patch}))
        except GatewayError as error:
            raise HookFailed("patch_request") from error
        return self if call == self.call else replace(self, call=call)


@dataclass(frozen=True, slots=True)
class TranscriptReply:
    """`model`: as the client is told it. A patch may have another `text`; times of words and segments then go."""

    transcript: Transcript
    model: str

    def with_texts(self, change: Change) -> TranscriptReply:
        made = self.transcript
        changed = replace(
            made,
            text=change(made.text),
            segments=tuple(with_members(one, text=change(one.text)) for one in made.segments),
            words=tuple(with_members(one, word=change(one.word)) for one in made.words),
        )
        if changed == made:
            return self
        return replace(self, transcript=replace(changed, logprobs=None))

    def restored(self, change: Change) -> TranscriptReply:
        return self.with_texts(change)

    def documents(self) -> Iterable[bytes]:
        yield msgspec.json.encode(self.body())

    def body(self) -> Json:
        made = self.transcript
        timed = {"segments": msgspec.to_builtins(made.segments), "words": msgspec.to_builtins(made.words)}
        return {"text": made.text, "model": self.model, **{name: value for name, value in timed.items() if value}}

    def patched(self, patch: Json) -> TranscriptReply:
        """Raises HookFailed for every member but a text."""
        if not patch.keys() <= {"text"} or not isinstance(patch.get("text", ""), str):
            raise HookFailed("patch_member")
        if patch.get("text", self.transcript.text) == self.transcript.text:
            return self
        return replace(
            self, transcript=replace(self.transcript, text=patch["text"], segments=(), words=(), logprobs=None)
        )
