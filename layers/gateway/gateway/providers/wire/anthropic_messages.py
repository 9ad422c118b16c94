"""Anthropic's Messages API, also as other clouds host it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, Json
from gateway.model.errors import InvalidRequest
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Reply
from gateway.providers.contract import CONSTRAINED_SCHEMA, ONE_CALL, ServerWork, Target
from gateway.providers.wire.anthropic_parse import fail_message, parse_message
from gateway.providers.wire.anthropic_render import request_body
from gateway.providers.wire.anthropic_stream import MessageStream
from gateway.providers.wire.options import with_options
from gateway.providers.wire.server_tools import ServerTools

_BETA = re.compile(r"[\w.-]{1,64}")


# Code that is run is paid by the hour, and other models that are asked at their own prices; no reply tells either.
# Each turn of the loop is paid: https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool (2026-11)
SERVER_TOOLS = ServerTools(
    client=("custom", "bash_", "text_editor_", "memory_", "computer_"),
    searching=("web_search_",),
    reading=("web_fetch_", "mcp_toolset", "tool_search_tool_"),
    readers=frozenset({"mcp_servers"}),
    limit_each="max_uses",
)


class AnthropicMessages(msgspec.Struct, frozen=True):
    """The parameters say what a host does differently; the defaults are Anthropic's own API.

    `path` and `stream_path` (None: the same) follow the base URL and may hold `{model}`. `version` goes into the
    header `anthropic-version`, or into the body as `anthropic_version`. `provider_options.<provider>.betas`, a list as
    in the official SDK, goes into the header `anthropic-beta`, or into the body as `anthropic_beta`.
    """

    path: str = "/v1/messages"
    stream_path: str | None = None
    version: str = "2023-06-01"
    version_in_body: bool = False
    betas_in_body: bool = False
    model_in_body: bool = True
    stream_in_body: bool = True

    def formats(self, _call: ChatCall, _model: ModelFacts) -> frozenset[str]:
        return frozenset({"text", CONSTRAINED_SCHEMA, ONE_CALL})

    def server_work(self, _call: ChatCall, options: Json) -> ServerWork:
        if unbounded := next(_compacting(options), None):
            return ServerWork(unbounded=unbounded)
        return SERVER_TOOLS.work(options)

    def render(self, call: ChatCall, target: Target) -> HttpRequest:
        options = dict(call.options_for(target.provider))
        betas = _betas(options.pop("betas", []), target.provider)
        body = with_options(request_body(call, target.model, options), options, target.provider)
        headers = {"content-type": "application/json"}
        if self.model_in_body:
            body = {"model": target.model.id, **body}
        if self.stream_in_body and call.stream is not None:
            body.setdefault("stream", call.stream)
        if self.version_in_body:
            body.setdefault("anthropic_version", self.version)
        else:
            headers["anthropic-version"] = self.version
        if betas and self.betas_in_body:
            body["anthropic_beta"] = betas
        elif betas:
            headers["anthropic-beta"] = ",".join(betas)
        path = (call.stream and self.stream_path) or self.path
        url = target.base_url + path.format(model=quote(target.model.id, safe="@:"))
        return HttpRequest("POST", url, headers, msgspec.json.encode(body))

    def parse(self, response: HttpResponse, target: Target) -> Reply:
        return parse_message(response, target.provider, target.model.id)

    def stream(self, target: Target) -> MessageStream:
        return MessageStream(target.provider, target.model.id)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return fail_message(response, target.provider)


def _compacting(options: Json) -> Iterator[str]:
    """Members by which Claude reads all once more to sum it up, any number of times; the plain figures leave it out.

    Source: https://platform.claude.com/docs/en/build-with-claude/compaction (2026-11)
    """
    if options.get("compaction") is not None:
        yield "compaction"
    managed = options.get("context_management")
    edits = managed.get("edits") if isinstance(managed, dict) else None
    for edit in edits if isinstance(edits, list) else ():
        if isinstance(edit, dict) and str(edit.get("type")).startswith("compact"):
            yield "context_management"


def _betas(betas: Any, provider: str) -> list[str]:
    """They become a header, so only plain names may pass. Raises InvalidRequest (400)."""
    if isinstance(betas, list) and all(isinstance(beta, str) and _BETA.fullmatch(beta) for beta in betas):
        return betas
    raise InvalidRequest("betas is a list of names.", param=f"provider_options.{provider}.betas")
