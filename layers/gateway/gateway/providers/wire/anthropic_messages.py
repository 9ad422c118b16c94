"""Anthropic's Messages API, also as other clouds host it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from gateway.model.chat import ChatCall
from gateway.model.errors import ProviderFailure
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.reply import Reply
from gateway.providers.contract import Target
from gateway.providers.wire.anthropic_parse import fail_message, parse_message
from gateway.providers.wire.anthropic_render import request_body
from gateway.providers.wire.anthropic_stream import MessageStream


@dataclass(frozen=True, slots=True)
class AnthropicMessages:
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

    def render(self, call: ChatCall, target: Target) -> HttpRequest:
        options = dict(call.provider_options.get(target.provider, {}))
        betas = options.pop("betas", None)
        body = request_body(call, target.model, options)
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
            headers["anthropic-beta"] = ",".join(map(str, betas))
        path = (call.stream and self.stream_path) or self.path
        url = target.base_url + path.format(model=quote(target.model.id, safe="@:"))
        return HttpRequest("POST", url, headers, msgspec.json.encode(body))

    def parse(self, response: HttpResponse, target: Target) -> Reply:
        return parse_message(response, target.provider)

    def stream(self, target: Target) -> MessageStream:
        return MessageStream(target.provider)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return fail_message(response, target.provider)
