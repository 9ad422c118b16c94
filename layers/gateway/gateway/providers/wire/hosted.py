"""A wire at another cloud's address: the same words, placed by what the owner of the account has set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.embeddings import Embeddings, EmbeddingsCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Reply
from gateway.providers.contract import ChatWire, EmbeddingsWire, StreamParser, Target


def _as_it_is(call: ChatCall, _target: Target) -> ChatCall:
    return call


def _no_query(_target: Target) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Hosted:
    """`base_url` and `query` (with its "?") say where a call goes.

    `adapt` gives the call as this host takes it, or raises CapabilityNotSupported for what the host lacks.
    """

    wire: ChatWire
    base_url: Callable[[Target], str]
    query: Callable[[Target], str] = _no_query
    adapt: Callable[[ChatCall, Target], ChatCall] = _as_it_is

    def formats(self, call: ChatCall, model: ModelFacts) -> frozenset[str]:
        return self.wire.formats(call, model)

    def render(self, call: ChatCall, target: Target) -> HttpRequest:
        request = self.wire.render(self.adapt(call, target), replace(target, base_url=self.base_url(target)))
        return replace(request, url=request.url + self.query(target))

    def parse(self, response: HttpResponse, target: Target) -> Reply:
        return self.wire.parse(response, target)

    def stream(self, target: Target) -> StreamParser:
        return self.wire.stream(target)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return self.wire.fail(response, target)


@dataclass(frozen=True, slots=True)
class HostedEmbeddings:
    """As `Hosted`, for embeddings."""

    wire: EmbeddingsWire
    base_url: Callable[[Target], str]
    query: Callable[[Target], str] = _no_query

    @property
    def max_inputs(self) -> int | None:
        return self.wire.max_inputs

    def render(self, call: EmbeddingsCall, target: Target) -> HttpRequest:
        request = self.wire.render(call, replace(target, base_url=self.base_url(target)))
        return replace(request, url=request.url + self.query(target))

    def parse(self, response: HttpResponse, target: Target) -> Embeddings:
        return self.wire.parse(response, target)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return self.wire.fail(response, target)
