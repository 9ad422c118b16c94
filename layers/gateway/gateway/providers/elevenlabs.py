"""ElevenLabs, which speaks and listens. Source: https://elevenlabs.io/docs/api-reference (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Provider, key_header
from gateway.providers.wire.elevenlabs_speech import ElevenLabsSpeech

PROVIDER = Provider(
    name="elevenlabs",
    base_url="https://api.elevenlabs.io",
    speech={"text_to_speech": ElevenLabsSpeech()},
    authorize=key_header("xi-api-key"),
)
