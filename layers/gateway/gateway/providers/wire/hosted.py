"""A wire at another cloud's address: the same words, placed by what the owner of the account has set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, Json
from gateway.model.embeddings import Embeddings, EmbeddingsCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.images import Images, ImagesCall
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Reply
from gateway.model.speech import SpeechCall
from gateway.providers.contract import (
    ChatWire,
    EmbeddingsWire,
    ImagesWire,
    ServerWork,
    SpeechParser,
    SpeechWire,
    StreamParser,
    Target,
)

W = TypeVar("W", ChatWire, EmbeddingsWire, ImagesWire, SpeechWire)


def _as_it_is(call: ChatCall, _target: Target) -> ChatCall:
    return call


def _no_query(_target: Target) -> str:
    return ""


class _Placed(Struct, Generic[W], frozen=True):
    """`base_url` and `query` (with its "?") say where a call goes."""

    wire: W
    base_url: Callable[[Target], str]
    query: Callable[[Target], str] = _no_query

    def placed(self, target: Target) -> Target:
        return replace(target, base_url=self.base_url(target))

    def asked(self, request: HttpRequest, target: Target) -> HttpRequest:
        return replace(request, url=request.url + self.query(target))

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return self.wire.fail(response, target)


class Hosted(_Placed[ChatWire], frozen=True):
    """`adapt` gives the call as this host takes it, or raises CapabilityNotSupported for what the host lacks."""

    adapt: Callable[[ChatCall, Target], ChatCall] = _as_it_is

    def formats(self, call: ChatCall, model: ModelFacts) -> frozenset[str]:
        return self.wire.formats(call, model)

    def server_work(self, call: ChatCall, options: Json) -> ServerWork:
        return self.wire.server_work(call, options)

    def render(self, call: ChatCall, target: Target) -> HttpRequest:
        return self.asked(self.wire.render(self.adapt(call, target), self.placed(target)), target)

    def parse(self, response: HttpResponse, target: Target) -> Reply:
        return self.wire.parse(response, target)

    def stream(self, target: Target) -> StreamParser:
        return self.wire.stream(target)


class HostedEmbeddings(_Placed[EmbeddingsWire], frozen=True):
    @property
    def max_inputs(self) -> int | None:
        return self.wire.max_inputs

    def render(self, call: EmbeddingsCall, target: Target) -> HttpRequest:
        return self.asked(self.wire.render(call, self.placed(target)), target)

    def parse(self, response: HttpResponse, target: Target) -> Embeddings:
        return self.wire.parse(response, target)


class HostedImages(_Placed[ImagesWire], frozen=True):
    @property
    def max_images(self) -> int:
        return self.wire.max_images

    def render(self, call: ImagesCall, target: Target) -> HttpRequest:
        return self.asked(self.wire.render(call, self.placed(target)), target)

    def parse(self, response: HttpResponse, target: Target) -> Images:
        return self.wire.parse(response, target)


class HostedSpeech(_Placed[SpeechWire], frozen=True):
    def render(self, call: SpeechCall, target: Target) -> HttpRequest:
        return self.asked(self.wire.render(call, self.placed(target)), target)

    def parser(self, call: SpeechCall, content_type: str, target: Target) -> SpeechParser:
        return self.wire.parser(call, content_type, target)
