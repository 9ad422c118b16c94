"""OpenAI's responses, for the models that it offers through nothing else, as a way to speak chat."""

from __future__ import annotations

from msgspec import Struct

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Reply
from gateway.providers.contract import ONE_CALL, ServerWork, Target
from gateway.providers.wire.openai_chat_failure import refusal
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_responses_parse import reply
from gateway.providers.wire.openai_responses_render import request_body
from gateway.providers.wire.openai_responses_stream import ResponseStream
from gateway.providers.wire.options import RESERVED
from gateway.providers.wire.server_tools import ServerTools

STANDARD = Quirks(
    # Missing in https://platform.openai.com/docs/api-reference/responses/create
    lacks=frozenset(
        {"top_k", "n", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias"}
        | {"modalities", "audio", "prediction"}
    ),
    # For the `param` of an error only.
    renames={
        "messages": "input",
        "max_completion_tokens": "max_output_tokens",
        "reasoning_effort": "reasoning.effort",
        "verbosity": "text.verbosity",
        "response_format": "text.format",
    },
    # In the background nothing but a promise of an answer comes back. The others bring in what the gateway cannot see,
    # stored under one account for all tenants.
    reserved=RESERVED | {"background", "previous_response_id", "conversation", "prompt"},
    # Files that are searched, code that is run and images that are made have prices of their own:
    # https://developers.openai.com/api/docs/pricing#built-in-tools. The limit is of all tools of a response together:
    # https://platform.openai.com/docs/api-reference/responses/create#responses-create-max_tool_calls
    server_tools=ServerTools(
        client=("function", "custom", "namespace", "local_shell", "apply_patch", "computer"),
        searching=("web_search",),
        reading=("mcp", "tool_search"),
        limit_all="max_tool_calls",
    ),
    developer_role=True,
    obfuscation=True,
)


class OpenAiResponses(Struct, frozen=True):
    """Of the quirks those count here that `STANDARD` names, `formats`, `cost`, `cost_per_usd` and `extra`."""

    quirks: Quirks = STANDARD

    def formats(self, _call: ChatCall, _model: ModelFacts) -> frozenset[str]:
        return self.quirks.formats | {ONE_CALL}

    def server_work(self, call: ChatCall, options: Json) -> ServerWork:
        return self.quirks.server_tools.work(options, is_asked_to_search=call.web_search_options is not None)

    def render(self, call: ChatCall, target: Target) -> HttpRequest:
        accept = "text/event-stream" if call.stream else "application/json"
        headers = {"content-type": "application/json", "accept": accept}
        return HttpRequest("POST", f"{target.base_url}/responses", headers, request_body(call, target, self.quirks))

    def parse(self, response: HttpResponse, target: Target) -> Reply:
        return reply(response, target, self.quirks)

    def stream(self, target: Target) -> ResponseStream:
        return ResponseStream(target, self.quirks)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return refusal(response, target, self.quirks)
