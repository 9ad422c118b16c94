"""Media that a chat brings: what goes inside a request, and the API for files that are too large for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from msgspec import Struct, field

from gateway.model.catalog import ModelFacts
from gateway.model.chat import Medium
from gateway.model.file import StoredFile
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.providers.contract.target import Target

WEB_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
PDF, TEXT = "application/pdf", "text/plain"


class InlineLimits(Struct, frozen=True):
    """What a request may carry in itself, as the provider documents it; None, or no entry: it names no limit.

    `request_bytes`: of the whole body, media in base64. `part_bytes`: of one part before base64, by its media type or,
    where that has no entry, by its medium. Of a documented "MB" the smaller reading (10^6) stands where larger media
    can be uploaded, the larger one (2^20) where they are refused. `reads`: how the media types begin that are read, by
    medium; every text counts as text/plain.
    """

    request_bytes: int | None = None
    part_bytes: Mapping[str, int | None] = field(default_factory=dict)
    reads: Mapping[Medium, tuple[str, ...]] = field(default_factory=dict)

    def of_part(self, medium: Medium, content_type: str) -> int | None:
        return self.part_bytes.get(content_type, self.part_bytes.get(medium))


InlineFor: TypeAlias = Callable[[ModelFacts], InlineLimits]


def for_every_model(limits: InlineLimits) -> InlineFor:
    return lambda _facts: limits


NO_LIMITS = for_every_model(InlineLimits())


class RemoteFile(Struct, frozen=True):
    """A file that the provider keeps. `name`: how its API for files calls it. `reference`: how a message names it.

    `is_ready`: whether a message may name it yet. `failure`: why none ever will.
    """

    name: str
    reference: str
    is_ready: bool = True
    failure: ProviderFailure | None = None


class FileApi(Protocol):
    """A provider's API for files, for media that are too large to go inline; implementations live in `providers/wire`.

    An upload is `begin`, and then what `follow` makes of each answer: one more request, or the file. A file that is not
    ready is asked for by `look`, and read from the answer by `found`. A wire renders a `LargePart` with the `reference`
    as its `file.file_id`.

    `follow` and `found` are given 2xx answers, and raise ProviderError (502) for one that is not what it documents.
    """

    @property
    def types(self) -> tuple[str, ...]:
        """How the media types begin that it takes."""
        ...

    @property
    def max_bytes(self) -> int:
        """Of one file."""
        ...

    def begin(self, media: StoredFile, target: Target, noise: str) -> HttpRequest:
        """`noise`: hexadecimal digits that nobody can guess."""
        ...

    def follow(self, answer: HttpResponse, media: StoredFile, target: Target) -> HttpRequest | RemoteFile: ...

    def look(self, file: RemoteFile, target: Target) -> HttpRequest: ...

    def found(self, answer: HttpResponse, target: Target) -> RemoteFile: ...

    def delete(self, file: RemoteFile, target: Target) -> HttpRequest: ...

    def fail(self, answer: HttpResponse, target: Target) -> ProviderFailure:
        """The meaning of an answer that is not 2xx."""
        ...
