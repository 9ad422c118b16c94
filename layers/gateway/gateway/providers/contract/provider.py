"""A provider as a whole: its name, its address, its credential, and its wires for each capability."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.model.http import Credential, HttpRequest
from gateway.model.provider_errors import ProviderError
from gateway.providers.contract.background import BackgroundWire
from gateway.providers.contract.batch import Batches
from gateway.providers.contract.callback import Callback
from gateway.providers.contract.chat import ChatWire
from gateway.providers.contract.embeddings import EmbeddingsWire
from gateway.providers.contract.images import ImagesWire
from gateway.providers.contract.media import NO_LIMITS, FileApi, InlineFor
from gateway.providers.contract.speech import SpeechWire
from gateway.providers.contract.transcription import TranscriptionWire
from gateway.providers.contract.video import VideoWire

Authorize: TypeAlias = Callable[[HttpRequest, Credential, float], HttpRequest]


def key_header(name: str, prefix: str = "") -> Authorize:
    """The key in a header, which is left out when there is no key: a server of one's own may need none."""

    def authorize(request: HttpRequest, credential: Credential, _now_s: float) -> HttpRequest:
        if not credential.api_key:
            return request
        return replace(request, headers={**request.headers, name: f"{prefix}{credential.api_key.reveal()}"})

    return authorize


bearer = key_header("authorization", "Bearer ")


class Provider(Struct, frozen=True):
    """`base_url`: the public one, in the meaning of the provider's official SDK; None when only the owner knows it.
    Where it differs from owner to owner it has places for settings: "https://{region}.acme.example".

    `wires`: of chat, by the `api` member of a catalog row; so are those of every other capability, each under its name.
    `background`: of chats that nobody is connected for while it works. `batches`: of many calls at once, at a lower
    price; of what has no wire there, each call is made by itself. `realtime`: names of modules of `providers/wire`
    whose WIRE it is, for `providers/lookup.py` to load.
    `authorize` puts the credential into a rendered request;
    the last argument is the time in Unix seconds, for signatures.
    `own_urls`: how addresses begin that only this provider can read, with the owner's rights: the gateway hands them on
    where the tenant may have them read. `public_urls`: that it reads itself, as anybody could.
    `inline`: what a request to a model may carry in itself. `files`: where larger media go, None: nowhere.
    `documents_api`: the wire of chat that takes documents which are neither PDF nor text, where others do not.
    `callback`: how it says by itself that what it has begun has ended, None where it has to be asked.
    """

    name: str
    base_url: str | None
    wires: dict[str, ChatWire] = field(default_factory=dict)
    embeddings: dict[str, EmbeddingsWire] = field(default_factory=dict)
    images: dict[str, ImagesWire] = field(default_factory=dict)
    videos: dict[str, VideoWire] = field(default_factory=dict)
    background: dict[str, BackgroundWire] = field(default_factory=dict)
    batches: Batches = Batches()
    speech: dict[str, SpeechWire] = field(default_factory=dict)
    transcriptions: dict[str, TranscriptionWire] = field(default_factory=dict)
    realtime: dict[str, str] = field(default_factory=dict)
    authorize: Authorize = bearer
    own_urls: tuple[str, ...] = ()
    public_urls: tuple[str, ...] = ()
    inline: InlineFor = NO_LIMITS
    files: FileApi | None = None
    documents_api: str | None = None
    callback: Callback | None = None


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
