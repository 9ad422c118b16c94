"""Perplexity's asynchronous chat completions: begun, and asked for until they are there. Nothing stops one.

Sources: https://docs.perplexity.ai/api-reference/async-sonar-post, async-sonar-api-request-get (2026-11), with the
paths of https://github.com/perplexityai/perplexity-py. A result is kept for seven days.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from gateway.model.chat import ChatCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.providers.contract import BackgroundState, Target
from gateway.providers.wire.openai_chat_failure import refusal
from gateway.providers.wire.openai_chat_parse import reply
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_chat_render import request_body

PATH = "/async/chat/completions"


class Answer(Struct):
    """`status`: "CREATED", "IN_PROGRESS", "COMPLETED" or "FAILED". `response`: a chat completion, once it is there."""

    id: str
    status: str
    response: Raw = Raw(b"null")


_ANSWER = msgspec.json.Decoder(Answer)


class PerplexityAsync(msgspec.Struct, frozen=True):
    quirks: Quirks

    def render(self, call: ChatCall, target: Target) -> HttpRequest:
        headers = {"content-type": "application/json", "accept": "application/json"}
        body = b'{"request":' + request_body(call, target, self.quirks) + b"}"
        return HttpRequest("POST", f"{target.base_url}{PATH}", headers, body)

    def parse(self, response: HttpResponse, target: Target) -> str:
        begun = _decoded(response, target)
        if begun.status == "FAILED":
            raise _failed(target)
        return begun.id

    def look(self, remote_id: str, target: Target) -> HttpRequest:
        return HttpRequest(
            "GET", f"{target.base_url}{PATH}/{quote(remote_id, safe='')}", {"accept": "application/json"}
        )

    def state(self, response: HttpResponse, target: Target) -> BackgroundState:
        answer = _decoded(response, target)
        match answer.status:
            case "CREATED" | "IN_PROGRESS":
                return BackgroundState()
            case "FAILED":
                return BackgroundState(failure=_failed(target))
            case "COMPLETED":
                return self._completed(bytes(answer.response), target)
        raise ProviderError(f"{target.provider} sent something that is no state of a chat completion.")

    def cancel(self, _remote_id: str, _target: Target, /) -> HttpRequest | None:
        return None

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return refusal(response, target, self.quirks)

    def _completed(self, completion: bytes, target: Target) -> BackgroundState:
        try:
            return BackgroundState(reply=reply(HttpResponse(200, {}, completion), target, self.quirks))
        except ProviderFailure as failure:
            return BackgroundState(failure=failure)


def _decoded(response: HttpResponse, target: Target) -> Answer:
    """Raises ProviderError (502)."""
    try:
        return _ANSWER.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ProviderError(f"{target.provider} sent something that is no asynchronous chat completion.") from None


def _failed(target: Target) -> ProviderError:
    return ProviderError(f"{target.provider} broke off its answer.", provider_code="FAILED")
