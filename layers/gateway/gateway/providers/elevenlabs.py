"""ElevenLabs, which speaks and listens. Source: https://elevenlabs.io/docs/api-reference (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Provider, key_header
from gateway.providers.wire.elevenlabs_speech import ElevenLabsSpeech
from gateway.providers.wire.elevenlabs_transcript import ElevenLabsTranscript

PROVIDER = Provider(
    name="elevenlabs",
    base_url="https://api.elevenlabs.io",
    speech={"text_to_speech": ElevenLabsSpeech()},
    transcriptions={"speech_to_text": ElevenLabsTranscript()},
    authorize=key_header("xi-api-key"),
)
