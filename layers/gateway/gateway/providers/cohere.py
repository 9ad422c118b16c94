"""Cohere. Source: https://docs.cohere.com/reference/chat (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Provider
from gateway.providers.wire.cohere_chat import CohereChat

PROVIDER = Provider(
    name="cohere",
    base_url="https://api.cohere.com",
    wires={"cohere_chat": CohereChat()},
)
