"""Deepgram, which speaks and listens. Source: https://developers.deepgram.com/reference (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Provider, key_header
from gateway.providers.wire.deepgram_listen import DeepgramListen
from gateway.providers.wire.deepgram_speak import DeepgramSpeak

PROVIDER = Provider(
    name="deepgram",
    base_url="https://api.deepgram.com",
    speech={"speak": DeepgramSpeak()},
    transcriptions={"listen": DeepgramListen()},
    authorize=key_header("authorization", "Token "),
)
