"""A call for images and what was made of it, as hooks see them: the words of both, and of the images their facts."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from gateway.hooks.call_subject import CallSubject
from gateway.hooks.subject import Change, Fixed
from gateway.model.chat import Json
from gateway.model.hook import HookFailed
from gateway.model.images import ImagesCall, MadeImage


class ImagesRequest(CallSubject[ImagesCall], frozen=True):
    PATCHED = frozenset(
        {"prompt", "n", "size", "quality", "output_format", "output_compression", "background", "moderation"}
    )
    """What a hook may change: what is asked for. Not whose request it is, which model answers, and where images go."""

    def with_texts(self, change: Change) -> ImagesRequest:
        changed = replace(self.call, prompt=change(self.call.prompt), **self.common_with(change))
        return self.of(changed)

    def own_fixed(self) -> Iterable[Fixed]:
        return () if self.call.size is None else (Fixed("size", self.call.size),)


class ImagesReply(msgspec.Struct, frozen=True):
    """`model`: as the client is told it. Nothing of it can be patched: the only words are the provider's own prompt."""

    images: tuple[MadeImage, ...]
    model: str

    def with_texts(self, change: Change) -> ImagesReply:
        images = tuple(
            replace(image, revised_prompt=change(image.revised_prompt)) if image.revised_prompt else image
            for image in self.images
        )
        return self if images == self.images else replace(self, images=images)

    def fixed(self) -> Iterable[Fixed]:
        return ()

    def written(self) -> ImagesReply:
        return self

    def restored(self, change: Change) -> ImagesReply:
        return self.with_texts(change)

    def documents(self) -> Iterable[bytes]:
        yield msgspec.json.encode(self.body())

    def body(self) -> Json:
        return {"object": "list", "model": self.model, "data": [_facts(image) for image in self.images]}

    def patched(self, patch: Json) -> ImagesReply:
        """Raises HookFailed for every member."""
        if patch:
            raise HookFailed("patch_member")
        return self


def _facts(image: MadeImage) -> Json:
    facts: Json = {"content_type": image.content_type, "size_bytes": len(image.data)}
    return facts if image.revised_prompt is None else {**facts, "revised_prompt": image.revised_prompt}
