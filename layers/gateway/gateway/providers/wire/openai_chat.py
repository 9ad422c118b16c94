"""OpenAI's chat completions, as OpenAI and its many imitators speak them."""

from __future__ import annotations

from msgspec import Struct, field

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Reply
from gateway.providers.contract import ONE_CALL, ServerWork, Target
from gateway.providers.wire.openai_chat_failure import refusal
from gateway.providers.wire.openai_chat_parse import reply
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_chat_render import request_body
from gateway.providers.wire.openai_chat_stream import ChatStream

__all__ = ["OpenAiChat", "Quirks"]


class OpenAiChat(Struct, frozen=True):
    quirks: Quirks = field(default_factory=Quirks)

    def formats(self, call: ChatCall, _model: ModelFacts) -> frozenset[str]:
        there = {name for name in ("tools", "stream") if getattr(call, name)}
        known = frozenset({"text"}) if there & self.quirks.formats_without else self.quirks.formats
        return known if "parallel_tool_calls" in self.quirks.lacks else known | {ONE_CALL}

    def server_work(self, call: ChatCall, options: Json) -> ServerWork:
        """A model that searches for chat completions does so before it answers: what it found is read once."""
        return self.quirks.server_tools.work(options, is_asked_to_search=call.web_search_options is not None)

    def render(self, call: ChatCall, target: Target) -> HttpRequest:
        accept = "text/event-stream" if call.stream else "application/json"
        headers = {"content-type": "application/json", "accept": accept}
        return HttpRequest(
            "POST", f"{target.base_url}/chat/completions", headers, request_body(call, target, self.quirks)
        )

    def parse(self, response: HttpResponse, target: Target) -> Reply:
        return reply(response, target, self.quirks)

    def stream(self, target: Target) -> ChatStream:
        return ChatStream(target, self.quirks)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return refusal(response, target, self.quirks)
