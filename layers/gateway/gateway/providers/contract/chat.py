"""Chat: whole answers and streams."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Chunk, Reply
from gateway.providers.contract.server_work import ServerWork
from gateway.providers.contract.target import Target

ANY_SCHEMA, CONSTRAINED_SCHEMA = "json_schema:any", "json_schema:constrained"
ONE_CALL = "tool:one_call"


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
        ONE_CALL: a model that can make several calls of tools at once can be kept to one.
        """
        ...

    def server_work(self, call: ChatCall, options: Json, /) -> ServerWork:
        """The most that the provider may do by itself for this call. `options`: those that the call has for it."""
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
