"""What a provider is to the gateway: pure functions between normalised values and HTTP values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, Medium
from gateway.model.file import StoredFile
from gateway.model.http import Credential, HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.reply import Chunk, Reply

ANY_SCHEMA, CONSTRAINED_SCHEMA = "json_schema:any", "json_schema:constrained"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes: the provider, the model's facts and the base URL to use (no trailing slash).

    `settings`: what the owner stored with the key, as in `Credential`.
    """

    provider: str
    model: ModelFacts
    base_url: str
    settings: Mapping[str, str] = field(default_factory=dict)


class StreamParser(Protocol):
    """Turns the bytes of a streamed answer, cut anywhere, into chunks.

    `feed` and `close` raise `ProviderFailure` for an error event; `close` also when the stream ended before
    the provider said that it was complete.
    """

    def feed(self, data: bytes) -> Iterable[Chunk]: ...

    def close(self) -> Iterable[Chunk]: ...


class ChatWire(Protocol):
    """One way to speak chat over HTTP; implementations live in `providers/wire`."""

    def formats(self, call: ChatCall, model: ModelFacts, /) -> frozenset[str]:
        """The `response_format` types it has words for, beside the tools of this call and streamed or not.

        "json_schema" is for schemas of objects, ANY_SCHEMA beside it for those of other values, too.
        CONSTRAINED_SCHEMA in place of "json_schema": it takes only what `model/constrained_schema.py` makes of one.
        """
        ...

    def render(self, call: ChatCall, target: Target) -> HttpRequest:
        """The request without credentials. `call.stream` decides between a whole and a streamed answer.

        Raises CapabilityNotSupported (400) for a parameter that this wire or model cannot honour.
        """
        ...

    def parse(self, response: HttpResponse, target: Target) -> Reply:
        """A 2xx answer. Raises ProviderError (502) when it is not what the provider documents."""
        ...

    def stream(self, target: Target) -> StreamParser:
        """A parser for one streamed 2xx answer."""
        ...

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        """The meaning of an answer that is not 2xx. Status decides; the text only refines a 400."""
        ...


@dataclass(frozen=True, slots=True)
class InlineLimits:
    """What a request may carry in itself, as the provider documents it; None, or no entry: it names no limit.

    `request_bytes`: of the whole body, media in base64. `part_bytes`: of one part before base64, by its media type or,
    where that has no entry, by its medium. Of a documented "MB" the smaller reading (10^6) stands where larger media
    can be uploaded, the larger one (2^20) where they are refused.
    """

    request_bytes: int | None = None
    part_bytes: Mapping[str, int | None] = field(default_factory=dict)

    def of_part(self, medium: Medium, content_type: str) -> int | None:
        return self.part_bytes.get(content_type, self.part_bytes.get(medium))


InlineFor: TypeAlias = Callable[[ModelFacts], InlineLimits]


def for_every_model(limits: InlineLimits) -> InlineFor:
    return lambda _facts: limits


NO_LIMITS = for_every_model(InlineLimits())


@dataclass(frozen=True, slots=True)
class RemoteFile:
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


def bearer(request: HttpRequest, credential: Credential, _now_s: float) -> HttpRequest:
    """`Authorization: Bearer`, left out when there is no key (a server of one's own may need none)."""
    if not credential.api_key:
        return request
    headers = {**request.headers, "authorization": f"Bearer {credential.api_key.reveal()}"}
    return HttpRequest(request.method, request.url, headers, request.body)


Authorize: TypeAlias = Callable[[HttpRequest, Credential, float], HttpRequest]


@dataclass(frozen=True, slots=True)
class Provider:
    """`base_url`: the public one, in the meaning of the provider's official SDK; None when only the owner knows it.
    Where it differs from owner to owner it has places for settings: "https://{region}.acme.example".

    `wires`: by the `api` member of a catalog row. `authorize` puts the credential into a rendered request;
    the last argument is the time in Unix seconds, for signatures.
    `own_urls`: how addresses begin that only this provider can read, which the gateway therefore hands on.
    `inline`: what a request to a model may carry in itself. `files`: where larger media go, None: nowhere.
    """

    name: str
    base_url: str | None
    wires: dict[str, ChatWire] = field(repr=False)
    authorize: Authorize = bearer
    own_urls: tuple[str, ...] = ()
    inline: InlineFor = NO_LIMITS
    files: FileApi | None = None


_PLACE = re.compile(r"\{(\w+)\}")


def base_url_of(provider: Provider, credential: Credential) -> str:
    """The owner's base URL, else the public one with the owner's settings in its places. No trailing slash.

    Raises ProviderError (502) that names what the owner has not set.
    """
    url = credential.base_url
    if url is None:
        if provider.base_url is None:
            raise ProviderError(f"No base URL is configured for {provider.name}.")
        url = _PLACE.sub(lambda place: setting(place[1], credential.settings, provider.name), provider.base_url)
    return url.rstrip("/")


def setting(name: str, settings: Mapping[str, str], provider: str) -> str:
    """What the owner stored with the key under this name. Raises ProviderError (502) that names it."""
    if value := settings.get(name):
        return value
    raise ProviderError(f"'{name}' is missing in the credential of {provider}.")
