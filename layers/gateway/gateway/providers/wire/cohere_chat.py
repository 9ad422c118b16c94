"""Cohere's chat API, version 2. Source: https://docs.cohere.com/reference/chat (2026-11)."""

from __future__ import annotations

from msgspec import Struct

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Reply
from gateway.providers.contract import ServerWork, Target
from gateway.providers.wire.cohere_chat_parse import failure_of, parse_answer
from gateway.providers.wire.cohere_chat_render import request_body
from gateway.providers.wire.cohere_chat_stream import AnswerStream
from gateway.providers.wire.server_tools import ServerTools


class CohereChat(Struct, frozen=True):
    def formats(self, call: ChatCall, _model: ModelFacts) -> frozenset[str]:
        """JSON comes without tools only: https://docs.cohere.com/docs/structured-outputs"""
        return frozenset({"text"}) if call.tools else frozenset({"text", "json_object", "json_schema"})

    def server_work(self, _call: ChatCall, options: Json) -> ServerWork:
        return ServerTools().work(options)

    def render(self, call: ChatCall, target: Target) -> HttpRequest:
        accept = "text/event-stream" if call.stream else "application/json"
        headers = {"content-type": "application/json", "accept": accept}
        return HttpRequest("POST", f"{target.base_url}/v2/chat", headers, request_body(call, target))

    def parse(self, response: HttpResponse, target: Target) -> Reply:
        return parse_answer(response, target.provider)

    def stream(self, target: Target) -> AnswerStream:
        return AnswerStream(target.provider)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)
