"""Deepgram, which speaks and listens. Source: https://developers.deepgram.com/reference (2026-11)."""

from __future__ import annotations

from gateway.model.http import Credential, HttpRequest
from gateway.providers.contract import Provider
from gateway.providers.wire.deepgram_listen import DeepgramListen
from gateway.providers.wire.deepgram_speak import DeepgramSpeak


def token(request: HttpRequest, credential: Credential, _now_s: float) -> HttpRequest:
    """`Authorization: Token`, left out when there is no key."""
    if not credential.api_key:
        return request
    headers = {**request.headers, "authorization": f"Token {credential.api_key.reveal()}"}
    return HttpRequest(request.method, request.url, headers, request.body)


PROVIDER = Provider(
    name="deepgram",
    base_url="https://api.deepgram.com",
    speech={"speak": DeepgramSpeak()},
    transcriptions={"listen": DeepgramListen()},
    authorize=token,
)
