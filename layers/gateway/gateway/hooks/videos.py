"""A request for a video as hooks see it: the prompt and what is wished for, without the bytes of a picture."""

from __future__ import annotations

from msgspec.structs import replace as with_members

from gateway.hooks.call_subject import CallSubject, shown
from gateway.hooks.media import without_media
from gateway.hooks.subject import Change
from gateway.model.chat import Json
from gateway.model.video import VideoCall


class VideoPrompt(CallSubject[VideoCall], frozen=True):
    PATCHED = frozenset({"prompt", "seconds", "size"})
    """What a hook may change: what is to be seen. Not whose request it is, nor which model films it."""

    def with_texts(self, change: Change) -> VideoPrompt:
        return self.of(with_members(self.call, prompt=change(self.call.prompt), **self.common_with(change)))

    def body(self) -> Json:
        body = shown(self.call)
        reference = body.get("input_reference") or {}
        if (url := reference.get("image_url")) is not None:
            body["input_reference"] = {**reference, "image_url": without_media({"url": url}, [])["url"]}
        return body
