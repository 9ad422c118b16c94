"""Anthropic. Source: https://platform.claude.com/docs/en/api/overview (2026-11)."""

from __future__ import annotations

from gateway.model.http import Credential, HttpRequest
from gateway.providers.contract import Provider
from gateway.providers.wire.anthropic_messages import AnthropicMessages


def x_api_key(request: HttpRequest, credential: Credential, _now_s: float) -> HttpRequest:
    """`x-api-key`, left out when there is no key."""
    if not credential.api_key:
        return request
    headers = {**request.headers, "x-api-key": credential.api_key.reveal()}
    return HttpRequest(request.method, request.url, headers, request.body)


PROVIDER = Provider(
    name="anthropic",
    base_url="https://api.anthropic.com",
    wires={"messages": AnthropicMessages()},
    authorize=x_api_key,
)
