"""A request for a video as hooks see it: the prompt and what is wished for, without the bytes of a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import msgspec
from msgspec.structs import replace as with_members

from gateway.hooks.media import without_media
from gateway.hooks.subject import Change, json_with
from gateway.model.chat import Json
from gateway.model.errors import GatewayError
from gateway.model.hook import HookFailed
from gateway.model.video import VideoCall

PATCHED = frozenset({"prompt", "seconds", "size"})
"""What a hook may change: what is to be seen. Not whose request it is, nor which model films it."""


@dataclass(frozen=True, slots=True)
class VideoPrompt:
    """`read`: reads a body as one that a client sent. Raises GatewayError for a wrong one."""

    call: VideoCall
    read: Callable[[bytes], VideoCall]

    def with_texts(self, change: Change) -> VideoPrompt:
        call = self.call
        options = json_with(call.provider_options, change)
        changed = with_members(call, prompt=change(call.prompt), provider_options=options)
        return self if changed == call else replace(self, call=changed)

    def documents(self) -> Iterable[bytes]:
        yield msgspec.json.encode(self.body())

    def body(self) -> Json:
        shown: Json = msgspec.to_builtins(self.call)
        reference = shown.get("input_reference") or {}
        if (url := reference.get("image_url")) is not None:
            shown["input_reference"] = {**reference, "image_url": without_media({"url": url}, [])["url"]}
        return shown

    def patched(self, patch: Json) -> VideoPrompt:
        """Raises HookFailed for members that no hook may change, and for a request that would be refused."""
        if not patch.keys() <= PATCHED:
            raise HookFailed("patch_member")
        body: Json = msgspec.to_builtins(self.call)
        try:
            call = self.read(msgspec.json.encode({**body, **patch}))
        except GatewayError as error:
            raise HookFailed("patch_request") from error
        return self if call == self.call else replace(self, call=call)
