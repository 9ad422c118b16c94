"""Amazon Bedrock's Converse and ConverseStream.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (2026-11).
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Reply
from gateway.providers.contract import CONSTRAINED_SCHEMA, ONE_CALL, ServerWork, Target
from gateway.providers.wire.converse_failures import failure_of
from gateway.providers.wire.converse_parse import parse_answer
from gateway.providers.wire.converse_render import request_body
from gateway.providers.wire.converse_stream import ConverseStream
from gateway.providers.wire.options import with_options
from gateway.providers.wire.server_tools import ServerTools

# Those of the system search and run code: https://docs.aws.amazon.com/nova/latest/nova2-userguide/nova-grounding.html
SERVER_TOOLS = ServerTools(client=("toolspec", "cachepoint"), by_member=True)
CLAUDES_TOOLS = ServerTools(client=("custom", "bash_", "text_editor_", "memory_", "computer_", "tool_search_tool_"))


class Converse:
    """A model is named in the path: an id, an inference profile or an ARN, percent-encoded but for its colons.

    HTTP clients decode an encoded colon before they send it, and then a signature of the encoded one does not hold.
    """

    def formats(self, _call: ChatCall, model: ModelFacts) -> frozenset[str]:
        one_call = {ONE_CALL} if model.dialect == "anthropic" else set()
        return frozenset({"text", CONSTRAINED_SCHEMA, *one_call})

    def server_work(self, _call: ChatCall, options: Json) -> ServerWork:
        """Tools of the API and, for a Claude, of the model, which the client runs all."""
        for place, known in (("toolConfig", SERVER_TOOLS), ("additionalModelRequestFields", CLAUDES_TOOLS)):
            inside = options.get(place)
            if unbounded := known.work(inside if isinstance(inside, dict) else {}).unbounded:
                return ServerWork(unbounded=f"{place}.{unbounded}")
        return ServerWork()

    def render(self, call: ChatCall, target: Target) -> HttpRequest:
        options = call.options_for(target.provider)
        body = with_options(request_body(call, target.model, options), options, target.provider)
        operation, accept = (
            ("converse-stream", "application/vnd.amazon.eventstream")
            if call.stream
            else ("converse", "application/json")
        )
        url = f"{target.base_url}/model/{quote(target.model.id, safe=':')}/{operation}"
        headers = {"content-type": "application/json", "accept": accept}
        return HttpRequest("POST", url, headers, msgspec.json.encode(body))

    def parse(self, response: HttpResponse, target: Target) -> Reply:
        return parse_answer(response, target.provider, target.model.id)

    def stream(self, target: Target) -> ConverseStream:
        return ConverseStream(target.provider, target.model.id)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)
