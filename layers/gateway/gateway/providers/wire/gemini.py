"""Google's generateContent API, as the Gemini API has it and as Vertex AI hosts it.

Source: https://ai.google.dev/api/generate-content (2026-11).
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, Json, NamedToolChoice
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Reply
from gateway.providers.contract import ANY_SCHEMA, ServerWork, Target
from gateway.providers.wire.gemini_failures import failure_of
from gateway.providers.wire.gemini_parse import parse_answer
from gateway.providers.wire.gemini_render import request_body
from gateway.providers.wire.gemini_stream import AnswerStream
from gateway.providers.wire.server_tools import ServerTools

COLLECTIONS = ("models", "tunedModels")


# What a search finds is not paid, pages and results of code are; maps, files and other indexes have fees that no reply
# tells: https://ai.google.dev/gemini-api/docs/pricing (2026-11)
SERVER_TOOLS = ServerTools(
    client=("functiondeclarations", "computeruse"),
    searching=("googlesearch",),
    reading=("urlcontext", "codeexecution"),
    by_member=True,
    searches_once=True,
)


class Gemini(msgspec.Struct, frozen=True):
    """`prefix`: the path between base URL and collection, "" when the base URL holds all of it.

    `call_ids`: whether function calls and their responses are told apart by ids; else by name and order.
    """

    prefix: str = "/v1beta"
    call_ids: bool = True

    def formats(self, call: ChatCall, model: ModelFacts) -> frozenset[str]:
        """Before Gemini 3 none beside tools, since then none beside a tool that has to be called.

        Sources: https://github.com/googleapis/python-genai/issues/867, https://github.com/vercel/ai/pull/16540
        """
        is_forced = call.tool_choice == "required" or isinstance(call.tool_choice, NamedToolChoice)
        if call.tools and (is_forced or model.reasoning_by != "effort"):
            return frozenset({"text"})
        return frozenset({"text", "json_object", "json_schema", ANY_SCHEMA})

    def server_work(self, _call: ChatCall, options: Json) -> ServerWork:
        return SERVER_TOOLS.work(options)

    def render(self, call: ChatCall, target: Target) -> HttpRequest:
        method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        root = target.base_url + self.prefix
        body = request_body(call, target, files_root=root, call_ids=self.call_ids)
        url = f"{root}/{resource_name(target.model.id)}:{method}"
        return HttpRequest("POST", url, {"content-type": "application/json"}, msgspec.json.encode(body))

    def parse(self, response: HttpResponse, target: Target) -> Reply:
        return parse_answer(response, target.provider)

    def stream(self, target: Target) -> AnswerStream:
        return AnswerStream(target.provider)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)


def resource_name(model: str) -> str:
    """`gemini-x`, `models/gemini-x` or `tunedModels/x` as a resource name; nothing in it can leave its collection."""
    collection, _, name = model.partition("/")
    if collection in COLLECTIONS and name:
        return f"{collection}/{quote(name, safe='')}"
    return f"models/{quote(model, safe='')}"
