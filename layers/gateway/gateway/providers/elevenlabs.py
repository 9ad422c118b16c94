"""ElevenLabs, which speaks and listens. Source: https://elevenlabs.io/docs/api-reference (2026-11)."""

from __future__ import annotations

from gateway.model.http import Credential, HttpRequest
from gateway.providers.contract import Provider
from gateway.providers.wire.elevenlabs_speech import ElevenLabsSpeech
from gateway.providers.wire.elevenlabs_transcript import ElevenLabsTranscript


def xi_api_key(request: HttpRequest, credential: Credential, _now_s: float) -> HttpRequest:
    """`xi-api-key`, left out when there is no key."""
    if not credential.api_key:
        return request
    headers = {**request.headers, "xi-api-key": credential.api_key.reveal()}
    return HttpRequest(request.method, request.url, headers, request.body)


PROVIDER = Provider(
    name="elevenlabs",
    base_url="https://api.elevenlabs.io",
    speech={"text_to_speech": ElevenLabsSpeech()},
    transcriptions={"speech_to_text": ElevenLabsTranscript()},
    authorize=xi_api_key,
)
